"""The published table of the structure stage: one row per key, lag, slice, subspace and part.

Rows start from the list of keys, so that a key which was not attempted has a row that says why.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from engram_audio.numerics.units import LN2
from engram_audio.structure.comparisons import (
    CONTROLS,
    PARTS,
    Analysed,
    add_control,
    add_surrogates,
    add_transfer,
    key_rows,
    put_estimate,
    put_judged,
)
from engram_audio.structure.estimates import (
    CELL,
    PartEstimates,
    estimate_part,
    matching_rows,
    rows_of,
    score_cube,
)


def analyse(scores: pd.DataFrame, keys: pd.DataFrame) -> Analysed:
    """Estimate all parts from the tables of `score_structure_keys`."""
    return Analysed(keys, {p: estimate_part(score_cube(scores, p), keys, p) for p in PARTS})


def structure_rows(
    analysed: Analysed,
    surrogates: Mapping[str, Analysed],
    linear: pd.DataFrame,
    frame_rate_hz: float,
    confidence: float,
) -> pd.DataFrame:
    """Return the rows of one representation on one split, without the columns that name it.

    A part without any frame (`select` with few speakers) has no rows.

    Args:
        analysed: The representation.
        surrogates: Its surrogates on the same split, by kind.
        linear: Rows of `linear_rows` for the same representation and split.
        frame_rate_hz: Frames of a second.
        confidence: Level of the intervals.
    """
    skeleton = _skeleton(analysed)
    tables = {}
    for part in PARTS:
        if part == "select" and not len(analysed.parts[part].cube.cells):
            continue
        table = _part_rows(skeleton, part, analysed, surrogates, confidence)
        for end in ("", "_low", "_high"):
            nats = table[f"added_nats_per_frame{end}"]
            table[f"added_bits_per_s{end}"] = nats * frame_rate_hz / LN2
        table[["transfer_loss", "transfer_loss_low", "transfer_loss_high"]] = np.nan
        tables[part] = table
    add_transfer(tables["eval"], analysed, skeleton, confidence)
    return _add_linear_nulls(pd.concat(tables.values(), ignore_index=True), linear)


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
    skeleton: pd.DataFrame, part: str, analysed: Analysed, surrogates: Mapping[str, Analysed],
    confidence: float,
) -> pd.DataFrame:  # fmt: skip
    estimates = analysed.parts[part]
    rows = matching_rows(estimates.cube.cells, skeleton, CELL)
    table = skeleton.drop(columns="control").assign(part=part)
    table = table.join(_counts(estimates, rows))
    put_estimate(table, "ratio", rows_of(estimates.ratio, rows), confidence)
    judged = {
        "explained": estimates.explained,
        "linear_r2": estimates.linear_r2,
        "added": estimates.added,
        "attainable": estimates.attainable,
        "added_fraction": estimates.added_fraction,
        "added_nats_per_frame": estimates.added_nats,
        "key_information_nats_per_frame": estimates.information,
    }
    for name, own in judged.items():
        put_judged(table, name, rows_of(own, rows), confidence)
    _add_costs(table, estimates, rows)
    _add_key_columns(table, key_rows(analysed.keys, skeleton))
    for control in CONTROLS:
        add_control(table, skeleton, analysed, part, control, confidence)
    add_surrogates(table, skeleton, surrogates, part, confidence)
    return table


def _counts(estimates: PartEstimates, rows: np.ndarray) -> pd.DataFrame:
    sums, absent = estimates.cube.sums, rows < 0
    frames, excluded = sums["num_frames"].sum(axis=1), sums["num_excluded"].sum(axis=1)
    counts = pd.DataFrame({"num_frames": frames, "num_excluded": excluded})
    counts["num_speakers"] = (sums["num_frames"] > 0).sum(axis=1)
    counts["num_effective_speakers"] = estimates.linear_r2.num_effective
    counts["largest_speaker_share"] = estimates.linear_r2.share.max(axis=1, initial=0.0)
    counts["excluded_mass"] = counts["num_excluded"] / counts["num_frames"]
    counts["oracle_excluded_mass"] = _at(
        counts["excluded_mass"].to_numpy(float), estimates.oracle_rows
    )
    return counts.reindex(np.where(absent, -1, rows)).reset_index(drop=True)


def _at(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return values at rows, NaN where the row is -1."""
    return np.where(rows < 0, np.nan, np.append(values, np.nan)[rows])


def _add_costs(table: pd.DataFrame, estimates: PartEstimates, rows: np.ndarray) -> None:
    """Add what correcting for the cost of fitting has moved, of the key and of its oracle."""
    table["cost_of_fitting"] = _at(estimates.cost, rows)
    table["oracle_cost_of_fitting"] = _at(_at(estimates.cost, estimates.oracle_rows), rows)


def _add_key_columns(table: pd.DataFrame, of_key: pd.DataFrame) -> None:
    """Add what is known for each key on all dimensions."""
    for name in ("num_cells", "num_effective_cells", "num_train_frames", "key_entropy_nats"):
        table[name] = of_key[name]
    table["is_lower_bound"] = of_key["is_lower_bound"].astype(bool)
    capacity = np.log(table["codebook_size"].to_numpy(float))
    with np.errstate(divide="ignore", invalid="ignore"):
        used = table["key_entropy_nats"].to_numpy(float) / capacity
    table["bits_used_fraction"] = np.where(capacity > 0, used, np.nan)


def _add_linear_nulls(table: pd.DataFrame, linear: pd.DataFrame) -> pd.DataFrame:
    """Add R^2 of AR(1) and white noise beside each row of all dimensions."""
    place = ["lag_frames", "slice", "part"]
    wide = linear.pivot_table(index=place, columns="model", values="r2", observed=True)
    wide = wide.reindex(columns=["ar1", "white_noise"]).add_suffix("_r2").reset_index()
    return table.merge(wide.assign(subspace="all"), how="left", on=[*place, "subspace"])
