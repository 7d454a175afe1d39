"""Settings of intervals, the same for every published table."""

from typing import Self

from pydantic import Field, model_validator

from engram_audio.quantities import Count, InnerShare, Seed
from engram_audio.section import Section


class StatisticsSection(Section):
    """How sampling error is stated; the unit of resampling is the speaker throughout."""

    confidence: InnerShare = Field(gt=0.5, description="Level of two-sided intervals.")
    bootstrap_draws: Count = Field(ge=100, description="Bootstrap resamples of speakers.")
    seed: Seed = Field(description="Seed of the bootstrap.")

    @model_validator(mode="after")
    def _check_tails(self) -> Self:
        if self.bootstrap_draws * (1 - self.confidence) / 2 < 1:
            raise ValueError(
                f"bootstrap_draws: {self.bootstrap_draws} draws have none in a tail beyond "
                f"confidence {self.confidence:g}; draw more, or lower the confidence"
            )
        return self
