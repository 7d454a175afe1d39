"""Where the files of the memory stage lie."""

from pathlib import Path
from typing import NamedTuple

from engram_audio.errors import InputError


class MemoryPlace(NamedTuple):
    """A file of one memory: representation, lag, base, memory, seed."""

    representation: str
    lag_frames: int
    base: str
    memory: str
    seed: int


def locate_memory(path: Path) -> MemoryPlace:
    """Read `.../memory/<representation>/lag-<k>/<base>/<memory>/seed-<s>/x`.

    Raises:
        InputError: The path has another form.
    """
    parts = Path(path).parts
    try:
        lag, seed = (int(parts[n].split("-")[1]) for n in (-5, -2))
        return MemoryPlace(parts[-6], lag, parts[-4], parts[-3], seed)
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: not a path of the memory stage; check the rule") from error
