"""Settings of intervals, the same for every published table."""

from pydantic import Field

from engram_audio.section import Section


class StatisticsSection(Section):
    """How sampling error is stated; the unit of resampling is the speaker throughout."""

    confidence: float = Field(gt=0.5, lt=1, description="Level of two-sided intervals.")
    bootstrap_draws: int = Field(ge=100, description="Bootstrap resamples of speakers.")
    seed: int = Field(ge=0, description="Seed of the bootstrap.")
