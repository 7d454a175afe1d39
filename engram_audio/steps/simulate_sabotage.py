"""Switch planted bugs on, one at a time, and note which calibration rows fail."""

import logging

from engram_audio.artifacts.table import write_table
from engram_audio.calibration.config import SabotageSection
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps import _cli
from engram_audio.structure.config import DecisionSection, StructureSection, parse_key_family
from engram_audio.trust.measurement import Analysis
from engram_audio.trust.sabotage import sabotage_rows
from engram_audio.trust.tables import sabotage_frame

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Read the sections; write every calibration row under every bug."""
    arguments = _cli.parse_arguments(
        "simulate_sabotage",
        __doc__,
        outputs=["sabotage"],
        argv=argv,
    )
    section = arguments.load_section("section", SabotageSection)
    structure = arguments.load_section("structure_section", StructureSection)
    decision = arguments.load_section("decision_section", DecisionSection)
    statistics = arguments.load_section("statistics_section", StatisticsSection)
    families = {
        name.split(".")[-1]: parse_key_family(text, name)
        for name, text in arguments.texts_of("family_sections").items()
    }
    analysis = Analysis(structure, families, decision.keys, decision.lag_frames, statistics)
    rows = sabotage_rows(section, analysis)
    LOG.info("%d rows", len(rows))
    write_table(arguments.sabotage, sabotage_frame(rows), arguments.manifest(section.seed))


if __name__ == "__main__":
    _cli.run(main)
