"""The verdicts of synthetic tables, judged by the stages' own code."""

from engram_audio.report.data import ReportData
from engram_audio.rollout.config import RolloutBarsSection
from engram_audio.steps.tabulate_verdicts import verdict_rows
from engram_audio.structure.config import DecisionSection
from engram_audio.verdicts.chain import verdict_table
from tests.unit.generation_tables import generation_bars

BARS = {
    "minimum_kept": 0.9, "minimum_skill": 0.95, "maximum_lost_nats": 0.02,
    "maximum_lost_skill": 0.005, "maximum_excess_ratio": 0.05,
    "maximum_excess_distance": 0.005, "maximum_excess_autocorrelation": 0.03,
    "maximum_excess_spectrum": 0.2, "maximum_excess_diverged": 0.02,
    "maximum_excess_frozen": 0.02, "maximum_excess_off_support": 0.02,
    "maximum_excess_tail": 0.02,
}  # fmt: skip
GENERATION_BARS = generation_bars(0.05)
BARS_SECTION = RolloutBarsSection.model_validate(BARS, strict=False)


def judged(data: ReportData) -> ReportData:
    """Return the data with the verdicts that its tables and bars make."""
    registered = DecisionSection.model_validate(data.sections["decision"], strict=False)
    tables = {name: table for name, table in data.tables.items() if name != "verdicts"}
    rows = verdict_rows(
        tables, data.documents, registered, BARS_SECTION, 0.95, GENERATION_BARS, data.question
    )
    return data._replace(tables={**tables, "verdicts": verdict_table(rows)})
