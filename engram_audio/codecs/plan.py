"""Which codecs a configuration has, and which files hold their weights."""

from collections.abc import Mapping
from typing import Any

from engram_audio.codecs.config import CodecSettings
from engram_audio.corpus.plan import pattern, splits_file


class CodecPlan:
    """Codecs by name."""

    def __init__(self, codecs: Mapping[str, CodecSettings]) -> None:
        """Keep the settings of all codecs, members of ladders among them."""
        self._codecs = codecs

    def settings(self, codec: str) -> CodecSettings:
        """Settings of a codec."""
        return self._codecs[codec]

    def downloaded(self) -> str:
        """Regular expression of the codecs whose checkpoint is downloaded; may match nothing."""
        return pattern([name for name, row in self._codecs.items() if row.is_downloaded])

    def fitted(self) -> str:
        """Regular expression of the codecs that are fitted in closed form; may match nothing."""
        rows = self._codecs.items()
        return pattern([name for name, row in rows if row.fitted_on and not row.TRAINER])

    def trained(self) -> str:
        """Regular expression of the codecs that the workflow trains; may match nothing."""
        return pattern([name for name, row in self._codecs.items() if row.TRAINER])

    def fitted_on(self, codec: str) -> tuple[str, int]:
        """Corpus and split seed whose train speakers fit a codec."""
        fitted_on = self._codecs[codec].fitted_on
        if fitted_on is None:
            raise KeyError(f"{codec} is not fitted")
        return fitted_on

    def fit_splits(self, wildcards: Any) -> str:
        """The splits whose train part fits a codec."""
        return splits_file(*self.fitted_on(wildcards.codec))

    def fit_utterances(self, wildcards: Any) -> str:
        """The utterances of the corpus that fits a codec."""
        return f"<results>/corpus/{self.fitted_on(wildcards.codec)[0]}/utterances.parquet"

    def files(self, codec: str) -> list[str]:
        """Files that hold a codec's weights."""
        return self._codecs[codec].files_of(codec)

    def files_of_user(self, codec: str) -> list[str]:
        """Those of these files that no rule makes: a path in the configuration names them."""
        row = self._codecs[codec]
        return [] if row.fitted_on or row.is_downloaded else self.files(codec)

    def trainer_code(self, wildcards: Any) -> tuple[tuple[str, ...], str]:
        """The task that trains a codec, and no plugin's code."""
        trainer = self._codecs[wildcards.codec].TRAINER
        if not trainer:
            raise KeyError(f"{wildcards.codec} is not trained")
        return (trainer,), ""
