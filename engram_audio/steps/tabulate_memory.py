"""Publish every memory beside its controls, and whether lookup helps."""

from pathlib import Path

from engram_audio.artifacts.identity import (
    MemoryRun,
    Scored,
    read_identity,
    read_representation,
)
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.prediction_tables import join
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.densities.config import PredictionEvaluationSection
from engram_audio.memory.columns import MEMORY, MEMORY_VERDICT
from engram_audio.memory.config import MemoryStageSection, MemoryVerdictSection
from engram_audio.memory.tables import Direct, Run, memory_table, verdict_table
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run

LABELS = ("model", "lag_frames", "event", "part", "slice", "speaker_id", "nll")


class Files(StepFiles):
    stage_section: Frozen[MemoryStageSection]
    verdict_section: Frozen[MemoryVerdictSection]
    evaluation_section: Frozen[PredictionEvaluationSection]
    statistics_section: Frozen[StatisticsSection]
    scores: list[Path]
    usage: list[Path]
    run_summaries: list[Path]
    direct_scores: list[Path]
    summaries: list[Path]
    memory: Output
    memory_verdict: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    tables = zip(files.scores, files.usage, files.run_summaries, strict=True)
    runs = [_run(*paths) for paths in tables]
    seeds = sorted({run.seed for run in runs})
    scored = {path: read_identity(path, Scored) for path in files.direct_scores}
    directs = {
        (read_representation(path), seed): _direct(path, scored, seed)
        for path in files.summaries
        for seed in seeds
    }
    table = memory_table(
        runs,
        directs,
        files.stage_section.target,
        files.evaluation_section.slices,
        files.statistics_section.confidence,
    )
    write_csv(files.memory, table, MEMORY, files.manifest())
    verdicts = verdict_table(table, files.verdict_section)
    write_csv(files.memory_verdict, verdicts, MEMORY_VERDICT, files.manifest())


def _run(scores: Path, usage: Path, summary: Path) -> Run:
    return Run(
        *read_identity(scores, MemoryRun),
        read_json(summary),
        read_table(scores, ["slice", "speaker_id", "part", "model", "nll"]),
        read_table(usage, ["model", "part", "num_slots"]),
    )


def _direct(summary: Path, scored: dict[Path, Scored], seed: int) -> Direct:
    """Gather what the prediction stage scored on the representation of a latent summary."""
    asked = (read_representation(summary), seed)
    own = {path: one for path, one in scored.items() if (one.representation, one.seed) == asked}
    heads = sorted({one.head for one in own.values()} - {""})
    rate = read_json(summary)["metadata"]["frame_rate_hz"]
    return Direct(rate, heads, join(own, LABELS))


if __name__ == "__main__":
    run(main)
