"""What cells hold: counts, which are effective, their means and variances on train.

A cell with fewer than `minimum_cell_frames` train frames is not effective; frames that fall into
one are excluded, whatever their part, and counted. Effective cells are renumbered 0 .. E-1, code E
means excluded, so that accumulators grow with E <= train frames / minimum and not with K.

Shapes: M targets, E effective cells, D dimensions, P parts.
"""

from typing import NamedTuple

import numpy as np

from engram_audio.numerics.grouped import add_grouped
from engram_audio.structure.normalization import Normalization
from engram_audio.structure.targets import EVAL, PARTS, TRAIN

# In units of the train variance: scatter below a thousandth of an SD is not rewarded.
VARIANCE_FLOOR = 1e-6


class Labeling(NamedTuple):
    """Labels of a slice's targets under one key and one control.

    Attributes:
        codes: Effective cell of each target, E where excluded, [M], int32.
        cell_ids: The key's own number of each effective cell, [E].
        counts: Frames per part and effective cell, [P, E].
        num_cells: K.
        entropy: Entropy of the key's cells on eval, nats; NaN without eval frames.
    """

    codes: np.ndarray
    cell_ids: np.ndarray
    counts: np.ndarray
    num_cells: int
    entropy: float

    @property
    def num_effective(self) -> int:
        """E."""
        return len(self.cell_ids)


def make_labeling(
    cells: np.ndarray, part: np.ndarray, num_cells: int, minimum_cell_frames: int
) -> Labeling:
    """Renumber cells by what they hold on train.

    Args:
        cells: Cell of each target, 0 .. K-1, [M].
        part: Part of each target, [M].
        num_cells: K.
        minimum_cell_frames: Fewest train frames of an effective cell.
    """
    counts = np.bincount(
        part.astype(np.int64) * num_cells + cells, minlength=len(PARTS) * num_cells
    ).reshape(len(PARTS), num_cells)
    cell_ids = np.flatnonzero(counts[TRAIN] >= minimum_cell_frames)
    code_of = np.full(num_cells, len(cell_ids), dtype=np.int32)
    code_of[cell_ids] = np.arange(len(cell_ids), dtype=np.int32)
    return Labeling(
        codes=code_of[cells],
        cell_ids=cell_ids,
        counts=counts[:, cell_ids],
        num_cells=num_cells,
        entropy=_entropy(counts[EVAL]),
    )


def _entropy(counts: np.ndarray) -> float:
    if counts.sum() == 0:
        return float("nan")
    share = counts[counts > 0] / counts.sum()
    return float(-np.sum(share * np.log(share)))


def null_ratio_excess(labeling: Labeling, part: int) -> float:
    """Return E[ratio] - 1 of a key that knows nothing, scored with train means (SCIENCE 0.4).

    A cell mean of n independent train frames has variance 1/n, so a scored frame of the cell has
    expected squared error 1 + 1/n; averaged over the scored frames: sum_c mass_c / n_c.
    """
    mass = labeling.counts[part]
    if mass.sum() == 0:
        return float("nan")
    return float(np.sum(mass / np.maximum(labeling.counts[TRAIN], 1)) / mass.sum())


class CellChunk(NamedTuple):
    """Targets on their way into sums, with what all labelings share.

    Attributes:
        z: Normalised targets, [m, D], float32.
        part: Their parts, [m].
        squared_norm: Sums of their squares, [m, 1], float64.
        is_train: Which are of train, [m].
        train_squares: z^2 of those, [t, D], float32.
    """

    z: np.ndarray
    part: np.ndarray
    squared_norm: np.ndarray
    is_train: np.ndarray
    train_squares: np.ndarray


def make_cell_chunk(z: np.ndarray, part: np.ndarray) -> CellChunk:
    """Prepare normalised targets z, [m, D], of some parts, [m]."""
    is_train = part == TRAIN
    norm = np.einsum("md,md->m", z, z, dtype=np.float64)[:, None]
    return CellChunk(z, part, norm, is_train, np.square(z[is_train]))


class CellSums:
    """Sums of z by part and cell, and of z^2 on train, float64."""

    def __init__(self, labeling: Labeling, num_dims: int) -> None:
        """Make empty sums; see `bytes_needed`."""
        groups = labeling.num_effective + 1
        self.labeling = labeling
        self.sum = np.zeros((len(PARTS), groups, num_dims))
        self.square = np.zeros((groups, num_dims))
        self._squared_norm = np.zeros((len(PARTS), groups, 1))

    @staticmethod
    def bytes_needed(labeling: Labeling, num_dims: int) -> int:
        """Return the size of the sums and of the tables made from them."""
        return (labeling.num_effective + 1) * num_dims * 8 * (len(PARTS) + 3)

    def add(self, chunk: CellChunk, span: slice) -> None:
        """Add the targets of a span of the slice's targets."""
        codes = self.labeling.codes[span]
        groups, num_dims = self.square.shape
        joint = chunk.part.astype(np.int64) * groups + codes
        add_grouped(self.sum.reshape(-1, num_dims), chunk.z, joint)
        add_grouped(self._squared_norm.reshape(-1, 1), chunk.squared_norm, joint)
        add_grouped(self.square, chunk.train_squares, codes[chunk.is_train])

    def own_means(self, part: int) -> dict[str, float]:
        """Return SSE of a part about its own cell means, and what corrects its optimism.

        With `num_own_frames` N and `num_own_cells` K the corrected ratio is
        (N - 1) / (N - K) * sse_own / sse_own_total (SCIENCE 0.4).
        """
        counts, sums = self.labeling.counts[part], self.sum[part, :-1]
        norm = float(self._squared_norm[part, :-1].sum())
        used = counts > 0
        frames = int(counts.sum())
        between = np.einsum("ed,ed->", sums[used], sums[used] / counts[used, None])
        grand = sums.sum(axis=0)
        return {
            "sse_own": norm - float(between),
            "sse_own_total": norm - float(grand @ grand) / max(frames, 1),
            "num_own_frames": frames,
            "num_own_cells": int(used.sum()),
        }


class CellTables(NamedTuple):
    """Train means and variances of cells, ready to be looked up; row E stands for excluded.

    Attributes:
        mean: [E + 1, D], float32; row E is the train grand mean, 0.
        precision: 1 / shrunk variance, [E + 1, D], float32.
        constant: -1/2 sum_d log(variance / pooled variance), [E + 1], float32.
        head_mean: Means along the leading principal directions, [E + 1, Q], float32.
        within: Variance within effective cells over all of train, [D].
        pooled: Floored variance of z on train, [D].
    """

    mean: np.ndarray
    precision: np.ndarray
    constant: np.ndarray
    head_mean: np.ndarray
    within: np.ndarray
    pooled: np.ndarray


def cell_tables(
    sums: CellSums, normalization: Normalization, shrinkage_frames: float, num_head: int
) -> CellTables:
    """Make lookup tables from train sums.

    A cell's variance is (n s^2 + a w) / (n + a): s^2 its own, w the one within cells over all of
    train, a = `shrinkage_frames`.
    """
    groups, num_dims = sums.square.shape
    counts = sums.labeling.counts[TRAIN][:, None]
    mean = np.zeros((groups, num_dims))
    mean[:-1] = sums.sum[TRAIN, :-1] / np.maximum(counts, 1)
    scatter = np.maximum(sums.square[:-1] - counts * mean[:-1] ** 2, 0)
    pooled = np.maximum(normalization.variance, VARIANCE_FLOOR)
    within = np.maximum(scatter.sum(axis=0) / max(int(counts.sum()), 1), VARIANCE_FLOOR)
    variance = np.empty_like(mean)
    variance[:-1] = (scatter + shrinkage_frames * within) / np.maximum(counts + shrinkage_frames, 1)
    variance[-1] = pooled
    np.maximum(variance, VARIANCE_FLOOR, out=variance)
    head = normalization.directions[:, :num_head]
    return CellTables(
        mean=mean.astype(np.float32),
        precision=(1 / variance).astype(np.float32),
        constant=(-0.5 * np.log(variance / pooled).sum(axis=1)).astype(np.float32),
        head_mean=(mean @ head).astype(np.float32),
        within=within,
        pooled=pooled,
    )
