"""Settings of codecs: one model per family, told apart by `kind`."""

import json
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engram_audio.codecs.fitted_config import (
    MelPcaCodecSettings,
    MelVaeCodecSettings,
    VaeCodecSettings,
)
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


CodecSection = Annotated[
    MimiCodecSettings
    | LyraCodecSettings
    | MelPcaCodecSettings
    | MelVaeCodecSettings
    | VaeCodecSettings,
    Field(discriminator="kind"),
]


MODELS = {
    "mimi": MimiCodecSettings,
    "lyra": LyraCodecSettings,
    "mel_pca": MelPcaCodecSettings,
    "mel_vae": MelVaeCodecSettings,
    "vae": VaeCodecSettings,
}


def codec_model(text: str) -> type[CodecSection]:
    """Return the model of a codec's frozen section by its `kind`.

    Raises:
        InputError: The text is no section of a codec.
    """
    try:
        return MODELS[json.loads(text)["kind"]]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"codecs: not a codec section ({error}); freeze it again") from error
