"""Score many predictors on all parts and join the tables: what the evaluation steps save.

Shapes: D dimensions.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from engram_audio import windows
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.events import ANY_LAG, RIDGE_MIXTURE, SPACES
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.model_predictor import ModelPredictor
from engram_audio.densities.nulls import LinearNull
from engram_audio.densities.predictor import Predictor
from engram_audio.densities.reference import Reference
from engram_audio.latents.block import BlockSource
from engram_audio.latents.targets import targets_of
from engram_audio.prediction.evaluation import EventTask, evaluate_part
from engram_audio.prediction.free_running import Paths, collect_paths, mean_rollout

TABLES = ("scores", "frames", "worst", "calibration", "dimensions")


class Entry(NamedTuple):
    """One predictor of one event at one lag.

    Attributes:
        name: Head or null.
        lag_frames: k; `ANY_LAG` for a marginal, which scores the same at every lag.
        event: What it is scored on.
        predictor: The law.
        marginal: Its family without context, for InfoNCE, or None.
        has_stopped: Whether it is a marginal that was grown until it stopped improving.
    """

    name: str
    lag_frames: int
    event: str
    predictor: Predictor
    marginal: Predictor | None
    has_stopped: bool = False


class Stage(NamedTuple):
    """What all predictors of a representation are scored with.

    Attributes:
        sources: Stream of each part that has utterances.
        num_targets: Targets of each part's stream, at most.
        part_of: Part of each utterance id.
        reference: Train statistics.
        section: Events and windows.
        evaluation: Evaluation settings.
        sensitivity: Decoder's map [D, D] or None.
        device: Where models run.
        noise_nats: What the dequantisation noise costs the best linear null, by lag and event.
    """

    sources: dict[str, BlockSource]
    num_targets: dict[str, int]
    part_of: Mapping[str, str]
    reference: Reference
    section: PredictionSection
    evaluation: PredictionEvaluationSection
    sensitivity: np.ndarray | None
    device: torch.device
    noise_nats: Mapping[tuple[int, str], float]

    def predictor(self, model: ConditionalDensity) -> ModelPredictor:
        """Wrap a model."""
        return ModelPredictor(
            model,
            self.section.window_frames,
            self.reference.speakers,
            self.evaluation.batch_frames,
            self.device,
        )

    def gaussian(self, arrays: BaseArrays) -> ModelPredictor:
        """Wrap a linear-Gaussian null."""
        return self.predictor(build_gaussian(arrays))


def thin_utterances(names: list[str], total: int, maximum: int) -> list[str]:
    """Return evenly spread whole utterances with about `maximum` of all `total` targets."""
    if total <= maximum:
        return list(names)
    keep = max(int(len(names) * maximum / total), 1)
    rows = np.linspace(0, len(names) - 1, keep).round().astype(np.int64)
    return [names[row] for row in rows]


def most_targets(num_frames: np.ndarray, section: PredictionSection) -> np.ndarray:
    """Return how many targets utterances of these lengths have at most: all frames decide."""
    head = windows.first_target(section.window_frames, max(section.lags_frames))
    return np.maximum(num_frames - head, 0)


def assess(entries: Iterable[Entry], stage: Stage) -> dict[str, pd.DataFrame]:
    """Score every entry on every part; return the tables by name, with model, lag, event, part."""
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    for entry in entries:
        # a marginal looks at no context: any lag does, and lag 1 lets it score the other space
        lag = entry.lag_frames if entry.lag_frames != ANY_LAG else 1
        task = EventTask(
            entry.event, lag, stage.section.window_frames, max(stage.section.lags_frames)
        )
        for part, source in stage.sources.items():
            result = evaluate_part(
                entry.predictor, source, stage.part_of, part, task, stage.reference,
                stage.evaluation, stage.sensitivity, entry.marginal, stage.num_targets[part],
            )  # fmt: skip
            parts = (
                _with_facts(result.sums, stage, lag, entry), result.frames,
                result.worst, result.calibration, result.dimensions,
            )  # fmt: skip
            for name, table in zip(TABLES, parts, strict=True):
                labels = {
                    "model": entry.name, "lag_frames": entry.lag_frames, "event": entry.event,
                    "part": part,
                }  # fmt: skip
                if len(table):
                    tables[name].append(table.assign(**labels))
    return {name: pd.concat(found, ignore_index=True) for name, found in tables.items()}


def _with_facts(sums: pd.DataFrame, stage: Stage, lag: int, entry: Entry) -> pd.DataFrame:
    """Add what the noise costs and whether growth stopped, as sums over frames like the scores."""
    if sums.empty:
        return sums
    count = sums["num_frames"]
    return sums.assign(
        noise_nats=stage.noise_nats[lag, entry.event] * count, has_stopped=entry.has_stopped * count
    )


def head_entries(
    name: str,
    lag_frames: int,
    models: Mapping[str, ConditionalDensity],
    marginals: Mapping[str, ConditionalDensity],
    stage: Stage,
) -> list[Entry]:
    """Return a head's entries: one per event; at lag 1 its one model scores both."""
    entries = []
    for event in stage.section.targets:
        model = models.get(event) or next(iter(models.values()))
        marginal = stage.predictor(marginals[event])
        entries.append(Entry(name, lag_frames, event, stage.predictor(model), marginal))
    return entries


def null_entries(
    linear_nulls: Sequence[LinearNull],
    marginals: Mapping[str, Mapping[str, ConditionalDensity]],
    ridge_mixtures: Mapping[tuple[int, str], ConditionalDensity],
    stage: Stage,
    stopped: Collection[tuple[str, str]] = (),
) -> list[Entry]:
    """Return every null once: those with a context per lag, marginals once for all lags.

    A marginal of one space scores the other event only where lag 1 is studied. `stopped` names head
    and space of those that were grown until they stopped improving.
    """
    named = {null.name: null.fit.arrays for null in linear_nulls}
    plain = {
        event: stage.gaussian(named[f"gaussian_marginal_full_{event}"])
        for event in stage.section.targets
    }
    has_lag_one = 1 in stage.section.lags_frames
    entries = []
    for event in stage.section.targets:
        for null in linear_nulls:
            if null.lag_frames != ANY_LAG:
                wanted = null.event == event
            else:
                wanted = null.event == event or has_lag_one
            if wanted:
                predictor = stage.gaussian(null.fit.arrays)
                entries.append(Entry(null.name, null.lag_frames, event, predictor, plain[event]))
        for (lag, scored), model in ridge_mixtures.items():
            if scored == event:
                predictor = stage.predictor(model)
                entries.append(Entry(RIDGE_MIXTURE, lag, event, predictor, plain[event]))
        for head, models in marginals.items():
            for space in SPACES:
                if space == event or has_lag_one:
                    name = f"{head}_marginal_{space}"
                    predictor = stage.predictor(models[space])
                    has_stopped = (head, space) in stopped
                    entry = Entry(name, ANY_LAG, event, predictor, plain[event], has_stopped)
                    entries.append(entry)
    return entries


def roll_out(
    name: str,
    lag_frames: int,
    models: Mapping[str, ConditionalDensity],
    linear_nulls: Sequence[LinearNull],
    stage: Stage,
) -> pd.DataFrame:
    """Return the simple free-running diagnostic of a head on eval, one row per event and step."""
    section, evaluation = stage.section, stage.evaluation
    history = windows.first_target(section.window_frames, max(section.lags_frames))
    paths = _paths(stage, history)
    if not len(paths.frames):
        return pd.DataFrame()
    named = {null.name: null.fit.arrays for null in linear_nulls}
    scales = (stage.reference.frame_mean, stage.reference.frame_sd)
    tables = []
    for event in section.targets:
        model = (models.get(event) or next(iter(models.values()))).cpu().eval()
        baseline = build_gaussian(named[f"gaussian_marginal_{event}"])
        table = mean_rollout(
            model, baseline, paths, event, lag_frames, section.window_frames, scales,
            evaluation.divergence_factor,
        )  # fmt: skip
        tables.append(table.assign(model=name, lag_frames=lag_frames, event=event))
    return pd.concat(tables, ignore_index=True)


def _paths(stage: Stage, history: int) -> Paths:
    evaluation, horizon = stage.evaluation, stage.evaluation.rollout_horizon_frames
    found = []
    for block in stage.sources["eval"]():
        targets = targets_of(block, stage.section.window_frames, max(stage.section.lags_frames))
        found.append(collect_paths(block, targets, history, horizon, evaluation.num_rollout_starts))
    frames = np.concatenate(found) if found else np.empty((0, history + horizon, 0), np.float32)
    if len(frames) > evaluation.num_rollout_starts:
        rows = np.linspace(0, len(frames) - 1, evaluation.num_rollout_starts).round()
        frames = frames[rows.astype(np.int64)]
    return Paths(frames, horizon)
