"""Settings of codecs: one model per family, told apart by `kind`."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engram_audio.codecs.fitted_config import (
    CodecKind,
    CodecLadderSection,
    MelPcaCodecSettings,
    MelVaeCodecSettings,
    VaeCodecSettings,
)
from engram_audio.kinds import Plugin
from engram_audio.quantities import Count, Name, Names, Text
from engram_audio.section import Section

LOCAL_PREFIXES = ("./", "../", "/")
LYRA_FILES = ("soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite")


class HubCodecSettings(CodecKind):
    """What codecs with a checkpoint on the Hugging Face hub, or in a local folder, share."""

    uses_torch: ClassVar[bool] = True

    kind: Any
    checkpoint: Text = Field(
        description="Hub id (`kyutai/mimi`), or a local folder that begins with `./`, `../` or `/`."
    )
    revision: Text | None = Field(
        pattern=r"^[0-9a-f]{40}$",
        description="Pinned hub commit (40 hex digits); null for a local folder.",
    )
    weights_sha256: Text | None = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 that the weight file must have; null accepts a local folder's file.",
    )

    @property
    def is_local(self) -> bool:
        """Whether `checkpoint` is a folder and not a hub id."""
        return self.checkpoint.startswith(LOCAL_PREFIXES)

    def files(self, downloads: str = "") -> list[str]:
        """Return weights and configuration: in the local folder, else where downloads go."""
        folder = self.checkpoint.removeprefix("./") if self.is_local else downloads
        return [f"{folder}/model.safetensors", f"{folder}/config.json"]

    @property
    def is_downloaded(self) -> bool:
        """See `CodecKind.is_downloaded`."""
        return not self.is_local

    def files_of(self, codec: str) -> list[str]:
        """See `CodecKind.files_of`."""
        return self.files(f"data/codecs/{codec}")

    def check(self, key: str, corpora: Collection[str], split_seeds: Collection[int]) -> None:
        """See `CodecKind.check`: what is downloaded is pinned."""
        for name in ("revision", "weights_sha256"):
            if self.is_downloaded and getattr(self, name) is None:
                raise ValueError(
                    f"{key}.{name}: {self.checkpoint} is downloaded, so it must be pinned; write "
                    "its commit and the SHA-256 of its weights, or name a local folder"
                )

    @model_validator(mode="after")
    def _check_revision(self) -> Self:
        if self.is_local and not set(self.checkpoint.split("/")) - {"", ".", ".."}:
            raise ValueError(
                f"checkpoint {self.checkpoint!r} names no folder; write ./ and its name"
            )
        if self.is_local and self.revision is not None:
            raise ValueError("revision must be null when checkpoint is a local folder")
        return self


class MimiCodecSettings(HubCodecSettings):
    """Mimi through transformers."""

    MODULE: ClassVar[str] = "engram_audio.codecs.mimi"

    kind: Literal["mimi"]
    latent_space: Literal["pre_quantizer", "projected", "codebooks"] = Field(
        description="Encoder output, its continuous projection, or the sum of n codebooks."
    )
    num_codebooks: Count | None = Field(
        le=32, description="n for latent_space `codebooks`, otherwise null."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.latent_space == "codebooks") != (self.num_codebooks is not None):
            raise ValueError(
                "num_codebooks belongs to latent_space 'codebooks' and must be null otherwise"
            )
        return self


class PocketTtsCodecSettings(HubCodecSettings):
    """The Pocket-TTS tokenizer (the VAE of CALM) through transformers."""

    MODULE: ClassVar[str] = "engram_audio.codecs.pocket_tts"

    kind: Literal["pocket_tts"]


class PocketTtsPackageCodecSettings(HubCodecSettings):
    """The Pocket-TTS tokenizer through the pocket-tts package, from the package's checkpoints."""

    MODULE: ClassVar[str] = "engram_audio.codecs.pocket_tts_package"

    kind: Literal["pocket_tts_package"]
    weights_file: Text | None = Field(
        description="Weight file in the hub repository (`languages/english/model.safetensors`); "
        "null for a local folder, which holds model.safetensors and config.yaml."
    )
    package_config: Text | None = Field(
        pattern=r"^[A-Za-z0-9_-]+$",
        description="The package's configuration that belongs to the weights (`english_2026-10`); "
        "null for a local folder.",
    )

    def files(self, downloads: str = "") -> list[str]:
        """Return weights and configuration: in the local folder, else where downloads go."""
        weights, config = super().files(downloads)
        return [weights, str(Path(config).with_suffix(".yaml")) if self.is_local else config]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("weights_file", "package_config"):
            if self.is_local != (getattr(self, name) is None):
                raise ValueError(f"{name} belongs to a hub checkpoint, and is null for a folder")
        return self


class EncodecCodecSettings(HubCodecSettings):
    """EnCodec, the mono 24 kHz model, through transformers."""

    MODULE: ClassVar[str] = "engram_audio.codecs.encodec"

    kind: Literal["encodec"]


class DacCodecSettings(HubCodecSettings):
    """DAC at 16, 24 or 44.1 kHz through transformers; not causal."""

    MODULE: ClassVar[str] = "engram_audio.codecs.dac"

    kind: Literal["dac"]


class VibeVoiceCodecSettings(HubCodecSettings):
    """The VibeVoice acoustic tokenizer through transformers."""

    MODULE: ClassVar[str] = "engram_audio.codecs.vibevoice"

    kind: Literal["vibevoice"]


class LyraCodecSettings(CodecKind):
    """Lyra 2 SoundStream as TFLite graphs."""

    MODULE: ClassVar[str] = "engram_audio.codecs.lyra"
    uses_torch: ClassVar[bool] = False

    kind: Literal["lyra"]
    weights_dir: Text = Field(
        description="Folder with soundstream_encoder.tflite, lyragan.tflite and quantizer.tflite."
    )
    num_quantizers: Literal[16, 30, 46] | None = Field(
        description="Quantise the latents (3.2 / 6.0 / 9.2 kb/s), or null for continuous latents."
    )

    def files_of(self, codec: str) -> list[str]:
        """See `CodecKind.files_of`."""
        return [f"{self.weights_dir}/{name}" for name in LYRA_FILES]


class PluginCodecSettings(Plugin, CodecKind):
    """A codec that another package brings (docs/extend.md)."""

    GROUP: ClassVar[str] = "engram_audio.codecs"
    FUNCTIONS: ClassVar[tuple[str, ...]] = ("load",)

    weights: Names = Field(
        description="Files that the plugin loads; a changed file makes the latents again."
    )
    uses_torch: bool = Field(description="Whether it can use a GPU through torch.")

    def files_of(self, codec: str) -> list[str]:
        """See `CodecKind.files_of`."""
        return list(self.weights)


CodecSettings = (
    MimiCodecSettings
    | PocketTtsCodecSettings
    | PocketTtsPackageCodecSettings
    | EncodecCodecSettings
    | DacCodecSettings
    | VibeVoiceCodecSettings
    | LyraCodecSettings
    | MelPcaCodecSettings
    | MelVaeCodecSettings
    | VaeCodecSettings
    | PluginCodecSettings
)
CodecSection = Annotated[CodecSettings, Field(discriminator="kind")]


class CodecsSettings(Section):
    """Codecs: a codec runs where a representation that is used names it."""

    library: dict[Name, CodecSection] = Field(description="Codecs by name.")
    ladders: dict[Name, CodecLadderSection] = Field(
        description="Trained codecs at several weights of their KL."
    )


def check_codecs(
    codecs: Mapping[str, CodecSettings],
    corpora: Collection[str],
    split_seeds: Collection[int],
) -> None:
    """Check what the codecs that are used name.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    for name, codec in codecs.items():
        codec.check(f"codecs.library.{name}", corpora, split_seeds)
