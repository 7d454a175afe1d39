"""Settings of the comparison of codecs: which rows, which ladders, how reconstruction is scored."""

from pydantic import Field

from engram_audio.section import Section


class OverlapControls(Section):
    """Twins of a representation that differ from it in one control of the extraction only."""

    permuted: str | None = Field(
        description="The same codec on audio of permuted blocks (permute_blocks_s), or null."
    )
    truncated: str | None = Field(
        description="The same codec on the last context_s seconds only, or null."
    )


class ComparedSection(Section):
    """What stands side by side; every name is a representation that is predicted."""

    representations: tuple[str, ...] = Field(description="Rows of codecs.csv, in this order.")
    ladders: dict[str, tuple[str, ...]] = Field(
        description="Lines of the frontier: compared representations from coarse to fine."
    )
    controls: dict[str, OverlapControls] = Field(
        description="Overlap twins of compared representations."
    )


class ReconstructionSection(Section):
    """How decoded speech is scored."""

    num_utterances: int = Field(
        ge=1, description="Eval utterances decoded, dealt evenly over the eval speakers."
    )
    maximum_duration_s: float = Field(
        gt=0, description="Utterances are cut to this; PESQ and STOI need about a second."
    )


class CodecComparisonSection(Section):
    """Rows and reconstruction, frozen separately."""

    compared: ComparedSection
    reconstruction: ReconstructionSection
