"""Does the gate select? It is put to constants, its mean among them, and read as a classifier.

An open gate is no evidence, and a closed one is none either. Where the mean of the gate does as
well as the gate, it selects nothing.

Shapes: M targets.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pandas as pd

from engram_audio.generation.frame_scores import FrameScores
from engram_audio.generation.insertion import GatedValue
from engram_audio.generation.model import Generator
from engram_audio.generation.names import CLAMP, COST_SHARE, GAIN, OWN
from engram_audio.generation.output_memory import OutputGate
from engram_audio.generation.probes.sums import labelled, speaker_sums
from engram_audio.generation.probes.switched import switched
from engram_audio.memory.engram import EngramReader

LEVELS = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
CLOSED = "0"
GATED = GatedValue | EngramReader | OutputGate  # what can stand under a constant
COST = "cost_nats"
OVER_SMALL, OVER_CLOSED = "auroc_over_s", "auroc_over_closed"


@contextmanager
def clamped(model: Generator, gate: float) -> Iterator[Generator]:
    """Put a constant in the place of every gate of a model."""
    readers = [] if model.memory is None else list(model.memory.readers.values())
    gated = [reader for reader in readers if isinstance(reader, GATED)]
    with switched(gated, "constant_gate", gate):
        yield model


def condition_of(gate: float) -> str:
    """Return the name of a constant."""
    return f"{gate:g}"


def auroc(scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Return how often a positive frame has the larger score; ties count half, [M] each.

    NaN where all frames are of one kind.
    """
    count = int(is_positive.sum())
    rest = len(scores) - count
    if not count or not rest:
        return float("nan")
    _, place, ties = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (ties.cumsum() - (ties - 1) / 2)[place]
    return float((ranks[is_positive].sum() - count * (count + 1) / 2) / (count * rest))


def clamp_sums(
    own: FrameScores, constant: Mapping[str, FrameScores], small: np.ndarray, speakers: np.ndarray
) -> pd.DataFrame:
    """Return the gain over S, what each constant costs, also as its share, and the gate's AUROC.

    Args:
        own: Scores under the gate itself.
        constant: Scores under constants by name, `CLOSED` among them.
        small: NLL of S of the same seed on the same targets, [M].
        speakers: Of the targets, [M].
    """
    nll = own.nll.double().numpy()
    rows = [speaker_sums(CLAMP, OWN, GAIN, speakers, small - nll)]
    for name, scores in constant.items():
        cost = scores.nll.double().numpy() - nll
        rows += [
            speaker_sums(CLAMP, name, COST, speakers, cost),
            speaker_sums(CLAMP, name, COST_SHARE, speakers, cost, small - nll),
        ]
    closed = constant[CLOSED].nll.double().numpy()
    gate = own.gate.double().numpy()
    for measure, other in ((OVER_SMALL, small), (OVER_CLOSED, closed)):
        rows.append(_auroc_by_speaker(measure, gate, other > nll, speakers))
    return pd.concat(rows, ignore_index=True)


def _auroc_by_speaker(
    measure: str, gate: np.ndarray, helps: np.ndarray, speakers: np.ndarray
) -> pd.DataFrame:
    """Return the AUROC within each speaker, so that speakers' own levels count for nothing."""
    names = np.unique(speakers)
    found = np.array([auroc(gate[speakers == name], helps[speakers == name]) for name in names])
    known = np.isfinite(found)
    rows = pd.DataFrame({"speaker_id": names[known], "numerator": found[known], "denominator": 1.0})
    return labelled(CLAMP, OWN, measure, rows)
