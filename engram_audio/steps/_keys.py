"""Read fitted keys; shared by the steps of structure, memory and rollout."""

from pathlib import Path

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.keys.fitted import FittedFamily
from engram_audio.keys.storage import unpack_family


def read_family(path: Path) -> FittedFamily:
    """Read the keys that `fit_keys` wrote.

    Raises:
        InputError: Missing, damaged, or another schema version.
    """
    arrays, header = read_bundle(path)
    return unpack_family(arrays, header["fitted"])
