"""Per-speaker sums of the structure stage -> variance ratios and what they are compared with.

Everything is a table of cells by speakers, so that one pass gives every ratio, every floor and
every paired difference with the speaker as the unit (SCIENCE 3, 11).

Shapes: C cells (key, codebook size, lag, slice, subspace, control), S speakers of one part.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.stats.estimate import Estimate, Uncertain, fieller_quotient
from engram_audio.stats.ratio import complement, quotient, ratio_of_sums

CELL = ["key", "codebook_size", "lag_frames", "slice", "subspace", "control"]
PLACE = ["codebook_size", "lag_frames", "slice", "subspace"]  # where a key meets its floor
SUMS = [
    "num_frames", "num_excluded", "sse_residual", "sse_total", "sse_excluded", "nats_saved",
    "nats_mean_part",
]  # fmt: skip


class ScoreCube(NamedTuple):
    """Sums of one part of one representation on one split.

    Attributes:
        cells: One row for each cell, sorted; columns `CELL`.
        speaker_ids: Sorted, shape [S].
        sums: One array [C, S] for each name in `SUMS`.
    """

    cells: pd.DataFrame
    speaker_ids: np.ndarray
    sums: dict[str, np.ndarray]


def score_cube(scores: pd.DataFrame, part: str) -> ScoreCube:
    """Gather the score rows of one part (`val` or `eval`) into dense tables."""
    return sum_cube(scores.loc[scores["part"] == part], CELL, SUMS)


def sum_cube(rows: pd.DataFrame, cell_columns: Sequence[str], sums: Sequence[str]) -> ScoreCube:
    """Gather long rows (one for each cell and speaker) into one array [C, S] for each sum."""
    columns = list(cell_columns)
    codes = rows.groupby(columns, sort=True, observed=True).ngroup().to_numpy()
    cells = rows.loc[:, columns].assign(code=codes).drop_duplicates("code").sort_values("code")
    speaker_ids, speakers = np.unique(rows["speaker_id"].to_numpy(str), return_inverse=True)
    tables = {}
    for name in sums:
        tables[name] = np.zeros((len(cells), len(speaker_ids)))
        np.add.at(tables[name], (codes, speakers), rows[name].to_numpy(np.float64))
    return ScoreCube(cells.loc[:, columns].reset_index(drop=True), speaker_ids, tables)


def on_speakers(cube: ScoreCube, speaker_ids: np.ndarray) -> ScoreCube:
    """Return the cube on another list of speakers; those it lacks get zeros (no data)."""
    places = np.searchsorted(speaker_ids, cube.speaker_ids)
    known = (places < len(speaker_ids)) & (
        speaker_ids[np.minimum(places, len(speaker_ids) - 1)] == cube.speaker_ids
    )
    sums = {}
    for name, values in cube.sums.items():
        sums[name] = np.zeros((len(values), len(speaker_ids)))
        sums[name][:, places[known]] = values[:, known]
    return ScoreCube(cube.cells, speaker_ids, sums)


def matching_rows(cells: pd.DataFrame, wanted: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return for each wanted row the row of `cells` that agrees in the columns, -1 where none."""
    index = pd.MultiIndex.from_frame(cells.loc[:, list(columns)])
    return index.get_indexer(pd.MultiIndex.from_frame(wanted.loc[:, list(columns)]))


def take(estimate: Estimate, rows: np.ndarray) -> Estimate:
    """Return the estimates of some cells; NaN and no speakers where the row is -1."""
    absent = rows < 0
    if not len(estimate.value):
        size = len(rows), estimate.influence.shape[-1]
        return Estimate(np.full(len(rows), np.nan), np.full(size, np.nan), np.zeros(size))
    return Estimate(
        np.where(absent, np.nan, estimate.value[rows]),
        np.where(absent[:, None], np.nan, estimate.influence[rows]),
        np.where(absent[:, None], 0.0, estimate.share[rows]),
    )


def is_oracle(keys: pd.Series) -> np.ndarray:
    """Whether each key is the target oracle: `<family>.<quantizer>`, it has no input."""
    return (keys.str.count(r"\.") == 1).to_numpy(bool)


class PartEstimates(NamedTuple):
    """All estimates of one part; each `Estimate` has one value for each cell.

    Attributes:
        cube: The sums they come from.
        ratio: Residual over total sum of squares, kept frames (the headline).
        ratio_all_frames: The same with excluded frames scored by the train grand mean: what a user
            of the key gets, whose unseen cells say nothing.
        floor_rows: Row of the target oracle with as many cells at the same place, -1 where none.
        floor: The oracle's ratio.
        explained_fraction: (1 - ratio) / (1 - floor); NaN where the floor is not below 1.
        nats_per_frame: Log score of the cells' Gaussians less the pooled one, kept frames.
        nats_mean_part: The share of it that is due to the cells' means.
    """

    cube: ScoreCube
    ratio: Estimate
    ratio_all_frames: Estimate
    floor_rows: np.ndarray
    floor: Estimate
    explained_fraction: Estimate
    nats_per_frame: Estimate
    nats_mean_part: Estimate


def estimate_part(cube: ScoreCube) -> PartEstimates:
    """Estimate everything that one part of one representation says by itself."""
    sums = cube.sums
    ratio = ratio_of_sums(sums["sse_residual"], sums["sse_total"])
    everywhere = ratio_of_sums(
        sums["sse_residual"] + sums["sse_excluded"], sums["sse_total"] + sums["sse_excluded"]
    )
    oracle = is_oracle(cube.cells.loc[:, "key"]) & (cube.cells["control"] == "none").to_numpy()
    places = np.flatnonzero(oracle)
    found = matching_rows(cube.cells.loc[oracle], cube.cells, PLACE)
    floor_rows = np.where(found < 0, -1, places[found] if len(places) else -1)
    floor = take(ratio, floor_rows)
    kept = sums["num_frames"] - sums["num_excluded"]
    return PartEstimates(
        cube=cube,
        ratio=ratio,
        ratio_all_frames=everywhere,
        floor_rows=floor_rows,
        floor=floor,
        explained_fraction=_explained_fraction(ratio, floor),
        nats_per_frame=ratio_of_sums(sums["nats_saved"], kept),
        nats_mean_part=ratio_of_sums(sums["nats_mean_part"], kept),
    )


def _explained_fraction(ratio: Estimate, floor: Estimate) -> Estimate:
    fraction = quotient(complement(ratio), complement(floor))
    attainable = floor.value < 1  # false for NaN too
    return Estimate(
        np.where(attainable, fraction.value, np.nan),
        np.where(attainable[:, None], fraction.influence, np.nan),
        np.where(attainable[:, None], fraction.share, 0.0),
    )


class TransferLoss(NamedTuple):
    """1 - explained(eval) / explained(val) with its interval, each shape [...]."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def transfer_loss(eval_ratio: Uncertain, val_ratio: Uncertain, confidence: float) -> TransferLoss:
    """Return how much of the explained variance is lost on speakers never seen.

    Both ratios are those of *all* frames. The speakers of the two parts differ, so the quotient has
    a Fieller interval; NaN where val explains nothing that could be lost (SCIENCE 3).
    """
    explained_eval = Uncertain(1 - eval_ratio.value, eval_ratio.se, eval_ratio.df)
    explained_val = Uncertain(1 - val_ratio.value, val_ratio.se, val_ratio.df)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = explained_eval.value / explained_val.value
    bounds = fieller_quotient(explained_eval, explained_val, confidence)
    return TransferLoss(1 - kept, 1 - bounds.high, 1 - bounds.low)
