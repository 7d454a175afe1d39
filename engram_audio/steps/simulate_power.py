"""Simulate studies around the threshold: error rates of the gate, coverage of intervals."""

import pandas as pd

from engram_audio.artifacts.table import write_table
from engram_audio.calibration.config import PowerSection
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.structure.config import DecisionSection
from engram_audio.trust.power import coverage_rows, power_rows


class Files(StepFiles):
    section: Frozen[PowerSection]
    decision_section: Frozen[DecisionSection]
    statistics_section: Frozen[StatisticsSection]
    power: Output
    coverage: Output


def main(argv: list[str] | None = None) -> None:
    """Read three sections; write two tables."""
    files = Files.parse(argv)
    manifest = files.manifest(files.section.seed)
    power = power_rows(
        files.section, files.decision_section.operative_gate, files.statistics_section.confidence
    )
    write_table(files.power, pd.DataFrame(power), manifest)
    write_table(
        files.coverage,
        pd.DataFrame(coverage_rows(files.section, files.statistics_section)),
        manifest,
    )


if __name__ == "__main__":
    run(main)
