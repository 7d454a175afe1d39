"""The rollout stage's published rows: every method beside what is attainable, paired by speaker.

What is attainable at a horizon is not known on real data: it is at least what the best forecast
reaches, chosen on select among all methods and the marginal. Nats are per frame; dNLL is against
the Gaussian marginal of the same event, below 0 where something is known. A share of something that
is not surely above 0 has no number.

Shapes: S speakers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from engram_audio.corpus.split_parts import PARTS
from engram_audio.densities.comparison import described, with_intervals
from engram_audio.numerics.pareto import beaten
from engram_audio.rollout.ceiling import EVENTS, Ceiling, Cell, Run, Sums, choose_ceiling
from engram_audio.rollout.columns import ROLLOUT, ROLLOUT_SWEEP
from engram_audio.rollout.config import RolloutBarsSection, RolloutSection
from engram_audio.rollout.measures import (
    DETAILS,
    READS,
    STATISTICS,
    SURVIVAL,
    excess_name,
    true_name,
)
from engram_audio.rollout.method_config import AnyMethod
from engram_audio.rollout.seeds import Gains, Row, with_seed_means
from engram_audio.stats.estimate import (
    Estimate,
    function_of,
    paired_difference,
    paired_quotient,
)
from engram_audio.stats.ratio import complement, ratio_of_sums

AT, UP_TO = "at", "up_to"
HEALTH = ("num_stretches", *STATISTICS, *map(true_name, STATISTICS), *DETAILS)
SPREAD = ("dnll_median", "dnll_highest", "num_not_finite")
SHARES = (
    "diverged_share", "diverged_share_true", "frozen_share", "frozen_share_true",
    "surviving_share", "num_paths", "num_diverged", "guard_redrawn", "guard_moved",
)  # fmt: skip


def rollout_table(runs: Sequence[Run], settings: RolloutSection, confidence: float) -> pd.DataFrame:
    """Return every method, mode, injection and scored horizon, and the sums up to the K-th."""
    rows: list[tuple[Row, Gains]] = []
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.representation, run.seed), []).append(run)
    for (representation, _), members in groups.items():
        speakers = _speakers([run for run in runs if run.representation == representation])
        ceiling = choose_ceiling(members, speakers)
        for run in members:
            partner = partner_of(run, members)
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
    return ROLLOUT.arrange(with_intervals(pd.DataFrame(with_seed_means(rows)), confidence))


def _speakers(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the speakers of each part, the same for every seed."""
    return {
        part: sorted({str(name) for run in runs
                      for name in run.scores.loc[run.scores["part"] == part, "speaker_id"]})
        for part in PARTS
    }  # fmt: skip


def partner_of(run: Run, members: Sequence[Run]) -> str:
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


TAILS = ("below_range", "above_range")
COLUMNS = (
    "num_starts", "first_experiment_dnll", "dnll_delta", "dnll_position", *TAILS,
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
) -> tuple[Row, Gains] | None:
    horizons = [horizon] if span == AT else list(range(1, horizon + 1))
    sums = ceiling.sums[run.method]
    count = sums.column(cell, horizon, "num_starts")
    if count is None:
        return None
    own = _columns(sums, cell, horizons)
    base = own["num_starts"]
    method = run.settings
    row: Row = {
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
        "partner_method": partner,
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
        if event == "position":
            row |= described("lost_position", _difference(found, best))
    skill = _skill(own["energy_score"], own["energy_climate"])
    tails = [_ratio(own[name], base) for name in TAILS]
    row |= {key: value for name, tail in zip(TAILS, tails, strict=True)
            for key, value in described(name, tail).items()}  # fmt: skip
    row |= described("coverage_90", _inside(*tails))
    row |= described("energy_score", _ratio(own["energy_score"], base))
    row |= described("energy_skill", skill)
    climates = [sums.column(cell, each, "energy_climate") for each in horizons]
    best_skill = _best_skill(ceiling, horizons, climates)
    row |= _share("kept_skill", skill, best_skill, 1.0, confidence)
    row |= described("attainable_skill", best_skill)
    row |= described("lost_skill", _difference(best_skill, skill))
    return row | _health(run, cell, horizon), _gains(own, skill, partner, cell, ceiling, horizons)


def _inside(below: Estimate | None, above: Estimate | None) -> Estimate | None:
    """Return what is left between the tails."""
    if below is None or above is None:
        return None
    return function_of(1 - below.value - above.value, [(-1.0, below), (-1.0, above)])


def _gains(
    own: dict[str, np.ndarray | None],
    skill: Estimate | None,
    partner: str,
    cell: Cell,
    ceiling: Ceiling,
    horizons: Sequence[int],
) -> Gains:
    """Return what a method gains over its partner from the same starts."""
    other: dict[str, np.ndarray | None] = dict.fromkeys(own)
    if partner:
        other = _columns(ceiling.sums[partner], cell, horizons)
    theirs = _skill(other["energy_score"], other["energy_climate"])
    means = {
        event: [_ratio(part[f"dnll_{event}"], part["num_starts"]) for part in (other, own)]
        for event in EVENTS
    }
    return {
        **{event: _difference(*pair) for event, pair in means.items()},
        "skill": _difference(skill, theirs),
    }


def _difference(first: Estimate | None, second: Estimate | None) -> Estimate | None:
    """Return first - second on the same speakers."""
    return None if first is None or second is None else paired_difference(first, second)


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
    """Return own / best with Fieller's interval; NaN where the best is not surely above 0.

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
    """Return shares at the horizon, and the health of late frames, which is the whole run's."""
    names = (*SPREAD, *SHARES, *READS, *HEALTH)
    rows = _of_cell(run.health, cell)
    at = rows if rows.empty else rows.loc[rows["horizon_frames"] == horizon]
    found = dict.fromkeys(names, np.nan)
    if not at.empty:
        found |= {name: float(at[name].iloc[0]) for name in names if name in at}
    return found | _excesses(found, _of_cell(run.differences, cell))


def _of_cell(table: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    if table.empty:
        return table
    return table.loc[(table["mode"] == cell.mode) & (table["inject_frames"] == cell.inject)]


def _excesses(whole: Mapping[str, float], falls: pd.DataFrame) -> dict[str, float]:
    """Return each statistic less that of true stretches; the error is over speakers."""
    row: dict[str, float] = {}
    for name in STATISTICS:
        value = whole[name] - whole[true_name(name)]
        row |= described(excess_name(name), _excess(value, excess_name(name), falls))
    return row


def _excess(value: float, name: str, falls: pd.DataFrame) -> Estimate | None:
    if falls.empty or not np.isfinite(value):
        return None
    share = falls["share"].to_numpy(float)
    return Estimate(np.asarray(value), falls[name].to_numpy(float) * (1 - share), share)


SWEPT = ("horizon_frames", "teacher_weight", "state_weight", "scheduled_fraction")


def sweep_table(
    runs: Sequence[Run], table: pd.DataFrame, settings: RolloutSection, bars: RolloutBarsSection
) -> pd.DataFrame:
    """Return every stepwise method: one-step gain against rollout health, and the Pareto front.

    One-step gain: dNLL of the first step, whose context is true, sign turned. Health: energy
    distance of late sampled frames above that of true stretches, known of paths that are left only:
    `is_pareto` asks that they diverge, freeze or leave the support no more often than true ones, as
    far as the bars allow, and that no other such method of the representation has more gain and
    less distance. `num_points`: how many were looked at.
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
            "excess_distance": late[excess_name("energy_distance")],
            **{name: late[name] for name in (
                "spread_ratio", "std_ratio", "step_ratio", "autocorrelation_error",
                "off_support_share", "diverged_share", "frozen_share",
                *map(excess_name, SURVIVAL))},
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
    limits = (
        bars.maximum_excess_diverged, bars.maximum_excess_frozen, bars.maximum_excess_off_support,
    )  # fmt: skip
    alive = (table[[*map(excess_name, SURVIVAL)]].to_numpy(float) <= limits).all(1)
    known = np.isfinite(costs).all(1) & alive
    costs[~known] = np.nan
    table["is_pareto"] = known & ~beaten(costs, groups.ngroup().to_numpy())
    return table
