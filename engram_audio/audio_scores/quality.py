"""Speech quality without a reference: DNSMOS P.835, as its package computes it.

An alarm for collapse, no ranking: it does not tell a good codec from the original.

Shapes: S samples.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

RATE_HZ = 16000
INPUT_S = 9.01
# What the package makes of the network's numbers, highest power first.
SIGNAL = (-0.08397278, 1.22083953, 0.0052439)
BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
OVERALL = (-0.06766283, 1.11546468, 0.04602535)

Network = Callable[[np.ndarray], np.ndarray]


class Quality(NamedTuple):
    """Opinion scores from 1 to 5.

    Attributes:
        signal: Of the speech.
        background: Of what lies behind it.
        overall: Of both.
    """

    signal: float
    background: float
    overall: float


def quality_of(waveform: np.ndarray, network: Network) -> Quality:
    """Return the quality of a clip [S] at `RATE_HZ`; a short one is repeated to fill the input.

    Args:
        waveform: The clip, not empty.
        network: Returns raw signal, background and overall scores, [3], of [INPUT_S] seconds.
    """
    found = np.array([network(part) for part in inputs_of(waveform)], dtype=np.float64)
    polynomials = (SIGNAL, BACKGROUND, OVERALL)
    scores = (np.polyval(p, found[:, i]).mean() for i, p in enumerate(polynomials))
    return Quality(*map(float, scores))


def inputs_of(waveform: np.ndarray) -> list[np.ndarray]:
    """Return stretches of the network's length, one second apart, float32."""
    size = int(INPUT_S * RATE_HZ)
    audio = np.clip(np.asarray(waveform, np.float32), -1.0, 1.0)
    while len(audio) < size:
        audio = np.tile(audio, 2)
    count = int(len(audio) // RATE_HZ - INPUT_S) + 1
    starts = (number * RATE_HZ for number in range(count))
    return [audio[start : start + size] for start in starts if start + size <= len(audio)]
