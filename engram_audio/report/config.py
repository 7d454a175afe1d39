"""Settings of the report."""

from pydantic import Field

from engram_audio.section import Section


class ReportSection(Section):
    """What the page shows; no scientific value lives here."""

    title: str = Field(description="Title of the page.")
    num_players: int = Field(ge=0, le=40, description="Audio examples to embed.")
    player_duration_s: float = Field(gt=0, le=20, description="Length of each example, seconds.")
    maximum_table_rows: int = Field(
        default=1200, ge=1, le=5000, description="Rows of one table embedded in the page."
    )
