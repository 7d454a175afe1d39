"""Publish every memory beside its controls, and whether lookup helps."""

from pathlib import Path
from typing import Any

import pandas as pd

from engram_audio.artifacts.identity import (
    CurveRun,
    MemoryRun,
    Scored,
    read_identity,
    read_representation,
)
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.prediction_tables import join
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.densities.config import PredictionEvaluationSection
from engram_audio.densities.tuning import tuning_rows
from engram_audio.memory.columns import MEMORY, MEMORY_CURVE, MEMORY_TUNING, MEMORY_VERDICT
from engram_audio.memory.config import MemoryStageSection, MemoryVerdictSection
from engram_audio.memory.curve import CELL, SUMS, Curve
from engram_audio.memory.tables import (
    Direct,
    Run,
    curve_table,
    memory_table,
    verdict_table,
    with_curve,
)
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.steps._tuned import TunedArm, read_tuning

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
    curve_sizes: list[Path]
    curve_scores: list[Path]
    curve_tunings: list[Path]
    curve_tuning_scores: list[Path]
    tunings: list[Path]
    tuning_scores: list[Path]
    memory: Output
    memory_verdict: Output
    memory_tuning: Output
    memory_curve: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    tables = zip(files.scores, files.usage, files.run_summaries, strict=True)
    tuned = _tuned(files)
    curves = _curves(files)
    runs = [_on_curve(_run(*paths, tuned), curves) for paths in tables]
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
    write_csv(files.memory_tuning, _tuning_table(files, tuned), MEMORY_TUNING, files.manifest())
    whole: dict[tuple[str, int, str], list[Curve]] = {}
    for one, curve in curves.items():
        whole.setdefault((one.representation, one.lag, one.base), []).append(curve)
    drawn = curve_table(whole, files.statistics_section.confidence)
    write_csv(files.memory_curve, drawn, MEMORY_CURVE, files.manifest())


def _curves(files: Files) -> dict[CurveRun, Curve]:
    return {
        read_identity(sizes, CurveRun): Curve(
            read_json(sizes)["nets"], read_table(scores, ["model", *CELL, *SUMS])
        )
        for sizes, scores in zip(files.curve_sizes, files.curve_scores, strict=True)
    }


def _on_curve(run: Run, curves: dict[CurveRun, Curve]) -> Run:
    found = curves.get(CurveRun(run.representation, run.lag_frames, run.base, run.seed))
    return run if found is None else with_curve(run, found)


Tuned = dict[MemoryRun, list[TunedArm]]


def _tuned(files: Files) -> Tuned:
    """Read the tuned arms of each run that was tuned: the first lag and seed."""
    found: Tuned = {}
    for tuning, scores in zip(files.tunings, files.tuning_scores, strict=True):
        found.setdefault(read_identity(tuning, MemoryRun), []).extend(read_tuning(tuning, scores))
    return found


def _tuning_table(files: Files, tuned: Tuned) -> pd.DataFrame:
    """Return the points of every memory's arms, then those of the curves' nets."""
    named: list[tuple[dict[str, Any], TunedArm]] = [
        (_names(run, run.memory), arm) for run, arms in tuned.items() for arm in arms
    ]
    for tuning, scores in zip(files.curve_tunings, files.curve_tuning_scores, strict=True):
        run = read_identity(tuning, CurveRun)
        named += [(_names(run, ""), arm) for arm in read_tuning(tuning, scores)]
    rows = [
        row
        for names, arm in named
        for row in tuning_rows({**names, "arm": arm.name}, arm.header, arm.scores)
    ]
    return MEMORY_TUNING.arrange(pd.DataFrame(rows)) if rows else MEMORY_TUNING.empty()


def _names(run: MemoryRun | CurveRun, memory: str) -> dict[str, Any]:
    return {
        "representation": run.representation, "lag_frames": run.lag, "predictor": run.base,
        "memory": memory, "seed": run.seed,
    }  # fmt: skip


def _near(arms: list[TunedArm]) -> dict[str, dict[int, pd.DataFrame]]:
    """Return the sums of the points that are as good as the chosen one, by arm."""
    return {
        arm.name: {
            number: arm.scores.loc[arm.scores["point"] == number].drop(columns="point")
            for number in arm.header["near"]
        }
        for arm in arms
    }


def _run(scores: Path, usage: Path, summary: Path, tuned: Tuned) -> Run:
    identity = read_identity(scores, MemoryRun)
    return Run(
        *identity,
        read_json(summary),
        read_table(scores, ["slice", "speaker_id", "part", "model", "nll"]),
        read_table(usage, ["model", "part", "num_slots"]),
        _near(tuned.get(identity, [])),
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
