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
) -> Sounded:
    """SM's cosine is `gain` above F's, in every utterance; the codec loses `loss`."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(num_speakers):
        noise = 0.01 * rng.standard_normal()
        for condition, arm_name, value in (
            (ORIGINAL, "", 1.0), (ROUND_TRIP, "", 1.0 - loss), (OTHER, "", 0.2),
            (every(1), "SM", 0.5 + gain + noise), (every(1), "F", 0.5 + noise),
        ):  # fmt: skip
            rows.append((f"u{number}", f"s{number}", arm_name, condition, WHOLE, "speaker_cosine",
                         value, 1.0))  # fmt: skip
    table = pd.DataFrame(rows, columns=list(OF_SCORE))
    empty = pd.DataFrame(columns=list(OF_DISTANCE))
    return Sounded(representation, "g", table, empty, absent, 200)
