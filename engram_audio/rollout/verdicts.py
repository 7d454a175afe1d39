"""What the rollout stage answers: who survives free running, and what a forecaster says."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from engram_audio.artifacts.columns import choose, first_row
from engram_audio.rollout.config import RolloutBarsSection
from engram_audio.rollout.measures import excess_name
from engram_audio.rollout.method_config import reads_memory
from engram_audio.stats.two_way import MINIMUM_SEEDS
from engram_audio.verdicts import number
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import (
    NOT_MET,
    UNDECIDED,
    Asked,
    Judged,
    Measured,
    all_of,
    at_least,
    at_most,
    between,
    exact,
    judge,
    without_threshold,
)
from engram_audio.verdicts.row import VerdictRow, shown

STAGE = "rollout"
FORECAST = "What does a forecast of every horizon say?"
TAIL = 0.05  # of truths, at either end of the central 90 % of paths
WRONG_LAW = "has the wrong distribution"
FREEZES = 0.5  # share of mean paths that stop, from which on the row names it
Row = Mapping[str, Any]


def verdict_rows(
    rollout: pd.DataFrame, bars: RolloutBarsSection, representation: str
) -> list[VerdictRow]:
    """Return one answer per method that takes steps or forecasts, sweeps left out.

    Args:
        rollout: `tables/rollout.csv`.
        bars: What a method must reach.
        representation: The deciding one; it comes first.
    """
    named = choose(rollout.loc[is_named(rollout)], inject_frames=0)
    names = sorted(
        {str(name) for name in rollout["representation"]},
        key=lambda name: (name != representation, name),
    )
    rows = []
    for name in names:
        own = choose(named, representation=name)
        rows += [_answer(own, method, bars) for method in _methods(own, "sampled")]
        rows += [_forecast(own, method) for method in _methods(own, "forecast")]
    return rows


def is_named(rollout: pd.DataFrame) -> pd.Series:
    """Return which rows are of named methods: points of a sweep stand in the table only."""
    return pd.Series([str(s) in ("", "nan") for s in rollout["sweep"]], index=rollout.index)


def _methods(rows: pd.DataFrame, mode: str) -> list[str]:
    return sorted(set(choose(rows, mode=mode)["method"]))


def judge_method(kept: Row, late: Row, bars: RolloutBarsSection) -> Judged:
    """Judge sampled runs; the first fault names the outcome.

    Health is judged by how far it is off that of true stretches, by the interval over speakers.
    What has no number meets no bar: then only a fault that is seen can end in a `not met`. SDs of
    heavy tails are hardly known, the truth's own among them. Theirs is a fault where it is sure,
    and no doubt where it is not: the spread beside it must be met.

    Args:
        kept: Row of the scores summed up to the longest horizon.
        late: Row at the longest horizon.
        bars: What a method must reach.
    """
    return all_of([
        _fault("has no score", "starts whose score is not finite",
               exact(_number(kept, "num_not_finite")), at_most(0)),
        *_health(late, bars),
        *_tails(kept, bars),
        _kept(kept, "of the attainable", "position", bars.minimum_kept, bars.maximum_lost_nats),
        _kept(kept, "energy skill", "skill", bars.minimum_skill, bars.maximum_lost_skill),
        *_sure_fault_of_deviations(late, bars),
    ])  # fmt: skip


def _kept(kept: Row, words: str, name: str, least: float, little: float) -> Judged:
    """Judge what is kept of the attainable, where there is something to keep.

    A share of nothing has no number. Where it has none, or where all that is attainable is too
    little to count, a method is judged by what it loses.
    """
    share, best = (_measured(kept, f"{part}_{name}") for part in ("kept", "attainable"))
    if math.isnan(share.value) or max(abs(best.low), abs(best.high)) <= little:
        lost = _measured(kept, f"lost_{name}")
        return _fault("loses skill", f"lost {words}", lost, at_most(little))
    return _fault("loses skill", f"kept {words}", share, at_least(least))


def _health(late: Row, bars: RolloutBarsSection) -> list[Judged]:
    """Judge each statistic of late frames by its excess beyond true stretches."""
    ratio = _about(0.0, bars.maximum_excess_ratio)
    asked = {
        "diverged_late": ("diverges", "late frames gone", at_most(bars.maximum_excess_diverged)),
        "frozen_late": ("freezes", "late frames that stand still",
                        at_most(bars.maximum_excess_frozen)),
        "off_support_share": ("leaves the data", "late frames off the support",
                              at_most(bars.maximum_excess_off_support)),
        "spread_ratio": (WRONG_LAW, "spread ratio", ratio),
        "step_ratio": (WRONG_LAW, "step ratio", ratio),
        "autocorrelation_error": (WRONG_LAW, "error of the lag-1 correlation",
                                  at_most(bars.maximum_excess_autocorrelation)),
        "spectrum_error": (WRONG_LAW, "error of the log spectrum",
                           at_most(bars.maximum_excess_spectrum)),
        "energy_distance": (WRONG_LAW, "energy distance", at_most(bars.maximum_excess_distance)),
    }  # fmt: skip
    return [
        _fault(fault, f"{words} beyond true stretches", _measured(late, excess_name(name)), bar)
        for name, (fault, words, bar) in asked.items()
    ]


def _sure_fault_of_deviations(late: Row, bars: RolloutBarsSection) -> list[Judged]:
    """Return the fault of the SD ratio where it is sure."""
    excess = _measured(late, excess_name("std_ratio"))
    bar = _about(0.0, bars.maximum_excess_ratio)
    judged = _fault(WRONG_LAW, "SD ratio beyond true stretches", excess, bar)
    return [judged] if judged.outcome == NOT_MET else []


def _tails(kept: Row, bars: RolloutBarsSection) -> list[Judged]:
    """Judge the share of truths outside either end of the central 90 % of paths."""
    bar = _about(TAIL, bars.maximum_excess_tail)
    return [
        _fault("misjudges its spread", f"truths {side} the central 90 % of paths",
               _measured(kept, f"{side}_range"), bar)
        for side in ("below", "above")
    ]  # fmt: skip


def _about(middle: float, width: float) -> Asked:
    return between(middle - width, middle + width)


def _fault(fault: str, quantity: str, measured: Measured, asked: Asked) -> Judged:
    judged = judge(measured, asked)
    value = number.fixed(measured.value)
    if judged.outcome == NOT_MET:
        return Judged(NOT_MET, f"{fault}: {quantity} {value}, asked: {asked.words}")
    return Judged(judged.outcome, f"{quantity} {value}: {judged.reason}")


def _answer(rows: pd.DataFrame, method: str, bars: RolloutBarsSection) -> VerdictRow:
    """Return whether sampled runs of a method survive: by three training seeds, all of one mind."""
    own = choose(rows, method=method)
    answers = [_of_seed(choose(own, seed=s), method, bars) for s in sorted(set(own["seed"]))]
    first, count = answers[0], Counter(row.outcome for row in answers)
    if len(answers) < MINIMUM_SEEDS:
        reason = f"too few seeds: {len(answers)} of {MINIMUM_SEEDS}. {first.reason}"
        return first._replace(judged=Judged(UNDECIDED, reason))
    if len(count) > 1:
        words = ", ".join(f"{total} {outcome}" for outcome, total in count.most_common())
        return first._replace(judged=Judged(UNDECIDED, f"seeds differ: {words}. {first.reason}"))
    reason = f"{first.reason}; so with each of {len(answers)} seeds"
    return first._replace(judged=Judged(first.outcome, reason))


def _of_seed(rows: pd.DataFrame, method: str, bars: RolloutBarsSection) -> VerdictRow:
    kept, late = (_row(rows, "sampled", span) for span in ("up_to", "at"))
    judged = judge_method(kept, late, bars)
    return VerdictRow(
        STAGE,
        WORDS[STAGE],
        str(kept["representation"]),
        method,
        Judged(judged.outcome, f"{judged.reason}; {_origin(kept, _row(rows, 'mean', 'at'))}"),
        _sentence(method, kept, late),
        _measured(kept, "kept_position"),
        at_least(bars.minimum_kept),
        "of the attainable",
    )


def _sentence(method: str, kept: Row, late: Row) -> str:
    lowest, highest = (
        number.fixed(_number(late, f"std_ratio_{end}"), 2) for end in ("lowest", "highest")
    )
    has_memory = reads_memory(str(kept["kind"]), str(kept["base"]))
    reads = "reads a memory" if has_memory else "no memory"
    return (
        f"{method} ({reads}): keeps {number.fixed(_number(kept, 'kept_position'), 2)} of what is "
        f"attainable about x up to {number.count(kept['horizon_frames'])} frames and "
        f"{number.fixed(_number(kept, 'kept_skill'), 2)} of the energy skill; after "
        f"{number.count(late['horizon_frames'])} frames "
        f"{number.count(late['num_diverged'])} of {number.count(late['num_paths'])} paths "
        f"have diverged, spread ratio {number.fixed(_number(late, 'spread_ratio'), 2)}, SD ratio "
        f"{number.fixed(_number(late, 'std_ratio'), 2)} ({lowest} to {highest} over dimensions), "
        f"energy distance {number.fixed(_number(late, excess_name('energy_distance')), 4)} beyond "
        "that of true stretches."
    )


def _origin(kept: Row, mean: Row) -> str:
    """Return what takes the steps, what it gains over its own base, and whether its mean stops."""
    words = f"{kept['kind']}, base {kept['base']}"
    if str(kept["guard"]) not in ("", "nan"):
        words += f", guard {kept['guard']}"
    if str(kept["partner_method"]) not in ("", "nan"):
        words += (
            f"; over {kept['partner_method']}: "
            f"{number.interval(*_measured(kept, 'gain_seeds_position'))} nats/frame about x, "
            f"{number.interval(*_measured(kept, 'gain_seeds_skill'))} of energy skill "
            f"(training seeds: {number.count(kept['num_seeds'])}, interval over "
            f"{kept['interval_over']})"
        )
    if _number(mean, "frozen_share") > FREEZES:
        words += f"; its mean path freezes: SD ratio {number.fixed(_number(mean, 'std_ratio'), 3)}"
    return words


def _forecast(rows: pd.DataFrame, method: str) -> VerdictRow:
    """Return what a forecaster says, beside the others."""
    own = choose(rows, method=method)
    kept = _row(choose(own, seed=own["seed"].min()), "forecast", "up_to")
    gain = -_measured(kept, "dnll_position")
    return VerdictRow(
        STAGE,
        FORECAST,
        str(kept["representation"]),
        method,
        shown(
            "a forecast of every horizon, not a generator; the best forecast on "
            f"{kept['chosen_on']}, of any method, is the attainable"
        ),
        f"{method}: forecasts x up to {number.count(kept['horizon_frames'])} frames "
        f"with {number.fixed(gain.value, 2)} nats/frame over the marginal.",
        gain,
        without_threshold(0.0),
        "nats/frame",
    )


def _row(rows: pd.DataFrame, mode: str, span: str) -> dict[str, Any]:
    """Return one run's row: summed up to K, or at the longest horizon."""
    found = choose(rows, mode=mode, span=span)
    return first_row(found.sort_values("horizon_frames").iloc[::-1])


def _number(row: Row, name: str) -> float:
    return number.as_float(row[name])


def _measured(row: Row, name: str) -> Measured:
    return Measured(*(_number(row, f"{name}{end}") for end in ("", "_low", "_high")))
