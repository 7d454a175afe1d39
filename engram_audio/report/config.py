"""Settings of the report."""

from pydantic import Field

from engram_audio.section import Section


class ReportSection(Section):
    """What the page shows; no scientific value lives here."""

    title: str = Field(description="Title of the page.")
    num_players: int = Field(ge=0, le=40, description="Audio examples to embed.")
    player_duration_s: float = Field(gt=0, le=20, description="Length of each example, seconds.")
