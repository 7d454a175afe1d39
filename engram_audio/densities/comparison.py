"""Compare models on the same frames: the best null, paired gains, decomposed dNLL.

Everything is formed from per-speaker sums, so a difference is paired frame by frame and its
interval counts speakers (SCIENCE 11).

Shapes: S speakers.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import Table
from engram_audio.corpus.split_parts import SELECT, VAL, choice_part
from engram_audio.densities.events import ANY_LAG, SPEAKER_NULL
from engram_audio.stats.estimate import (
    Estimate,
    Uncertain,
    mean_of,
    paired_difference,
    stacked,
    t_interval,
    uncertain,
)
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.stats.two_way import MINIMUM_SEEDS, two_way

ENDINGS = ("", "_se", "_df")
KEPT_RATIOS = 4096  # last results that a table keeps: a cell asks for the same ones many times


class Numbers(NamedTuple):
    """A value, its standard error and the degrees of freedom of that error, as plain numbers."""

    value: float
    se: float
    df: float


class Cell(NamedTuple):
    """One slice of one part of one event at one lag; models share its frames and speakers."""

    lag_frames: int
    event: str
    part: str
    slice_name: str


class SumTable:
    """Per-speaker sums of all models of one representation and seed."""

    def __init__(self, scores: pd.DataFrame) -> None:
        """Index the rows of `scores.parquet` tables joined together; speakers are sorted."""
        keys = ["model", "lag_frames", "event", "part", "slice"]
        ordered = scores.sort_values([*keys, "speaker_id"], kind="stable")
        columns = [name for name in ordered.columns if name not in (*keys, "speaker_id")]
        values = ordered[columns].to_numpy(float)
        changes = np.asarray((ordered[keys] != ordered[keys].shift()).any(axis=1))
        starts = np.flatnonzero(changes)
        stops = [*starts[1:], len(ordered)]
        names = ordered[keys].iloc[starts].itertuples(index=False, name=None)
        self.columns = {name: number for number, name in enumerate(columns)}
        absent = np.isnan(values)
        cleaned = np.where(absent, 0.0, values)
        self._groups = {
            name: (cleaned[start:stop], np.asarray(absent[start:stop].all(0)))
            for name, start, stop in zip(names, starts, stops, strict=True)
        }
        self.models = sorted({(key[0], int(key[1]), key[2]) for key in self._groups})
        self.choice_part = choice_part(key[3] for key in self._groups)
        self.ratio = functools.lru_cache(KEPT_RATIOS)(self._ratio)
        self.quotients = functools.lru_cache(KEPT_RATIOS)(self._quotients)

    def choice_cell(self, lag_frames: int, event: str) -> Cell:
        """Return the cell that every choice of an event at a lag is made in."""
        return Cell(lag_frames, event, self.choice_part, "all")

    def sums(self, model: str, cell: Cell) -> tuple[np.ndarray, np.ndarray] | None:
        """Return a model's sums in a cell, [S, C], and which columns it has not, [C].

        A marginal's sums serve every lag.
        """
        for lag in (cell.lag_frames, ANY_LAG):
            found = self._groups.get((model, lag, cell.event, cell.part, cell.slice_name))
            if found is not None:
                return found
        return None

    def column(self, model: str, cell: Cell, name: str) -> np.ndarray | None:
        """Return one column by speaker, shape [S], or None where nothing was summed."""
        found = self.sums(model, cell)
        number = self.columns.get(name)
        if found is None or number is None or found[1][number]:
            return None
        return found[0][:, number]

    def _ratio(self, model: str, cell: Cell, numerator: str, denominator: str) -> Estimate | None:
        """Return sum(numerator) / sum(denominator) over speakers, or None without the columns."""
        top = self.column(model, cell, numerator)
        bottom = self.column(model, cell, denominator)
        if top is None or bottom is None or bottom.sum() == 0:
            return None
        return ratio_of_sums(top, bottom)

    def _quotients(
        self, model: str, cell: Cell, pairs: tuple[tuple[str, str], ...]
    ) -> dict[tuple[str, str], "Numbers"]:
        """Return the quotient of every pair of columns with its error; NaN without the columns.

        One calculation for all pairs costs what one for each of them costs.
        """
        tops, bottoms = (self._rows(model, cell, names) for names in zip(*pairs, strict=True))
        quantity = uncertain(ratio_of_sums(tops, bottoms))
        numbers = (part.tolist() for part in quantity)
        return dict(zip(pairs, map(Numbers._make, zip(*numbers, strict=True)), strict=True))

    def _rows(self, model: str, cell: Cell, names: Sequence[str]) -> np.ndarray:
        """Return columns by speaker, shape [C, S]; NaN for one that was not summed."""
        found = [self.column(model, cell, name) for name in names]
        sums = self.sums(model, cell)
        nothing = np.full(0 if sums is None else len(sums[0]), np.nan)
        return np.stack([nothing if column is None else column for column in found])

    def mean_nll(self, model: str, cell: Cell) -> Estimate | None:
        """Return the mean NLL in nats per frame."""
        return self.ratio(model, cell, "nll", "num_frames")

    def null_names(self, heads: Sequence[str], lag_frames: int, event: str) -> list[str]:
        """Return the nulls that score an event at a lag: the same event only."""
        names = []
        for model, lag, scored in self.models:
            if model in heads or scored != event or lag not in (lag_frames, ANY_LAG):
                continue
            if lag == ANY_LAG and lag_frames != 1 and not model.endswith(f"_{event}"):
                continue  # a marginal of the other space: another event at this lag
            names.append(model)
        return names

    def past_nulls(self, heads: Sequence[str], lag_frames: int, event: str) -> list[str]:
        """Return the nulls that decide: those that know the past only, as heads do."""
        names = self.null_names(heads, lag_frames, event)
        return [name for name in names if name != SPEAKER_NULL]


class Baselines(NamedTuple):
    """Null names of one event at one lag, all chosen on the choice part.

    Attributes:
        best: The best null of those that know the past only.
        marginal: The best law without context, of the event's own space.
        gaussian: Diagonal Gaussian marginal of the event's own space.
        delta_gaussian: Diagonal Gaussian marginal of delta: the first experiment's baseline, or
            None where delta is another event.
        space: Space (delta, position) whose marginal is better; differs from the event at lag 1.
        space_gaussian: Diagonal Gaussian marginal in that space.
        space_marginal: Best marginal in that space.
    """

    best: str
    marginal: str
    gaussian: str
    delta_gaussian: str | None
    space: str
    space_gaussian: str
    space_marginal: str


def choose_baselines(
    table: SumTable, heads: Sequence[str], lag_frames: int, event: str
) -> Baselines | None:
    """Choose nulls by mean NLL on the choice part (slice all); None where nothing was scored."""
    cell = table.choice_cell(lag_frames, event)
    scores: dict[str, float] = {}
    for name in table.past_nulls(heads, lag_frames, event):
        nll = table.mean_nll(name, cell)
        if nll is not None and np.isfinite(nll.value):
            scores[name] = float(nll.value)
    if not scores:
        return None

    def best_marginal(space: str) -> str:
        names = [name for name in scores if "marginal" in name and name.endswith(f"_{space}")]
        return min(names, key=lambda name: (scores[name], name))

    spaces = ("delta", "position") if lag_frames == 1 else (event,)
    spaces = tuple(s for s in spaces if any(name.endswith(f"marginal_{s}") for name in scores))
    space = min(spaces, key=lambda s: scores[best_marginal(s)])
    has_delta = lag_frames == 1 or event == "delta"
    return Baselines(
        best=min(scores, key=lambda name: (scores[name], name)),
        marginal=best_marginal(event),
        gaussian=f"gaussian_marginal_{event}",
        delta_gaussian="gaussian_marginal_delta" if has_delta else None,
        space=space,
        space_gaussian=f"gaussian_marginal_{space}",
        space_marginal=best_marginal(space),
    )


def has_stopped(table: SumTable, marginal: str, cell: Cell) -> bool:
    """Return whether a marginal was grown until it stopped improving, and not up to its limit."""
    share = table.ratio(marginal, cell, "has_stopped", "num_frames")
    return share is not None and float(share.value) > 0.5


def strongest_null(table: SumTable, names: Sequence[str], cell: Cell) -> str | None:
    """Return the null with the lowest mean NLL in the cell itself, whatever its part."""
    scores = {name: table.mean_nll(name, cell) for name in names}
    found = {name: float(nll.value) for name, nll in scores.items() if nll is not None}
    found = {name: value for name, value in found.items() if np.isfinite(value)}
    return min(found, key=lambda name: (found[name], name)) if found else None


def gain(
    table: SumTable, model: str, null: str | None, cell: Cell, column: str = "nll"
) -> Estimate | None:
    """Return null minus model of a mean score: positive where the model is better."""
    count = "num_frames" if column == "nll" else "num_sampled"
    own = table.ratio(model, cell, column, count)
    other = None if null is None else table.ratio(null, cell, column, count)
    return None if own is None or other is None else paired_difference(other, own)


class SeedMean(NamedTuple):
    """A mean over training seeds with its error, how many they are, and what the error counts."""

    value: Estimate | Uncertain | None
    num_seeds: int
    interval_over: str


def mean_over_seeds(estimates: Sequence[Estimate | None]) -> SeedMean:
    """Return the mean over training seeds; a seed without an estimate is left out.

    From three seeds on the interval counts seeds and speakers, with fewer it counts speakers.
    """
    found = [one for one in estimates if one is not None]
    if len(found) >= MINIMUM_SEEDS:
        return SeedMean(two_way(stacked(found)), len(found), "seeds and speakers")
    if found:
        return SeedMean(mean_of(found), len(found), "speakers")
    return SeedMean(None, 0, "")


def over_seeds(gains: Sequence[Estimate | None], nats_to_bits_per_s: float) -> dict[str, object]:
    """Return the mean of gains over training seeds, as published."""
    mean = mean_over_seeds(gains)
    return {
        "num_seeds": mean.num_seeds,
        "interval_over": mean.interval_over,
        **described("gain_seeds_nats", mean.value),
        **described("gain_seeds_bits_per_s", mean.value, nats_to_bits_per_s),
    }


def select_less_val(table: SumTable, model: str, cell: Cell) -> float:
    """Return the mean NLL on select less that on val, in the slice of a cell; NaN without one."""
    scores = [table.mean_nll(model, cell._replace(part=part)) for part in (SELECT, VAL)]
    first, second = (np.nan if score is None else float(score.value) for score in scores)
    return first - second


def described_quotients(
    table: Table, sums: SumTable, model: str, cell: Cell, null: str | None = None
) -> dict[str, float]:
    """Return every column that a published table declares as a quotient of sums by speaker.

    Args:
        table: Where they are declared.
        sums: Per-speaker sums.
        model: Whose scores.
        cell: On which frames.
        null: Whose value stands beside, as `<name>_null`, where the table declares one.
    """
    declared = [column for column in table.columns if column.quotient is not None]
    pairs = tuple(column.quotient for column in declared if column.quotient is not None)
    own = sums.quotients(model, cell, pairs)
    other = {} if null is None else sums.quotients(null, cell, pairs)
    row: dict[str, float] = {}
    for column, pair in zip(declared, pairs, strict=True):
        row |= {f"{column.name}{end}": one for end, one in zip(ENDINGS, own[pair], strict=True)}
        if column.has_null and pair in other:
            row[f"{column.name}_null"] = other[pair].value
    return row


def described(
    name: str, estimate: Estimate | Uncertain | None, scale: float = 1.0
) -> dict[str, float]:
    """Return `name`, `name_se`, `name_df` for `with_intervals`; NaN where there is no estimate."""
    if estimate is None:
        return {name: np.nan, f"{name}_se": np.nan, f"{name}_df": np.nan}
    quantity = uncertain(estimate) if isinstance(estimate, Estimate) else estimate
    return {
        name: scale * float(quantity.value),
        f"{name}_se": scale * float(quantity.se),
        f"{name}_df": float(quantity.df),
    }


def with_intervals(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Replace every `x_se`, `x_df` by `x_low`, `x_high`: t intervals, all of a column at once."""
    columns: dict[str, object] = {}
    for column in table.columns:
        if column.endswith("_se"):
            name = column.removesuffix("_se")
            quantity = Uncertain(*(table[f"{name}{end}"].to_numpy(float) for end in ENDINGS))
            interval = t_interval(quantity, confidence)
            columns |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
        elif not column.endswith("_df"):
            columns[column] = table[column]
    return pd.DataFrame(columns)
