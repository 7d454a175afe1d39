"""The published tables of the prediction stage; `columns.py` says what their columns mean.

Shapes: S speakers, F stored frames.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.corpus.split_parts import PARTS
from engram_audio.densities.comparison import (
    Baselines,
    Cell,
    SumTable,
    choose_baselines,
    described,
    described_quotients,
    gain,
    has_stopped,
    over_seeds,
    select_less_val,
    strongest_null,
    with_intervals,
)
from engram_audio.densities.events import ANY_LAG, SPEAKER_NULL
from engram_audio.numerics.units import LN2
from engram_audio.prediction.columns import PREDICTION, WORST_FRAMES
from engram_audio.stats.robust import robust_summary

KEPT_MODELS = 64  # models of one cell whose stored frames are kept: the null is asked by each
KEY = ("seed", "lag_frames", "target", "model", "part", "slice")


class Near(NamedTuple):
    """Tuned points of a head that are as good on the choice part, with the lag they were tuned at.

    Attributes:
        lag_frames: k.
        event: What they predict.
        scores: Sums of each: part, slice, speaker_id, num_frames, nll.
    """

    lag_frames: int
    event: str
    scores: list[pd.DataFrame]

    def scores_event(self, cell: Cell) -> bool:
        """Whether they score the event of a cell: at lag 1 both events are one."""
        return self.lag_frames == cell.lag_frames and (
            cell.lag_frames == 1 or self.event == cell.event
        )


class Inputs(NamedTuple):
    """Everything scored of one representation with one training seed.

    Attributes:
        representation: Name.
        seed: Training seed.
        frame_rate_hz: Frames per second.
        num_dims: D.
        heads: Head names.
        scores: Joined `scores` tables of heads and nulls.
        frames: Joined `frames` tables.
        worst: Joined `worst` tables.
        near: Sums of the tuned points that are as good on the choice part, by head and point, with
            their lag; empty where this seed was not tuned.
    """

    representation: str
    seed: int
    frame_rate_hz: float
    num_dims: int
    heads: Sequence[str]
    scores: pd.DataFrame
    frames: pd.DataFrame
    worst: pd.DataFrame
    near: Mapping[str, Near] = {}


class Settings(NamedTuple):
    """How the tables are made."""

    lags_frames: Sequence[int]
    events: Sequence[str]
    slices: Sequence[str]
    confidence: float
    trimmed_fraction: float
    quantiles: tuple[float, ...]


def prediction_table(inputs: Iterable[Inputs], settings: Settings) -> pd.DataFrame:
    """Return one row per representation, seed, lag, target, model, part and slice."""
    rows = []
    scored = [(group, SumTable(group.scores)) for group in inputs]
    for group, table in scored:
        stored = _StoredFrames(group.frames)
        trained = [(other, sums) for other, sums in scored
                   if other.representation == group.representation]  # fmt: skip
        for lag in settings.lags_frames:
            for event in settings.events:
                baselines = choose_baselines(table, group.heads, lag, event)
                if baselines is None:
                    continue
                names = [h for h in group.heads if any(m[:2] == (h, lag) for m in table.models)]
                nulls = table.null_names(group.heads, lag, event)
                past = table.past_nulls(group.heads, lag, event)
                names += nulls
                for part in PARTS:
                    for slice_name in settings.slices:
                        cell = Cell(lag, event, part, slice_name)
                        strongest = strongest_null(table, past, cell)
                        rows += [
                            {
                                **_row(group, settings, table, stored, baselines, name, cell),
                                "strongest_null": strongest,
                                **described(
                                    "gain_strongest_nats", gain(table, name, strongest, cell)
                                ),
                                **_over_seeds(trained, name, cell, group.frame_rate_hz / LN2),
                                **_near_gains(group, table, baselines.best, name, cell),
                            }
                            for name in names
                            if table.sums(name, cell) is not None
                        ]
    if not rows:
        return PREDICTION.empty()
    table = with_intervals(pd.DataFrame(rows), settings.confidence)
    return PREDICTION.arrange(with_surrogates(table))


def _row(
    group: Inputs,
    settings: Settings,
    table: SumTable,
    stored: "_StoredFrames",
    baselines: Baselines,
    name: str,
    cell: Cell,
) -> dict[str, object]:
    count = table.column(name, cell, "num_frames")
    sampled, means = (table.column(name, cell, f"num_{of}") for of in ("sampled", "mean"))
    assert count is not None
    nats_to_bits_per_s = group.frame_rate_hz / LN2
    best_gain = gain(table, name, baselines.best, cell)
    row: dict[str, object] = {
        "representation": group.representation,
        "seed": group.seed,
        "lag_frames": cell.lag_frames,
        "target": cell.event,
        "model": name,
        "kind": "head" if name in group.heads else "null",
        "knows": "speaker" if name == SPEAKER_NULL else "past",
        "part": cell.part,
        "slice": cell.slice_name,
        "num_frames": int(count.sum()),
        "num_speakers": int((count > 0).sum()),
        "noise_nats": _noise(table, name, cell),
        "num_mean": 0 if means is None else int(means.sum()),
        "num_sampled": 0 if sampled is None else int(sampled.sum()),
        **described("nll_mean", table.mean_nll(name, cell)),
        "nll_select_less_val": select_less_val(table, name, cell),
        **stored.robust(name, cell, settings),
        "chosen_on": table.choice_part,
        "best_null": baselines.best,
        **described("gain_nats", best_gain),
        **described("gain_bits_per_s", best_gain, nats_to_bits_per_s),
        "gain_median_nats": stored.median_difference(baselines.best, name, cell),
        "marginal": baselines.marginal,
        "marginal_has_stopped": has_stopped(table, baselines.marginal, cell),
        **described("information_nats", gain(table, name, baselines.marginal, cell)),
        **_first_experiment(table, baselines, name, cell),
    }
    row["information_nats_per_dim"] = float(row["information_nats"]) / group.num_dims  # type: ignore[arg-type]
    row |= _scores(table, baselines, name, cell)
    return row


def _noise(table: SumTable, name: str, cell: Cell) -> float:
    ratio = table.ratio(name, cell, "noise_nats", "num_frames")
    return np.nan if ratio is None else float(ratio.value)


def _over_seeds(
    trained: Sequence[tuple[Inputs, SumTable]], name: str, cell: Cell, nats_to_bits_per_s: float
) -> dict[str, object]:
    """Return a head's mean gain over its training seeds, each over the null that it chose."""
    gains = []
    for group, table in trained:
        if name in group.heads:
            chosen = choose_baselines(table, group.heads, cell.lag_frames, cell.event)
            gains.append(gain(table, name, chosen.best if chosen else None, cell))
    found = over_seeds(gains, nats_to_bits_per_s)
    return {**found, "gain_seeds_freedom": found["gain_seeds_nats_df"]}


def _near_gains(
    group: Inputs, table: SumTable, null: str, name: str, cell: Cell
) -> dict[str, float]:
    """Return the range of a head's gain over tuned points that are as good on the choice part."""
    own, near = gain(table, name, null, cell), group.near.get(name)
    gains: list[float] = []
    if near is not None and own is not None and near.scores_event(cell):
        gains = [float(own.value), *_of_points(near, table, null, cell)]
    return {
        "near_gain_nats_lowest": min(gains, default=np.nan),
        "near_gain_nats_highest": max(gains, default=np.nan),
    }


def _of_points(near: Near, table: SumTable, null: str, cell: Cell) -> list[float]:
    other = table.mean_nll(null, cell)
    found = []
    for scores in near.scores:
        rows = choose(scores, part=cell.part, slice=cell.slice_name)
        if len(rows) and other is not None:
            found.append(float(other.value) - rows["nll"].sum() / rows["num_frames"].sum())
    return found


def _first_experiment(
    table: SumTable, baselines: Baselines, name: str, cell: Cell
) -> dict[str, object]:
    """DNLL as first defined, and its exact sum: mean reversion + shape + context.

    mean reversion: from the Gaussian marginal of delta to the Gaussian marginal of the better
    space (0 unless lag 1); shape: to the best marginal of that space; context: to the model. The
    context part splits into what the best null takes and what is left.
    """
    start = baselines.delta_gaussian

    def step(first: str, second: str) -> float:
        difference = _negative(table, first, second, cell)
        return np.nan if difference is None else float(difference.value)

    if start is None:
        names = ("dnll_mean_reversion", "dnll_shape", "dnll_context", "dnll_context_null")
        return {**described("dnll_first_experiment", None), **dict.fromkeys(names, np.nan)}
    return {
        **described("dnll_first_experiment", _negative(table, start, name, cell)),
        "dnll_mean_reversion": step(start, baselines.space_gaussian),
        "dnll_shape": step(baselines.space_gaussian, baselines.space_marginal),
        "dnll_context": step(baselines.space_marginal, name),
        "dnll_context_null": step(baselines.space_marginal, baselines.best),
    }


def _negative(table: SumTable, first: str | None, second: str, cell: Cell):
    """Return the mean NLL of `second` less that of `first`: negative where second is better."""
    return None if first is None else gain(table, first, second, cell)


def _scores(table: SumTable, baselines: Baselines, name: str, cell: Cell) -> dict[str, object]:
    row: dict[str, object] = {**described_quotients(PREDICTION, table, name, cell, baselines.best)}
    row["cosine_white_noise"] = float(np.sqrt(0.5)) if cell.lag_frames == 1 else 0.0
    if cell.event == "position":
        row["cosine_white_noise"] = 0.0
    for label in ("mean", "sample"):
        row[f"log_magnitude_r2_{label}"] = _magnitude_r2(table, name, cell, label)
        row[f"log_magnitude_r2_{label}_null"] = _magnitude_r2(table, baselines.best, cell, label)
    for label in _subspaces(table):
        row[f"explained_{label}"] = _explained(table, name, cell, f"sse_{label}", f"sst_{label}")
        row[f"explained_{label}_null"] = _explained(
            table, baselines.best, cell, f"sse_{label}", f"sst_{label}"
        )
    row["decoder_explained"] = _explained(table, name, cell, "decoder_sse", "decoder_sst")
    return row


def _subspaces(table: SumTable) -> list[str]:
    return [name.removeprefix("sse_") for name in table.columns if name.startswith("sse_")]


def _explained(table: SumTable, name: str, cell: Cell, sse: str, sst: str) -> float:
    ratio = table.ratio(name, cell, sse, sst)
    return np.nan if ratio is None else 1.0 - float(ratio.value)


def _magnitude_r2(table: SumTable, name: str, cell: Cell, kind: str) -> float:
    """R^2 of log magnitude about its mean on the scored frames."""
    prefix, count = ("", "num_mean") if kind == "mean" else ("sampled_", "num_sampled")
    labels = (
        f"log_magnitude_error_{kind}", f"{prefix}log_magnitude", f"{prefix}log_magnitude_squared",
        count,
    )  # fmt: skip
    columns = [table.column(name, cell, label) for label in labels]
    if any(column is None for column in columns):
        return np.nan
    error, first, second, number = (float(np.sum(column)) for column in columns)  # type: ignore[arg-type]
    variance = second - first * first / number if number else 0.0
    return 1.0 - error / variance if variance > 0 else np.nan


class _StoredFrames:
    """Thinned per-frame scores, aligned over models."""

    def __init__(self, frames: pd.DataFrame) -> None:
        keys = ["model", "lag_frames", "event", "part"]
        self._groups = dict(iter(frames.groupby(keys, sort=True)))
        self.nll = functools.lru_cache(KEPT_MODELS)(self._nll)

    def _nll(self, name: str, cell: Cell) -> np.ndarray:
        """Return stored scores of a model in a cell, shape [F]."""
        for lag in (cell.lag_frames, ANY_LAG):
            found = self._groups.get((name, lag, cell.event, cell.part))
            if found is not None:
                return found["nll"].to_numpy()[found[f"in_{cell.slice_name}"].to_numpy(bool)]
        return np.empty(0)

    def robust(self, name: str, cell: Cell, settings: Settings) -> dict[str, float]:
        """Return median, trimmed mean and quantiles; NaN where nothing finite is stored."""
        values = self.nll(name, cell)
        labels = [f"nll_q{round(100 * q):02d}" for q in settings.quantiles]
        if not np.isfinite(values).any():
            names = ("nll_median", "nll_trimmed", *labels)
            return dict.fromkeys(names, np.nan) | {"num_stored": 0, "num_not_finite": len(values)}
        summary = robust_summary(values, settings.trimmed_fraction, settings.quantiles)
        return {
            "nll_median": float(summary.median),
            "nll_trimmed": float(summary.trimmed_mean),
            **dict(zip(labels, map(float, summary.quantiles), strict=True)),
            "num_stored": summary.num_values,
            "num_not_finite": summary.num_left_out,
        }

    def median_difference(self, null: str, name: str, cell: Cell) -> float:
        """Return the median over stored frames of null less model."""
        first, second = self.nll(null, cell), self.nll(name, cell)
        if len(first) != len(second) or not len(first):
            return np.nan
        return float(np.median(first - second))


def with_surrogates(table: pd.DataFrame) -> pd.DataFrame:
    """Add `surrogate_<kind>_gain_nats` and `_information_nats`: the same cell on each surrogate."""
    names = [str(name).partition("--") for name in table["representation"].tolist()]
    keys = list(table[list(KEY)].itertuples(index=False, name=None))
    kinds = sorted({kind for _, _, kind in names if kind})
    for kind in kinds:
        for column in ("gain_nats", "information_nats"):
            values = table[column].tolist()
            found = {
                (base, key): value
                for (base, _, own), key, value in zip(names, keys, values, strict=True)
                if own == kind
            }
            table[f"surrogate_{kind}_{column}"] = [
                np.nan if own else found.get((base, key), np.nan)
                for (base, _, own), key in zip(names, keys, strict=True)
            ]
    return table


def worst_table(inputs: Iterable[Inputs]) -> pd.DataFrame:
    """Return the worst frames of every model, worst first within a model and part."""
    parts = [
        group.worst.assign(representation=group.representation, seed=group.seed)
        for group in inputs
        if len(group.worst)
    ]
    if not parts:
        return WORST_FRAMES.empty()
    table = pd.concat(parts, ignore_index=True).rename(columns={"event": "target"})
    return WORST_FRAMES.arrange(table)
