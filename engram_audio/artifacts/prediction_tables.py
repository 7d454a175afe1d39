"""The parquet tables of the prediction stage: where they lie."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from engram_audio.artifacts.table import read_table
from engram_audio.errors import InputError


class Scored(NamedTuple):
    """A table file: representation, what was scored (a head, or `nulls`), seed, lag (0: all)."""

    representation: str
    scored: str
    seed: int
    lag_frames: int
    path: Path


def locate(path: Path) -> Scored:
    """Read `.../prediction/<rep>/lag-<k>/<head>/seed-<s>/x` or `.../<rep>/nulls/seed-<s>/x`.

    Raises:
        InputError: The path has another form.
    """
    parts = Path(path).parts
    try:
        seed = int(parts[-2].removeprefix("seed-"))
        if parts[-3] == "nulls":
            return Scored(parts[-4], "nulls", seed, 0, Path(path))
        return Scored(parts[-5], parts[-3], seed, int(parts[-4].removeprefix("lag-")), Path(path))
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: not a path of the prediction stage; check the rule") from error


def join(paths: Iterable[Path], columns: tuple[str, ...]) -> pd.DataFrame:
    """Read tables and put them one after the other."""
    frames = [read_table(path, columns) for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(columns))
