"""Publish the prediction stage's calibration bins and simple rollouts, as they were counted."""

from pathlib import Path

import pandas as pd

from engram_audio.artifacts.columns import Table
from engram_audio.artifacts.identity import Scored, read_identity
from engram_audio.artifacts.prediction_tables import join
from engram_audio.artifacts.table import write_csv
from engram_audio.prediction.columns import PREDICTION_CALIBRATION, PREDICTION_ROLLOUT
from engram_audio.steps._cli import Output, StepFiles, run

CALIBRATION = ("model", "lag_frames", "event", "part", "kind", "bin", "count")
ROLLOUT = ("model", "lag_frames", "event", "horizon_frames", "num_paths", "num_alive")


class Files(StepFiles):
    calibration: list[Path]
    rollout: list[Path]
    prediction_calibration: Output
    prediction_rollout: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    calibration = _labelled(files.calibration, CALIBRATION, PREDICTION_CALIBRATION)
    rollout = _labelled(files.rollout, ROLLOUT, PREDICTION_ROLLOUT)
    manifest = files.manifest()
    write_csv(files.prediction_calibration, calibration, PREDICTION_CALIBRATION, manifest)
    write_csv(files.prediction_rollout, rollout, PREDICTION_ROLLOUT, manifest)


def _labelled(paths: list[Path], columns: tuple[str, ...], table: Table) -> pd.DataFrame:
    tables = []
    for path in paths:
        own = read_identity(path, Scored)
        named = {"representation": own.representation, "seed": own.seed}
        tables.append(join([path], columns).assign(**named))
    return table.arrange(pd.concat(tables, ignore_index=True).rename(columns={"event": "target"}))


if __name__ == "__main__":
    run(main)
