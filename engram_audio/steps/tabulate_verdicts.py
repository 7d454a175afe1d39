"""Publish what every stage answers: one row per verdict, in verdicts.csv and verdicts.json."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import write_csv
from engram_audio.comparison import verdicts as comparison
from engram_audio.factorizer import verdicts as factorizer
from engram_audio.memory import verdicts as memory
from engram_audio.prediction import verdicts as prediction
from engram_audio.report.published_tables import table_of_file
from engram_audio.rollout import verdicts as rollout
from engram_audio.rollout.config import RolloutBarsSection
from engram_audio.steps import _cli
from engram_audio.structure import verdicts as structure
from engram_audio.structure.config import DecisionSection
from engram_audio.trust import verdicts as trust
from engram_audio.verdicts.chain import in_order, verdict_table
from engram_audio.verdicts.columns import VERDICTS
from engram_audio.verdicts.row import VerdictRow

LOG = logging.getLogger(__name__)


def verdict_rows(
    tables: Mapping[str, pd.DataFrame],
    documents: Mapping[str, dict[str, Any]],
    registered: DecisionSection,
    bars: RolloutBarsSection,
) -> list[VerdictRow]:
    """Let every stage judge whose tables are there, and return all rows in order.

    Args:
        tables: Published tables by name. A stage without its table was not run.
        documents: `decision`, and `calibration` where worlds are simulated.
        registered: What was fixed before looking.
        bars: What a rollout method must reach.
    """
    name = registered.representation
    judges = {
        trust.STAGE: ("calibration", lambda t: trust.verdict_rows(t, documents["calibration"])),
        structure.STAGE: (
            "structure", lambda t: structure.verdict_rows(documents["decision"], t, registered),
        ),
        prediction.STAGE: ("prediction", lambda t: prediction.verdict_rows(t, name)),
        factorizer.STAGE: ("factorizer", lambda t: factorizer.verdict_rows(t, name)),
        comparison.STAGE: ("codecs", lambda t: comparison.verdict_rows(t, registered)),
        memory.STAGE: ("memory_verdict", lambda t: memory.verdict_rows(t, name)),
        rollout.STAGE: ("rollout", lambda t: rollout.verdict_rows(t, bars, name)),
    }  # fmt: skip
    found = {
        stage: judge(tables[table]) for stage, (table, judge) in judges.items() if table in tables
    }
    return in_order(found)


def main(argv: list[str] | None = None) -> None:
    """Read the published tables and documents; write both files."""
    arguments = _cli.parse_arguments(
        "tabulate_verdicts",
        __doc__,
        input_lists=["tables", "documents"],
        outputs=["table", "document"],
        argv=argv,
    )
    registered = arguments.load_section("decision_section", DecisionSection)
    bars = arguments.load_section("bars_section", RolloutBarsSection)
    tables = {path.stem: read_csv(path, table_of_file(path.name)) for path in arguments.tables}
    documents = {path.stem: read_json(path) for path in arguments.documents}
    rows = verdict_rows(tables, documents, registered, bars)
    for stage, outcomes in _outcomes(rows).items():
        LOG.info("%s: %s", stage, outcomes)
    write_csv(arguments.table, verdict_table(rows), VERDICTS, arguments.manifest())
    records = [row.record() for row in rows]
    write_json(arguments.document, {"rows": records, "manifest": arguments.manifest()})


def _outcomes(rows: list[VerdictRow]) -> dict[str, str]:
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row.stage, Counter())[row.outcome] += 1
    return {
        stage: ", ".join(f"{count} {outcome}" for outcome, count in found.items())
        for stage, found in counts.items()
    }


if __name__ == "__main__":
    _cli.run(main)
