"""What a study asks of the utterances of a corpus, known from its settings alone.

The plan writes these demands down, one list for each corpus. As soon as the splits exist they are
held against the utterances (`corpus/shortfalls.py`), before anything is encoded or trained.
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from engram_audio.quantities import Amount, Count, CountOrZero, Fractions, Seeds, Text
from engram_audio.section import Section
from engram_audio.views import SliceName

Part = Literal["train", "val", "eval"]


class Subject(NamedTuple):
    """What something is asked for.

    Attributes:
        name: Representation, or codec.
        corpus: Whose utterances it is made of.
        split_seeds: Splits that it is analysed on, the deciding one first.
        frame_rate_hz: Frames per second; None where only the loaded codec knows.
        frames_per_group: Of these frames, how many are in one that is analysed.
        num_dims: Dimensions; None where they are not known yet.
        has_var: Whether a VAR is fitted to it.
    """

    name: str
    corpus: str
    split_seeds: tuple[int, ...]
    frame_rate_hz: float | None
    frames_per_group: int = 1
    num_dims: int | None = None
    has_var: bool = False


class _Demand(Section):
    key: Text = Field(description="Configuration key that asks for it.")
    subject: Text = Field(description="Representation or codec that it is asked for.")
    split_seeds: Seeds = Field(min_length=1, description="Splits that it must hold on.")
    part: Part = Field(description="Part of the splits.")
    minimum: Count = Field(description="How many are needed.")
    purpose: Text = Field(description="Ends the sentence `... needed`, for example `for 5 folds`.")
    remedy: Text = Field(description="What to do.")


class SpeakersDemand(_Demand):
    """So many speakers in a part."""

    kind: Literal["speakers"] = "speakers"


class FramesDemand(_Demand):
    """So many frames in a part that have enough frames before them in their utterance."""

    kind: Literal["frames"] = "frames"
    frame_rate_hz: Amount = Field(description="Frames per second.")
    frames_per_group: Count = Field(
        default=1, description="Frames in one frame of what is analysed; a partial group is cut."
    )
    reach_frames: CountOrZero = Field(description="Frames that a counted frame has before it.")
    slice: SliceName = Field(default="all", description="Slice that is counted.")
    medial_range: Fractions = Field(default=(0.0, 1.0), description="Where `medial` lies.")
    minimum_per_dim: CountOrZero = Field(
        default=0, description="Frames more for each dimension of the latents."
    )
    num_dims: Count | None = Field(
        default=None, description="Dimensions; null where the arrays tell when they are listed."
    )


AnyDemand = Annotated[SpeakersDemand | FramesDemand, Field(discriminator="kind")]


class Demands(Section):
    """All that is asked of one corpus."""

    demands: tuple[AnyDemand, ...] = Field(min_length=1, description="One by one.")
