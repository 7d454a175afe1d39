"""Which files of corpora and splits a configuration asks for."""

from collections.abc import Mapping
from typing import Any

from engram_audio.corpus.config import CorpusSection

MATCHES_NOTHING = "(?!)"  # a regular expression that matches nothing: its rule makes nothing


def pattern(names: list[str]) -> str:
    """Return the regular expression of some names; it matches nothing where there are none."""
    return "|".join(names) or MATCHES_NOTHING


class CorpusPlan:
    """Corpora by name."""

    def __init__(self, corpora: Mapping[str, CorpusSection]) -> None:
        """Keep the settings of all corpora."""
        self._corpora = corpora

    def of_kinds(self, *kinds: str) -> str:
        """Regular expression of the corpora of some kinds; may match nothing."""
        return pattern([name for name, row in self._corpora.items() if row.kind in kinds])

    def num_shards(self, corpus: str) -> int:
        """How many shards a corpus has."""
        return self._corpora[corpus].num_shards

    def user_root(self, corpus: str) -> str | None:
        """The folder of a corpus of the user's own; None where a rule downloads it."""
        row = self._corpora[corpus]
        return None if row.downloaded else row.root

    def download_receipts(self, wildcards: Any) -> list[str]:
        """Receipts of the LibriSpeech subsets that a corpus wants downloaded."""
        subsets = self._corpora[wildcards.corpus].downloaded
        return [f"<results>/corpus/{wildcards.corpus}/download-{one}.json" for one in subsets]


def splits_file(corpus: str, seed: int | str) -> str:
    """The splits of a corpus."""
    return f"<results>/splits/{corpus}/seed-{seed}/splits.parquet"
