"""What the stages of a study ask of the speakers and frames of each corpus."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engram_audio.config import WorkflowConfig, used_codecs
from engram_audio.corpus.demands import AnyDemand, Demands, FramesDemand, SpeakersDemand, Subject
from engram_audio.keys.config import key_sizes
from engram_audio.stats.estimate import MINIMUM_EFFECTIVE_SPEAKERS
from engram_audio.structure.config import context_keys

CHOSEN = ("train", "choice", "eval")  # what a stage is fitted, chosen and scored on
LONGER = "or bring longer utterances"
MORE_FRAMES = "or bring more speech"
SPOKEN_BY_TWO = 2  # with one speaker's val, the fold that holds that speaker out has none


def demands_by_corpus(config: WorkflowConfig, subjects: Iterable[Subject]) -> dict[str, Demands]:
    """Return what is asked of each corpus; one that nothing is asked of is left out.

    Args:
        config: The validated configuration.
        subjects: What is analysed, surrogates and worlds left out.
    """
    found: dict[str, list[AnyDemand]] = {}
    for subject in subjects:
        found.setdefault(subject.corpus, []).extend(_of_subject(config, subject))
    for name in used_codecs(config):
        codec = config.codecs.library[name]
        if codec.fitted_on is not None:
            found.setdefault(codec.fitted_on[0], []).extend(_of_codec(name, codec))
    return {name: Demands(demands=tuple(rows)) for name, rows in found.items() if rows}


def _of_subject(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    yield from _of_gate_speakers(config, subject)
    yield from _of_memory_speakers(config, subject)
    yield from _of_law_speakers(config, subject)
    if subject.frame_rate_hz is None:  # a codec that is loaded later says it
        return
    yield from _of_structure(config, subject)
    yield from _of_decision(config, subject)
    yield from _of_surrogates(config, subject)
    yield from _of_laws(config, subject)
    yield from _of_prediction(config, subject)
    yield from _of_factorizer(config, subject)
    yield from _of_memory(config, subject)
    yield from _of_rollout(config, subject)
    yield from _of_generation(config, subject)


def _frames(subject: Subject, key: str, purpose: str, remedy: str, **more: Any) -> FramesDemand:
    """Return a demand on the first split of a subject, of one frame unless `more` says else."""
    own = {
        "key": key, "subject": subject.name, "split_seeds": subject.split_seeds[:1], "minimum": 1,
        "purpose": purpose, "remedy": remedy, "frame_rate_hz": subject.frame_rate_hz,
        "frames_per_group": subject.frames_per_group,
    }  # fmt: skip
    return FramesDemand.model_validate({**own, **more})


def _of_structure(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    window, lag = config.views.window_frames, max(config.structure.lags_frames)
    for part in ("val", *CHOSEN):  # val: for what is lost on new speakers
        yield _frames(
            subject, "structure.lags_frames", f"by a window of {window} and a lag of {lag} frames",
            f"shorten it or views.window_frames, {LONGER}", part=part,
            split_seeds=subject.split_seeds, reach_frames=window - 1 + lag,
        )  # fmt: skip


def _of_decision(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    """The candidate that needs least on each judged slice: its cells in train, a frame to judge.

    Without any key on any slice nothing is judged. One slice that lacks frames leaves the gate
    undecided there, and another slice may still decide it.
    """
    decision, stage, views = config.decision, config.structure, config.views
    if decision.representation != subject.name:
        return
    reach = views.window_frames - 1 + max(stage.lags_frames)
    needs = _frames_of_keys(config)
    least = min(needs, key=lambda key: needs[key])
    yield _cells(subject, least, needs[least], reach_frames=reach)
    for name in views.judged_slices:
        where = {"reach_frames": reach, "slice": name, "medial_range": views.medial_range}
        yield _cells(subject, least, needs[least], is_fatal=False, **where)
        for part in ("val", "eval"):
            yield _frames(
                subject, "views.judged_slices", f"to judge slice {name}",
                f"leave {name} out, {LONGER}", part=part, is_fatal=False, **where,
            )  # fmt: skip


def _cells(subject: Subject, key: str, count: int, **where: Any) -> FramesDemand:
    return _frames(
        subject, "structure.minimum_cell_frames", f"for the cells of {key}",
        f"lower it, take a smaller codebook, {MORE_FRAMES}", part="train", minimum=count,
        **where,
    )  # fmt: skip


def _frames_of_keys(config: WorkflowConfig) -> dict[str, int]:
    """Return the train frames that each candidate needs, the one that needs most first."""
    sizes = context_keys(config.structure, config.keys)
    least = config.structure.minimum_cell_frames
    # what falls into thin cells of bins is excluded and reported: one good cell is enough
    needs = {key: least * size.num_fitted for key, size in sizes.items()}
    return dict(sorted(needs.items(), key=lambda item: -item[1]))


def _of_surrogates(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    order = config.representations.surrogates.var_order
    if subject.has_var:
        yield _frames(
            subject, "representations.surrogates.var_order", "to fit the VAR",
            f"lower it, {MORE_FRAMES}", part="train", reach_frames=order, minimum=2,
            minimum_per_dim=order, num_dims=subject.num_dims,
        )  # fmt: skip


def _of_gate_speakers(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    """With fewer speakers the gate calls each of its rows invalid; other questions are answered."""
    if subject.name == config.decision.representation:
        yield SpeakersDemand.model_validate({
            "key": "splits.eval_fraction", "subject": subject.name, "part": "eval",
            "minimum": math.ceil(MINIMUM_EFFECTIVE_SPEAKERS), "is_fatal": False,
            "split_seeds": subject.split_seeds, "remedy": "raise it, or bring more speakers",
            "purpose": "for a valid verdict on keys",
        })  # fmt: skip


def _of_law_speakers(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    stage = config.learned_keys
    if subject.name not in stage.representations or "linear" not in stage.bases:
        return
    yield SpeakersDemand.model_validate({
        "key": "learned_keys.num_folds", "subject": subject.name, "minimum": stage.num_folds,
        "part": "train", "split_seeds": subject.split_seeds[:1],
        "remedy": "lower it, or bring more speakers",
        "purpose": f"to hold speakers out in {stage.num_folds} folds",
    })  # fmt: skip


def _of_laws(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    stage, window = config.learned_keys, config.views.window_frames
    lag = max(stage.lags_frames)
    for part in CHOSEN if subject.name in stage.representations else ():
        yield _frames(
            subject, "learned_keys.lags_frames",
            f"by a window of {window} and a lag of {lag} frames",
            f"shorten it or views.window_frames, {LONGER}", part=part,
            reach_frames=window - 1 + lag,
        )  # fmt: skip


def _of_prediction(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    window, lag = config.views.window_frames, max(config.prediction.lags_frames, default=1)
    for part in CHOSEN if subject.name in config.prediction.representations else ():
        yield _frames(
            subject, "prediction.lags_frames", f"by a window of {window} and a lag of {lag} frames",
            f"shorten it or views.window_frames, {LONGER}", part=part,
            reach_frames=window - 1 + lag,
        )  # fmt: skip


def _of_factorizer(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    stage = config.factorizer
    for name, row in stage.library.items() if subject.name in stage.representations else ():
        for part in ("train", "choice"):
            yield _frames(
                subject, f"factorizer.library.{name}.burn_in_frames", "after the burn-in",
                f"shorten it, {LONGER}", part=part, reach_frames=row.burn_in_frames,
            )  # fmt: skip


def _of_memory_speakers(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    stage = config.memory
    if subject.name not in stage.representations:
        return
    needs = {"train": stage.num_folds, "choice": SPOKEN_BY_TWO}
    remedies = {
        "train": "lower it, or bring more speakers",
        "choice": "bring a second utterance of more speakers",
    }
    for part, least in needs.items():
        yield SpeakersDemand.model_validate({
            "key": "memory.num_folds", "subject": subject.name, "minimum": least, "part": part,
            "split_seeds": subject.split_seeds[:1], "remedy": remedies[part],
            "purpose": f"to hold speakers out in {stage.num_folds} folds",
        })  # fmt: skip


def _of_memory(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    stage = config.memory
    reach = config.views.window_frames - 1 + max(stage.lags_frames, default=1)
    for name, row in stage.library.items() if subject.name in stage.representations else ():
        cells = key_sizes(config.keys.library)[row.key].num_fitted
        needs = {"key": cells * config.keys.minimum_cell_frames, **row.frames_needed()}
        for field, least in needs.items():
            remedy = "take a key of fewer codes" if field == "key" else "lower it"
            yield _frames(
                subject, f"memory.library.{name}.{field}", "to fill the table",
                f"{remedy}, {MORE_FRAMES}", part="train", reach_frames=reach, minimum=least,
            )  # fmt: skip


def _of_rollout(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    stage, window = config.rollout, config.views.window_frames
    if subject.name not in stage.representations:
        return
    horizon = stage.forecast_horizon_frames
    yield _frames(
        subject, "rollout.forecast_horizon_frames",
        f"by a window of {window} and a horizon of {horizon} frames",
        f"shorten it or views.window_frames, {LONGER}", part="eval",
        reach_frames=window - 1 + horizon,
    )  # fmt: skip
    for name, method in stage.library.items():
        if method.guard_key is not None:
            yield _fill(config, subject, f"rollout.library.{name}.guard.key", method.guard_key)
        horizon = method.training_frames
        for part in ("train", "choice"):
            yield _frames(
                subject, f"rollout.library.{name}",
                f"by a window of {window} and a horizon of {horizon} frames",
                f"shorten its horizon, {LONGER}", part=part, reach_frames=window - 1 + horizon,
            )  # fmt: skip


def _of_generation(config: WorkflowConfig, subject: Subject) -> Iterator[AnyDemand]:
    stage, window = config.generation, config.views.window_frames
    for name, row in stage.library.items() if subject.name in stage.representations else ():
        where, model = f"generation.library.{name}", row.model
        for part in ("train", "choice"):
            yield _frames(
                subject, f"{where}.model.burn_in_frames", "after the burn-in",
                f"shorten it, {LONGER}", part=part, reach_frames=model.burn_in_frames,
            )  # fmt: skip
        reach = max(model.context_frames, window)
        yield _frames(
            subject, f"{where}.model.context_frames", "to start a free run",
            f"shorten it, {LONGER}", part="eval",
            reach_frames=reach - 1 + max(stage.evaluation.horizon_frames // 2, 1),
        )  # fmt: skip
        yield _fill(config, subject, f"{where}.insertion.key", row.insertion.key)


def _fill(config: WorkflowConfig, subject: Subject, where: str, key: str) -> FramesDemand:
    """Return the demand of a key that something cannot do without: its cells must be filled."""
    cells = key_sizes(config.keys.library)[key].num_fitted
    return _frames(
        subject, where, "to fill the table", f"take a key of fewer codes, {MORE_FRAMES}",
        part="train", reach_frames=config.views.window_frames,
        minimum=cells * config.keys.minimum_cell_frames,
    )  # fmt: skip


def _of_codec(name: str, codec: Any) -> Iterator[AnyDemand]:
    subject = Subject(name, codec.corpus, (codec.split_seed,), codec.frames[0])
    if not codec.TRAINER:
        yield _frames(
            subject, f"codecs.library.{name}.num_components", "to fit the components",
            f"lower it, {MORE_FRAMES}", part="train", reach_frames=0,
            minimum=codec.num_components + 1,
        )  # fmt: skip
        return
    for part in ("train", "choice"):
        yield _frames(
            subject, f"codecs.library.{name}.crop_s", f"for a crop of {codec.crop_s:g} s",
            f"shorten it, {LONGER}", part=part, reach_frames=codec.crop_frames - 1,
        )  # fmt: skip


def plain(demands: Mapping[str, Demands]) -> dict[str, Any]:
    """Return them as sections that a step reads, `demands.<corpus>`."""
    return {f"demands.{name}": one.model_dump(mode="json") for name, one in demands.items()}
