"""Score arms over z_dyn on the frames themselves, and decode what they draw."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import write_table
from engram_audio.corpus.split_parts import EVAL
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.generation.budget import Budget
from engram_audio.generation.columns import GENERATION_HEALTH
from engram_audio.generation.config import GenerationEvaluationSection, GeneratorSection
from engram_audio.generation.evaluation import Scope, health_of_run
from engram_audio.generation.factorized.config import PathSection
from engram_audio.generation.factorized.path import StatePath, path_budget
from engram_audio.generation.factorized.runs import run_path
from engram_audio.generation.factorized.scores import path_sums
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.names import over_state
from engram_audio.rollout.config import RolloutSection
from engram_audio.steps._cli import (
    Device,
    Fact,
    Frozen,
    Output,
    StepFiles,
    Wildcard,
    blame,
    run,
)
from engram_audio.steps._factorizer import read_factorizer
from engram_audio.steps._generator_runs import (
    joined,
    member_labels,
    row_of,
    scoring_setup,
    starts_of,
)
from engram_audio.steps._generators import full_members, open_scoring


class Files(StepFiles):
    representation: Wildcard[str]
    generator: Wildcard[str]
    arms: Fact[list[ArmName]]
    section: Frozen[PredictionSection]
    prediction_section: Frozen[PredictionEvaluationSection]
    generator_section: Frozen[GeneratorSection]
    evaluation_section: Frozen[GenerationEvaluationSection]
    path_section: Frozen[PathSection]
    rollout_section: Frozen[RolloutSection]
    nulls: Path
    generators: Path
    factorizer: Path
    splits: Path
    shards: list[Path]
    scores: Output
    health: Output
    summary: Output
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device, frames, stage, trained = open_scoring(files)
    factorizer, _ = read_factorizer(files.factorizer)
    own, window = files.path_section, files.section.window_frames
    scope = Scope(window, files.evaluation_section.batch_utterances, device)
    setup, rate = scoring_setup(files, stage), frames.store.metadata.frame_rate_hz
    with blame(files.splits, "lower generation.evaluation.horizon_frames"):
        starts, others = starts_of(files, stage)
    scores, health, members = [], [], []
    for member in full_members(trained):
        path = StatePath(factorizer, trained.model(member), own.seed, device)
        named = {"arm": over_state(member["arm"], files.representation)}
        for part in dict.fromkeys((trained.chosen_on, EVAL)):
            sums = path_sums(path, stage.sources[part], rate, scope, own.num_particles, own.seed)
            scores.append(sums.assign(part=part, energy=np.nan, **member_labels(member) | named))
        if member["arm"] in files.evaluation_section.free_arms:
            drawn = run_path(path, starts, stage.sources[EVAL], setup)
            found = health_of_run(drawn, starts, others, setup)
            health.append(found.assign(seed=member["seed"], **named))
        budget = path_budget(Budget(**member["budget"]), factorizer)
        members.append(row_of({**member, "budget": budget._asdict()}) | named)
    manifest = files.manifest()
    write_table(files.scores, pd.concat(scores, ignore_index=True), manifest)
    write_table(files.health, joined(health, GENERATION_HEALTH), manifest)
    summary: dict[str, Any] = {"source": frames.store.metadata.representation, "members": members}
    write_json(files.summary, {**summary, "manifest": manifest})


if __name__ == "__main__":
    run(main)
