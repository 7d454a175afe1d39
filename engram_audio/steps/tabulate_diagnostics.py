"""Publish the prediction stage's calibration bins and simple rollouts, as they were counted."""

from pathlib import Path

import pandas as pd

from engram_audio.artifacts.columns import Table
from engram_audio.artifacts.prediction_tables import join, locate
from engram_audio.artifacts.table import write_csv
from engram_audio.prediction.columns import PREDICTION_CALIBRATION, PREDICTION_ROLLOUT
from engram_audio.steps import _cli

CALIBRATION = ("model", "lag_frames", "event", "part", "kind", "bin", "count")
ROLLOUT = ("model", "lag_frames", "event", "horizon_frames", "num_paths", "num_alive")


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "tabulate_diagnostics",
        __doc__,
        input_lists=["calibration", "rollout"],
        outputs=["prediction_calibration", "prediction_rollout"],
        argv=argv,
    )
    calibration = _labelled(arguments.calibration, CALIBRATION, PREDICTION_CALIBRATION)
    rollout = _labelled(arguments.rollout, ROLLOUT, PREDICTION_ROLLOUT)
    manifest = arguments.manifest()
    write_csv(arguments.prediction_calibration, calibration, PREDICTION_CALIBRATION, manifest)
    write_csv(arguments.prediction_rollout, rollout, PREDICTION_ROLLOUT, manifest)


def _labelled(paths: list[Path], columns: tuple[str, ...], table: Table) -> pd.DataFrame:
    places = [locate(path) for path in paths]
    tables = [
        join([place.path], columns).assign(representation=place.representation, seed=place.seed)
        for place in places
    ]
    return table.arrange(pd.concat(tables, ignore_index=True).rename(columns={"event": "target"}))


if __name__ == "__main__":
    _cli.run(main)
