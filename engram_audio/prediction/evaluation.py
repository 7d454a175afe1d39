"""Score a predictor on a stream of blocks: one code path for all parts, head and null.

Scores of the density and of the mean are taken on every target; scores that need samples or
candidates on an evenly thinned subset, whose size is reported. So are those of a mean that is an
average of samples itself. Memory is one block's and that of `batch_frames` samples.

Shapes: M targets of a block, S samples, D dimensions.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio import windows
from engram_audio.densities.config import PredictionEvaluationSection
from engram_audio.densities.predictor import Predictor, View, event_values
from engram_audio.densities.reduction import (
    FrameNames,
    SpeakerSums,
    WorstFrames,
    frame_names,
    joined,
    stored_frames,
)
from engram_audio.densities.reference import Reference
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.latents.targets import speech_targets, targets_of
from engram_audio.numerics.seeds import checksum_generator
from engram_audio.numerics.slices import EveryNth, slice_masks
from engram_audio.prediction import negatives, scores

RANGE_LEVEL = 0.9  # of the range whose ends are looked at one by one
COVERAGE_LEVELS = (0.5, RANGE_LEVEL)


class EventTask(NamedTuple):
    """What is scored.

    Attributes:
        event: `delta` or `position`.
        lag_frames: k.
        window_frames: W.
        max_lag_frames: Largest lag of the study; decides which frames are targets.
    """

    event: str
    lag_frames: int
    window_frames: int
    max_lag_frames: int


class PartResult(NamedTuple):
    """Scores of one predictor on one part.

    Attributes:
        sums: Per slice and speaker sums of every score; `num_frames`, `num_mean` and `num_sampled`
            count the targets behind those of the density, of the mean and of samples.
        frames: Thinned per-frame scores.
        worst: Worst frames.
        calibration: PIT histograms: kind, bin, count.
        dimensions: Per dimension: sse, sst, num_frames.
    """

    sums: pd.DataFrame
    frames: pd.DataFrame
    worst: pd.DataFrame
    calibration: pd.DataFrame
    dimensions: pd.DataFrame


def score_context(
    reference: Reference,
    event: str,
    section: PredictionEvaluationSection,
    sensitivity: np.ndarray | None,
) -> scores.ScoreContext:
    """Collect what per-frame scores are relative to."""
    spread = reference.delta_sd if event == "delta" else reference.frame_sd
    return scores.ScoreContext(
        origin=reference.event_mean(event),
        rms=float(np.sqrt((spread**2).sum())),
        directions=reference.directions(event),
        subspaces=scores.subspace_ranges(len(spread), section.principal_subspaces),
        sensitivity=sensitivity,
    )


def evaluate_part(
    predictor: Predictor,
    source: BlockSource,
    part_of: Mapping[str, str],
    part: str,
    task: EventTask,
    reference: Reference,
    section: PredictionEvaluationSection,
    sensitivity: np.ndarray | None = None,
    marginal: Predictor | None = None,
    num_targets: int = 0,
) -> PartResult:
    """Score a predictor on the utterances of one part.

    Args:
        predictor: What is scored.
        source: Blocks of whole utterances; other parts' utterances are skipped.
        part_of: Part of each utterance id.
        part: Which part.
        task: Event, lag and windows.
        reference: Train statistics.
        section: Evaluation settings.
        sensitivity: Decoder's linear map [Q, D], or None.
        marginal: Law without context, the denominator of the InfoNCE critic; None for none.
        num_targets: Targets that the stream has; decides the thinning.
    """
    context = score_context(reference, task.event, section, sensitivity)
    run = _Run(predictor, marginal, task, section, reference, context, part)
    run.set_thinning(num_targets)
    for block in source():
        targets = targets_of(block, task.window_frames, task.max_lag_frames)
        parts = np.array([part_of[str(name)] == part for name in block.utterance_ids], dtype=bool)
        targets = targets[parts[windows.utterance_of_rows(block.offsets, targets)]]
        if len(targets):
            run.add(block, targets)
    return run.result()


class _Run:
    """The accumulators of one part."""

    def __init__(
        self,
        predictor: Predictor,
        marginal: Predictor | None,
        task: EventTask,
        section: PredictionEvaluationSection,
        reference: Reference,
        context: scores.ScoreContext,
        part: str,
    ) -> None:
        self.predictor, self.marginal, self.task = predictor, marginal, task
        self.section, self.reference, self.context = section, reference, context
        self.sums = SpeakerSums(section.slices)
        self.worst = WorstFrames(section.num_worst_frames, section.slices)
        self.kept_names: list[FrameNames] = []
        self.kept_nll: list[np.ndarray] = []
        num_ranks = section.num_samples + 1
        self.ranks = {kind: np.zeros(num_ranks) for kind in ("per_dimension", "density")}
        self.dimensions = np.zeros((2, len(reference.frame_mean)))
        self.num_frames = 0
        name = f"{part}/{task.event}/{task.lag_frames}"
        self.generator = checksum_generator(section.seed, name)

    def set_thinning(self, total: int) -> None:
        """Fix which targets are stored and sampled."""
        self.stored = EveryNth(max(total, 1), self.section.maximum_stored_frames)
        self.sampled = EveryNth(max(total, 1), self.section.maximum_sampled_frames)

    def add(self, block: LatentBlock, targets: np.ndarray) -> None:
        """Score a block's targets of the part."""
        section = self.section
        view = View(block, targets, self.task.lag_frames, self.task.event)
        masks = slice_masks(
            block.offsets,
            targets,
            section.slices,
            section.medial_range,
            speech_targets(
                block, targets, self.task.lag_frames, self.reference.loud, section.speech_range_db
            ),
        )
        names = frame_names(block, targets, masks)
        log_density = self.predictor.log_density(view)
        self.sums.add(names, {"nll": -log_density}, "num_frames")
        self.worst.add(names, view, -log_density)
        kept = self.stored.choose(len(targets))
        self.kept_names.append(names.subset(kept))
        self.kept_nll.append(-log_density[kept])
        chosen = self.sampled.choose(len(targets))
        self._add_mean(view, names, chosen)
        size = max(section.batch_frames // section.num_samples, 1)
        for start in range(0, len(chosen), size):
            piece = chosen[start : start + size]
            self._add_sampled(view, names, piece, log_density[piece])

    def _add_mean(self, view: View, names: FrameNames, sampled: np.ndarray) -> None:
        """Score the means of all targets, or of the thinned ones where a mean takes samples."""
        rows = sampled if self.predictor.is_mean_sampled else np.arange(len(view.targets))
        if not len(rows):
            return
        subset = view.subset(rows)
        values, mean = subset.values(), self.predictor.mean(subset)
        columns = scores.mean_scores(values, mean, self.context)
        self.sums.add(names.subset(rows), columns, "num_mean")
        self.dimensions[0] += ((values - mean).astype(np.float64) ** 2).sum(0)
        self.dimensions[1] += ((values - self.context.origin).astype(np.float64) ** 2).sum(0)
        self.num_frames += len(rows)

    def _add_sampled(
        self, view: View, names: FrameNames, chosen: np.ndarray, log_density: np.ndarray
    ) -> None:
        """Score samples of some targets; all are held at once."""
        subset = view.subset(chosen)
        values = subset.values()
        count = self.section.num_samples
        samples = self.predictor.sample(subset, count, self.generator)
        columns = scores.sampled_scores(values, samples, self.context)
        own = np.ascontiguousarray(np.moveaxis(samples, 0, 1)).astype(np.float32)
        sample_density = self.predictor.log_density_of(subset, own)
        if sample_density is None:
            sample_density = np.full((len(chosen), count), np.nan)
        per_dimension, density = scores.pit_ranks(values, samples, log_density, sample_density)
        kinds = {"per_dimension": per_dimension, "density": density[:, None]}
        if np.isnan(sample_density).any():
            del kinds["density"]
        for kind, ranks in kinds.items():
            self.ranks[kind] += np.bincount(ranks.ravel(), minlength=count + 1)
            columns |= coverage_columns(ranks, count, kind)
        columns |= self._contrastive(view, subset, values)
        self.sums.add(names.subset(chosen), columns, "num_sampled")

    def _contrastive(self, view: View, subset: View, values: np.ndarray) -> dict[str, np.ndarray]:
        """InfoNCE bits; a target without an alternative counts 0 bits and is not counted."""
        columns: dict[str, np.ndarray] = {}
        draws = {"utterance": negatives.same_utterance, "speaker": negatives.same_speaker}
        for kind, draw in draws.items():
            rows, possible = draw(
                view.block, view.targets, subset.targets, self.section.num_negatives, self.generator
            )
            others = event_values(view.block.frames, rows.ravel(), view.event)
            candidates = np.concatenate(
                [values[:, None], others.reshape(*rows.shape, -1)], 1
            ).astype(np.float32)
            critic = self.predictor.log_density_of(subset, candidates)
            if critic is None:
                continue
            if self.marginal is not None:
                baseline = self.marginal.log_density_of(subset, candidates)
                critic = critic if baseline is None else critic - baseline
            bits = scores.info_nce_bits(critic)
            columns[f"info_nce_bits_{kind}"] = np.where(possible, bits, 0.0)
            columns[f"num_info_nce_{kind}"] = possible.astype(np.float64)
        return columns

    def result(self) -> PartResult:
        """Return the tables."""
        rows = [
            {"kind": kind, "bin": number, "count": float(total)}
            for kind, ranks in self.ranks.items()
            for number, total in enumerate(_rebin(ranks, self.section.num_calibration_bins))
        ]
        dimensions = pd.DataFrame(
            {
                "dimension": np.arange(self.dimensions.shape[1]),
                "num_frames": self.num_frames,
                "sse": self.dimensions[0],
                "sst": self.dimensions[1],
            }
        )
        return PartResult(
            self.sums.table(), self._frames(), self.worst.table(), pd.DataFrame(rows), dimensions
        )

    def _frames(self) -> pd.DataFrame:
        if not self.kept_names:
            return pd.DataFrame()
        nll = np.concatenate(self.kept_nll)
        return stored_frames(joined(self.kept_names), self.section.slices, nll)


def coverage_columns(ranks: np.ndarray, num_samples: int, kind: str) -> dict[str, np.ndarray]:
    """Return shares of ranks [M, R] in central intervals, and beyond each end of the 90 %."""
    tails = {
        level: scores.tail_shares(ranks, num_samples, (1 - level) / 2) for level in COVERAGE_LEVELS
    }
    columns = {
        f"coverage_{round(100 * level)}_{kind}": 1 - (low + high).mean(1)
        for level, (low, high) in tails.items()
    }
    low, high = tails[RANGE_LEVEL]
    return columns | {
        f"below_range_{kind}": low.mean(1), f"above_range_{kind}": high.mean(1)
    }  # fmt: skip


def _rebin(counts: np.ndarray, num_bins: int) -> np.ndarray:
    """Spread rank counts over equal bins; a rank that straddles two bins is shared."""
    cumulative = np.concatenate([[0.0], np.cumsum(counts)])
    edges = np.linspace(0, len(counts), min(num_bins, len(counts)) + 1)
    return np.diff(np.interp(edges, np.arange(len(cumulative)), cumulative))
