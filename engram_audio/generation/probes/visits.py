"""Gain by visits: does a row that train saw more often help more?

Exact n-grams of codes are counted, not rows: hashed rows are shared, and their visits say little.
A loss at few visits is memorising. A large write without a gain at many is habit.

Shapes: N rows, M targets.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from engram_audio import windows
from engram_audio.generation.frame_scores import FrameScores
from engram_audio.generation.names import GAIN
from engram_audio.generation.probes.sums import speaker_sums

PROBE = "visits"
EDGES = (0, 1, 4, 16, 64)  # least visits of each bucket
GATE, WRITE, SHARE = "gate", "write_ratio", "share_of_frames"


def bucket_names(edges: Sequence[int] = EDGES) -> list[str]:
    """Return the names of the buckets: 0, 1-3, 4-15, 16-63, 64+."""
    closed = [f"{low}" if high == low + 1 else f"{low}-{high - 1}" for low, high in pairwise(edges)]
    return [*closed, f"{edges[-1]}+"]


def ngrams(codes: np.ndarray, offsets: np.ndarray, order: int, num_codes: int) -> np.ndarray:
    """Return one number for the newest n-gram at each row, [N]; -1 where it is not whole.

    Args:
        codes: [N]; `num_codes` where a key is not whole.
        offsets: Utterance offsets.
        order: n.
        num_codes: K.
    """
    rows = np.arange(len(codes))
    place = rows - np.asarray(offsets)[windows.utterance_of_rows(np.asarray(offsets), rows)]
    number, whole = np.zeros(len(codes), np.int64), place >= order - 1
    for age in range(order):
        older = np.roll(codes, age)
        whole &= older < num_codes
        number += older * num_codes**age
    return np.where(whole, number, -1)


def visits_of(numbers: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return how often train has each n-gram; 0 for one that is not whole."""
    known, counts = np.unique(train[train >= 0], return_counts=True)
    if not len(known):
        return np.zeros(len(numbers), np.int64)
    place = np.searchsorted(known, numbers).clip(max=len(known) - 1)
    return np.where(known[place] == numbers, counts[place], 0)


def visit_sums(
    visits: np.ndarray, scores: FrameScores, small: np.ndarray, speakers: np.ndarray
) -> pd.DataFrame:
    """Return gain over S, gate, write size and share of frames in each bucket of visits.

    Args:
        visits: Of the n-gram that the frame before each target reads, [M].
        scores: Of the memory's arm.
        small: NLL of S of the same seed, [M].
        speakers: Of the targets, [M].
    """
    bucket = np.searchsorted(np.array(EDGES), visits, side="right") - 1
    measured = {
        GAIN: small - scores.nll.double().numpy(),
        GATE: scores.gate.double().numpy(),
        WRITE: scores.write.double().numpy(),
    }
    rows = []
    for number, name in enumerate(bucket_names()):
        own = bucket == number
        rows.append(speaker_sums(PROBE, name, SHARE, speakers, own.astype(float)))
        rows += [
            speaker_sums(PROBE, name, measure, speakers[own], values[own])
            for measure, values in measured.items()
            if own.any() and np.isfinite(values[own]).all()
        ]
    return pd.concat(rows, ignore_index=True)
