"""Publish measured against known: calibration.json and calibration.csv."""

import logging

import pandas as pd

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.calibration.config import WORLD_PREFIX, PowerSection, WorldsSection
from engram_audio.calibration.published import Published, published_rows
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.rows import CalibrationRow
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps import _cli
from engram_audio.structure.columns import LINEAR, STRUCTURE
from engram_audio.structure.config import DecisionSection, StructureSection
from engram_audio.structure.decision import decide_all
from engram_audio.trust import tables
from engram_audio.trust.columns import CALIBRATION
from engram_audio.trust.power import CoverageRow, PowerRow

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Read truths, injected oracles, the worlds' tables, power and sabotage; write two files."""
    arguments = _cli.parse_arguments(
        "tabulate_calibration",
        __doc__,
        inputs=["power", "coverage", "sabotage"],
        input_lists=["structure_tables", "linear_tables", "truths", "rows"],
        outputs=["document", "table"],
        argv=argv,
    )  # fmt: skip
    worlds = arguments.load_section("worlds_section", WorldsSection)
    limits = arguments.load_section("power_section", PowerSection)
    section = arguments.load_section("structure_section", StructureSection)
    decision = arguments.load_section("decision_section", DecisionSection)
    statistics = arguments.load_section("statistics_section", StatisticsSection)
    structure, linear = (
        pd.concat([read_csv(path, table) for path in paths], ignore_index=True)
        for paths, table in (
            (arguments.structure_tables, STRUCTURE),
            (arguments.linear_tables, LINEAR),
        )
    )
    truths = tables.truths_of(
        pd.concat([read_table(path, tables.TRUTH_COLUMNS) for path in arguments.truths])
    )
    injected = [read_table(path, CalibrationRow._fields) for path in arguments.rows]
    rows = [row for frame in injected for row in tables.rows_of(frame)]
    for name in worlds.names:
        own = WORLD_PREFIX + name
        published = Published(
            structure.loc[structure["representation"] == own],
            linear.loc[linear["representation"] == own],
            decision.keys, decision.lag_frames, section.window_frames,
        )  # fmt: skip
        rows += published_rows(name, make_world(name, worlds.seed), truths.get(name, []), published)
    decided = decide_all(structure, linear, decision, statistics.confidence)
    power = [
        PowerRow(*row)
        for row in read_table(arguments.power, PowerRow._fields).itertuples(index=False)
    ]
    covered = [
        CoverageRow(*row)
        for row in read_table(arguments.coverage, CoverageRow._fields).itertuples(index=False)
    ]
    verdicts = tables.world_verdicts(decided)
    table = tables.calibration_table(rows, verdicts, power, covered, limits)
    matrix = tables.sabotage_matrix(read_table(arguments.sabotage, tables.SABOTAGE_COLUMNS))
    document = tables.calibration_document(table, matrix, power, covered)
    LOG.info("%d of %d rows fail", document["num_failing"], document["num_rows"])
    write_csv(arguments.table, table, CALIBRATION, arguments.manifest())
    write_json(arguments.document, {**document, "manifest": arguments.manifest(worlds.seed)})


if __name__ == "__main__":
    _cli.run(main)
