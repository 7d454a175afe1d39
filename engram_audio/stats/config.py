"""Settings of intervals, the same for every published table."""

from pydantic import Field

from engram_audio.quantities import InnerShare
from engram_audio.section import Section


class StatisticsSection(Section):
    """How sampling error is stated: by t intervals over speakers."""

    confidence: InnerShare = Field(gt=0.5, description="Level of two-sided intervals.")
