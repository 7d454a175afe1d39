"""What a key's number stands beside: its controls, its surrogates, other speakers."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.latents.config import SURROGATE_NAMES
from engram_audio.stats.estimate import Estimate, Uncertain, t_interval, uncertain
from engram_audio.stats.ratio import quotient
from engram_audio.structure.estimates import (
    CELL,
    KEY_CELL,
    PartEstimates,
    matching_rows,
    rows_of,
    transfer_loss,
)

PARTS = ("val", "select", "eval")
CONTROLS = ("permuted", "swapped")
SURROGATES = SURROGATE_NAMES


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


def put_estimate(
    table: pd.DataFrame, name: str, estimate: Estimate, confidence: float
) -> Uncertain:
    """Add value, interval and standard error of an estimate as four columns; return them."""
    quantity = uncertain(estimate)
    interval = t_interval(quantity, confidence)
    table[name] = quantity.value
    table[f"{name}_low"], table[f"{name}_high"] = interval
    table[f"{name}_se"] = quantity.se
    return quantity


def put_judged(table: pd.DataFrame, name: str, estimate: Estimate, confidence: float) -> None:
    """Add an estimate that is judged at other levels too: its degrees of freedom stand beside."""
    table[f"{name}_df"] = put_estimate(table, name, estimate, confidence).df


def key_rows(keys: pd.DataFrame, skeleton: pd.DataFrame) -> pd.DataFrame:
    """Return the key table's row for each row of the skeleton; NaN where there is none."""
    rows = matching_rows(keys.reset_index(drop=True), skeleton, KEY_CELL)
    return keys.reset_index(drop=True).reindex(rows).reset_index(drop=True)


def add_control(
    table: pd.DataFrame, skeleton: pd.DataFrame, analysed: Analysed, part: str, control: str,
    confidence: float,
) -> None:  # fmt: skip
    """Add what a key with useless labels adds, as a share of the attainable: 0 is expected."""
    estimates = analysed.parts[part]
    cells = estimates.cube.cells
    torn = rows_of(estimates.added, matching_rows(cells, skeleton.assign(control=control), CELL))
    attainable = rows_of(estimates.attainable, matching_rows(cells, skeleton, CELL))
    put_judged(table, f"control_{control}", quotient(torn, attainable), confidence)


def add_surrogates(
    table: pd.DataFrame, skeleton: pd.DataFrame, surrogates: Mapping[str, Analysed], part: str,
    confidence: float,
) -> None:  # fmt: skip
    """Add what the same key adds on each surrogate: on a linear process 0 is known."""
    for kind in SURROGATES:
        if kind in surrogates:
            other = surrogates[kind].parts[part]
            added = rows_of(other.added, matching_rows(other.cube.cells, skeleton, CELL))
        else:
            size = len(table), 1
            added = Estimate(np.full(size[0], np.nan), np.full(size, np.nan), np.zeros(size))
        put_judged(table, f"added_{kind}", added, confidence)


def add_transfer(
    eval_table: pd.DataFrame, analysed: Analysed, skeleton: pd.DataFrame, confidence: float
) -> None:
    """Add the transfer loss to the rows of eval."""
    quantities: dict[str, Uncertain] = {}
    for part in ("eval", "val"):
        estimates = analysed.parts[part]
        rows = matching_rows(estimates.cube.cells, skeleton, CELL)
        quantities[part] = uncertain(rows_of(estimates.added, rows))
    loss = transfer_loss(quantities["eval"], quantities["val"], confidence)
    names = ["transfer_loss", "transfer_loss_low", "transfer_loss_high"]
    eval_table[names] = np.stack(loss, axis=1)
