"""Judge the published numbers by both gates: PROCEED, STOP or UNDECIDED, in decision.json."""

import logging

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.published import read_csv
from engram_audio.errors import InputError
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps import _cli
from engram_audio.structure.columns import LINEAR, STRUCTURE
from engram_audio.structure.config import DecisionSection
from engram_audio.structure.decision import decide_all, decision_document

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Read two sections and two tables; write the decision."""
    arguments = _cli.parse_arguments(
        "decide",
        __doc__,
        inputs=["structure_table", "linear_table"],
        outputs=["decision"],
        argv=argv,
    )
    section = arguments.load_section("section", DecisionSection)
    statistics = arguments.load_section("statistics", StatisticsSection)
    structure = read_csv(arguments.structure_table, STRUCTURE)
    if section.representation not in set(structure["representation"]):
        raise InputError(
            f"decision.representation: {section.representation} has no row in "
            f"{arguments.structure_table}; rerun tabulate_structure"
        )
    linear = read_csv(arguments.linear_table, LINEAR)
    decided = decide_all(structure, linear, section, statistics.confidence)
    for name, one in decided.items():
        LOG.info("%s: %s", name, one.verdict)
    document = decision_document(decided, section)
    write_json(arguments.decision, {**document, "manifest": arguments.manifest()})


if __name__ == "__main__":
    _cli.run(main)
