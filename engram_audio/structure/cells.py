"""What cells hold: counts, which are effective, their sums, means and variances on train.

A cell with fewer than `minimum_cell_frames` train frames is not effective; frames that fall into
one are excluded, whatever their part, and counted. Effective cells are renumbered 0 .. E-1, code E
means excluded, so that accumulators grow with E <= train frames / minimum and not with K.

Shapes: M targets, E effective cells, D dimensions, P parts.
"""

from typing import NamedTuple

import numpy as np

from engram_audio.numerics.grouped import add_grouped
from engram_audio.structure.targets import EVAL, PARTS, TRAIN

# In units of the train variance: scatter below a thousandth of an SD is not rewarded.
VARIANCE_FLOOR = 1e-6


class Labeling(NamedTuple):
    """Labels of a slice's targets under one key and one control.

    Attributes:
        codes: Effective cell of each target, E where excluded, [M], in as few bytes as hold E.
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
    code_of = np.full(num_cells, len(cell_ids), dtype=np.min_scalar_type(len(cell_ids)))
    code_of[cell_ids] = np.arange(len(cell_ids))
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


def is_fitted(part: np.ndarray) -> np.ndarray:
    """Return which frames a fit may see: those of train."""
    return part == TRAIN


class CellSums:
    """Sums of z, of z^2 and of the context by cell, over frames of a fit, float64.

    Utterances are shared out to two halves, whose cell means tell how much a mean scatters.

    Attributes:
        labeling: Cells of the targets; group E gathers what is excluded.
        half_counts: Frames by half and group, [2, E + 1].
        half_sum: Sums of z, [2, E + 1, D].
        half_context: Sums of the context, [2, E + 1, P]; P = 0 where none is summed.
        square: Sums of z^2 over both halves, [E + 1, D].
    """

    def __init__(self, labeling: Labeling, num_dims: int, num_inputs: int = 0) -> None:
        """Make empty sums; see `bytes_needed`."""
        groups = labeling.num_effective + 1
        self.labeling = labeling
        self.half_counts = np.zeros((2, groups), dtype=np.int64)
        self.half_sum = np.zeros((2, groups, num_dims))
        self.half_context = np.zeros((2, groups, num_inputs))
        self.square = np.zeros((groups, num_dims))

    @staticmethod
    def bytes_needed(labeling: Labeling, num_dims: int, num_inputs: int = 0) -> int:
        """Return the size of the sums, or of the tables that replace them."""
        groups = labeling.num_effective + 1
        context = max(2 * groups, num_dims / 2) * num_inputs  # its sums, then a slope in float32
        return int(8 * (6 * groups * num_dims + context))

    @property
    def counts(self) -> np.ndarray:
        """Frames of each group, [E + 1]."""
        return self.half_counts.sum(axis=0)

    @property
    def sum(self) -> np.ndarray:
        """Sums of z, [E + 1, D]."""
        return self.half_sum.sum(axis=0)

    def add(
        self, z: np.ndarray, codes: np.ndarray, half: np.ndarray, context: np.ndarray | None = None
    ) -> None:
        """Add frames of a fit: z [m, D], codes [m], halves [m] and maybe the context [m, P]."""
        groups = self.half_counts.shape[1]
        place = half.astype(np.int64) * groups + codes
        size = self.half_counts.size
        self.half_counts += np.bincount(place, minlength=size).reshape(2, groups)
        add_grouped(self.half_sum.reshape(size, -1), z, place)
        add_grouped(self.square, np.square(z), codes)
        if context is not None:
            add_grouped(self.half_context.reshape(size, -1), context, place)


class CellTables(NamedTuple):
    """Train means and variances of cells, ready to be looked up; row E stands for excluded.

    Attributes:
        mean: [E + 1, D], float32; row E is the train grand mean, 0.
        variance: Shrunk variance, [E, D].
        scatter: Squared error of the cells' own train frames, [E].
    """

    mean: np.ndarray
    variance: np.ndarray
    scatter: np.ndarray


def cell_tables(sums: CellSums, shrinkage_frames: float) -> CellTables:
    """Make lookup tables from train sums.

    A cell's variance is (n s^2 + a w) / (n + a): s^2 its own, w the one within cells over all of
    train, a = `shrinkage_frames`.
    """
    counts = sums.counts[:-1, None]
    mean = sums.sum
    mean[:-1] /= np.maximum(counts, 1)
    mean[-1] = 0.0
    scatter = np.maximum(sums.square[:-1] - counts * mean[:-1] ** 2, 0)
    within = np.maximum(scatter.sum(axis=0) / max(int(counts.sum()), 1), VARIANCE_FLOOR)
    variance = (scatter + shrinkage_frames * within) / np.maximum(counts + shrinkage_frames, 1)
    return CellTables(
        mean.astype(np.float32), np.maximum(variance, VARIANCE_FLOOR), scatter.sum(axis=1)
    )
