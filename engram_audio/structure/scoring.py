"""Scores of frames under a key, and their sums per speaker.

Shapes: m frames of a chunk, D dimensions, G subspaces (`all` first), S speakers, P parts.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engram_audio.latents.block import BlockSource
from engram_audio.numerics.grouped import add_grouped
from engram_audio.structure.cells import (
    CellSums,
    CellTables,
    Labeling,
    cell_tables,
    make_cell_chunk,
)
from engram_audio.structure.config import StructureSection
from engram_audio.structure.normalization import Normalization, subspace_edges
from engram_audio.structure.targets import EVAL, PARTS, TRAIN, SliceTargets

CHUNK_FLOATS = 2**18  # of one [m, D] array, so that a chunk's arrays stay in the cache


class Subspaces(NamedTuple):
    """Subspaces whose errors are told apart.

    Attributes:
        names: `all`, then principal subspaces of delta, [G].
        head: Leading principal directions, [D, Q]; the last subspace is what they leave.
        membership: Which of the Q directions belong to each subspace but first and last, [Q, G-2].
    """

    names: list[str]
    head: np.ndarray
    membership: np.ndarray


def make_subspaces(normalization: Normalization, edges: tuple[int, ...]) -> Subspaces:
    """Cut the principal directions of delta at the edges."""
    named = subspace_edges(edges, len(normalization.mean))
    num_head = named[-1][1]
    membership = np.zeros((num_head, len(named) - 1), dtype=np.float32)
    for column, (_, start, stop) in enumerate(named[:-1]):
        membership[start:stop, column] = 1
    return Subspaces(
        names=["all", *(name for name, _, _ in named)],
        head=normalization.directions[:, :num_head].astype(np.float32),
        membership=membership,
    )


def _by_subspace(whole: np.ndarray, head: np.ndarray, subspaces: Subspaces) -> np.ndarray:
    """Return sums of squares per subspace, [m, G], from the whole [m] and squares [m, Q]."""
    parts = (head @ subspaces.membership).astype(np.float64)
    rest = whole - parts.sum(axis=1)
    return np.concatenate([whole[:, None], parts, rest[:, None]], axis=1)


class Chunk(NamedTuple):
    """Normalised targets and what all labelings of them share.

    Attributes:
        z: [m, D], float32.
        head: z along the leading principal directions, [m, Q].
        total: Squared norm per subspace, [m, G], float64.
        pooled: Sum over dimensions of z^2 / pooled variance, [m].
    """

    z: np.ndarray
    head: np.ndarray
    total: np.ndarray
    pooled: np.ndarray


def make_chunk(z: np.ndarray, subspaces: Subspaces, pooled: np.ndarray) -> Chunk:
    """Prepare a chunk of normalised targets."""
    head = z @ subspaces.head
    squared = np.square(z)
    both = squared @ np.stack([np.ones(z.shape[1]), 1 / pooled], axis=1).astype(np.float32)
    total = _by_subspace(both[:, 0], np.square(head), subspaces)
    return Chunk(z, head, total, both[:, 1].astype(np.float64))


class FrameScores(NamedTuple):
    """Scores per frame.

    Attributes:
        residual: Squared error about the cell's train mean per subspace, [m, G].
        nats: log N(z; cell) - log N(z; pooled), diagonal, [m].
        nats_mean: The same with cell means and one variance for all cells, [m].
    """

    residual: np.ndarray
    nats: np.ndarray
    nats_mean: np.ndarray


def score_frames(
    chunk: Chunk, tables: CellTables, codes: np.ndarray, subspaces: Subspaces
) -> FrameScores:
    """Score frames with train statistics of their cells."""
    error = chunk.z - tables.mean[codes]
    np.square(error, out=error)
    both = error @ np.stack([np.ones(error.shape[1]), 1 / tables.within], axis=1, dtype=np.float32)
    error *= tables.precision[codes]
    nats = tables.constant[codes] - 0.5 * (error.sum(axis=1) - chunk.pooled)
    head_error = np.square(chunk.head - tables.head_mean[codes])
    shared = -0.5 * float(np.log(tables.within / tables.pooled).sum())
    return FrameScores(
        residual=_by_subspace(both[:, 0], head_error, subspaces),
        nats=nats.astype(np.float64),
        nats_mean=shared - 0.5 * (both[:, 1] - chunk.pooled),
    )


class SpeakerSums:
    """Sums of frame scores per part and speaker, and per cell."""

    def __init__(self, labeling: Labeling, num_speakers: int, num_subspaces: int) -> None:
        """Make empty sums."""
        self.labeling = labeling
        shape = (len(PARTS), num_speakers)
        self.num_frames = np.zeros(shape, dtype=np.int64)
        self.num_excluded = np.zeros(shape, dtype=np.int64)
        # columns: residual [G], total [G], nats, nats_mean; kept frames first, then excluded ones
        self._sums = np.zeros((2, *shape, 2 * num_subspaces + 2))
        self._cells = np.zeros((len(PARTS), labeling.num_effective + 1, 1))

    def add(
        self, scores: FrameScores, total: np.ndarray, speaker: np.ndarray, part: np.ndarray,
        codes: np.ndarray,
    ) -> None:  # fmt: skip
        """Add frames: their scores, totals [m, G], speakers, parts and codes, all [m]."""
        shape = self.num_frames.shape
        group = part.astype(np.int64) * shape[1] + speaker
        is_excluded = codes == self.labeling.num_effective
        columns = np.concatenate(
            [scores.residual, total, scores.nats[:, None], scores.nats_mean[:, None]], axis=1
        )
        add_grouped(
            self._sums.reshape(-1, columns.shape[1]), columns,
            group + is_excluded * self.num_frames.size,
        )  # fmt: skip
        size = self.num_frames.size
        self.num_frames += np.bincount(group, minlength=size).reshape(shape)
        self.num_excluded += np.bincount(group[is_excluded], minlength=size).reshape(shape)
        cell = part.astype(np.int64) * self._cells.shape[1] + codes
        add_grouped(self._cells.reshape(-1, 1), scores.residual[:, :1], cell)

    def kept(self, what: str) -> np.ndarray:
        """Return sums over kept frames: `residual`, `total` [P, S, G], `nats`, `nats_mean`."""
        num_subspaces = (self._sums.shape[-1] - 2) // 2
        place = {
            "residual": slice(0, num_subspaces),
            "total": slice(num_subspaces, 2 * num_subspaces),
            "nats": -2,
            "nats_mean": -1,
        }[what]
        return self._sums[0][..., place]

    def excluded(self) -> np.ndarray:
        """Return the squared norm of excluded frames about the train grand mean, [P, S, G]."""
        num_subspaces = (self._sums.shape[-1] - 2) // 2
        return self._sums[1][..., num_subspaces : 2 * num_subspaces]

    def cell_residual(self, part: int) -> np.ndarray:
        """Return the squared error per effective cell about its train mean, [E]."""
        return self._cells[part, :-1, 0]


class ScoredLabeling(NamedTuple):
    """Everything that is known of one key under one control.

    Attributes:
        cells: Sums by cell.
        tables: Train means and variances by cell.
        speakers: Sums by speaker.
        eval_scores: Residual and total of each eval target in stream order, [m, 2]; None unless
            asked for.
    """

    cells: CellSums
    tables: CellTables
    speakers: SpeakerSums
    eval_scores: np.ndarray | None


class ScoringPlan(NamedTuple):
    """What scoring needs beside labels.

    Attributes:
        source: The stream of latents.
        targets: The slice.
        normalization: Train statistics of delta in the slice.
        num_speakers: S.
        section: Settings.
    """

    source: BlockSource
    targets: SliceTargets
    normalization: Normalization
    num_speakers: int
    section: StructureSection


def score_labelings(
    plan: ScoringPlan, labelings: list[Labeling], keep_frames: list[bool], max_bytes: int
) -> Iterator[ScoredLabeling]:
    """Fit cells on train and score all parts, two passes over the stream per batch of labelings.

    Yields outcomes in the order of the labelings; drop each one before asking for many more.

    Args:
        plan: Stream, slice and settings.
        labelings: Keys under controls.
        keep_frames: Which of them keep the scores of single eval frames.
        max_bytes: Accumulators of a batch stay below this (a single labeling may exceed it).
    """
    num_dims = len(plan.normalization.mean)
    sizes = [CellSums.bytes_needed(labeling, num_dims) for labeling in labelings]
    for batch in _batches(sizes, max_bytes):
        yield from _score_batch(plan, labelings[batch], keep_frames[batch])


def _batches(sizes: list[int], max_bytes: int) -> list[slice]:
    batches, start, used = [], 0, 0
    for number, size in enumerate(sizes):
        if number > start and used + size > max_bytes:
            batches.append(slice(start, number))
            start, used = number, 0
        used += size
    return [*batches, slice(start, len(sizes))] if sizes else []


def _score_batch(
    plan: ScoringPlan, labelings: list[Labeling], keep_frames: list[bool]
) -> list[ScoredLabeling]:
    subspaces = make_subspaces(plan.normalization, plan.section.principal_subspaces)
    sums = [CellSums(item, len(plan.normalization.mean)) for item in labelings]
    for z, span in _chunks(plan):
        cell_chunk = make_cell_chunk(z, plan.targets.part[span])
        for item in sums:
            item.add(cell_chunk, span)
    tables = [
        cell_tables(
            item, plan.normalization, plan.section.variance_shrinkage_frames,
            subspaces.head.shape[1],
        )
        for item in sums
    ]  # fmt: skip
    speakers = [SpeakerSums(item, plan.num_speakers, len(subspaces.names)) for item in labelings]
    kept: list[list[np.ndarray]] = [[] for _ in labelings]
    for z, span in _chunks(plan):
        part, speaker = plan.targets.part[span], plan.targets.speaker[span]
        chunk = make_chunk(z, subspaces, tables[0].pooled)
        for number, item in enumerate(labelings):
            codes = item.codes[span]
            scores = score_frames(chunk, tables[number], codes, subspaces)
            speakers[number].add(scores, chunk.total, speaker, part, codes)
            if keep_frames[number]:
                both = np.stack([scores.residual[:, 0], chunk.total[:, 0]], axis=1)
                kept[number].append(both[part == EVAL])
    return [
        ScoredLabeling(own, table, sums_, np.concatenate(frames) if frames else None)
        for own, table, sums_, frames in zip(sums, tables, speakers, kept, strict=True)
    ]


def _chunks(plan: ScoringPlan) -> Iterator[tuple[np.ndarray, slice]]:
    """Yield z of all targets in chunks, [m, D], and their span."""
    step = max(CHUNK_FLOATS // len(plan.normalization.mean), 256)
    for block, rows, span in plan.targets.walk(plan.source):
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step]
            first = span.start + start
            yield plan.normalization.apply(block.frames, chosen), slice(first, first + len(chosen))


def cell_summary(scored: ScoredLabeling, normalization: Normalization) -> dict[str, np.ndarray]:
    """Return columns of the cell table for effective cells, [E] each.

    A variance ratio is the mean squared error of the cell's frames about its train mean over the
    mean squared norm of all kept frames of the part.
    """
    labeling = scored.speakers.labeling
    columns: dict[str, np.ndarray] = {"cell": labeling.cell_ids}
    for part, name in ((TRAIN, "train"), (EVAL, "eval")):
        counts = labeling.counts[part]
        total = scored.speakers.kept("total")[part, :, 0].sum() / max(int(counts.sum()), 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_error = scored.speakers.cell_residual(part) / counts
            columns[f"{name}_variance_ratio"] = np.where(counts > 0, mean_error / total, np.nan)
        columns[f"num_{name}_frames"] = counts
    mean = scored.tables.mean[:-1].astype(np.float64)
    for column in range(2):
        known = column < normalization.directions.shape[1]
        columns[f"mean_pc{column + 1}"] = (
            mean @ normalization.directions[:, column] if known else np.zeros(len(mean))
        )
    return columns
