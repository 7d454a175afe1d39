"""The rollout stage's published rows: every method beside what is attainable, paired by speaker.

What is attainable at a horizon is not known on real data: it is at least what the best forecast
reaches, chosen on select among all methods and the marginal. Nats are per frame; dNLL is against
the Gaussian marginal of the same event, below 0 where something is known. A share of something that
is not told from nothing has no number.

Shapes: S speakers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from engram_audio.corpus.split_parts import PARTS
from engram_audio.densities.comparison import described, with_intervals
from engram_audio.numerics.pareto import beaten
from engram_audio.rollout.ceiling import EVENTS, Ceiling, Cell, Run, Sums, choose_ceiling
from engram_audio.rollout.columns import ROLLOUT, ROLLOUT_SWEEP
from engram_audio.rollout.config import RolloutBarsSection, RolloutSection
from engram_audio.rollout.measures import READS, Health
from engram_audio.rollout.method_config import AnyMethod
from engram_audio.stats.estimate import Estimate, function_of, paired_quotient
from engram_audio.stats.ratio import complement, ratio_of_sums

AT, UP_TO = "at", "up_to"
HEALTH = Health._fields
SPREAD = ("dnll_median", "dnll_highest", "num_not_finite")
SHARES = (
    "diverged_share", "frozen_share", "frozen_share_true", "surviving_share", "num_paths",
    "num_diverged", "guard_redrawn", "guard_moved",
)  # fmt: skip


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
            for part in PARTS
        }  # fmt: skip
        ceiling = choose_ceiling(members, speakers)
        for run in members:
            partner = beside(run, members)
            for cell in ceiling.sums[run.method].cells:
                spans = [(AT, horizon) for horizon in settings.scored_horizons_frames]
                spans.append((UP_TO, settings.forecast_horizon_frames))
                rows += [
                    row
                    for span, horizon in spans
                    if (row := _row(run, partner, cell, ceiling, span, horizon, confidence))
                ]
    if not rows:
        return ROLLOUT.empty()
    return ROLLOUT.arrange(with_intervals(pd.DataFrame(rows), confidence))


def beside(run: Run, members: Sequence[Run]) -> str:
    """Return the method whose steps differ by one thing only, or "".

    A memory's is the same method on the memory's base (for `linear` the best linear null; the
    memory may stand on a simpler one); a refit's the head that it was fitted on; a tuned base's the
    base as it is, behind the same guard.
    """
    settings, partner = run.settings, run.settings.partner()
    wanted = [
        other
        for other in members
        if other.method == settings.refit_of or (partner and other.settings == partner)
    ]
    return wanted[0].method if wanted else ""


COLUMNS = (
    "num_starts", "first_experiment_dnll", "dnll_delta", "dnll_position", "covered",
    "energy_score", "energy_climate",
)  # fmt: skip


def _columns(sums: Sums, cell: Cell, horizons: Sequence[int]) -> dict[str, np.ndarray | None]:
    """Return the sums of horizons by speaker, each [S]."""
    return {name: _summed([sums.column(cell, each, name) for each in horizons]) for name in COLUMNS}


def _row(
    run: Run,
    partner: str,
    cell: Cell,
    ceiling: Ceiling,
    span: str,
    horizon: int,
    confidence: float,
) -> dict[str, Any] | None:
    horizons = [horizon] if span == AT else list(range(1, horizon + 1))
    sums = ceiling.sums[run.method]
    count = sums.column(cell, horizon, "num_starts")
    if count is None:
        return None
    own = _columns(sums, cell, horizons)
    base = own["num_starts"]
    method = run.settings
    row: dict[str, Any] = {
        "representation": run.representation,
        "method": run.method,
        "kind": method.kind,
        "base": method.base_name,
        "guard": guard_kind(method),
        "sweep": run.sweep,
        "seed": run.seed,
        "mode": cell.mode,
        "inject_frames": cell.inject,
        "span": span,
        "horizon_frames": horizon,
        "num_starts": int(count.sum()),
        "num_speakers": int((count > 0).sum()),
        "chosen_on": ceiling.chosen_on,
        **described("first_experiment_dnll", _ratio(own["first_experiment_dnll"], base)),
    }
    for event in EVENTS:
        attainable = [ceiling.column(event, each) for each in horizons]
        top, bottom = _summed(attainable), own[f"dnll_{event}"]
        names = sorted({ceiling.names.get((event, each), "") for each in horizons} - {""})
        found, best = _ratio(bottom, base), _ratio(top, base)
        row |= described(f"dnll_{event}", found)
        row |= described(f"attainable_{event}", best)
        row |= {f"attainable_{event}_of": " ".join(names)}
        row |= _share(f"kept_{event}", found, best, -1.0, confidence)
    skill = _skill(own["energy_score"], own["energy_climate"])
    row |= described("coverage_90", _ratio(own["covered"], base))
    row |= described("energy_score", _ratio(own["energy_score"], base))
    row |= described("energy_skill", skill)
    climates = [sums.column(cell, each, "energy_climate") for each in horizons]
    best_skill = _best_skill(ceiling, horizons, climates)
    row |= _share("kept_skill", skill, best_skill, 1.0, confidence)
    row |= _gains(own, skill, partner, cell, ceiling, horizons)
    row |= _health(run, cell, horizon)
    excess = frozen_excess(row["frozen_share"], row["frozen_share_true"], row["num_starts"])
    return row | {"frozen_excess": excess}


ALLOWANCE_SE = 2.0  # of the true share: pauses of the data are counted, not known


def frozen_excess(frozen: float, true: float, num_starts: int) -> float:
    """Return how much more often paths freeze than true ones do, beyond two standard errors.

    The error is that of the true share; where no true path stands still there is none.
    """
    return frozen - true - ALLOWANCE_SE * float(np.sqrt(true * (1 - true) / max(num_starts, 1)))


def _gains(
    own: dict[str, np.ndarray | None],
    skill: Estimate | None,
    partner: str,
    cell: Cell,
    ceiling: Ceiling,
    horizons: Sequence[int],
) -> dict[str, Any]:
    """Return what a method gains over its partner from the same starts."""
    row: dict[str, Any] = {"partner_method": partner}
    other: dict[str, np.ndarray | None] = dict.fromkeys(own)
    if partner:
        other = _columns(ceiling.sums[partner], cell, horizons)
    for event in EVENTS:
        means = [_ratio(part[f"dnll_{event}"], part["num_starts"]) for part in (other, own)]
        row |= described(f"gain_{event}", _difference(*means))
    theirs = _skill(other["energy_score"], other["energy_climate"])
    return row | described("gain_skill", _difference(skill, theirs))


def _difference(first: Estimate | None, second: Estimate | None) -> Estimate | None:
    """Return first - second on the same speakers."""
    if first is None or second is None:
        return None
    return function_of(first.value - second.value, [(1.0, first), (-1.0, second)])


def guard_kind(method: AnyMethod) -> str:
    """Return the kind of a method's guard, or ""."""
    guard = method.guard_section
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


def _best_skill(
    ceiling: Ceiling, horizons: Sequence[int], climates: Sequence[np.ndarray | None]
) -> Estimate | None:
    """Return the skill of the best forecasts; None where a horizon has no forecast."""
    pairs = zip(horizons, climates, strict=True)
    found = [pair for each in pairs if (pair := ceiling.energy(*each)) is not None]
    if len(found) < len(horizons):
        return None
    return _skill(*(np.sum(part, axis=0) for part in zip(*found, strict=True)))


def _share(
    name: str, own: Estimate | None, best: Estimate | None, sign: float, confidence: float
) -> dict[str, float]:
    """Return own / best with Fieller's interval; NaN where the best is not told from nothing.

    `sign` of a best that knows something: chosen on other speakers, it may know nothing of eval.
    """
    value, low, high = np.nan, np.nan, np.nan
    if own is not None and best is not None and sign * best.value > 0:
        interval = paired_quotient(own, best, confidence)
        low, high = float(interval.low), float(interval.high)
        if np.isfinite(low) and np.isfinite(high):
            value = float(own.value / best.value)
            low, high = min(low, value), max(high, value)  # inside but for rounding
    return {name: value, f"{name}_low": low, f"{name}_high": high}


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


def sweep_table(
    runs: Sequence[Run], table: pd.DataFrame, settings: RolloutSection, bars: RolloutBarsSection
) -> pd.DataFrame:
    """Return every stepwise method: one-step gain against rollout health, and the Pareto front.

    One-step gain: dNLL of the first step, whose context is true, sign turned. Health: energy
    distance of late sampled frames above its floor, known of paths that are left only: `is_pareto`
    asks that no more blow up or freeze than the bars allow, and that no other such method of the
    representation has more gain and less distance. `num_points`: how many were looked at.
    """
    if table.empty:
        return ROLLOUT_SWEEP.empty()
    longest = max(settings.scored_horizons_frames)
    rows = []
    for run in runs:
        if run.settings.is_forecaster:
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
            "kind": run.settings.kind, "base": run.settings.base_name, "seed": run.seed,
            **{name: getattr(run.settings, name, np.nan) for name in SWEPT},
            "guard": guard_kind(run.settings),
            "one_step_gain": -first["first_experiment_dnll"],
            "one_step_gain_low": -first["first_experiment_dnll_high"],
            "one_step_gain_high": -first["first_experiment_dnll_low"],
            "excess_distance": late["energy_distance"] - late["energy_distance_floor"],
            **{name: late[name] for name in (
                "std_ratio", "step_ratio", "autocorrelation_error", "diverged_share",
                "frozen_share", "frozen_excess")},
            **{name: upto[name] for name in (
                "kept_delta", "kept_delta_low", "kept_delta_high", "kept_position",
                "kept_position_low", "kept_position_high", "kept_skill")},
        })  # fmt: skip
    if not rows:
        return ROLLOUT_SWEEP.empty()
    return ROLLOUT_SWEEP.arrange(_with_front(pd.DataFrame(rows), bars))


def _one(rows: pd.DataFrame, **wanted: Any) -> dict[str, Any]:
    for name, value in wanted.items():
        rows = rows.loc[rows[name] == value]
    return dict.fromkeys(rows.columns, np.nan) if rows.empty else rows.iloc[0].to_dict()


def _with_front(table: pd.DataFrame, bars: RolloutBarsSection) -> pd.DataFrame:
    groups = table.groupby(["representation", "seed"], sort=False)
    table["num_points"] = groups["method"].transform("size")
    costs = table[["one_step_gain", "excess_distance"]].to_numpy(float) * np.array([-1.0, 1.0])
    alive = table["diverged_share"].le(bars.maximum_blown_share)
    alive &= table["frozen_excess"].le(bars.maximum_frozen_share)
    known = np.isfinite(costs).all(1) & alive.to_numpy(bool)
    costs[~known] = np.nan
    table["is_pareto"] = known & ~beaten(costs, groups.ngroup().to_numpy())
    return table
