"""What a key's number stands beside: its controls, its surrogates, other speakers."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.stats.estimate import (
    Estimate,
    Uncertain,
    paired_difference,
    t_interval,
    uncertain,
)
from engram_audio.structure.estimates import (
    CELL,
    PartEstimates,
    estimate_part,
    matching_rows,
    on_speakers,
    take,
    transfer_loss,
)

PARTS = ("val", "eval")
CONTROLS = ("permuted", "swapped")
SURROGATES = ("shuffled", "phase_randomized", "var")
BEST = "best_surrogate"


class Analysed(NamedTuple):
    """One representation on one split: its key table and the estimates of its parts."""

    keys: pd.DataFrame
    parts: dict[str, PartEstimates]


def surrogates_of(
    analysis: tuple[str, int], analysed: Mapping[tuple[str, int], Analysed]
) -> dict[str, Analysed]:
    """Return the surrogates of a representation on the same split, by kind."""
    name, split_seed = analysis
    found = {kind: analysed.get((f"{name}--{kind}", split_seed)) for kind in SURROGATES}
    return {kind: one for kind, one in found.items() if one is not None}


def put_estimate(table: pd.DataFrame, name: str, estimate: Estimate, confidence: float) -> None:
    """Add value, interval and standard error of an estimate as four columns."""
    quantity = uncertain(estimate)
    interval = t_interval(quantity, confidence)
    table[name] = quantity.value
    table[f"{name}_low"], table[f"{name}_high"] = interval
    table[f"{name}_se"] = quantity.se


def key_rows(keys: pd.DataFrame, skeleton: pd.DataFrame, control: str) -> pd.DataFrame:
    """Return the key table's row for each row of the skeleton; NaN where there is none."""
    chosen = keys.loc[keys["control"] == control].reset_index(drop=True)
    rows = matching_rows(chosen, skeleton, ["key", "codebook_size", "lag_frames", "slice"])
    return chosen.reindex(rows).reset_index(drop=True)


def add_control(
    table: pd.DataFrame,
    skeleton: pd.DataFrame,
    analysed: Analysed,
    part: str,
    control: str,
    confidence: float,
) -> None:
    """Add a control's ratio, corrected for what estimating cell means costs: 1 when useless."""
    estimates = analysed.parts[part]
    wanted = skeleton.assign(control=control)
    ratio = take(estimates.ratio, matching_rows(estimates.cube.cells, wanted, CELL))
    factor = 1 / (1 + control_excess(key_rows(analysed.keys, skeleton, control), part))
    corrected = Estimate(ratio.value * factor, ratio.influence * factor[:, None], ratio.share)
    put_estimate(table, f"control_{control}", corrected, confidence)


def control_excess(keys: pd.DataFrame, part: str) -> np.ndarray:
    """Return by how much a control's ratio must exceed 1, given the cell means it drew.

    For independent frames that is sum_c (mass_c / N) / n_c. Frames are not independent: an
    increment undoes the one before it, so means of swapped labels, which keep their
    autocorrelation, are steadier than 1/n. What the means of this control really scatter is seen
    in-sample, where the same scatter lowers the ratio from 1 (by (K - 1) / (N - 1) when
    independent); the expected excess is scaled by that measured factor. The scatter is in units of
    the train variance and the ratio in units of the part's own, hence the quotient of the two.
    """
    own = keys.to_dict("series")
    column = {
        name: own[name].to_numpy(float) for name in own if name.startswith(("sse", "num_own"))
    }
    frames, cells = column["num_own_frames_train"], column["num_own_cells_train"]
    with np.errstate(divide="ignore", invalid="ignore"):
        scatter = 1 - column["sse_own_train"] / column["sse_own_total_train"]
        factor = scatter / ((cells - 1) / (frames - 1))
        variance = {
            name: column[f"sse_own_total_{name}"] / column[f"num_own_frames_{name}"]
            for name in ("train", part)
        }
        factor *= variance["train"] / variance[part]
    expected = keys[f"expected_null_ratio_excess_{part}"].to_numpy(float)
    return expected * np.where(cells > 1, factor, 0.0)


def add_surrogates(
    table: pd.DataFrame,
    skeleton: pd.DataFrame,
    fraction: Estimate,
    estimates: PartEstimates,
    surrogates: Mapping[str, Analysed],
    part: str,
    confidence: float,
) -> None:
    """Add each surrogate's numbers, and the advantage over the one that explains most."""
    fractions: list[Estimate] = []
    for kind in SURROGATES:
        names = [f"ratio_{kind}", f"explained_fraction_{kind}"]
        table[names] = np.nan
        if kind not in surrogates:
            continue
        cube = on_speakers(surrogates[kind].parts[part].cube, estimates.cube.speaker_ids)
        other = estimate_part(cube)
        rows = matching_rows(cube.cells, skeleton, CELL)
        fractions.append(take(other.explained_fraction, rows))
        table[names[0]] = take(other.ratio, rows).value
        table[names[1]] = fractions[-1].value
    present = [kind for kind in SURROGATES if kind in surrogates]
    best = _best(fractions, len(table))
    table[BEST] = pd.Series([present[i] if i >= 0 else None for i in best], dtype=object)
    table[f"ratio_{BEST}"] = np.nan
    advantage = Estimate(
        np.full(len(table), np.nan), np.full(fraction.influence.shape, np.nan), fraction.share
    )
    for place, (kind, other) in enumerate(zip(present, fractions, strict=True)):
        mine = best == place
        table.loc[mine, f"ratio_{BEST}"] = table.loc[mine, f"ratio_{kind}"]
        difference = paired_difference(fraction, other)
        advantage = Estimate(
            np.where(mine, difference.value, advantage.value),
            np.where(mine[:, None], difference.influence, advantage.influence),
            np.where(mine[:, None], difference.share, advantage.share),
        )
    put_estimate(table, "advantage", advantage, confidence)


def _best(fractions: list[Estimate], num_rows: int) -> np.ndarray:
    """Return which surrogate explains most in each row, -1 where none explains anything known."""
    if not fractions:
        return np.full(num_rows, -1)
    values = np.stack([np.where(np.isnan(one.value), -np.inf, one.value) for one in fractions])
    return np.where(np.isfinite(values).any(axis=0), values.argmax(axis=0), -1)


def add_transfer(
    eval_table: pd.DataFrame,
    val_table: pd.DataFrame,
    analysed: Analysed,
    skeleton: pd.DataFrame,
    confidence: float,
) -> None:
    """Add the transfer loss to the rows of eval; those of val have none."""
    quantities: dict[str, Uncertain] = {}
    for part in PARTS:
        estimates = analysed.parts[part]
        rows = matching_rows(estimates.cube.cells, skeleton, CELL)
        quantities[part] = uncertain(take(estimates.ratio_all_frames, rows))
    loss = transfer_loss(quantities["eval"], quantities["val"], confidence)
    names = ["transfer_loss", "transfer_loss_low", "transfer_loss_high"]
    eval_table[names] = np.stack(loss, axis=1)
    val_table[names] = np.nan
