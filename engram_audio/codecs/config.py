"""Settings of codecs: one model per family, told apart by `kind`."""

from typing import Annotated, Literal

from pydantic import Field

from engram_audio.section import Section


class MimiCodecSettings(Section):
    """Mimi through transformers."""

    kind: Literal["mimi"]
    checkpoint: str = Field(description="Hub id (`kyutai/mimi`) or a local folder.")
    revision: str | None = Field(description="Pinned hub revision (40 hex digits); null for a folder.")
    weights_sha256: str | None = Field(
        description="SHA-256 of model.safetensors that the download must have; null for a folder."
    )
    latent_space: Literal["pre_quantizer", "projected", "codebooks"] = Field(
        description="Encoder output, its continuous projection, or the sum of n codebooks."
    )
    num_codebooks: int | None = Field(
        ge=1, le=32, description="n for latent_space `codebooks`, otherwise null."
    )


class LyraCodecSettings(Section):
    """Lyra 2 SoundStream as TFLite graphs."""

    kind: Literal["lyra"]
    weights_dir: str = Field(description="Folder with soundstream_encoder.tflite and lyragan.tflite.")
    num_quantizers: Literal[16, 30, 46] | None = Field(
        description="Quantise the latents (3.2 / 6.0 / 9.2 kb/s), or null for continuous latents."
    )


class MelPcaCodecSettings(Section):
    """Stacked log-mel frames and PCA fitted on the train split; Griffin-Lim decodes."""

    kind: Literal["mel_pca"]
    corpus: str = Field(description="Corpus whose train split fits the PCA.")
    split_seed: int = Field(description="Split whose train speakers fit the PCA.")
    sample_rate_hz: int = Field(gt=0, description="Rate the audio is resampled to.")
    num_mels: int = Field(ge=8, description="Mel bands.")
    hop_s: float = Field(gt=0, description="Hop of the short-time transform, seconds.")
    stack_hops: int = Field(ge=1, description="Hops stacked into one latent frame, without overlap.")
    num_components: int = Field(ge=1, description="PCA dimension D.")
    griffin_lim_iterations: int = Field(ge=1, description="Iterations of the decoder.")


CodecSection = Annotated[
    MimiCodecSettings | LyraCodecSettings | MelPcaCodecSettings, Field(discriminator="kind")
]
