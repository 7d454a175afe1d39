"""Settings of codecs: one model per family, told apart by `kind`."""

import json
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engram_audio.errors import InputError
from engram_audio.section import Section

LOCAL_PREFIXES = ("./", "../", "/")


class MimiCodecSettings(Section):
    """Mimi through transformers."""

    uses_torch: ClassVar[bool] = True

    kind: Literal["mimi"]
    checkpoint: str = Field(
        description="Hub id (`kyutai/mimi`), or a local folder that begins with `./`, `../` or `/`."
    )
    revision: str | None = Field(
        pattern=r"^[0-9a-f]{40}$",
        description="Pinned hub commit (40 hex digits); null for a local folder.",
    )
    weights_sha256: str | None = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 that model.safetensors must have; null accepts a local folder's file.",
    )
    latent_space: Literal["pre_quantizer", "projected", "codebooks"] = Field(
        description="Encoder output, its continuous projection, or the sum of n codebooks."
    )
    num_codebooks: int | None = Field(
        ge=1, le=32, description="n for latent_space `codebooks`, otherwise null."
    )

    @property
    def is_local(self) -> bool:
        """Whether `checkpoint` is a folder and not a hub id."""
        return self.checkpoint.startswith(LOCAL_PREFIXES)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.latent_space == "codebooks") != (self.num_codebooks is not None):
            raise ValueError(
                "num_codebooks belongs to latent_space 'codebooks' and must be null otherwise"
            )
        if self.is_local and self.revision is not None:
            raise ValueError("revision must be null when checkpoint is a local folder")
        return self


class LyraCodecSettings(Section):
    """Lyra 2 SoundStream as TFLite graphs."""

    uses_torch: ClassVar[bool] = False

    kind: Literal["lyra"]
    weights_dir: str = Field(
        description="Folder with soundstream_encoder.tflite, lyragan.tflite and quantizer.tflite."
    )
    num_quantizers: Literal[16, 30, 46] | None = Field(
        description="Quantise the latents (3.2 / 6.0 / 9.2 kb/s), or null for continuous latents."
    )


class MelPcaCodecSettings(Section):
    """Stacked log-mel frames and PCA fitted on the train split; Griffin-Lim decodes.

    Stacks share no samples: every window lies inside its own stack, whose ends are mirrored.
    """

    uses_torch: ClassVar[bool] = False

    kind: Literal["mel_pca"]
    corpus: str = Field(description="Corpus whose train split fits the PCA.")
    split_seed: int = Field(description="Split whose train speakers fit the PCA.")
    sample_rate_hz: int = Field(gt=0, description="Rate the audio is resampled to.")
    num_mels: int = Field(ge=8, description="Mel bands.")
    hop_s: float = Field(gt=0, description="Hop of the short-time transform, seconds.")
    window_s: float = Field(gt=0, description="Window of the short-time transform, seconds.")
    stack_hops: int = Field(ge=1, description="Hops stacked into one frame, without overlap.")
    magnitude_floor: float = Field(
        gt=0, description="Smallest magnitude before the logarithm; full scale is 1."
    )
    num_components: int = Field(ge=1, description="PCA dimension D.")
    griffin_lim_iterations: int = Field(ge=1, description="Iterations of the decoder.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.hop_s <= self.window_s <= self.hop_s * self.stack_hops:
            raise ValueError("window_s must lie between hop_s and the stack, hop_s * stack_hops")
        if self.num_components > self.num_mels * self.stack_hops:
            raise ValueError("num_components must not exceed num_mels * stack_hops")
        return self


CodecSection = Annotated[
    MimiCodecSettings | LyraCodecSettings | MelPcaCodecSettings, Field(discriminator="kind")
]


def codec_model(
    text: str,
) -> type[MimiCodecSettings] | type[LyraCodecSettings] | type[MelPcaCodecSettings]:
    """Return the model of a codec's frozen section by its `kind`.

    Raises:
        InputError: The text is no section of a codec.
    """
    try:
        kind = json.loads(text)["kind"]
        if kind == "mimi":
            return MimiCodecSettings
        return {"lyra": LyraCodecSettings, "mel_pca": MelPcaCodecSettings}[kind]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"codecs: not a codec section ({error}); freeze it again") from error
