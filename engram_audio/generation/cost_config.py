"""Settings of what the stage asks beside its word: what a gain costs, and what it is made of."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from engram_audio.generation.model_config import AnyInsertion, OutputInsertion, RowInsertion
from engram_audio.quantities import Amount, Count, InnerShare, Listed, Seed, ascending
from engram_audio.section import Section

Held = Literal["num_resident", "flops_generated"]
ProbeName = Literal["clamp", "flip", "donors", "visits", "drift", "readouts"]
REENCODING = "reencoding"  # asked by a step of its own, which needs the codec
Factor = Annotated[Amount, Field(gt=1, le=64)]


class LadderSection(Section):
    """Models without memory of more work than SM's, for the cost at fixed quality."""

    work_factors: Annotated[tuple[Factor, ...], AfterValidator(ascending)] = Field(
        min_length=1,
        description="Work of a generated frame over SM's, one model each. S, F and P belong to "
        "the ladder too.",
    )
    num_samples: Count = Field(
        ge=2, description="Draws of the next frame behind each energy score."
    )


class ShareSection(Section):
    """Models that hold one budget of SM and give shares of their numbers to rows."""

    shares: Annotated[tuple[InnerShare, ...], AfterValidator(ascending)] = Field(
        min_length=1, description="Rows' shares of all numbers; a share of 0 is trained beside."
    )
    held: Listed[Held] = Field(
        min_length=1,
        description="Budget of SM that every share has: numbers, or work of a frame. A dense "
        "number works twice a frame, so that both cannot stay.",
    )


class WiderSection(Section):
    """S with and without its memory, and F of it, in a wider backbone."""

    width_factor: Factor = Field(description="Width over that of the generator.")


class SizesSection(Section):
    """More sizes that are trained beside the arms."""

    ladder: LadderSection | None = Field(
        description="Larger models without memory: what SM's quality costs. null: none."
    )
    share_sweep: ShareSection | None = Field(
        description="Models of one budget with more and fewer rows. null: none."
    )
    wider: WiderSection | None = Field(
        description="A wider backbone, in which the gain has to survive. null: none."
    )

    @property
    def has_sizes(self) -> bool:
        """Whether any are trained."""
        return any(one is not None for one in (self.ladder, self.share_sweep, self.wider))


class ProbesSection(Section):
    """Questions to the trained arms: what is the gain made of?"""

    names: Listed[ProbeName | Literal["reencoding"]] = Field(
        description="Probes that are asked. clamp: constants in place of the gate. flip: another "
        "code at one frame. donors: rows of other codes. visits: gain by visits in train. drift: "
        "how far rows have moved. readouts: code and next frame from each block. reencoding: "
        "keys of generated frames that are decoded and encoded again, on the utterances that the "
        "page plays, of representations whose codec decodes. []: none."
    )
    num_frames: Count = Field(description="Frames at most that rows are changed at, or read out.")
    num_pairs: Count = Field(description="Pairs of frames at most whose codes are flipped.")
    seed: Seed = Field(description="Seed of frames, pairs and donors.")

    @property
    def has_reencoding(self) -> bool:
        """Whether generated frames are encoded again."""
        return REENCODING in self.names

    @property
    def of_arms(self) -> tuple[ProbeName, ...]:
        """Probes that the latents alone answer."""
        return tuple(name for name in self.names if name != REENCODING)


def has_shares(insertion: AnyInsertion) -> bool:
    """Whether the numbers of a memory's rows can be made more and fewer."""
    if not isinstance(insertion, RowInsertion):
        return False
    if isinstance(insertion, OutputInsertion):  # its rows are as wide as its bank
        return insertion.table_rows is not None
    return insertion.table_rows is not None or insertion.own_row_width is not None
