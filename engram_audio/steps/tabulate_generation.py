"""Publish every generator, the gains between its arms, and how its free runs look."""

from pathlib import Path

import pandas as pd

from engram_audio.artifacts.identity import GenerationRun, read_identity
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.generation.columns import GENERATION, GENERATION_GAINS, GENERATION_HEALTH
from engram_audio.generation.tables import (
    Evaluated,
    gains_table,
    generation_table,
    health_table,
)
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run

SCORES = ["arm", "seed", "num_steps", "is_repeat", "part", "speaker_id", "num_frames", "nll"]


class Files(StepFiles):
    statistics_section: Frozen[StatisticsSection]
    scores: list[Path]
    health: list[Path]
    run_summaries: list[Path]
    generation: Output
    generation_gains: Output
    generation_health: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    paths = zip(files.scores, files.health, files.run_summaries, strict=True)
    found = [_evaluated(*one) for one in paths]
    confidence, manifest = files.statistics_section.confidence, files.manifest()
    write_csv(files.generation, generation_table(found, confidence), GENERATION, manifest)
    write_csv(files.generation_gains, gains_table(found, confidence), GENERATION_GAINS, manifest)
    write_csv(files.generation_health, health_table(found), GENERATION_HEALTH, manifest)


def _evaluated(scores: Path, health: Path, summary: Path) -> Evaluated:
    known = read_json(summary)
    return Evaluated(
        *read_identity(scores, GenerationRun),
        known["chosen_on"],
        pd.DataFrame(known["members"]),
        read_table(scores, SCORES),
        read_table(health, ["arm", "seed", "horizon_frames"]),
    )


if __name__ == "__main__":
    run(main)
