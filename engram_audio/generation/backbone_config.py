"""Settings of a generator's backbone: sizes, head, how its input is noised, places of a memory."""

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engram_audio.generation.condition_config import ConditionSection
from engram_audio.generation.head_config import GeneratorHeadSection
from engram_audio.quantities import Count, Frames, InnerShare, NumLayers, ShareBelowOne, Width
from engram_audio.section import Section

WIDTH_STEP = 8  # widths of matched models; also a multiple of twice the heads
INPUT, SHORT, HEAD = "input", "short", "head"  # places of a memory beside `before_block_<n>`
OUTPUT = "output"  # where a memory adds to no state, but to the law of the next frame
BEFORE_BLOCK = "before_block_"


class _Noise(Section):
    """What the backbone reads in training."""

    IS_CLEAN: ClassVar[bool] = False


class NoNoise(_Noise):
    """The backbone reads clean frames."""

    IS_CLEAN: ClassVar[bool] = True

    kind: Literal["none"]


class FixedNoise(_Noise):
    """In training every frame that the backbone reads has the same share of noise."""

    kind: Literal["fixed"]
    share: InnerShare = Field(description="Share k of the variance that is noise.")


class UniformNoise(_Noise):
    """In training every frame that the backbone reads has a share of noise drawn from U(0, 1)."""

    kind: Literal["uniform"]


AnyNoise = NoNoise | FixedNoise | UniformNoise
NoiseSection = Annotated[AnyNoise, Field(discriminator="kind")]


class GeneratorSettings(Section):
    """A causal transformer over latents, with its head and how its input is noised."""

    width: Width = Field(ge=8, description="Units d of the hidden state.")
    mlp_units: Width = Field(description="Hidden units of each block's MLP.")
    num_blocks: NumLayers = Field(description="Blocks of attention and MLP.")
    num_heads: Count = Field(le=1024, description="Attention heads; each has an even width.")
    context_frames: Frames = Field(ge=2, description="Frames c that attention looks back on.")
    chunk_frames: Frames = Field(ge=2, description="Longest sequence of training.")
    burn_in_frames: Frames = Field(description="Frames at a sequence's head that are not scored.")
    short_context_frames: Frames | None = Field(
        description="Clean frames that a second, short attention sees; null: there is none."
    )
    dropout: ShareBelowOne = Field(description="Dropout of what attention and MLP add.")
    noise: NoiseSection
    key_reads: Literal["noised", "clean"] = Field(
        description="noised: the key reads what the backbone reads. clean: it reads true frames, "
        "which is a short context in itself and needs a control."
    )
    head: GeneratorHeadSection
    is_checkpointed: bool = Field(
        default=False,
        description="Whether the backward pass makes anew what each block held: less memory, a "
        "third more work in training, the same numbers.",
    )

    condition: ConditionSection | None = Field(
        default=None, description="Text and speaker prompt before the frames. null: neither."
    )

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.width % (2 * self.num_heads):
            raise ValueError(
                f"width: {self.width} units do not give {self.num_heads} heads an even width; take "
                f"a multiple of {2 * self.num_heads}"
            )
        return self

    @model_validator(mode="after")
    def _check_frames(self) -> Self:
        if self.burn_in_frames >= self.chunk_frames:
            raise ValueError(
                f"burn_in_frames: {self.burn_in_frames} leave nothing of chunk_frames "
                f"{self.chunk_frames} to be scored; shorten the burn-in"
            )
        if self.context_frames > self.chunk_frames:
            raise ValueError(
                f"context_frames: {self.context_frames} must not exceed chunk_frames "
                f"{self.chunk_frames}: training would never see so old a frame"
            )
        short = self.short_context_frames
        if short is not None and short > self.context_frames:
            raise ValueError(
                f"short_context_frames: {short} must not exceed context_frames "
                f"{self.context_frames}"
            )
        return self

    @property
    def prefix_length(self) -> int:
        """Positions before the first frame that hold text and prompt."""
        return 0 if self.condition is None else self.condition.prefix_length

    @property
    def width_step(self) -> int:
        """The step in which matched models grow wider."""
        return math.lcm(WIDTH_STEP, 2 * self.num_heads)


def place_before(number: int) -> str:
    """Return the place before block `number`, counted from 0."""
    return INPUT if number == 0 else f"{BEFORE_BLOCK}{number + 1}"
