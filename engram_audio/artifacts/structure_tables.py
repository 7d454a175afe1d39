"""The parquet tables of the structure stage: read by analysis, and which columns they have."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from engram_audio.artifacts.identity import Analysis, read_identity
from engram_audio.artifacts.table import read_table

CELL = ("key", "codebook_size", "lag_frames", "slice")
SCORES = (
    *CELL, "subspace", "control", "part", "speaker_id", "num_frames", "num_excluded",
    "sse_zero", "sse_key", "cost_key", "sse_linear", "sse_joint", "cost_joint", "nats_influence",
    "information_nats", "num_informed",
)  # fmt: skip
KEYS = (
    *CELL, "control", "status", "num_cells", "num_effective_cells", "num_train_frames",
    "key_entropy_nats", "is_lower_bound", "added_nats_val", "added_nats_select",
    "added_nats_eval",
)  # fmt: skip
CURVES = (
    "key", "lag_frames", "slice", "part", "speaker_id", "kept_fraction", "matching", "num_frames",
    "sse_residual", "sse_total",
)  # fmt: skip
NGRAMS = ("key", "order", "minimum_count", "part", "num_ngrams", "num_covered")
LINEAR = (
    "model", "lag_frames", "slice", "part", "speaker_id", "num_frames", "sse_residual",
    "sse_total", "cosine_sum",
)  # fmt: skip


def group_by_analysis(paths: Iterable[Path]) -> dict[Analysis, list[Path]]:
    """Group table files by representation and split, keeping their order."""
    groups: dict[Analysis, list[Path]] = {}
    for path in paths:
        groups.setdefault(read_identity(path, Analysis), []).append(Path(path))
    return groups


def read_all(paths: Sequence[Path], columns: Sequence[str]) -> pd.DataFrame:
    """Read tables of one analysis into one frame (families of keys one after the other)."""
    return pd.concat(list(_frames(paths, columns)), ignore_index=True)


def _frames(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    for path in paths:
        yield read_table(path, columns)
