"""Simulate studies on the gate's boundaries: error rates of the gate, coverage of intervals."""

import pandas as pd

from engram_audio.artifacts.table import write_table
from engram_audio.calibration.config import PowerSection
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.structure.config import DecisionSection
from engram_audio.trust.error_rates import rate_rows


class Files(StepFiles):
    section: Frozen[PowerSection]
    decision_section: Frozen[DecisionSection]
    statistics_section: Frozen[StatisticsSection]
    power: Output


def main(argv: list[str] | None = None) -> None:
    """Read three sections; write one table."""
    files = Files.parse(argv)
    rates = rate_rows(
        files.section, files.decision_section.operative_gate, files.statistics_section.confidence
    )
    write_table(files.power, pd.DataFrame(rates), files.manifest(files.section.seed))


if __name__ == "__main__":
    run(main)
