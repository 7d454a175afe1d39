"""Tables of the structure stage; their columns are described in docs/files-between-steps.md.

Shapes: P parts, S speakers, G subspaces, E effective cells.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.structure.cells import Labeling
from engram_audio.structure.curves import confidence_ranks, curve_sums
from engram_audio.structure.normalization import Normalization
from engram_audio.structure.scoring import ScoredLabeling, cell_summary
from engram_audio.structure.speaker_sums import ALONE, WITH_LINEAR, SpeakerSums
from engram_audio.structure.targets import EVAL, PARTS, TRAIN, SliceTargets

SCORE_COLUMNS = (
    "key", "codebook_size", "lag_frames", "slice", "subspace", "control", "part", "speaker_id",
    "num_frames", "num_excluded", *ALONE, *WITH_LINEAR, "nats_influence", "information_nats",
    "num_informed",
)  # fmt: skip
KEY_COLUMNS = (
    "key", "codebook_size", "lag_frames", "slice", "control", "status", "num_cells",
    "num_effective_cells", "num_train_frames", "key_entropy_nats", "is_lower_bound",
    *(f"added_nats_{part}" for part in PARTS[1:]),
)  # fmt: skip
CELL_COLUMNS = (
    "key", "lag_frames", "slice", "cell", "num_train_frames", "num_eval_frames",
    "train_variance_ratio", "eval_variance_ratio", "mean_pc1", "mean_pc2",
)  # fmt: skip
CURVE_COLUMNS = (
    "key", "lag_frames", "slice", "part", "speaker_id", "kept_fraction", "matching", "num_frames",
    "sse_residual", "sse_total",
)  # fmt: skip
NGRAM_COLUMNS = ("key", "order", "minimum_count", "part", "num_ngrams", "num_covered")
TEXT_COLUMNS = {"key", "slice", "subspace", "control", "part", "speaker_id", "status", "matching"}
EXCLUDED_CELL = -1  # the row of the cell table that gathers what is not effective


class Place(NamedTuple):
    """Where a key was scored."""

    key: str
    codebook_size: int
    lag_frames: int
    slice: str


class TableBuilder:
    """Collects columns of equal length and joins them once."""

    def __init__(self, columns: Sequence[str]) -> None:
        """Remember the columns and their order."""
        self._columns = tuple(columns)
        self._pieces: list[dict[str, Any]] = []

    def add(self, length: int, columns: Mapping[str, Any]) -> None:
        """Add `length` rows; scalars are repeated."""
        if set(columns) != set(self._columns):
            raise ValueError(f"columns {sorted(columns)} are not {sorted(self._columns)}")
        if length:
            self._pieces.append({name: _column(value, length) for name, value in columns.items()})

    def extend(self, other: "TableBuilder") -> None:
        """Add all rows of another builder of the same columns."""
        self._pieces += other._pieces

    def frame(self) -> pd.DataFrame:
        """Return all rows in the order in which they were added; text is text without rows too."""
        if not self._pieces:
            types = {
                name: "string" if name in TEXT_COLUMNS else "float64" for name in self._columns
            }
            return pd.DataFrame({name: pd.array([], dtype=dtype) for name, dtype in types.items()})
        return pd.DataFrame(
            {name: np.concatenate([one[name] for one in self._pieces]) for name in self._columns}
        )


def _column(value: Any, length: int) -> np.ndarray:
    dtype = object if isinstance(value, str) else None
    return np.full(length, value, dtype=dtype)


def add_scores(
    builder: TableBuilder, place: Place, control: str, sums: SpeakerSums,
    subspaces: Sequence[str], speaker_ids: np.ndarray,
) -> None:  # fmt: skip
    """Add one row per part, speaker with frames, and subspace.

    What is known for all dimensions alone is NaN in a subspace, and where it was not scored.
    """
    part, speaker = np.nonzero(sums.num_frames)
    names = np.array(PARTS, dtype=object)[part]
    unknown = np.full(len(part), np.nan)
    known = np.isfinite(sums.nats[part])
    for number, subspace in enumerate(subspaces):
        values = {
            name: sums.sums[name][part, speaker, number] if name in sums.sums else unknown
            for name in (*ALONE, *WITH_LINEAR)
        }
        influence = np.where(known, sums.nats_influence[part, speaker], np.nan)
        builder.add(
            len(part),
            {
                **place._asdict(),
                "subspace": subspace,
                "control": control,
                "part": names,
                "speaker_id": speaker_ids[speaker],
                "num_frames": sums.num_frames[part, speaker],
                "num_excluded": sums.num_excluded[part, speaker],
                **values,
                "nats_influence": influence if number == 0 else unknown,
                "information_nats": sums.information[part, speaker] if number == 0 else unknown,
                "num_informed": sums.num_informed[part, speaker] * (number == 0),
            },
        )


class KeyOutcome(NamedTuple):
    """What a key's row says once it was scored."""

    labeling: Labeling
    speakers: SpeakerSums
    is_lower_bound: bool


def add_key(
    builder: TableBuilder, place: Place, control: str, targets: SliceTargets,
    outcome: KeyOutcome | str,
) -> None:  # fmt: skip
    """Add the row of a key: what was fitted, or why it was not attempted."""
    row: dict[str, Any] = {
        **place._asdict(),
        "control": control,
        "num_cells": place.codebook_size,
        "num_train_frames": targets.count(TRAIN),
    }
    nats = [f"added_nats_{part}" for part in PARTS[1:]]
    if isinstance(outcome, str):
        row |= {"status": outcome, "num_effective_cells": 0, "key_entropy_nats": float("nan")}
        row |= {"is_lower_bound": False, **dict.fromkeys(nats, float("nan"))}
    else:
        row |= {
            "status": "ok",
            "num_effective_cells": outcome.labeling.num_effective,
            "key_entropy_nats": outcome.labeling.entropy,
            "is_lower_bound": outcome.is_lower_bound,
            **dict(zip(nats, outcome.speakers.nats[1:].tolist(), strict=True)),
        }
    builder.add(1, row)


def add_cells(
    builder: TableBuilder, place: Place, scored: ScoredLabeling, targets: SliceTargets,
    normalization: Normalization,
) -> None:  # fmt: skip
    """Add one row per effective cell, and one (cell -1) that counts what is excluded."""
    columns = cell_summary(scored, normalization)
    where = {"key": place.key, "lag_frames": place.lag_frames, "slice": place.slice}
    builder.add(len(columns["cell"]), {**where, **columns})
    excluded = {
        f"num_{name}_frames": targets.count(part) - int(columns[f"num_{name}_frames"].sum())
        for part, name in ((TRAIN, "train"), (EVAL, "eval"))
    }
    unknown = {
        name: float("nan")
        for name in ("train_variance_ratio", "eval_variance_ratio", "mean_pc1", "mean_pc2")
    }
    builder.add(1, {**where, "cell": EXCLUDED_CELL, **excluded, **unknown})


def add_curves(
    builder: TableBuilder, place: Place, scored: ScoredLabeling, sure: np.ndarray | None,
    targets: SliceTargets, fractions: tuple[float, ...], speaker_ids: np.ndarray, has_energy: bool,
) -> None:  # fmt: skip
    """Add the confidence curve of the eval speakers, per matching and kept share.

    `sure` is the key's confidence in each eval target; without it the size of the cell is.
    """
    labeling, scores = scored.sums.labeling, scored.eval_scores
    if scores is None:
        return
    is_eval = targets.part == EVAL
    codes = labeling.codes[is_eval]
    kept = codes < labeling.num_effective
    if sure is None:
        confidence = labeling.counts[TRAIN][codes[kept]].astype(np.float64)
    else:
        confidence = sure[kept].astype(np.float64)
    speaker = targets.speaker[is_eval][kept]
    energy = targets.eval_energy[kept]
    for matching, ranks in confidence_ranks(confidence, energy, has_energy).items():
        counts, sums = curve_sums(ranks, fractions, scores[kept], speaker, len(speaker_ids))
        place_of, speaker_of = np.nonzero(counts)
        builder.add(
            len(place_of),
            {
                "key": place.key,
                "lag_frames": place.lag_frames,
                "slice": place.slice,
                "part": PARTS[EVAL],
                "speaker_id": speaker_ids[speaker_of],
                "kept_fraction": np.array(fractions)[place_of],
                "matching": matching,
                "num_frames": counts[place_of, speaker_of],
                "sse_residual": sums[place_of, speaker_of, 0],
                "sse_total": sums[place_of, speaker_of, 1],
            },
        )
