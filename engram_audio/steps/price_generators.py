"""Score every size of a generator on the same frames: what its memory's gain costs otherwise."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from engram_audio.artifacts.table import write_table
from engram_audio.corpus.split_parts import EVAL
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.generation.config import GenerationEvaluationSection, GenerationProtocol
from engram_audio.generation.cost_tables import LADDER_ARMS
from engram_audio.generation.evaluation import Scope
from engram_audio.generation.names import LADDER, OF_ARM, SHARE
from engram_audio.generation.quality import Drawing, budget_row, quality_sums
from engram_audio.generation.word import MEMORY
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, blame, run
from engram_audio.steps._generators import Generators, full_members, open_scoring

PLAIN = {"kind": OF_ARM, "held": "", "value": 0.0}


class Files(StepFiles):
    section: Frozen[PredictionSection]
    prediction_section: Frozen[PredictionEvaluationSection]
    evaluation_section: Frozen[GenerationEvaluationSection]
    protocol_section: Frozen[GenerationProtocol]
    nulls: Path
    generators: Path
    splits: Path
    shards: list[Path]
    sums: Output
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device, _, stage, trained = open_scoring(files)
    scope = Scope(files.section.window_frames, files.evaluation_section.batch_utterances, device)
    found = []
    for size, member in _sizes(trained):
        model = trained.model(member)
        labels = {**size, "arm": member["arm"], "seed": member["seed"]}
        for part in (EVAL, trained.chosen_on) if size["kind"] == SHARE else (EVAL,):
            with blame(files.splits):
                sums = quality_sums(model, stage.sources[part], scope, _drawing(files, size))
            budget = budget_row(model, member["budget"])
            found.append(sums.assign(part=part, **labels, **budget))
    write_table(files.sums, pd.concat(found, ignore_index=True), files.manifest())


def _sizes(trained: Generators) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield every full training that is a point, SM, or another size, with the size's name."""
    for member in full_members(trained):
        if member["arm"] in (*LADDER_ARMS, MEMORY):
            yield PLAIN, member
    for member in trained.variants:
        yield {name: member[name] for name in PLAIN}, member


def _drawing(files: Files, size: Mapping[str, Any]) -> Drawing:
    """Return how energy is drawn: of the ladder alone."""
    ladder, seed = files.protocol_section.ladder, files.evaluation_section.seed
    is_asked = ladder is not None and size["kind"] in (OF_ARM, LADDER)
    return Drawing(ladder.num_samples if ladder is not None and is_asked else 0, seed)


if __name__ == "__main__":
    run(main)
