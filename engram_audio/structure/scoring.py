"""Scores of frames under a key, alone and beside a linear model, summed per speaker.

Two passes: the first sums train frames by cell, the second scores all other frames.

Shapes: m frames of a chunk, D dimensions, G subspaces (`all` first), S speakers, P parts, E
effective cells.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engram_audio.latents.block import BlockSource
from engram_audio.numerics.covariance import Covariance
from engram_audio.numerics.grouped import add_grouped
from engram_audio.structure.cells import (
    CellSums,
    CellTables,
    Labeling,
    cell_tables,
    is_fitted,
)
from engram_audio.structure.config import StructureSection
from engram_audio.structure.information import (
    KeyInformation,
    cell_shares,
    frame_information,
    information_rows,
    key_information,
)
from engram_audio.structure.joint import (
    ContextMoments,
    GroupSums,
    JointFit,
    added_nats,
    fit_joint,
    fitting_cost,
    scatter_factor,
    train_error,
)
from engram_audio.structure.linear_model import Chunk, LinearModel, chunks
from engram_audio.structure.normalization import Normalization
from engram_audio.structure.speaker_sums import (
    ALONE,
    WITH_LINEAR,
    SpeakerSums,
    Subspaces,
    make_subspaces,
    squares,
)
from engram_audio.structure.targets import EVAL, PARTS, TRAIN, SliceTargets

EXACT_FLOATS = 2**25  # of context sums by cell; above, ridge's predictions stand for the context
STACKED_COLUMNS = 512  # narrow products of one context: side by side they take half the time


class ScoringPlan(NamedTuple):
    """What scoring needs beside labels.

    Attributes:
        source: The stream of latents.
        targets: The slice.
        normalization: Train statistics of delta in the slice.
        num_speakers: S.
        section: Settings.
        linear: The linear model that keys are compared with; None: keys alone are scored.
    """

    source: BlockSource
    targets: SliceTargets
    normalization: Normalization
    num_speakers: int
    section: StructureSection
    linear: LinearModel | None = None

    def chunks(self, wanted: np.ndarray) -> Iterator[Chunk]:
        """Yield the wanted targets in chunks."""
        return chunks(self.source, self.targets, self.normalization, self.linear, wanted)


class ScoredLabeling(NamedTuple):
    """Everything that is known of one key under one control.

    Attributes:
        sums: Sums by cell over train.
        tables: Train means and variances by cell.
        speakers: Sums by speaker.
        eval_scores: Residual and total of each eval target in stream order, [m, 2]; None unless
            asked for.
        is_lower_bound: Whether ridge's predictions stood for the context.
    """

    sums: CellSums
    tables: CellTables
    speakers: SpeakerSums
    eval_scores: np.ndarray | None
    is_lower_bound: bool


def score_labelings(
    plan: ScoringPlan, labelings: list[Labeling], are_controls: list[bool], max_bytes: int
) -> Iterator[ScoredLabeling]:
    """Fit cells on train and score the other parts, two passes over the stream per batch.

    Yields outcomes in the order of the labelings; drop each one before asking for many more.

    Args:
        plan: Stream, slice and settings.
        labelings: Keys under controls.
        are_controls: Which of them are controls: these have neither nats nor scores of frames.
        max_bytes: Accumulators of a batch stay below this (a single labeling may exceed it).
    """
    num_dims = len(plan.normalization.mean)
    sizes = [CellSums.bytes_needed(own, num_dims, _num_inputs(plan, own)) for own in labelings]
    for batch in _batches(sizes, max_bytes):
        yield from _score_batch(plan, labelings[batch], are_controls[batch])


def _batches(sizes: list[int], max_bytes: int) -> list[slice]:
    batches, start, used = [], 0, 0
    for number, size in enumerate(sizes):
        if number > start and used + size > max_bytes:
            batches.append(slice(start, number))
            start, used = number, 0
        used += size
    return [*batches, slice(start, len(sizes))] if sizes else []


def _is_lower_bound(plan: ScoringPlan, labeling: Labeling) -> bool:
    if plan.linear is None:
        return False
    return labeling.num_effective * len(plan.linear.mean) > EXACT_FLOATS


def _num_inputs(plan: ScoringPlan, labeling: Labeling) -> int:
    if plan.linear is None:
        return 0
    return plan.linear.slope.shape[1 if _is_lower_bound(plan, labeling) else 0]


def _score_batch(
    plan: ScoringPlan, labelings: list[Labeling], are_controls: list[bool]
) -> list[ScoredLabeling]:
    subspaces = make_subspaces(plan.normalization, plan.section.principal_subspaces)
    keys = [
        _Key(plan, own, is_control, subspaces)
        for own, is_control in zip(_sum_train(plan, labelings), are_controls, strict=True)
    ]
    part, speaker = plan.targets.part, plan.targets.speaker
    informed = information_rows(part)
    names = ("sse_zero",) if plan.linear is None else ("sse_zero", "sse_linear")
    shared = SpeakerSums(plan.num_speakers, len(subspaces.names), names)
    by_dim = _DimSums(plan)
    stacks = _stacks(keys)
    for chunk in plan.chunks(part != TRAIN):
        group = part[chunk.place].astype(np.int64) * plan.num_speakers + speaker[chunk.place]
        zero = squares(chunk.z, subspaces)
        shared.add_frames(group)
        shared.add("sse_zero", zero, group)
        left = None
        if plan.linear is not None:
            left = chunk.z - chunk.context @ plan.linear.slope
            shared.add("sse_linear", squares(left, subspaces), group)
            by_dim.add(left, group)
        predicted = dict(_predictions(stacks, chunk.context))
        for key in keys:
            key.add(chunk, left, zero, group, informed[chunk.place], predicted.get(key))
    return [key.outcome(shared, by_dim) for key in keys]


def _sum_train(plan: ScoringPlan, labelings: list[Labeling]) -> list[CellSums]:
    """Return the sums of all labelings by cell over train, in one pass."""
    num_dims = len(plan.normalization.mean)
    inputs = [_num_inputs(plan, item) for item in labelings]
    sums = [CellSums(item, num_dims, num) for item, num in zip(labelings, inputs, strict=True)]
    is_reduced = [_is_lower_bound(plan, item) for item in labelings]
    for chunk in plan.chunks(is_fitted(plan.targets.part)):
        predicted = chunk.context @ plan.linear.slope if any(is_reduced) and plan.linear else None
        half = plan.targets.utterance[chunk.place] % 2
        for own, reduced in zip(sums, is_reduced, strict=True):
            context = (predicted if reduced else chunk.context) if plan.linear else None
            own.add(chunk.z, own.labeling.codes[chunk.place], half, context)
    return sums


class _DimSums:
    """Squared errors by part, speaker and dimension, [P * S, D]."""

    def __init__(self, plan: ScoringPlan) -> None:
        size = len(PARTS) * plan.num_speakers
        self.values = np.zeros((size, len(plan.normalization.mean)))

    def add(self, error: np.ndarray, group: np.ndarray, kept: np.ndarray | None = None) -> None:
        """Add squared errors [m, D], each frame's times `kept` [m]."""
        squared = np.square(error)
        if kept is not None:
            squared *= kept[:, None].astype(np.float32)
        add_grouped(self.values, squared, group)


class _Stack(NamedTuple):
    """Keys whose slopes stand side by side, [P, D of the first, D of the second, ..]."""

    keys: list["_Key"]
    slopes: np.ndarray


def _stacks(keys: list["_Key"]) -> list[_Stack]:
    """Return the keys that read the whole context, as many together as are narrow enough."""
    exact = [key for key in keys if key.reads_context]
    if not exact:
        return []
    size = max(STACKED_COLUMNS // exact[0].slope.shape[1], 1)
    parts = [exact[start : start + size] for start in range(0, len(exact), size)]
    return [_Stack(part, np.concatenate([key.slope for key in part], axis=1)) for part in parts]


def _predictions(stacks: list[_Stack], context: np.ndarray) -> Iterator[tuple["_Key", np.ndarray]]:
    """Yield what each key's slope predicts from the context [m, P], each [m, D]."""
    for stack in stacks:
        whole = np.split(context @ stack.slopes, len(stack.keys), axis=1)
        yield from zip(stack.keys, whole, strict=True)


class _Key:
    """One key under one control: its tables, its joint model and its sums."""

    def __init__(
        self, plan: ScoringPlan, sums: CellSums, is_control: bool, subspaces: Subspaces
    ) -> None:
        labeling = sums.labeling
        self._plan, self._sums, self._is_control = plan, sums, is_control
        self._subspaces = subspaces
        self._codes = labeling.codes
        self._num_effective = labeling.num_effective
        self._tables = cell_tables(sums, plan.section.variance_shrinkage_frames)
        names = ALONE if plan.linear is None else (*ALONE, *WITH_LINEAR)
        self._speakers = SpeakerSums(plan.num_speakers, len(subspaces.names), names)
        self._cells = np.zeros((labeling.num_effective + 1, 1))
        self._frames: list[np.ndarray] = []
        self._by_dim = None if is_control or plan.linear is None else _DimSums(plan)
        _, self._cost = _fit_cells(sums, None)
        self._joint_cost = self._cost
        self.slope, self._intercept = np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)
        if plan.linear is not None:
            moments = _reduced(plan.linear) if self._is_lower_bound() else plan.linear.moments
            joint, self._joint_cost = _fit_cells(sums, moments)
            self.slope, self._intercept = (own.astype(np.float32) for own in joint)
            sums.half_context = np.zeros((2, 1, 0))  # used up, and large
        self._information: KeyInformation | None = None
        if not is_control and plan.linear is not None:
            self._information = key_information(self._tables)
            self._shares = self._part_shares()

    @property
    def reads_context(self) -> bool:
        """Whether the joint model's slope is one of the whole context."""
        return self._plan.linear is not None and not self._is_lower_bound()

    def _is_lower_bound(self) -> bool:
        return _is_lower_bound(self._plan, self._sums.labeling)

    def _part_shares(self) -> np.ndarray:
        """Return the cells' shares among the frames whose information is scored, [P, E]."""
        part = self._plan.targets.part
        rows = information_rows(part)
        labeling = self._sums.labeling
        return np.stack(
            [cell_shares(labeling, self._codes[rows & (part == own)]) for own in range(len(PARTS))]
        )

    def add(
        self, chunk: Chunk, left: np.ndarray | None, zero: np.ndarray, group: np.ndarray,
        informed: np.ndarray, predicted: np.ndarray | None,
    ) -> None:  # fmt: skip
        """Add frames.

        Args:
            chunk: The frames.
            left: What ridge left of them, [m, D].
            zero: z^2 by subspace, [m, G].
            group: Part and speaker, [m].
            informed: Whose information is scored, [m].
            predicted: What the slope predicts from the whole context, [m, D]; None if it reads
                ridge's predictions.
        """
        codes = self._codes[chunk.place]
        is_excluded = codes == self._num_effective
        cost = self._cost[codes]
        self._speakers.add_excluded(group[is_excluded])
        error = squares(chunk.z - self._tables.mean[codes], self._subspaces)
        self._speakers.add("sse_key", error, group)
        self._speakers.add("cost_key", error * cost[:, None], group)
        is_eval = self._plan.targets.part[chunk.place] == EVAL
        add_grouped(self._cells, error[is_eval, :1], codes[is_eval])
        if not self._is_control:
            self._frames.append(np.stack([error[:, 0], zero[:, 0]], axis=1)[is_eval])
        if left is not None:
            if predicted is None:
                predicted = (chunk.z - left) @ self.slope
            self._add_joint(chunk.z - predicted - self._intercept[codes], left, group, codes)
        if self._information is not None:
            self._add_information(self._information, chunk, group, codes, informed)

    def _add_joint(
        self, error: np.ndarray, left: np.ndarray, group: np.ndarray, codes: np.ndarray
    ) -> None:
        cost = self._joint_cost[codes]
        is_excluded = codes == self._num_effective
        error[is_excluded] = left[is_excluded]  # without a cell the linear model alone answers
        squared = squares(error, self._subspaces)
        self._speakers.add("sse_joint", squared, group)
        self._speakers.add("cost_joint", squared * cost[:, None], group)
        if self._by_dim is not None:
            self._by_dim.add(error, group, 1 - cost)

    def _add_information(
        self, key: KeyInformation, chunk: Chunk, group: np.ndarray, codes: np.ndarray,
        informed: np.ndarray,
    ) -> None:  # fmt: skip
        part = self._plan.targets.part[chunk.place]
        for own in np.unique(part[informed]):
            rows = np.flatnonzero(informed & (part == own))
            nats = frame_information(
                key, self._sums.labeling, chunk.z[rows], codes[rows], self._shares[own]
            )
            self._speakers.add_information(nats, group[rows])

    def outcome(self, shared: SpeakerSums, linear_by_dim: _DimSums) -> ScoredLabeling:
        """Return what was found, with the sums that all keys share."""
        self._speakers.copy_shared_sums(shared)
        if self._by_dim is not None:
            shape = len(PARTS), self._plan.num_speakers, -1
            linear, joint = (one.values.reshape(shape) for one in (linear_by_dim, self._by_dim))
            for part in range(len(PARTS)):
                self._speakers.set_nats(part, added_nats(linear[part], joint[part]))
        kept = np.concatenate(self._frames) if self._frames else None
        self._speakers.cell_error = self._cells[:-1, 0]
        return ScoredLabeling(
            self._sums, self._tables, self._speakers, kept, self._is_lower_bound()
        )


def _reduced(linear: LinearModel) -> ContextMoments:
    """Return the moments of the linear model's predictions, which stand for its context."""
    slope = linear.slope.astype(np.float64)
    covariance = Covariance(slope.T @ linear.moments.covariance.dense() @ slope)
    scale = covariance.trace / len(covariance)
    tiny = max(float(np.finfo(np.float32).eps) * scale, float(np.finfo(float).tiny))
    return ContextMoments(covariance, slope.T @ linear.moments.cross, tiny)


def _fit_cells(sums: CellSums, moments: ContextMoments | None) -> tuple[JointFit, np.ndarray]:
    """Fit cells and context; return also the share of a frame's error that it cost, [E + 1].

    Excluded frames use no cell and cost nothing. Without moments cells are fitted alone.
    """
    context = sums.half_context
    if moments is None:
        none = Covariance(np.empty((0, 0)))
        moments = ContextMoments(none, np.empty((0, sums.square.shape[1])), 0.0)
        context = context[:, :, :0]
    halves = [GroupSums(*own) for own in zip(sums.half_counts, context, sums.half_sum, strict=True)]
    whole = GroupSums(sums.counts, context.sum(axis=0), sums.sum)
    fit = fit_joint(moments, whole)
    error = train_error(moments, whole, fit, float(sums.square.sum()))
    cost = fitting_cost(whole.counts, scatter_factor(halves, fit, error))
    cost[-1] = 0.0
    return fit, cost


def cell_summary(scored: ScoredLabeling, normalization: Normalization) -> dict[str, np.ndarray]:
    """Return columns of the cell table for effective cells, [E] each.

    A variance ratio is the mean squared error of the cell's frames about its train mean over the
    mean squared norm of all frames of the part.
    """
    labeling, sums = scored.sums.labeling, scored.sums
    zero = float(scored.speakers.sums["sse_zero"][EVAL, :, 0].sum())
    parts = (
        (TRAIN, "train", scored.tables.scatter, float(sums.square.sum()), int(sums.counts.sum())),
        (EVAL, "eval", scored.speakers.cell_error, zero,
         int(scored.speakers.num_frames[EVAL].sum())),
    )  # fmt: skip
    columns: dict[str, np.ndarray] = {"cell": labeling.cell_ids}
    for part, name, error, total, num_frames in parts:
        counts = labeling.counts[part]
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = error / counts / (total / max(num_frames, 1))
        columns[f"{name}_variance_ratio"] = np.where(counts > 0, ratio, np.nan)
        columns[f"num_{name}_frames"] = counts
    mean = scored.tables.mean[:-1].astype(np.float64)
    for column in range(2):
        known = column < normalization.directions.shape[1]
        columns[f"mean_pc{column + 1}"] = (
            mean @ normalization.directions[:, column] if known else np.zeros(len(mean))
        )
    return columns
