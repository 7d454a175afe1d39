"""Judge the published numbers by both gates: PROCEED, STOP or UNDECIDED, in decision.json."""

import logging
from pathlib import Path

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.published import read_csv
from engram_audio.errors import InputError
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.structure.columns import LINEAR, STRUCTURE
from engram_audio.structure.config import DecisionSection
from engram_audio.structure.decision import decide_all, decision_document

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    section: Frozen[DecisionSection]
    statistics: Frozen[StatisticsSection]
    structure: Path
    linear: Path
    decision: Output


def main(argv: list[str] | None = None) -> None:
    """Read two sections and two tables; write the decision."""
    files = Files.parse(argv)
    section = files.section
    structure = read_csv(files.structure, STRUCTURE)
    if section.representation not in set(structure["representation"]):
        raise InputError(
            f"decision.representation: {section.representation} has no row in "
            f"{files.structure}; rerun tabulate_structure"
        )
    linear = read_csv(files.linear, LINEAR)
    decided = decide_all(structure, linear, section, files.statistics.confidence)
    for name, one in decided.items():
        LOG.info("%s: %s", name, one.verdict)
    document = decision_document(decided, section)
    write_json(files.decision, {**document, "manifest": files.manifest()})


if __name__ == "__main__":
    run(main)
