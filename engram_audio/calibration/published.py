"""Rows from the published tables of a world: what each number must be, and how far off it may lie.

Everything here reads columns of structure.csv and linear.csv by name; worlds are told apart by
their truths alone, so that a new world needs no new code.

What a fitted key may lose is computed and not tuned. e is the expected excess of a key that knows
nothing (sum of cell mass over train frames of the cell, `ratio / (1 - explained) - 1`); frames
that share a cell and an utterance are not independent, so e itself is known up to a factor: +-e.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.calibration.rows import CalibrationRow, compare
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import World

CONTROLS = ("permuted", "swapped")
MOST_INFLATION = 3.0  # beyond, a tolerance would hide what it is there to find
STRUCTURE, LINEAR, NULLS = "structure", "linear", "surrogates"


class Published(NamedTuple):
    """Published rows of one world on one split.

    Attributes:
        structure: Rows of structure.csv.
        linear: Rows of linear.csv.
        keys: Registered keys.
        lag_frames: Registered lag.
        window_frames: W.
    """

    structure: pd.DataFrame
    linear: pd.DataFrame
    keys: Sequence[str]
    lag_frames: int
    window_frames: int


def published_rows(
    name: str, world: World, truths: Sequence[Truth], published: Published
) -> list[CalibrationRow]:
    """Return all comparisons that the tables of a world allow.

    Args:
        name: Name of the world.
        world: The world.
        truths: What is known about it.
        published: Its tables.
    """
    known = {(truth.quantity, truth.lag_frames): truth for truth in truths}
    rows = list(_key_rows(name, known, published))
    rows += _ceiling_rows(name, world, known, published)
    rows += _null_rows(name, known, published)
    rows += _control_rows(name, world, published)
    rows += _linear_rows(name, world, known, published)
    rows += _surrogate_rows(name, world, published)
    return rows


def _key_rows(
    name: str, known: dict[tuple[str, int], Truth], published: Published
) -> Iterator[CalibrationRow]:
    """No key explains more than the exact predictor; how bad a key may be is not bounded."""
    for row in _registered(published, ["all"]):
        truth = known.get(("variance_ratio", row["lag_frames"]))
        if truth is not None:
            label = f"ratio {row['key']} (no key beats the exact predictor)"
            yield _compare_ratio(name, truth, label, row, loss_above=np.inf)


def _ceiling_rows(
    name: str, world: World, known: dict[tuple[str, int], Truth], published: Published
) -> Iterator[CalibrationRow]:
    """No key adds more to ridge than the exact conditional mean does, however little it adds.

    Ridge has W x D weights to fit. What they cost it, p / N of what it leaves, a key may find.
    """
    for row in _registered(published, ["all"]):
        truth = known.get(("added_ceiling", row["lag_frames"]))
        if truth is not None:
            weights = published.window_frames * world.num_dims
            missed = weights / float(row["num_train_frames"]) * (1 - row["linear_r2"])
            label = f"added {row['key']} (no key adds more than the exact mean)"
            yield compare(
                name, STRUCTURE, truth._replace(quantity=label), row["added"], row["added_se"],
                loss_below=np.inf, loss_above=2 * missed + row["cost_of_fitting"],
            )  # fmt: skip


def _null_rows(
    name: str, known: dict[tuple[str, int], Truth], published: Published
) -> Iterator[CalibrationRow]:
    """Where the context says nothing about the mean every ratio is 1."""
    for truth in known.values():
        quantity, _, slice_name = truth.quantity.partition("@")
        is_null = truth.value == 1 and truth.standard_error == 0
        if not is_null or quantity not in ("variance_ratio", "key_ratio"):
            continue
        for row in _registered(published, [slice_name or "all"]):
            if row["lag_frames"] == truth.lag_frames:
                label = f"ratio {row['key']} {row['slice']} (nothing to know)"
                yield _compare_ratio(name, truth, label, row)


def _compare_ratio(
    name: str, truth: Truth, label: str, row: dict[str, Any], loss_above: float = 0.0
) -> CalibrationRow:
    excess = _excess(row)
    return compare(
        name, STRUCTURE, truth._replace(quantity=label), 1 - row["explained"], row["explained_se"],
        loss_below=excess, loss_above=loss_above + excess,
    )  # fmt: skip


def _control_rows(name: str, world: World, published: Published) -> Iterator[CalibrationRow]:
    """Useless labels add 0; swapped ones where labels and targets do not repeat in step."""
    for row in _registered(published, ["all"]):
        if row["lag_frames"] != published.lag_frames or not has_frames(row, world, published):
            continue
        for control in CONTROLS:
            truth = Truth(f"control_{control} {row['key']}", row["lag_frames"], 0.0)
            value, error = row[f"control_{control}"], row[f"control_{control}_se"]
            excess = row["cost_of_fitting"] / row["attainable"]
            repeats = _repeats(world) if control == "swapped" else 1.0
            below = excess * (repeats - 1 + inflation(row, world, published))
            yield compare(name, STRUCTURE, truth, value, error, below, excess)


def has_frames(row: dict[str, Any], world: World, published: Published) -> bool:
    """Return whether train is large enough for the linear model's weights.

    With fewer frames a cell costs over `MOST_INFLATION` times its correction, whatever it tells,
    and no such row is compared.
    """
    weights = published.window_frames * world.num_dims
    return row["num_train_frames"] * (1 - 1 / MOST_INFLATION) >= weights


def inflation(row: dict[str, Any], world: World, published: Published) -> float:
    """Return how much more a useless cell costs beside the linear model than its correction says.

    P weights fitted to N frames have an expected squared error of v N / (N - P) on new frames. One
    weight more adds v N / (N - P)^2, and the correction says v / (N - P).
    """
    num_train, weights = float(row["num_train_frames"]), published.window_frames * world.num_dims
    return num_train / (num_train - weights)


def _repeats(world: World) -> float:
    """Return how many frames of an utterance may share a swapped label *and* a target mean.

    Labels that another utterance lends repeat with its own period; where the target has the same
    period (motifs), a cell mean rests on fewer independent frames by up to the number of periods in
    an utterance. A linear Gaussian delta of correlation rho_j inflates the variance of a mean by at
    most 1 + 2 sum |rho_j|; we take the same bound, an utterance over the shortest period.
    """
    longest = 80.0  # frames of an utterance, `layout.WorldSize.max_frames`
    return world.swapped_repeats(longest)


def _linear_rows(
    name: str, world: World, known: dict[tuple[str, int], Truth], published: Published
) -> Iterator[CalibrationRow]:
    """Ridge on the context reaches the exact R^2 of a linear world, less what p weights cost."""
    models = world.linear_models()
    if not models:
        return
    num_train = float(published.structure["num_train_frames"].to_numpy(float).max())
    weights = {"ridge": published.window_frames * world.num_dims, "ar1": 1}
    table = published.linear
    table = table.loc[(table["slice"] == "all") & (table["part"] == "eval")]
    for row in table.loc[table["model"].isin(models)].to_dict("records"):
        truth = known.get(("variance_ratio", int(row["lag_frames"])))
        if truth is not None:
            explained = Truth(f"r2 {row['model']}", truth.lag_frames, 1 - truth.value)
            # deltas of neighbouring frames are correlated: weights cost up to twice p / N
            cost = 2 * truth.value * weights[row["model"]] / num_train
            yield compare(name, LINEAR, explained, row["r2"], row["r2_se"], cost, cost)


def _surrogate_rows(name: str, world: World, published: Published) -> Iterator[CalibrationRow]:
    """On a linear Gaussian world, and on its twin, a key adds nothing to ridge."""
    if not world.IS_LINEAR_GAUSSIAN:
        return
    for row in _registered(published, ["all"]):
        if row["lag_frames"] != published.lag_frames or not has_frames(row, world, published):
            continue
        for quantity in ("added", "added_var"):
            if np.isfinite(row[quantity]):
                truth = Truth(f"{quantity} {row['key']}", row["lag_frames"], 0.0)
                cost = row["cost_of_fitting"]  # known up to a factor, see above
                below = cost * inflation(row, world, published)
                yield compare(name, NULLS, truth, row[quantity], row[f"{quantity}_se"], below, cost)


def _excess(row: dict[str, Any]) -> float:
    """Return by how much fitting cell means has raised a ratio, relative to it."""
    return row["ratio"] / (1 - row["explained"]) - 1


def _registered(published: Published, slices: Sequence[str]) -> list[dict[str, Any]]:
    """Return eval rows of the registered keys on some slices, all dimensions, that have a number.

    Keys that a sparse slice could not hold are the gate's business (INVALID), not calibration's.
    """
    table = published.structure
    chosen = (
        table["key"].isin(list(published.keys))
        & table["slice"].isin(list(slices))
        & (table["subspace"] == "all")
        & (table["part"] == "eval")
        & table["ratio"].notna()
    )
    records = table.loc[chosen].to_dict("records")
    return [{str(key): value for key, value in record.items()} for record in records]
