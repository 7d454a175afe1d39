"""Publish every rollout method beside what is attainable, and the sweep's Pareto front."""

from pathlib import Path

from pydantic import TypeAdapter

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.identity import RolloutRun, read_identity
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.rollout.ceiling import Run
from engram_audio.rollout.columns import ROLLOUT, ROLLOUT_SWEEP
from engram_audio.rollout.config import RolloutBarsSection, RolloutSection
from engram_audio.rollout.method_config import MethodSection
from engram_audio.rollout.tables import rollout_table, sweep_table
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Fact, Frozen, Output, StepFiles, run

SCORES = ["mode", "inject_frames", "speaker_id", "horizon_frames", "num_starts", "part"]


class Files(StepFiles):
    sweeps: Fact[dict[str, str]]  # of each method, "" where it was named
    rollout_section: Frozen[RolloutSection]
    bars_section: Frozen[RolloutBarsSection]
    statistics_section: Frozen[StatisticsSection]
    models: list[Path]
    scores: list[Path]
    health: list[Path]
    differences: list[Path]
    rollout: Output
    rollout_sweep: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    trained = zip(files.models, files.scores, files.health, files.differences, strict=True)
    runs = [_run(*paths, files.sweeps) for paths in trained]
    table = rollout_table(runs, files.rollout_section, files.statistics_section.confidence)
    write_csv(files.rollout, table, ROLLOUT, files.manifest())
    sweep = sweep_table(runs, table, files.rollout_section, files.bars_section)
    write_csv(files.rollout_sweep, sweep, ROLLOUT_SWEEP, files.manifest())


def _run(model: Path, scores: Path, health: Path, differences: Path, sweeps: dict[str, str]) -> Run:
    own = read_identity(scores, RolloutRun)
    _, header = read_bundle(model)
    settings = TypeAdapter(MethodSection).validate_python(header["method"], strict=False)
    return Run(
        own.representation,
        own.method,
        sweeps.get(own.method, ""),
        own.seed,
        settings,
        read_table(scores, SCORES),
        read_table(health, []),
        read_table(differences, []),
    )


if __name__ == "__main__":
    run(main)
