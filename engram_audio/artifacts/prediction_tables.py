"""The parquet tables of the prediction stage: read together."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from engram_audio.artifacts.table import read_table


def join(paths: Iterable[Path], columns: tuple[str, ...]) -> pd.DataFrame:
    """Read tables and put them one after the other."""
    frames = [read_table(path, columns) for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(columns))
