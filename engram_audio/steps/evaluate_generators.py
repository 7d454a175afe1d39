"""Score all arms and seeds of a generator on the same frames, and let some of them run free."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

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
from engram_audio.generation.names import NO_SEED, NO_STEPS, OF_UNTOLD, RUN_SWAPS, SWAPS
from engram_audio.generation.prompts import prompts_of
from engram_audio.generation.replay import labels_of, mask_rows, masks_of
from engram_audio.generation.run_swaps import swapped_density
from engram_audio.generation.tables import OF_MEMBER, OF_REPLAY
from engram_audio.generation.word import MEMORY
from engram_audio.prediction.assess import Stage
from engram_audio.rollout.config import RolloutSection
from engram_audio.rollout.setup import ScoringSetup
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, blame, run
from engram_audio.steps._generator_runs import (
    joined,
    member_labels,
    row_of,
    scoring_setup,
    starts_of,
)
from engram_audio.steps._generators import Generators, full_members, open_scoring, read_transcripts
from engram_audio.steps._machine import machine_of

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    section: Frozen[PredictionSection]
    prediction_section: Frozen[PredictionEvaluationSection]
    generator_section: Frozen[GeneratorSection]
    evaluation_section: Frozen[GenerationEvaluationSection]
    protocol_section: Frozen[GenerationProtocol]
    rollout_section: Frozen[RolloutSection]
    nulls: Path
    generators: Path
    utterances: Path | None
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
    scope = Scope(
        files.section.window_frames, files.evaluation_section.batch_utterances, device,
        read_transcripts(files.utterances),
    )  # fmt: skip
    parts = [part for part in (TRAIN, trained.chosen_on, EVAL) if part in stage.sources]
    scores = [_null_scores(trained, stage, part, scope) for part in parts]
    scopes = {part: _prompted(files, stage, part, scope) for part in parts}
    setup = scoring_setup(files, stage)
    with blame(files.splits, "lower generation.evaluation.horizon_frames"):
        starts, others = starts_of(files, stage)
    health, keys = [], []
    full = {member["label"] for member in full_members(trained)}
    for member in trained.members:
        model = trained.model(member)
        labels = member_labels(member)
        with blame(files.splits):
            told = [part for part in parts if part != TRAIN or not model.arm.holds_train_targets]
            scores += [_scores(model, stage, part, scopes[part]).assign(**labels) for part in told]
            if member["arm"] == MEMORY and files.evaluation_section.has_swaps:
                scores += [
                    _scores(model, stage, EVAL, scopes[EVAL], swap).assign(
                        **{**labels, "arm": swap}
                    )
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
    write_table(files.replays, _replays(files, trained, stage, scopes), manifest)
    members = [row_of(member) for member in trained.members]
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


def _prompted(files: Files, stage: Stage, part: str, scope: Scope) -> Scope:
    """Return the scope of a part with its speaker prompts, and say how many frames have one."""
    prompts = prompts_of(files.generator_section.model.condition, stage.sources[part]())
    if prompts is not None:
        LOG.info("%s: %.3g of the frames have a speaker prompt", part, prompts.prompted_share)
    return scope._replace(prompts=prompts)


def _replays(
    files: Files, trained: Generators, stage: Stage, scopes: Mapping[str, Scope]
) -> pd.DataFrame:
    """Return sums of every replay under every mask, on train and eval."""
    found = []
    for replay in trained.replays:
        model = trained.model(replay)
        for minimum in masks_of(files.protocol_section.replay, replay["arm"]):
            mask_rows(model, minimum)
            found += [
                _scores(model, stage, part, scopes[part]).assign(
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

    def sums_of(own: Scope) -> pd.DataFrame:
        nll = frame_nll(model, source, own, swap)
        return speaker_sums(nll, source, own.window_frames)

    sums = sums_of(scope).assign(part=part, energy=np.nan)
    if model.settings.condition is not None and part == EVAL:
        untold = OF_UNTOLD[0 if model.head.HAS_DENSITY else 1]
        sums[untold] = sums_of(scope._replace(is_told=False))["nll"]
    return sums if model.head.HAS_DENSITY else sums.assign(energy=sums["nll"], nll=np.nan)


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


def _null_row(name: str) -> dict[str, Any]:
    return {
        "arm": name, "seed": NO_SEED, "num_steps": NO_STEPS, "is_repeat": False,
        **dict.fromkeys(OF_MEMBER), "key": "", "places": "", "noise": "",
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
