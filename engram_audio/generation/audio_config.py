"""Settings of what is decoded of generators, to be scored and heard."""

from typing import Annotated

from pydantic import AfterValidator, Field

from engram_audio.generation.model_config import ArmName
from engram_audio.quantities import (
    Amount,
    AmountOrZero,
    Count,
    CountOrZero,
    Duration,
    InnerShare,
    Listed,
    Names,
    Seed,
    ascending,
)
from engram_audio.section import Section


class AudioScoresSection(Section):
    """What is decoded of each generator, and when a score is read."""

    arms: Annotated[Listed[ArmName], Field(min_length=1)] = Field(
        description="Arms that are decoded, with every training seed."
    )
    num_utterances: Count = Field(
        ge=2, description="Eval utterances, dealt evenly over the eval speakers."
    )
    maximum_duration_s: Duration = Field(
        ge=2, le=15, description="Longer utterances are left out: words need the whole of one."
    )
    prompt_share: InnerShare = Field(
        description="Part of an utterance that is true before a free continuation."
    )
    injections_frames: Annotated[tuple[Count, ...], AfterValidator(ascending)] = Field(
        description="Draws go on from the true frame after every n draws. 1: one-step laws."
    )
    maximum_original_wer: AmountOrZero = Field(
        description="Words count only in utterances whose original is understood this well. "
        "Chosen by the original alone."
    )
    minimum_word_utterances: Count = Field(
        description="Below so many utterances nothing is read from words."
    )
    num_players: CountOrZero = Field(description="Utterances of each generator to listen to.")
    seed: Seed = Field(description="Seed of the draws, the same for every arm.")
    temperature: Amount = Field(
        default=1.0,
        le=10,
        description="What a head's variances of noise are multiplied by: those of its components, "
        "or of the noise that an energy or flow head reads.",
    )
    guidance: AmountOrZero = Field(
        default=1.0, le=10,
        description="Of generators with a condition: features are those without it, and this many "
        "times what it adds to them. 1: plain draws. Nothing is scored in nats under another one.",
    )  # fmt: skip


class AudioSection(AudioScoresSection):
    """Which generators are decoded."""

    representations: Names = Field(
        description="Of generation.representations, those that a codec decodes. []: none."
    )

    @property
    def scores(self) -> AudioScoresSection:
        """The part that a step reads."""
        return AudioScoresSection(
            **{name: getattr(self, name) for name in AudioScoresSection.model_fields}
        )
