"""Settings of the report."""

from pydantic import Field

from engram_audio.quantities import Count, CountOrZero, Duration, Text
from engram_audio.section import Section


class ReportSection(Section):
    """What the page shows; no scientific value lives here."""

    title: Text = Field(description="Title of the page.")
    num_players: CountOrZero = Field(le=40, description="Audio examples to embed.")
    player_duration_s: Duration = Field(le=20, description="Length of each example, seconds.")
    is_verified: bool = Field(
        default=False,
        description="Whether what decides is recomputed without the package at the end.",
    )
    maximum_table_rows: Count = Field(
        default=400, le=5000, description="Rows of one table embedded in the page."
    )
