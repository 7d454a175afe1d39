"""The published table of the structure stage: one row per key, lag, slice, subspace and part.

Rows start from the list of keys, so that a key which was not attempted has a row that says why.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.numerics.seeds import checksum_generator
from engram_audio.numerics.units import LN2
from engram_audio.stats.bootstrap import percentile_interval, resampled_ratios, speaker_weights
from engram_audio.stats.config import StatisticsSection
from engram_audio.structure.comparisons import (
    CONTROLS,
    PARTS,
    Analysed,
    add_control,
    add_surrogates,
    add_transfer,
    key_rows,
    put_estimate,
)
from engram_audio.structure.estimates import (
    CELL,
    PartEstimates,
    estimate_part,
    matching_rows,
    score_cube,
    take,
)

BOOTSTRAP_CELLS = 256  # cells resampled at a time; bounds memory at draws * cells numbers


class Unit(NamedTuple):
    """What turns nats per frame into other units."""

    frame_rate_hz: float
    num_dims: int


def analyse(scores: pd.DataFrame, keys: pd.DataFrame) -> Analysed:
    """Estimate both parts from the tables of `score_structure_keys`."""
    return Analysed(keys, {part: estimate_part(score_cube(scores, part)) for part in PARTS})


def structure_rows(
    analysed: Analysed,
    surrogates: Mapping[str, Analysed],
    linear: pd.DataFrame,
    unit: Unit,
    statistics: StatisticsSection,
    name: str,
) -> pd.DataFrame:
    """Return the rows of one representation on one split, without the columns that name it.

    Args:
        analysed: The representation.
        surrogates: Its surrogates on the same split, by kind.
        linear: Rows of `linear_rows` for the same representation and split.
        unit: Frame rate and dimension.
        statistics: Level of intervals, bootstrap draws and seed.
        name: Names the bootstrap's random numbers.
    """
    skeleton = _skeleton(analysed)
    tables = [
        _part_rows(skeleton, part, analysed, surrogates, unit, statistics, name) for part in PARTS
    ]
    add_transfer(tables[1], tables[0], analysed, skeleton, statistics.confidence)
    table = pd.concat(tables, ignore_index=True)
    return _add_linear_nulls(table, linear)


def _skeleton(analysed: Analysed) -> pd.DataFrame:
    keys = analysed.keys
    names = ["key", "codebook_size", "lag_frames", "slice", "status"]
    keys = keys.loc[keys["control"] == "none", names]
    cells = pd.concat([part.cube.cells for part in analysed.parts.values()], ignore_index=True)
    cells = cells.loc[cells["control"] == "none", [name for name in CELL if name != "control"]]
    rows = keys.merge(
        cells.drop_duplicates(), how="left", on=["key", "codebook_size", "lag_frames", "slice"]
    )
    rows["subspace"] = rows["subspace"].fillna("all")
    order = ["key", "lag_frames", "slice", "subspace"]
    return rows.sort_values(order, kind="stable").reset_index(drop=True).assign(control="none")


def _part_rows(
    skeleton: pd.DataFrame,
    part: str,
    analysed: Analysed,
    surrogates: Mapping[str, Analysed],
    unit: Unit,
    statistics: StatisticsSection,
    name: str,
) -> pd.DataFrame:
    estimates = analysed.parts[part]
    rows = matching_rows(estimates.cube.cells, skeleton, CELL)
    table = skeleton.drop(columns="control").assign(part=part)
    table = table.join(_counts(estimates, rows))
    level = statistics.confidence
    ratio = take(estimates.ratio, rows)
    fraction = take(estimates.explained_fraction, rows)
    put_estimate(table, "ratio", ratio, level)
    put_estimate(table, "ratio_all_frames", take(estimates.ratio_all_frames, rows), level)
    table["floor"] = take(estimates.floor, rows).value
    put_estimate(table, "explained_fraction", fraction, level)
    for end, other in (("", ""), ("_low", "_high"), ("_high", "_low")):
        table[f"explained_variance_percent{end}"] = 100 * (1 - table[f"ratio{other}"])
    _add_bootstrap(table, estimates, rows, statistics, f"{name}/{part}")
    _add_key_columns(table, skeleton, analysed.keys, part)
    for control in CONTROLS:
        add_control(table, skeleton, analysed, part, control, level)
    add_surrogates(table, skeleton, fraction, estimates, surrogates, part, level)
    _add_nats(table, estimates, rows, unit, level)
    return table


def _counts(estimates: PartEstimates, rows: np.ndarray) -> pd.DataFrame:
    sums, absent = estimates.cube.sums, rows < 0
    frames, excluded = sums["num_frames"].sum(axis=1), sums["num_excluded"].sum(axis=1)
    counts = pd.DataFrame({"num_frames": frames, "num_excluded": excluded})
    counts["num_speakers"] = (sums["num_frames"] > 0).sum(axis=1)
    counts = counts.reindex(np.where(absent, -1, rows)).reset_index(drop=True)
    counts["excluded_mass"] = counts["num_excluded"] / counts["num_frames"]
    return counts


def _add_bootstrap(
    table: pd.DataFrame,
    estimates: PartEstimates,
    rows: np.ndarray,
    statistics: StatisticsSection,
    name: str,
) -> None:
    """Add percentile intervals of ratio and explained fraction (subspace `all` only)."""
    columns = [
        f"{quantity}_bootstrap_{end}"
        for quantity in ("ratio", "explained_fraction")
        for end in ("low", "high")
    ]
    table[columns] = np.nan
    chosen = np.flatnonzero((rows >= 0) & (table["subspace"] == "all").to_numpy())
    num_speakers = len(estimates.cube.speaker_ids)
    if num_speakers < 2:
        return
    rng = checksum_generator(statistics.seed, "bootstrap", name)
    weights = speaker_weights(num_speakers, statistics.bootstrap_draws, rng)
    for start in range(0, len(chosen), BOOTSTRAP_CELLS):
        block = chosen[start : start + BOOTSTRAP_CELLS]
        table.loc[block, columns] = _bootstrap_block(
            weights, estimates, rows[block], statistics.confidence
        )


def _bootstrap_block(
    weights: np.ndarray, estimates: PartEstimates, rows: np.ndarray, confidence: float
) -> np.ndarray:
    residual, total = (estimates.cube.sums[name] for name in ("sse_residual", "sse_total"))
    floors = estimates.floor_rows[rows]
    draws = resampled_ratios(weights, residual[rows], total[rows])
    lowest = resampled_ratios(weights, residual[floors], total[floors])
    lowest[:, floors < 0] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        fractions = np.where(lowest < 1, (1 - draws) / (1 - lowest), np.nan)
    intervals = percentile_interval(draws, confidence), percentile_interval(fractions, confidence)
    return np.stack([end for interval in intervals for end in interval], axis=1)


def _add_key_columns(
    table: pd.DataFrame, skeleton: pd.DataFrame, keys: pd.DataFrame, part: str
) -> None:
    """Add what is known for each key on all dimensions: corrections, own means, bits used."""
    of_key = key_rows(keys, skeleton, "none")
    for name in ("num_cells", "num_effective_cells", "num_train_frames", "key_entropy_nats"):
        table[name] = of_key[name]
    whole = (table["subspace"] == "all").to_numpy()
    excess = of_key[f"expected_null_ratio_excess_{part}"].to_numpy(float)
    table["ratio_df_corrected"] = table["ratio"] / (1 + excess)
    frames, cells = of_key[f"num_own_frames_{part}"], of_key[f"num_own_cells_{part}"]
    own = (of_key[f"sse_own_{part}"] / of_key[f"sse_own_total_{part}"]).where(whole)
    table["ratio_own_means"] = own
    free = (frames - cells).where(frames > cells)
    table["ratio_own_means_df_corrected"] = own * (frames - 1) / free
    with np.errstate(divide="ignore", invalid="ignore"):
        capacity = np.log(table["codebook_size"].to_numpy(float))
        table["bits_used_fraction"] = np.where(
            capacity > 0, table["key_entropy_nats"] / capacity, np.nan
        )


def _add_nats(
    table: pd.DataFrame, estimates: PartEstimates, rows: np.ndarray, unit: Unit, confidence: float
) -> None:
    put_estimate(table, "nats_per_frame", take(estimates.nats_per_frame, rows), confidence)
    table["nats_per_frame_mean_part"] = take(estimates.nats_mean_part, rows).value
    dims = [subspace_dims(name, unit.num_dims) for name in table["subspace"]]
    for end in ("", "_low", "_high"):
        nats = table[f"nats_per_frame{end}"]
        table[f"nats_per_dim{end}"] = nats / dims
        table[f"bits_per_s{end}"] = nats * unit.frame_rate_hz / LN2


def subspace_dims(subspace: str, num_dims: int) -> int:
    """Return the number of dimensions of `all` or `pc_<first>_<last>`."""
    match = re.fullmatch(r"pc_(\d+)_(\d+)", subspace)
    return int(match[2]) - int(match[1]) + 1 if match else num_dims


def _add_linear_nulls(table: pd.DataFrame, linear: pd.DataFrame) -> pd.DataFrame:
    """Add R^2 of ridge, AR(1) and white noise beside each row of all dimensions."""
    place = ["lag_frames", "slice", "part"]
    wide = linear.pivot_table(index=place, columns="model", values="r2", observed=True)
    wide = wide.reindex(columns=["ridge", "ar1", "white_noise"]).add_suffix("_r2").reset_index()
    merged = table.merge(wide.assign(subspace="all"), how="left", on=[*place, "subspace"])
    return merged
