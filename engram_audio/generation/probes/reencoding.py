"""Do the keys of generated frames survive decoding and encoding again?

Frames that no encoder makes have keys that no sound has. The codec's own ceiling is the same of
true frames, and chance is that two frames drawn at random share their code.

Shapes: T frames, D dimensions, K codes.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch

from engram_audio.generation.data import codes_of_rows
from engram_audio.generation.probes.sums import of_model, speaker_sums
from engram_audio.keys.encoder import KeyEncoder

PROBE = "reencoding"
GENERATED, TRUE, CHANCE = "generated", "true", "chance"
AGREEMENT = "key_agreement"

Again = Callable[[np.ndarray], np.ndarray]  # latents [T, D] decoded and encoded, [T, D]


def agreement_sums(
    key: KeyEncoder, versions: Mapping[str, np.ndarray], again: Again, first: int, speaker: str
) -> pd.DataFrame:
    """Return how many keys of one utterance stay what they are, by version.

    Args:
        key: The memory's key.
        versions: Latents by name, each [T, D].
        again: Decodes and encodes.
        first: The first frame that was generated; keys of frames from there on count.
        speaker: Whose utterance.
    """
    parts = []
    for name, latents in versions.items():
        own, other = (codes_of(key, one)[first:] for one in (latents, again(latents)))
        whole = own < key.num_codes
        same = (own == other)[whole].astype(np.float64)
        speakers = np.full(len(same), speaker)
        parts.append(speaker_sums(PROBE, name, AGREEMENT, speakers, same))
    return pd.concat(parts, ignore_index=True)


def chance_sums(key: KeyEncoder, latents: list[np.ndarray]) -> pd.DataFrame:
    """Return the share of pairs of different true frames that have the same code."""
    codes = np.concatenate([codes_of(key, one) for one in latents])
    counts = np.bincount(codes[codes < key.num_codes], minlength=key.num_codes)
    total = counts.sum()
    pairs = max(total * (total - 1), 1)
    return of_model(PROBE, CHANCE, {AGREEMENT: float((counts * (counts - 1)).sum() / pairs)})


def codes_of(key: KeyEncoder, latents: np.ndarray) -> np.ndarray:
    """Return the code of each frame of one utterance, [T]."""
    frames = torch.from_numpy(np.ascontiguousarray(latents, np.float32))
    return codes_of_rows(key, frames, np.array([0, len(latents)])).numpy()
