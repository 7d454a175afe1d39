"""Publish the prediction stage's tables: gains over the best null, with intervals by speaker."""

from pathlib import Path

import pandas as pd

from engram_audio.artifacts.identity import Scored, read_identity, read_representation
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.prediction_tables import join
from engram_audio.artifacts.table import write_csv
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.densities.tuning import tuning_rows
from engram_audio.prediction.columns import PREDICTION, PREDICTION_TUNING, WORST_FRAMES
from engram_audio.prediction.tables import Inputs, Near, Settings, prediction_table, worst_table
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.steps._tuned import read_tuning

LABELS = ("model", "lag_frames", "event", "part")


class Files(StepFiles):
    section: Frozen[PredictionSection]
    evaluation_section: Frozen[PredictionEvaluationSection]
    statistics_section: Frozen[StatisticsSection]
    scores: list[Path]
    frames: list[Path]
    worst: list[Path]
    summaries: list[Path]
    tunings: list[Path]
    tuning_scores: list[Path]
    prediction: Output
    worst_frames: Output
    prediction_tuning: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section, evaluation = files.section, files.evaluation_section
    settings = Settings(
        section.lags_frames, section.targets, evaluation.slices,
        files.statistics_section.confidence, evaluation.trimmed_fraction, evaluation.quantiles,
    )  # fmt: skip
    inputs = _gather(files)
    table = prediction_table(inputs, settings)
    write_csv(files.prediction, table, PREDICTION, files.manifest())
    write_csv(files.worst_frames, worst_table(inputs), WORST_FRAMES, files.manifest())
    write_csv(files.prediction_tuning, _tuning(files), PREDICTION_TUNING, files.manifest())


def _tuning(files: Files) -> pd.DataFrame:
    rows = []
    for path, scores in zip(files.tunings, files.tuning_scores, strict=True):
        own = read_identity(path, Scored)
        names = {"representation": own.representation, "lag_frames": own.lag, "head": own.head}
        for arm in read_tuning(path, scores):
            rows += tuning_rows({**names, "seed": own.seed}, arm.header, arm.scores)
    return PREDICTION_TUNING.arrange(pd.DataFrame(rows)) if rows else PREDICTION_TUNING.empty()


def _gather(files: Files) -> list[Inputs]:
    metadata = {read_representation(path): read_json(path)["metadata"] for path in files.summaries}
    scores, frames, worst = map(_identified, (files.scores, files.frames, files.worst))
    groups, near = [], _near(files)
    for name, seed in sorted({(one.representation, one.seed) for one in scores.values()}):
        heads = {one.head for one in scores.values() if one.representation == name} - {""}
        groups.append(
            Inputs(
                name,
                seed,
                metadata[name]["frame_rate_hz"],
                metadata[name]["num_dims"],
                sorted(heads),
                join(_of(scores, name, seed), (*LABELS, "slice", "speaker_id", "nll")),
                join(_of(frames, name, seed), (*LABELS, "nll")),
                join(_of(worst, name, seed), (*LABELS, "utterance_id", "frame", "nll")),
                near.get((name, seed), {}),
            )
        )
    return groups


def _near(files: Files) -> dict[tuple[str, int], dict[str, Near]]:
    """Return the tuned points of heads that are as good as the chosen one."""
    found: dict[tuple[str, int], dict[str, Near]] = {}
    for path, scores in zip(files.tunings, files.tuning_scores, strict=True):
        own = read_identity(path, Scored)
        for arm in read_tuning(path, scores):
            points = [arm.scores.loc[arm.scores["point"] == n] for n in arm.header["near"]]
            found.setdefault((own.representation, own.seed), {})[own.head] = Near(
                own.lag, files.section.targets[0], points
            )
    return found


def _identified(paths: list[Path]) -> dict[Path, Scored]:
    return {path: read_identity(path, Scored) for path in paths}


def _of(scored: dict[Path, Scored], name: str, seed: int) -> list[Path]:
    return [p for p, one in scored.items() if (one.representation, one.seed) == (name, seed)]


if __name__ == "__main__":
    run(main)
