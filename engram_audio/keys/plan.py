"""Which files of fitted keys a configuration asks for."""

from collections.abc import Callable, Iterable
from typing import Any

from engram_audio.keys.config import KeysSettings, family_of


def keys_file(representation: str, split_seed: int | str, family: str, folder: str) -> str:
    """The fitted keys of a family."""
    return f"<results>/{folder}/{representation}/split-{split_seed}/{family}.safetensors"


class KeysPlan:
    """Fitted keys: one file for each representation, split and family that something names."""

    def __init__(self, settings: KeysSettings, lags_frames: Iterable[int]) -> None:
        """Keep the used families, and the lags that some stage asks for."""
        self.families = list(settings.library)
        self._lagged = {name for name, row in settings.library.items() if row.NEEDS_TARGETS}
        self.lags = sorted(set(lags_frames))

    def fitted_at(self, lags_frames: list[int]) -> Callable[[Any], list[int]]:
        """The fact of a job: its lags; none where the keys of its family are those of every lag."""
        return lambda wildcards: lags_frames if wildcards.family in self._lagged else []

    def of_family(self, folder: str) -> Callable[[Any], list[str]]:
        """Input function: the keys of a job's family; nothing for an oracle."""

        def paths(wildcards: Any) -> list[str]:
            if wildcards.family not in self.families:
                return []
            return [
                keys_file(wildcards.representation, wildcards.split_seed, wildcards.family, folder)
            ]

        return paths

    def file_of(self, key: str, representation: str, split_seed: int | str) -> str:
        """The file that holds a key of a base representation."""
        return keys_file(representation, split_seed, family_of(key), "keys")
