"""Simulate studies around the threshold: error rates of the gate, coverage of intervals."""

import pandas as pd

from engram_audio.artifacts.table import write_table
from engram_audio.calibration.config import PowerSection
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps import _cli
from engram_audio.structure.config import DecisionSection
from engram_audio.trust.power import coverage_rows, power_rows


def main(argv: list[str] | None = None) -> None:
    """Read three sections; write two tables."""
    arguments = _cli.parse_arguments(
        "simulate_power",
        __doc__,
        outputs=["power", "coverage"],
        argv=argv,
    )
    section = arguments.load_section("section", PowerSection)
    decision = arguments.load_section("decision_section", DecisionSection)
    statistics = arguments.load_section("statistics_section", StatisticsSection)
    manifest = arguments.manifest(section.seed)
    power = power_rows(section, decision.operative_gate, statistics.confidence)
    write_table(arguments.power, pd.DataFrame(power), manifest)
    write_table(arguments.coverage, pd.DataFrame(coverage_rows(section, statistics)), manifest)


if __name__ == "__main__":
    _cli.run(main)
