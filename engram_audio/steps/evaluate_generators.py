"""Score all arms and seeds of a generator on the same frames, and let some of them run free."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from engram_audio.artifacts.columns import Table
from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import write_table
from engram_audio.corpus.split_parts import EVAL, TRAIN
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.generation.columns import (
    GENERATION_HEALTH,
    GENERATION_KEYS,
    GENERATION_LATENCY,
)
from engram_audio.generation.config import (
    GenerationEvaluationSection,
    GenerationProtocol,
    GeneratorSection,
)
from engram_audio.generation.density import GeneratorDensity, as_step_density
from engram_audio.generation.dynamics import keys_of
from engram_audio.generation.evaluation import (
    Scope,
    frame_nll,
    health_of,
    null_nll,
    speaker_sums,
)
from engram_audio.generation.latency import latency_of
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ARMS
from engram_audio.generation.names import NO_SEED, NO_STEPS, OF_STATE, RUN_SWAPS, SWAPS
from engram_audio.generation.replay import labels_of, mask_rows, masks_of
from engram_audio.generation.run_swaps import swapped_density
from engram_audio.generation.storage import INSERTION
from engram_audio.generation.tables import OF_MEMBER, OF_REPLAY
from engram_audio.generation.word import MEMORY
from engram_audio.prediction.assess import Stage
from engram_audio.rollout.config import RolloutSection
from engram_audio.rollout.paths import Starts, collect_starts, other_starts
from engram_audio.rollout.setup import ScoringSetup, make_scoring_setup
from engram_audio.section import with_changes
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, blame, run
from engram_audio.steps._generators import Generators, full_members, open_scoring
from engram_audio.steps._machine import machine_of

BUDGET = {
    "flops_generated": "f_gen_flops", "flops_trained": "f_train_flops",
    "num_resident": "num_resident", "num_touched": "num_touched", "num_read": "num_read",
    "bytes_per_frame": "bytes_per_frame",
}  # fmt: skip


class Files(StepFiles):
    section: Frozen[PredictionSection]
    prediction_section: Frozen[PredictionEvaluationSection]
    generator_section: Frozen[GeneratorSection]
    evaluation_section: Frozen[GenerationEvaluationSection]
    protocol_section: Frozen[GenerationProtocol]
    rollout_section: Frozen[RolloutSection]
    nulls: Path
    generators: Path
    splits: Path
    shards: list[Path]
    scores: Output
    health: Output
    reads: Output
    replays: Output
    latency: Output
    summary: Output
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device, _, stage, trained = open_scoring(files)
    scope = Scope(files.section.window_frames, files.evaluation_section.batch_utterances, device)
    parts = [part for part in (TRAIN, trained.chosen_on, EVAL) if part in stage.sources]
    scores = [_null_scores(trained, stage, part, scope) for part in parts]
    setup = _scoring_setup(files, stage)
    with blame(files.splits, "lower generation.evaluation.horizon_frames"):
        starts, others = _starts(files, stage)
    health, keys = [], []
    full = {member["label"] for member in full_members(trained)}
    for member in trained.members:
        model = trained.model(member)
        labels = _labels(member)
        with blame(files.splits):
            scores += [_scores(model, stage, part, scope).assign(**labels) for part in parts]
            if member["arm"] == MEMORY and files.evaluation_section.has_swaps:
                scores += [
                    _scores(model, stage, EVAL, scope, swap).assign(**{**labels, "arm": swap})
                    for swap in SWAPS
                ]
        if member["arm"] in files.evaluation_section.free_arms and member["label"] in full:
            of = {"arm": member["arm"], "seed": member["seed"]}
            for arm, density in _densities(model, files, setup).items():
                found = health_of(density, starts, others, setup)
                health.append(found.assign(**{**of, "arm": arm}))
            if model.arm.reads_codes:
                sds = files.evaluation_section.noise_sds
                keys.append(keys_of(model, starts, setup, sds).assign(**of))
    manifest = files.manifest()
    write_table(files.scores, pd.concat(scores, ignore_index=True), manifest)
    write_table(files.health, joined(health, GENERATION_HEALTH), manifest)
    write_table(files.reads, joined(keys, GENERATION_KEYS), manifest)
    write_table(files.latency, joined(_latencies(files, trained, device), GENERATION_LATENCY),
                manifest)  # fmt: skip
    write_table(files.replays, _replays(files, trained, stage, scope), manifest)
    members = [_row(member) for member in trained.members]
    members += [_null_row(name) for name in trained.nulls]
    summary = {"chosen_on": trained.chosen_on, "members": members, "manifest": manifest}
    write_json(files.summary, summary)


def _densities(model: Generator, files: Files, setup: ScoringSetup) -> dict[str, GeneratorDensity]:
    """Return what takes the steps of free runs, by the arm's name; SM by other codes as well."""
    arm = model.spec.arm
    has_swaps = arm == MEMORY and files.evaluation_section.has_swaps
    swaps = {name: swapped_density(model, name, setup) for name in (RUN_SWAPS if has_swaps else ())}
    return {arm: as_step_density(model), **swaps}


def _latencies(files: Files, trained: Generators, device: torch.device) -> list[pd.DataFrame]:
    """Return one row per arm that finds its own codes, of the first seed."""
    first = files.protocol_section.seeds[0]
    wanted = [
        member
        for member in full_members(trained)
        if member["seed"] == first and not ARMS[member["arm"]].is_foreign
    ]
    return [
        pd.DataFrame([latency_of(trained.model(member), device)]).assign(
            arm=member["arm"], machine=machine_of(device)
        )
        for member in wanted
    ]


def _replays(files: Files, trained: Generators, stage: Stage, scope: Scope) -> pd.DataFrame:
    """Return sums of every replay under every mask, on train and eval."""
    found = []
    for replay in trained.replays:
        model = trained.model(replay)
        for minimum in masks_of(files.protocol_section.replay, replay["arm"]):
            mask_rows(model, minimum)
            found += [
                _scores(model, stage, part, scope).assign(
                    minimum_visits=minimum, **labels_of(replay)
                )
                for part in (TRAIN, EVAL)
            ]
    columns = [*OF_REPLAY, "part", "speaker_id", "num_frames", "nll"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


def _scores(
    model: Generator, stage: Stage, part: str, scope: Scope, swap: str = ""
) -> pd.DataFrame:
    source = stage.sources[part]
    nll = frame_nll(model, source, scope, swap)
    sums = speaker_sums(nll, source, scope.window_frames).assign(part=part, energy=np.nan)
    return sums if model.head.HAS_DENSITY else sums.assign(energy=sums["nll"], nll=np.nan)


def joined(tables: list[pd.DataFrame], declared: Table) -> pd.DataFrame:
    """Return tables as one; where there is none, the columns that it would have had."""
    return pd.concat(tables, ignore_index=True) if tables else declared.empty()


def _labels(member: dict[str, Any]) -> dict[str, Any]:
    return {name: member[name] for name in ("arm", "seed", "num_steps", "is_repeat")}


def _null_scores(trained: Generators, stage: Stage, part: str, scope: Scope) -> pd.DataFrame:
    source, means = stage.sources[part], stage.reference.speakers
    found = [
        speaker_sums(
            null_nll(model, source, means, scope), source, scope.window_frames
        ).assign(part=part, arm=name, seed=NO_SEED, num_steps=NO_STEPS, is_repeat=False,
                 energy=np.nan)
        for name, model in trained.nulls.items()
    ]  # fmt: skip
    return pd.concat(found, ignore_index=True)


def _scoring_setup(files: Files, stage: Stage) -> ScoringSetup:
    own = files.evaluation_section
    settings = with_changes(files.rollout_section, "generation.evaluation", {
        "horizon_frames": own.horizon_frames, "forecast_horizon_frames": 1,
        "scored_horizons_frames": own.scored_horizons_frames, "num_starts": own.num_starts,
        "num_samples": max(own.num_samples, 8), "num_long_samples": own.num_samples,
        "injections_frames": (), "seed": own.seed,
        "frozen_frames": min(files.rollout_section.frozen_frames, own.horizon_frames),
        "autocovariance_lags_frames": min(
            files.rollout_section.autocovariance_lags_frames, (own.horizon_frames - 1) // 2
        ),
    })  # fmt: skip
    return make_scoring_setup(settings, stage.reference, stage.sources[TRAIN], stage.device)


def _starts(files: Files, stage: Stage) -> tuple[Starts, Starts]:
    """Return where runs start, and other starts of the same utterances."""
    own, source, means = files.evaluation_section, stage.sources[EVAL], stage.reference.speakers
    shortest = own.horizon_frames // 2
    starts = collect_starts(
        source, means, files.generator_section.model.context_frames, own.horizon_frames, shortest,
        own.num_starts,
    )  # fmt: skip
    others = other_starts(source, means, starts, shortest)
    return starts.to(stage.device), others.to(stage.device)


def _row(member: dict[str, Any]) -> dict[str, Any]:
    """Return what the tables say of a training."""
    spec = member["generator"]
    insertion = INSERTION.validate_python(spec["insertion"], strict=False)
    reads = ARMS[member["arm"]].reads_codes
    has_memory = ARMS[member["arm"]].source is not None
    known = {
        "key": (insertion.key if insertion.READS_KEY else OF_STATE) if reads else "",
        "places": _places(spec["insertion"]) if has_memory else "",
        "noise": _noise(spec["settings"]["noise"]),
        "short_context_frames": spec["settings"]["short_context_frames"] or 0,
        "width": spec["settings"]["width"],
        **{name: member[name] for name in ("learning_rate", "dropout", "num_points", "best_step")},
        **{column: member["budget"][name] for name, column in BUDGET.items()},
    }  # fmt: skip
    return {**_labels(member), **known}


def _places(insertion: dict[str, Any]) -> str:
    return ", ".join(insertion.get("places", ["every block"]))


def _noise(noise: dict[str, Any]) -> str:
    return f"{noise['kind']} {noise['share']:g}" if "share" in noise else str(noise["kind"])


def _null_row(name: str) -> dict[str, Any]:
    return {
        "arm": name, "seed": NO_SEED, "num_steps": NO_STEPS, "is_repeat": False,
        **dict.fromkeys(OF_MEMBER), "key": "", "places": "", "noise": "",
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
