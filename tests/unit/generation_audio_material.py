"""Scores of clips with a planted difference between arms."""

import numpy as np
import pandas as pd

from engram_audio.audio_scores.names import ORIGINAL, OTHER, ROUND_TRIP, WHOLE, every
from engram_audio.generation.audio_columns import OF_DISTANCE, OF_SCORE
from engram_audio.generation.audio_tables import Sounded


def sounded(
    gain: float,
    loss: float,
    num_speakers: int = 8,
    absent: tuple[str, ...] = (),
    representation: str = "x",
    num_seeds: int = 3,
    seed_sd: float = 0.0,
    loss_sd: float = 0.0,
) -> Sounded:
    """SM's cosine is `gain` above F's, in every utterance; the codec loses `loss`.

    Args:
        gain: Mean over seeds.
        loss: Mean over speakers.
        num_speakers: Each with one utterance.
        absent: Evaluators that were not installed.
        representation: Name.
        num_seeds: Training seeds of both arms.
        seed_sd: How much the gain differs between seeds, evenly about its mean.
        loss_sd: How much the loss differs between speakers, evenly about its mean.
    """
    rng = np.random.default_rng(0)
    rows = []
    for number in range(num_speakers):
        own = loss + loss_sd * (-1.0) ** number
        clips = [(ORIGINAL, "", -1, 1.0), (ROUND_TRIP, "", -1, 1.0 - own), (OTHER, "", -1, 0.2)]
        for seed in range(num_seeds):
            noise = 0.01 * rng.standard_normal()
            more = gain + seed_sd * (seed - (num_seeds - 1) / 2)
            clips += [
                (every(1), "SM", seed, 0.5 + more + noise),
                (every(1), "F", seed, 0.5 + noise),
            ]
        for condition, arm_name, seed, value in clips:
            rows.append((f"u{number}", f"s{number}", arm_name, seed, condition, WHOLE,
                         "speaker_cosine", value, 1.0))  # fmt: skip
    table = pd.DataFrame(rows, columns=list(OF_SCORE))
    empty = pd.DataFrame(columns=list(OF_DISTANCE))
    return Sounded(representation, "g", table, empty, absent, 200)
