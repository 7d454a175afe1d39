"""Publish every rollout method beside what is attainable, and the sweep's Pareto front."""

from pathlib import Path

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.rollout_paths import locate_rollout
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.rollout.ceiling import Run
from engram_audio.rollout.columns import ROLLOUT, ROLLOUT_SWEEP
from engram_audio.rollout.config import METHOD_MODELS, RolloutBarsSection, RolloutSection
from engram_audio.rollout.tables import rollout_table, sweep_table
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps import _cli

SCORES = ["mode", "inject_frames", "speaker_id", "horizon_frames", "num_starts", "part"]


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "tabulate_rollout",
        __doc__,
        input_lists=["models", "scores", "health", "sweeps"],
        outputs=["rollout", "rollout_sweep"],
        argv=argv,
    )
    settings = arguments.load_section("rollout_section", RolloutSection)
    bars = arguments.load_section("bars_section", RolloutBarsSection)
    statistics = arguments.load_section("statistics_section", StatisticsSection)
    sweeps = dict(str(item).split("=", maxsplit=1) for item in arguments.sweeps)
    runs = [
        _run(*paths, sweeps)
        for paths in zip(arguments.models, arguments.scores, arguments.health, strict=True)
    ]
    table = rollout_table(runs, settings, statistics.confidence)
    write_csv(arguments.rollout, table, ROLLOUT, arguments.manifest())
    sweep = sweep_table(runs, table, settings, bars)
    write_csv(arguments.rollout_sweep, sweep, ROLLOUT_SWEEP, arguments.manifest())


def _run(model: Path, scores: Path, health: Path, sweeps: dict[str, str]) -> Run:
    place = locate_rollout(scores)
    _, header = read_bundle(model)
    document = header["method"]
    settings = METHOD_MODELS[document["kind"]].model_validate(document, strict=False)
    return Run(
        place.representation,
        place.method,
        sweeps.get(place.method, ""),
        place.seed,
        settings,
        read_table(scores, SCORES),
        read_table(health, []),
    )


if __name__ == "__main__":
    _cli.run(main)
