"""Publish factorisers beside the direct predictors, and the sweeps' Pareto fronts."""

from pathlib import Path

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.identity import (
    FactorizerRun,
    Scored,
    read_identity,
    read_representation,
)
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.prediction_tables import join
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.factorizer.columns import FACTORIZER, FACTORIZER_SWEEP
from engram_audio.factorizer.config import FactorizerSection
from engram_audio.factorizer.tables import Direct, Run, factorizer_table, sweep_table
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Fact, Frozen, Output, StepFiles, run

LABELS = ("model", "lag_frames", "event", "part", "slice", "speaker_id", "nll")


class Files(StepFiles):
    sweeps: Fact[dict[str, str]]  # of each factoriser, "" where it was named
    section: Frozen[PredictionSection]
    evaluation_section: Frozen[PredictionEvaluationSection]
    statistics_section: Frozen[StatisticsSection]
    models: list[Path]
    scores: list[Path]
    direct_scores: list[Path]
    summaries: list[Path]
    factorizer: Output
    factorizer_sweep: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    runs = [
        _run(model, scores, files.sweeps)
        for model, scores in zip(files.models, files.scores, strict=True)
    ]
    directs = {read_representation(path): _direct(path, files) for path in files.summaries}
    table = factorizer_table(
        runs, directs, files.evaluation_section.slices, files.statistics_section.confidence
    )
    write_csv(files.factorizer, table, FACTORIZER, files.manifest())
    sweep = sweep_table(table)
    write_csv(files.factorizer_sweep, sweep, FACTORIZER_SWEEP, files.manifest())


def _run(model: Path, scores: Path, sweeps: dict[str, str]) -> Run:
    own = read_identity(scores, FactorizerRun)
    _, header = read_bundle(model)
    return Run(
        own.representation,
        own.factorizer,
        sweeps.get(own.factorizer, ""),
        own.seed,
        FactorizerSection.model_validate(header["factorizer"]["settings"], strict=False),
        header["health"],
        header["collapse"],
        read_table(scores, ["slice", "speaker_id", "part", "nll"]),
    )


def _direct(summary: Path, files: Files) -> Direct:
    """Gather what the prediction stage scored on the representation of a latent summary."""
    name = read_representation(summary)
    metadata = read_json(summary)["metadata"]
    scored = {path: read_identity(path, Scored) for path in files.direct_scores}
    own = {path: one for path, one in scored.items() if one.representation == name}
    # the first training seed: one direct predictor, chosen before eval, is the yardstick
    first = min(one.seed for one in own.values())
    own = {path: one for path, one in own.items() if one.seed == first}
    return Direct(
        name,
        metadata["frame_rate_hz"],
        metadata["num_dims"],
        files.section.window_frames,
        sorted({one.head for one in own.values()} - {""}),
        join(own, LABELS),
    )


if __name__ == "__main__":
    run(main)
