"""Switch planted bugs on, one at a time, and note which calibration rows fail."""

import logging

from engram_audio.artifacts.table import write_table
from engram_audio.calibration.config import SabotageSection, WorldsSection
from engram_audio.keys.config import KeysSection
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.structure.config import DecisionSection, ScoredFamily, StructureSection
from engram_audio.trust.measurement import Analysis
from engram_audio.trust.sabotage import sabotage_rows
from engram_audio.trust.tables import sabotage_frame

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    section: Frozen[SabotageSection]
    worlds_section: Frozen[WorldsSection]
    structure_section: Frozen[StructureSection]
    decision_section: Frozen[DecisionSection]
    statistics_section: Frozen[StatisticsSection]
    keys_section: Frozen[KeysSection]
    family_sections: Frozen[dict[str, ScoredFamily]]
    sabotage: Output


def main(argv: list[str] | None = None) -> None:
    """Read the sections; write every calibration row under every bug."""
    files = Files.parse(argv)
    families = {name.split(".")[-1]: family for name, family in files.family_sections.items()}
    analysis = Analysis(
        files.structure_section,
        files.keys_section,
        families,
        files.worlds_section.keys,
        files.decision_section.lag_frames,
        files.statistics_section,
    )
    rows = sabotage_rows(files.section, analysis)
    LOG.info("%d rows", len(rows))
    write_table(files.sabotage, sabotage_frame(rows), files.manifest(files.section.seed))


if __name__ == "__main__":
    run(main)
