"""Which codecs a configuration has, and which files hold their weights."""

from collections.abc import Mapping
from typing import Any

from engram_audio.codecs.config import (
    CodecSettings,
    HubCodecSettings,
    LyraCodecSettings,
    PluginCodecSettings,
)
from engram_audio.codecs.fitted_config import (
    FittedCodecSettings,
    MelPcaCodecSettings,
    TrainedCodecSettings,
)
from engram_audio.corpus.plan import pattern, splits_file

LYRA_FILES = ("soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite")


class CodecPlan:
    """Codecs by name."""

    def __init__(self, codecs: Mapping[str, CodecSettings]) -> None:
        """Keep the settings of all codecs, rungs of ladders among them."""
        self._codecs = codecs

    def settings(self, codec: str) -> CodecSettings:
        """Settings of a codec."""
        return self._codecs[codec]

    def downloaded(self) -> str:
        """Regular expression of the codecs whose checkpoint is downloaded; may match nothing."""
        rows = self._codecs.items()
        return pattern(
            [n for n, row in rows if isinstance(row, HubCodecSettings) and not row.is_local]
        )

    def fitted(self) -> str:
        """Regular expression of the mel_pca codecs; may match nothing."""
        return self._of_model(MelPcaCodecSettings)

    def trained(self) -> str:
        """Regular expression of the codecs that the workflow trains; may match nothing."""
        return self._of_model(TrainedCodecSettings)

    def _of_model(self, model: type[FittedCodecSettings]) -> str:
        return pattern([name for name, row in self._codecs.items() if isinstance(row, model)])

    def fitted_codec(self, codec: str) -> FittedCodecSettings:
        """Settings of a codec that the workflow fits or trains."""
        settings = self._codecs[codec]
        if not isinstance(settings, FittedCodecSettings):
            raise KeyError(f"{codec} is not fitted")
        return settings

    def fit_splits(self, wildcards: Any) -> str:
        """The splits whose train part fits a codec."""
        settings = self.fitted_codec(wildcards.codec)
        return splits_file(settings.corpus, settings.split_seed)

    def fit_utterances(self, wildcards: Any) -> str:
        """The utterances of the corpus that fits a codec."""
        return f"<results>/corpus/{self.fitted_codec(wildcards.codec).corpus}/utterances.parquet"

    def files(self, codec: str) -> list[str]:
        """Files that hold a codec's weights."""
        settings = self._codecs[codec]
        if isinstance(settings, LyraCodecSettings):
            return [f"{settings.weights_dir}/{name}" for name in LYRA_FILES]
        if isinstance(settings, FittedCodecSettings):
            return [f"<results>/codecs/{codec}/weights.safetensors"]
        if isinstance(settings, PluginCodecSettings):
            return list(settings.weights)
        return settings.files(f"data/codecs/{codec}")

    def files_of_user(self, codec: str) -> list[str]:
        """Those of these files that no rule makes: a path in the configuration names them."""
        settings = self._codecs[codec]
        is_made = isinstance(settings, FittedCodecSettings) or (
            isinstance(settings, HubCodecSettings) and not settings.is_local
        )
        return [] if is_made else self.files(codec)

    def trainer_code(self, wildcards: Any) -> tuple[tuple[str, ...], str]:
        """The task that trains a codec, and no plugin's code."""
        return (self._codecs[wildcards.codec].TRAINER,), ""
