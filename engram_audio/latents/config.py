"""Settings of representations: where a named sequence of latents comes from."""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from engram_audio.choices import chosen, require
from engram_audio.quantities import (
    MAXIMUM_FRAME_RATE_HZ,
    MINIMUM_FRAME_RATE_HZ,
    Amount,
    Count,
    CountOrZero,
    Duration,
    Frames,
    Listed,
    Name,
    Names,
    Seed,
    Text,
)
from engram_audio.section import Section

VarName = Literal["var", "var_resampled"]
CompressionName = Literal["none", "zstd", "blosc"]
SurrogateName = Literal["shuffled", "phase_randomized", "var", "var_resampled"]
VAR_TWINS: tuple[str, ...] = get_args(VarName)
SURROGATE_NAMES: tuple[str, ...] = get_args(SurrogateName)
MAXIMUM_SPEAKERS = 10_000  # of a planted world, which is held in memory
MAXIMUM_UTTERANCES = 1000  # of one of its speakers


class _Representation(Section):
    """What all representations share.

    Attributes:
        fits_nothing: Whether nothing in its making was fitted on train speakers.
    """

    fits_nothing: ClassVar[bool] = True

    # Only the study reads it, to know which artifacts exist: left out of the frozen section, so
    # that one more surrogate makes no latent again.
    surrogates: Listed[SurrogateName] = Field(
        default=(),
        exclude=True,
        description="Surrogates made and analysed beside it: " + ", ".join(SURROGATE_NAMES) + ".",
    )

    compression: CompressionName = Field(
        default="none",
        description="How chunks of its shards are packed: none, zstd, or blosc (zstd after a"
        " shuffle of bits). Surrogates are packed the same way. Changes no number.",
    )

    @property
    def made_of(self) -> str | None:
        """The representation that it is made of; None where it stands by itself."""
        return getattr(self, "source", None)

    @property
    def made_by(self) -> tuple[str, str] | None:
        """Corpus and codec that it is made of; None for all but a codec's latents."""
        return None

    def check_source(self, key: str, source: "RepresentationSection") -> None:
        """Refuse what it cannot be made of.

        Args:
            key: The dotted key that names the source.
            source: The section of the source.

        Raises:
            ValueError: Names the key and the remedy.
        """


class CodecRepresentation(_Representation):
    """Latents of a codec on a corpus."""

    kind: Literal["codec"]
    corpus: Text = Field(description="Name under corpora.")
    codec: Text = Field(description="Name under codecs.library, or a member of codecs.ladders.")
    permute_blocks_s: Duration | None = Field(
        description="Overlap control: permute audio blocks this long before encoding, or null.",
    )
    context_s: Duration | None = Field(
        default=None,  # off, as in every study before this control existed
        description="Overlap control: encode every frame from the last so many seconds of audio"
        " only, whole frames; null: the whole clip.",
    )

    @property
    def made_by(self) -> tuple[str, str] | None:
        """See `_Representation.made_by`."""
        return self.corpus, self.codec


class ArraysRepresentation(_Representation):
    """Latents that a user brings."""

    kind: Literal["arrays"]
    path: Text = Field(
        description="Folder of .npy/.npz files per utterance, or one zarr store; left out, it is "
        "the top key `path`."
    )
    table: Text = Field(
        description="CSV with utterance_id, speaker_id and optionally sex, file, frame_rate_hz; "
        "left out, it is the top key `table`."
    )
    frame_rate_hz: float = Field(
        ge=MINIMUM_FRAME_RATE_HZ, le=MAXIMUM_FRAME_RATE_HZ, description="Frames per second."
    )
    latent_space: Text = Field(description="What the vectors are, for the report.")
    is_causal: bool = Field(
        description="Whether frame t is made without later samples: declared, not measured."
    )
    overlap_frames: Count | None = Field(
        default=None,
        description="Frames that share input samples with a frame, itself included: 1 where none"
        " do; null or left out: unknown.",
    )
    num_shards: Count = Field(le=999, description="Shards of whole speakers.")
    minimum_frames: Count = Field(
        default=2, ge=2, description="Shorter utterances are excluded: without a step, at least."
    )


class WorldRepresentation(_Representation):
    """A planted world with a known answer (reference of the calibration stage)."""

    kind: Literal["world"]
    world: Text = Field(description="Name of a world in engram_audio.calibration.")
    num_train_speakers: Count = Field(
        ge=2, le=MAXIMUM_SPEAKERS, description="Speakers of the train split."
    )
    num_eval_speakers: Count = Field(
        ge=2, le=MAXIMUM_SPEAKERS, description="Speakers of the eval split."
    )
    num_utterances_per_speaker: Count = Field(
        ge=2, le=MAXIMUM_UTTERANCES, description="Utterances per speaker."
    )
    seed: Seed = Field(description="Seed of the world.")


class StateRepresentation(_Representation):
    """z_dyn of a trained factoriser."""

    fits_nothing: ClassVar[bool] = False  # the factoriser is trained

    kind: Literal["state"]
    source: Text = Field(description="Representation that was factorised.")
    factorizer: Text = Field(description="Variant of factorizer.variants, or a sweep's point.")
    seed: Seed = Field(description="Training seed.")
    is_sampled: bool = Field(
        default=False,
        description="Whether a charged z_dyn is one sample of its posterior, as a generator of it "
        "needs (generation.factorized), and not the posterior's mean.",
    )


class ResampledRepresentation(_Representation):
    """Another representation at a lower frame rate: groups of its frames."""

    kind: Literal["resampled"]
    source: Text = Field(description="Representation whose frames are grouped.")
    frames_per_group: Count = Field(
        ge=2, le=100, description="Frames of the source in one frame; a partial last group is cut."
    )
    mode: Literal["stack", "average", "average_residual"] = Field(
        description="stack: side by side; average: their mean, the rest is dropped;"
        " average_residual: mean and contrasts by an orthonormal map."
    )

    def check_source(self, key: str, source: "RepresentationSection") -> None:
        """See `_Representation.check_source`."""
        if source.kind == "resampled":
            raise ValueError(
                f"{key}: {self.source} is resampled already; name its source {source.source} and "
                f"multiply frames_per_group ({self.frames_per_group * source.frames_per_group})"
            )


class NoisyRepresentation(_Representation):
    """Another representation through a channel that adds Gaussian noise."""

    fits_nothing: ClassVar[bool] = False  # the scale of the channel is measured

    kind: Literal["noisy"]
    source: Text = Field(description="Representation that noise is added to.")
    noise_to_signal: Amount = Field(
        description="SD of the noise as a share of each dimension's train SD."
    )
    seed: Seed = Field(description="Seed of the noise; each utterance has its own stream.")

    def check_source(self, key: str, source: "RepresentationSection") -> None:
        """See `_Representation.check_source`."""
        if source.kind in ("resampled", "noisy"):
            raise ValueError(
                f"{key}: {self.source} is {source.kind}; add noise once, to {source.made_of}, and "
                "resample what comes out"
            )


RepresentationSection = Annotated[
    CodecRepresentation
    | ArraysRepresentation
    | WorldRepresentation
    | StateRepresentation
    | ResampledRepresentation
    | NoisyRepresentation,
    Field(discriminator="kind"),
]


class ExtractionSection(Section):
    """How latents are extracted and checked, the same for every codec."""

    batch_duration_s: Duration = Field(description="Audio per batch, seconds of padded waveform.")
    guard_frames: CountOrZero = Field(
        description="Zero frames after each clip of a batch, cropped."
    )
    batch_tolerance: Amount = Field(
        description="Largest |batch - single| and |past after the future changed| accepted, in SD.",
    )
    seed: Seed = Field(description="Seed of the self-tests and of the overlap control.")


class SurrogatesSection(Section):
    """How surrogates are made."""

    var_order: Frames = Field(description="Order p of the VAR surrogate.")
    seed: Seed = Field(description="Seed of all surrogates.")


class RepresentationsSettings(Section):
    """Named sequences of vectors: which of them are analysed, and how they are made."""

    analysed: Names = Field(
        min_length=1, description="What every analysis runs on, in this order; surrogates follow."
    )
    library: dict[Name, RepresentationSection] = Field(description="Representations by name.")
    extraction: ExtractionSection
    surrogates: SurrogatesSection


LinkSection = Annotated[
    CodecRepresentation | ResampledRepresentation | NoisyRepresentation,
    Field(discriminator="kind"),
]


Rows = Mapping[str, RepresentationSection]
SURROGATE_MARK = "--"  # <representation>--<surrogate>


def used_rows(names: Iterable[str], library: Rows) -> dict[str, RepresentationSection]:
    """Return the rows of some names, in their order, then what these are made of.

    Raises:
        ValueError: A name or a source has no row, a source makes no sense, or leads in a circle.
    """
    rows = chosen("representations.analysed", names, library, "representations.library")
    for name in list(rows):
        chain, row = [name], library[name]
        while (source := row.made_of) is not None:
            key = f"representations.library.{chain[-1]}.source"
            if SURROGATE_MARK in source:
                raise ValueError(
                    f"{key}: {source} is a surrogate; name its base, and list the surrogate under "
                    "this row's own `surrogates`"
                )
            require(key, source, library)
            row.check_source(key, library[source])
            if source in chain:
                circle = " -> ".join([*chain, source])
                raise ValueError(f"{key}: leads in a circle ({circle})")
            chain.append(source)
            row = rows.setdefault(source, library[source])
    return rows


def check_rows(
    rows: Rows, corpora: Collection[str], codecs: Collection[str], worlds: Collection[str]
) -> None:
    """Check names of corpora, codecs and worlds in the rows that are used.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    for name, row in rows.items():
        key = f"representations.library.{name}"
        if row.made_by is not None:
            corpus, codec = row.made_by
            require(f"{key}.corpus", corpus, corpora)
            require(f"{key}.codec", codec, codecs)
        elif name in corpora:
            raise ValueError(
                f"{key}: brings its own utterances, so it must not share its name with a corpus; "
                "rename one of them"
            )
        if row.kind == "world":
            require(f"{key}.world", row.world, worlds)
