"""Per-speaker sums of the structure stage -> what keys explain and what they add to ridge.

Everything is a table of cells by speakers, so that one pass gives every number and every
paired difference with the speaker as the unit (SCIENCE 3, 11).

Shapes: C cells (key, codebook size, lag, slice, subspace, control), S speakers of one part.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.stats.estimate import Estimate, Uncertain, fieller_quotient, t_interval
from engram_audio.stats.ratio import complement, quotient, ratio_of_sums

CELL = ["key", "codebook_size", "lag_frames", "slice", "subspace", "control"]
PLACE = ["codebook_size", "lag_frames", "slice", "subspace"]  # where a key meets its oracle
KEY_CELL = ["key", "codebook_size", "lag_frames", "slice", "control"]
SUMS = [
    "num_frames", "num_excluded", "sse_zero", "sse_key", "cost_key", "sse_linear", "sse_joint",
    "cost_joint", "nats_influence", "information_nats", "num_informed",
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
    """Gather the score rows of one part (`val`, `select` or `eval`) into dense tables."""
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


def matching_rows(cells: pd.DataFrame, wanted: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return for each wanted row the row of `cells` that agrees in the columns, -1 where none.

    Raises:
        ValueError: Two rows of `cells` agree.
    """
    rows = {place: row for row, place in enumerate(_places(cells, columns))}
    if len(rows) != len(cells):
        raise ValueError(f"rows that should be one of a kind agree in {', '.join(columns)}")
    return np.array([rows.get(place, -1) for place in _places(wanted, columns)], dtype=np.intp)


def _places(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """Yield what each row holds in the columns; on small tables much faster than an index."""
    return zip(*(frame[name].tolist() for name in columns), strict=True)


def rows_of(estimate: Estimate, rows: np.ndarray) -> Estimate:
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

    What fitting the cells costs is taken off everywhere but in `ratio` (`joint.fitting_cost`).

    Attributes:
        cube: The sums they come from.
        ratio: Squared error about train cell means over that about the train grand mean.
        explained: 1 - ratio, corrected.
        linear_r2: What ridge on the context explains.
        added: What cells and context together explain beyond ridge, of all variance.
        cost: What the correction of `added` is, of all variance.
        oracle_rows: Row of the target oracle with as many cells at the same place, -1 where none.
        attainable: The oracle's `added`.
        added_fraction: added / attainable; NaN where nothing is attainable.
        added_nats: Nats per frame that cells add to ridge, with one variance per dimension.
        information: Nats per frame that the cell tells about the target, at most ln K.
    """

    cube: ScoreCube
    ratio: Estimate
    explained: Estimate
    linear_r2: Estimate
    added: Estimate
    cost: np.ndarray
    oracle_rows: np.ndarray
    attainable: Estimate
    added_fraction: Estimate
    added_nats: Estimate
    information: Estimate


def estimate_part(cube: ScoreCube, keys: pd.DataFrame, part: str) -> PartEstimates:
    """Estimate everything that one part of one representation says by itself.

    Args:
        cube: Its sums.
        keys: The key table of the same representation and split.
        part: `val`, `select` or `eval`.
    """
    sums = cube.sums
    zero = sums["sse_zero"]
    added = ratio_of_sums(sums["sse_linear"] - sums["sse_joint"] + sums["cost_joint"], zero)
    oracle = is_oracle(cube.cells.loc[:, "key"]) & (cube.cells["control"] == "none").to_numpy()
    places = np.flatnonzero(oracle)
    found = matching_rows(cube.cells.loc[oracle], cube.cells, PLACE)
    oracle_rows = np.where(found < 0, -1, places[found] if len(places) else -1)
    attainable = rows_of(added, oracle_rows)
    return PartEstimates(
        cube=cube,
        ratio=ratio_of_sums(sums["sse_key"], zero),
        explained=complement(ratio_of_sums(sums["sse_key"] - sums["cost_key"], zero)),
        linear_r2=complement(ratio_of_sums(sums["sse_linear"], zero)),
        added=added,
        cost=ratio_of_sums(sums["cost_joint"], zero).value,
        oracle_rows=oracle_rows,
        attainable=attainable,
        added_fraction=_where(attainable.value > 0, quotient(added, attainable)),
        added_nats=_added_nats(cube, keys, part),
        information=ratio_of_sums(sums["information_nats"], sums["num_informed"]),
    )


def _where(known: np.ndarray, estimate: Estimate) -> Estimate:
    return Estimate(
        np.where(known, estimate.value, np.nan),
        np.where(known[:, None], estimate.influence, np.nan),
        np.where(known[:, None], estimate.share, 0.0),
    )


def _added_nats(cube: ScoreCube, keys: pd.DataFrame, part: str) -> Estimate:
    """Return the nats of all dimensions; the step that saw the dimensions has the influences."""
    rows = matching_rows(keys, cube.cells, KEY_CELL)
    values = keys[f"added_nats_{part}"].to_numpy(float)
    whole = (cube.cells["subspace"] == "all").to_numpy() & (rows >= 0)
    nats = np.where(whole, values[rows], np.nan)
    frames = cube.sums["num_frames"]
    share = ratio_of_sums(frames, frames).share
    return _where(np.isfinite(nats), Estimate(nats, cube.sums["nats_influence"], share))


class TransferLoss(NamedTuple):
    """1 - added(eval) / added(val) with its interval, each shape [...]."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def transfer_loss(on_eval: Uncertain, on_val: Uncertain, confidence: float) -> TransferLoss:
    """Return how much of what a key adds is lost on speakers never heard.

    The speakers of the two parts differ, so the quotient has a Fieller interval. All is NaN where
    val is not surely above 0: nothing is there that could be lost.
    """
    surely = t_interval(on_val, confidence).low > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(surely, on_eval.value / on_val.value, np.nan)
    bounds = fieller_quotient(on_eval, on_val, confidence)
    low, high = (np.where(surely, end, np.nan) for end in bounds)
    return TransferLoss(1 - kept, 1 - high, 1 - low)
