"""The rollout stage's published rows: every method beside what is attainable, paired by speaker.

What is attainable at a horizon is not known on real data: it is at least what the best forecaster
reaches, chosen on val among the methods of kind belief and direct. Nats are per frame; dNLL is
against the Gaussian marginal of the same event, below 0 where something is known.

Shapes: S speakers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.prediction.comparison import described, with_intervals
from engram_audio.rollout.config import FORECASTERS, AnyMethod, RolloutSection
from engram_audio.rollout.health import Health
from engram_audio.rollout.reads import READS
from engram_audio.stats.estimate import Estimate
from engram_audio.stats.ratio import complement, quotient, ratio_of_sums

EVENTS = ("delta", "position")
AT, UP_TO = "at", "up_to"
HEALTH = Health._fields
SPREAD = ("dnll_median", "dnll_highest", "num_not_finite")
SHARES = (
    "blown_share", "frozen_share", "surviving_share", "num_paths", "num_blown", "guard_redrawn",
    "guard_moved",
)  # fmt: skip


class Run(NamedTuple):
    """One method on one representation.

    Attributes:
        representation: Name.
        method: Name.
        sweep: Sweep that it is a point of, or "".
        seed: Training seed.
        settings: Its section.
        scores: Sums by part, mode, injection, horizon and speaker.
        health: Shares by mode, injection and horizon, on eval.
    """

    representation: str
    method: str
    sweep: str
    seed: int
    settings: AnyMethod
    scores: pd.DataFrame
    health: pd.DataFrame


class Cell(NamedTuple):
    """Which runs of a method: mode and injection."""

    mode: str
    inject: int


class Sums:
    """A method's sums on one part, as arrays over the speakers of all methods."""

    def __init__(self, scores: pd.DataFrame, part: str, speakers: Sequence[str]) -> None:
        """Index the rows of a part."""
        rows = scores.loc[scores["part"] == part]
        self._speakers = {name: number for number, name in enumerate(speakers)}
        keys = ["mode", "inject_frames", "horizon_frames"]
        self._groups: dict[Any, pd.DataFrame] = dict(iter(rows.groupby(keys, sort=False)))
        self.cells = sorted({Cell(str(mode), int(inject)) for mode, inject, _ in self._groups})

    def column(self, cell: Cell, horizon: int, name: str) -> np.ndarray | None:
        """Return one column by speaker, [S], or None where nothing was summed."""
        rows = self._groups.get((cell.mode, cell.inject, horizon))
        if rows is None or name not in rows or np.isnan(rows[name].to_numpy(float)).all():
            return None
        found = np.zeros(len(self._speakers))
        found[[self._speakers[str(speaker)] for speaker in rows["speaker_id"]]] = rows[name]
        return found


class Ceiling(NamedTuple):
    """The best forecaster of each event and horizon.

    Attributes:
        names: Method by (event, horizon).
        sums: Its eval sums by method.
    """

    names: Mapping[tuple[str, int], str]
    sums: Mapping[str, Sums]

    def column(self, event: str, horizon: int) -> np.ndarray | None:
        """Return the attainable dNLL by speaker, [S]."""
        name = self.names.get((event, horizon))
        if name is None:
            return None
        return self.sums[name].column(FORECAST, horizon, f"dnll_{event}")

    def energy(self, horizon: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return score and climatology's score of the forecaster of position, each [S]."""
        name = self.names.get(("position", horizon))
        if name is None:
            return None
        return _pair(self.sums[name], FORECAST, horizon)


FORECAST = Cell("forecast", 0)


def _pair(sums: Sums, cell: Cell, horizon: int) -> tuple[np.ndarray, np.ndarray] | None:
    own, climate = (sums.column(cell, horizon, name) for name in ("energy_score", "energy_climate"))
    return None if own is None or climate is None else (own, climate)


def choose_ceiling(runs: Iterable[Run], speakers: Mapping[str, Sequence[str]]) -> Ceiling:
    """Choose, on val, the forecaster of each event and horizon.

    Args:
        runs: Methods of one representation and seed.
        speakers: Speakers of each part.
    """
    forecasters = [run for run in runs if run.settings.kind in FORECASTERS]
    val = {run.method: Sums(run.scores, "val", speakers["val"]) for run in forecasters}
    best: dict[tuple[str, int], tuple[float, str]] = {}
    for run in forecasters:
        horizons = run.scores.loc[run.scores["mode"] == FORECAST.mode, "horizon_frames"].unique()
        for event in EVENTS:
            for horizon in map(int, horizons):
                value = _mean(val[run.method], FORECAST, horizon, f"dnll_{event}")
                key = (event, horizon)
                if value is not None and (key not in best or (value, run.method) < best[key]):
                    best[key] = (value, run.method)
    sums = {run.method: Sums(run.scores, "eval", speakers["eval"]) for run in forecasters}
    return Ceiling({key: name for key, (_, name) in best.items()}, sums)


def _mean(sums: Sums, cell: Cell, horizon: int, name: str) -> float | None:
    top, bottom = sums.column(cell, horizon, name), sums.column(cell, horizon, "num_starts")
    if top is None or bottom is None or bottom.sum() == 0:
        return None
    value = float(top.sum() / bottom.sum())
    return value if np.isfinite(value) else None


def rollout_table(runs: Sequence[Run], settings: RolloutSection, confidence: float) -> pd.DataFrame:
    """Return every method, mode, injection and scored horizon, and the sums up to the K-th."""
    rows = []
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.representation, run.seed), []).append(run)
    for members in groups.values():
        speakers = {
            part: sorted({str(name) for run in members
                          for name in run.scores.loc[run.scores["part"] == part, "speaker_id"]})
            for part in ("val", "eval")
        }  # fmt: skip
        ceiling = choose_ceiling(members, speakers)
        for run in members:
            sums = Sums(run.scores, "eval", speakers["eval"])
            for cell in sums.cells:
                spans = [(AT, horizon) for horizon in settings.scored_horizons_frames]
                spans.append((UP_TO, settings.forecast_horizon_frames))
                rows += [
                    row
                    for span, horizon in spans
                    if (row := _row(run, sums, cell, ceiling, span, horizon)) is not None
                ]
    return with_intervals(pd.DataFrame(rows), confidence) if rows else pd.DataFrame()


def _row(
    run: Run, sums: Sums, cell: Cell, ceiling: Ceiling, span: str, horizon: int
) -> dict[str, Any] | None:
    horizons = [horizon] if span == AT else list(range(1, horizon + 1))
    count = sums.column(cell, horizon, "num_starts")
    if count is None:
        return None
    own = {
        name: _summed([sums.column(cell, each, name) for each in horizons])
        for name in (
            "num_starts", "earlier_dnll", "dnll_delta", "dnll_position", "covered", "energy_score",
            "energy_climate",
        )
    }  # fmt: skip
    base = own["num_starts"]
    method = run.settings
    row: dict[str, Any] = {
        "representation": run.representation,
        "method": run.method,
        "kind": method.kind,
        "base": getattr(method, "base", ""),
        "guard": guard_kind(method),
        "sweep": run.sweep,
        "seed": run.seed,
        "mode": cell.mode,
        "inject_frames": cell.inject,
        "span": span,
        "horizon_frames": horizon,
        "num_starts": int(count.sum()),
        "num_speakers": int((count > 0).sum()),
        **described("earlier_dnll", _ratio(own["earlier_dnll"], base)),
    }
    for event in EVENTS:
        attainable = [ceiling.column(event, each) for each in horizons]
        top, bottom = _summed(attainable), own[f"dnll_{event}"]
        names = sorted({ceiling.names.get((event, each), "") for each in horizons} - {""})
        row |= described(f"dnll_{event}", _ratio(bottom, base))
        row |= described(f"attainable_{event}", _ratio(top, base))
        row |= {f"attainable_{event}_of": " ".join(names)}
        row |= described(f"kept_{event}", _ratio(bottom, top))
    skill = _skill(own["energy_score"], own["energy_climate"])
    row |= described("coverage_90", _ratio(own["covered"], base))
    row |= described("energy_score", _ratio(own["energy_score"], base))
    row |= described("energy_skill", skill)
    row |= described("kept_skill", _kept_skill(skill, ceiling, horizons))
    return row | _health(run, cell, horizon)


def guard_kind(method: AnyMethod) -> str:
    """Return the kind of a method's guard, or ""."""
    guard = getattr(method, "guard", None)
    return "" if guard is None else guard.kind


def _summed(columns: Sequence[np.ndarray | None]) -> np.ndarray | None:
    found = [column for column in columns if column is not None]
    return np.sum(found, axis=0) if len(found) == len(columns) else None


def _ratio(top: np.ndarray | None, bottom: np.ndarray | None) -> Estimate | None:
    if top is None or bottom is None or bottom.sum() == 0:
        return None
    return ratio_of_sums(top, bottom)


def _skill(score: np.ndarray | None, climate: np.ndarray | None) -> Estimate | None:
    """Return 1 - score / climatology's: 0 knows nothing, 1 knows the future."""
    ratio = _ratio(score, climate)
    return None if ratio is None else complement(ratio)


def _kept_skill(
    skill: Estimate | None, ceiling: Ceiling, horizons: Sequence[int]
) -> Estimate | None:
    pairs = [ceiling.energy(horizon) for horizon in horizons]
    found = [pair for pair in pairs if pair is not None]
    if skill is None or len(found) < len(pairs):
        return None
    best = _skill(*(np.sum(part, axis=0) for part in zip(*found, strict=True)))
    return None if best is None else quotient(skill, best)


def _health(run: Run, cell: Cell, horizon: int) -> dict[str, Any]:
    """Return shares at the horizon; the health of late frames stands at the longest one."""
    names = (*SPREAD, *SHARES, *READS, *HEALTH)
    empty = dict.fromkeys(names, np.nan)
    if run.health.empty:
        return empty
    rows = run.health.loc[
        (run.health["mode"] == cell.mode) & (run.health["inject_frames"] == cell.inject)
    ]
    at = rows.loc[rows["horizon_frames"] == horizon]
    if at.empty:
        return empty
    return {name: float(at[name].iloc[0]) if name in at else np.nan for name in names}


SWEPT = ("horizon_frames", "teacher_weight", "state_weight", "scheduled_fraction")


def sweep_table(runs: Sequence[Run], table: pd.DataFrame, settings: RolloutSection) -> pd.DataFrame:
    """Return every stepwise method: one-step gain against rollout health, and the Pareto front.

    One-step gain: dNLL of the first step, whose context is true, sign turned. Health: energy
    distance of late sampled frames above its floor. `is_pareto`: no other method of the
    representation has more gain and less distance. `num_points`: how many were looked at.
    """
    if table.empty:
        return pd.DataFrame()
    longest = max(settings.scored_horizons_frames)
    rows = []
    for run in runs:
        if run.settings.kind in FORECASTERS:
            continue
        own = table.loc[
            (table["representation"] == run.representation) & (table["method"] == run.method)
            & (table["seed"] == run.seed)
        ]  # fmt: skip
        first = _one(own, mode="mean", span=AT, horizon_frames=1)
        late = _one(own, mode="sampled", inject_frames=0, span=AT, horizon_frames=longest)
        upto = _one(own, mode="sampled", inject_frames=0, span=UP_TO)
        rows.append({
            "representation": run.representation, "sweep": run.sweep, "method": run.method,
            "kind": run.settings.kind, "base": getattr(run.settings, "base", ""), "seed": run.seed,
            **{name: getattr(run.settings, name, np.nan) for name in SWEPT},
            "guard": guard_kind(run.settings),
            "one_step_gain": -first.get("earlier_dnll", np.nan),
            "one_step_gain_low": -first.get("earlier_dnll_high", np.nan),
            "one_step_gain_high": -first.get("earlier_dnll_low", np.nan),
            "excess_distance": late.get("energy_distance", np.nan)
            - late.get("energy_distance_floor", np.nan),
            **{name: late.get(name, np.nan) for name in (
                "std_ratio", "step_ratio", "autocorrelation_error", "blown_share", "frozen_share")},
            **{name: upto.get(name, np.nan) for name in (
                "kept_delta", "kept_delta_low", "kept_delta_high", "kept_position",
                "kept_position_low", "kept_position_high", "kept_skill")},
        })  # fmt: skip
    found = pd.DataFrame(rows)
    return _with_front(found) if len(found) else found


def _one(rows: pd.DataFrame, **wanted: Any) -> dict[str, Any]:
    for name, value in wanted.items():
        rows = rows.loc[rows[name] == value]
    return {} if rows.empty else rows.iloc[0].to_dict()


def _with_front(table: pd.DataFrame) -> pd.DataFrame:
    groups = table.groupby(["representation", "seed"], sort=False)
    table["num_points"] = groups["method"].transform("size")
    gain, distance = (table[name].to_numpy(float) for name in ("one_step_gain", "excess_distance"))
    code = groups.ngroup().to_numpy()
    same = code[:, None] == code[None, :]
    better = (gain[None] >= gain[:, None]) & (distance[None] <= distance[:, None])
    strictly = (gain[None] > gain[:, None]) | (distance[None] < distance[:, None])
    known = np.isfinite(gain) & np.isfinite(distance)
    table["is_pareto"] = known & ~(same & better & strictly).any(1)
    return table
