"""Cells of the prediction table: which head is chosen, against which null, on eval."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose, first_row
from engram_audio.corpus.split_parts import EVAL, choice_part
from engram_audio.structure.decision import SURROGATE_MARK
from engram_audio.verdicts import number

TARGETS = {"position": "xₜ", "delta": "xₜ \N{MINUS SIGN} xₜ₋₁"}


class Cells(NamedTuple):
    """The eval rows (slice all, first training seed) of one representation.

    Attributes:
        representation: Name.
        seed: Training seed.
        rows: One row per lag, target and model.
        choice: The same cells on the part that heads are chosen on.
        chosen_on: That part.
    """

    representation: str
    seed: int
    rows: pd.DataFrame
    choice: pd.DataFrame
    chosen_on: str

    def lags(self, target: str | None = None) -> list[int]:
        """Return the lags of a target, or of any."""
        rows = self.rows if target is None else choose(self.rows, target=target)
        return sorted(int(lag) for lag in rows["lag_frames"].unique())

    def targets(self) -> list[str]:
        """Return the targets that were scored, x_t first."""
        return [name for name in TARGETS if name in set(self.rows["target"])]

    def heads(self) -> list[str]:
        """Return the heads by name."""
        return sorted(choose(self.rows, kind="head")["model"].unique())

    def row(self, model: str | None, lag: int, target: str) -> dict[str, object]:
        """Return one row; its values are missing where the model was not scored."""
        return first_row(choose(self.rows, model=model, lag_frames=lag, target=target))

    def chosen_head(self, lag: int, target: str) -> str | None:
        """Return the head with the lowest mean NLL on `chosen_on`, ties by name, or None."""
        rows = choose(self.choice, kind="head", lag_frames=lag, target=target)
        rows = rows.loc[np.isfinite(rows["nll_mean"].to_numpy(float))]
        if rows.empty:
            return None
        return str(rows.sort_values(["nll_mean", "model"], kind="stable")["model"].iloc[0])

    def strictest_gain(self, head: str, lag: int, target: str) -> tuple[float, str]:
        """Return the smallest eval gain of a head over any null, and that null.

        The null of `gain_nats` was chosen before eval was seen; there another may score better.
        Nulls that know more than the past decide nothing.
        """
        rows = choose(self.rows, lag_frames=lag, target=target)
        nulls = choose(rows, kind="null", knows="past").dropna(subset=["gain_nats"])
        own = number.as_float(self.row(head, lag, target)["gain_nats"])
        if nulls.empty:
            return own, ""
        best = nulls.sort_values(["gain_nats", "model"], ascending=[False, True]).iloc[0]
        return own - float(best["gain_nats"]), str(best["model"])


def predicted(table: pd.DataFrame, representation: str) -> list[str]:
    """Return the base representations scored on all eval frames, the deciding one first."""
    rows = choose(table, part="eval", slice="all")
    names = {str(name) for name in rows["representation"]}
    bases = sorted(name for name in names if SURROGATE_MARK not in name)
    return sorted(bases, key=lambda name: (name != representation, name))


def cells_of(table: pd.DataFrame, representation: str) -> Cells:
    """Return the cells of a representation; its smallest training seed."""
    rows = choose(table, representation=representation, slice="all")
    seed = int(rows["seed"].to_numpy().min()) if len(rows) else 0
    rows = choose(rows, seed=seed)
    chosen_on = choice_part(rows["part"])
    choice = choose(rows, part=chosen_on)
    return Cells(representation, seed, choose(rows, part=EVAL), choice, chosen_on)


def surrogate_cells(table: pd.DataFrame, representation: str) -> dict[str, Cells]:
    """Return the cells of each surrogate of a representation, by its kind."""
    names = sorted({str(name) for name in table["representation"]})
    marked = [name for name in names if name.startswith(f"{representation}{SURROGATE_MARK}")]
    return {name.partition(SURROGATE_MARK)[2]: cells_of(table, name) for name in marked}


def largest_surrogate_gain(surrogates: dict[str, Cells], lag: int, target: str) -> float:
    """Return the largest gain that any head reaches on any surrogate; NaN where none is scored."""
    rows = [choose(c.rows, kind="head", lag_frames=lag, target=target) for c in surrogates.values()]
    gains = np.concatenate([np.empty(0), *(row["gain_nats"].to_numpy(float) for row in rows)])
    gains = gains[np.isfinite(gains)]
    return float(gains.max()) if len(gains) else float("nan")
