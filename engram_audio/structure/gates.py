"""The gates: the rows that a verdict rests on, for one key on one slice.

Thresholds come from the `decision` section, numbers from the published table alone, so that every
row can be checked by hand. Intervals are formed anew at the gate's own level, which is corrected
for the number of registered keys.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from engram_audio.stats.estimate import Uncertain, t_interval
from engram_audio.structure.config import LiteralGate, OperativeGate
from engram_audio.structure.estimates import transfer_loss
from engram_audio.structure.gate_row import (
    NOTHING,
    Direction,
    GateRow,
    Measured,
    Outcome,
    judge,
)
from engram_audio.structure.wording import (
    interval_words,
    number_words,
    percent_words,
    slice_words,
)

DECISIVE = ("transfer_loss", "explained_fraction", "advantage")  # only these can say STOP
CONTROLS = ("permuted", "swapped")
LINEAR = "var"  # the surrogate that keeps linear correlation over time and dimensions, and no more
Row = Mapping[str, Any]


class Place(NamedTuple):
    """Where rows are measured, with the published table's rows of val and eval (empty: none)."""

    representation: str
    split_seed: int
    key: str
    lag: int
    slice: str
    val: Row
    eval: Row


def operative_rows(place: Place, gate: OperativeGate, confidence: float) -> list[GateRow]:
    """Return all rows of the gate that decides, for one key on one slice.

    What makes a number meaningless makes its row invalid:

    - a key that was not attempted, too much excluded val mass (too little data for so many cells),
      or a control below 1 (a useless key would look useful) spoil every row;
    - too much excluded *eval* mass spoils the numbers of the kept frames. The transfer row scores
      all frames, so a key whose cells eval speakers never visit fails there;
    - a control above 1 (labels last so long that a cell mean rests on fewer independent frames than
      it counts) makes every key look worse. Val and eval suffer alike, so the transfer row stands.
    """
    missing = missing_reason(place)
    exclusions = [_exclusion_row(place, part, gate, missing) for part in ("val", "eval")]
    controls = [_control_row(place, name, gate, confidence, missing) for name in CONTROLS]
    flattering = [row for row in controls if not row.measured.value > 1]
    spoilt = missing or _invalid_reason([exclusions[0], *flattering])
    kept_spoilt = spoilt or _invalid_reason([exclusions[1], *controls])
    return [
        _explained_row(place, gate, confidence, kept_spoilt),
        _advantage_row(place, gate, confidence, kept_spoilt),
        transfer_row(place, gate.maximum_transfer_loss, gate, confidence, spoilt),
        *exclusions,
        *controls,
    ]


def literal_rows(
    place: Place, literal: LiteralGate, operative: OperativeGate, confidence: float
) -> list[GateRow]:
    """Return the rows of the gate as it was first asked for; they are printed and never decide."""
    missing = missing_reason(place)
    ratio = _measure(place.eval, "ratio", confidence, missing)
    floor = float(place.eval.get("floor", math.nan))
    words = (
        f"train cell means leave {number_words(ratio.value)} "
        f"{interval_words(ratio.low, ratio.high, number_words)} of the variance on unseen speakers"
        f"; the literal gate asks for less than {number_words(literal.maximum_ratio)}, and no key "
        f"of this size can fall below {number_words(floor)}"
    )
    row = _judged(place, "ratio", ratio, literal.maximum_ratio, "below", words, missing)
    maximum = literal.maximum_transfer_loss
    return [row, transfer_row(place, maximum, operative, confidence, missing)]


def missing_reason(place: Place) -> str:
    """Return why nothing can be measured at a place; empty where it can."""
    for part, row in (("val", place.val), ("eval", place.eval)):
        if not row:
            return f"the key has no {part} row here"
        if row["status"] != "ok":
            return str(row["status"])
        if not float(row["num_speakers"]) > 1:
            return f"fewer than two {part} speakers have frames here"
    return ""


def measure(row: Row, name: str, confidence: float) -> Measured:
    """Return a column's value and its t interval at this level."""
    df = float(row["num_speakers"]) - 1
    quantity = Uncertain(*map(np.asarray, (row[name], row[f"{name}_se"], df)))
    low, high = t_interval(quantity, confidence)
    return Measured(float(row[name]), float(low), float(high))


def _measure(row: Row, name: str, confidence: float, missing: str) -> Measured:
    return NOTHING if missing else measure(row, name, confidence)


def measure_transfer(place: Place, confidence: float) -> Measured:
    """Return the transfer loss of *all* frames with its Fieller interval.

    Excluded frames are scored by the train grand mean, so cells that eval speakers never visit
    count as explaining nothing.
    """
    sides = []
    for row in (place.eval, place.val):
        numbers = row["ratio_all_frames"], row["ratio_all_frames_se"], row["num_speakers"] - 1
        sides.append(Uncertain(*(np.asarray(number, dtype=np.float64) for number in numbers)))
    return Measured(*(float(number) for number in transfer_loss(sides[0], sides[1], confidence)))


def transfer_row(
    place: Place, maximum: float, gate: OperativeGate, confidence: float, spoilt: str
) -> GateRow:
    """Judge how much of what a key explains is lost on speakers never seen."""
    measured, undefined = NOTHING, ""
    if not missing_reason(place):
        base = measure(place.val, "explained_fraction", confidence)
        if base.low > gate.minimum_explained_for_transfer:
            measured = measure_transfer(place, confidence)
        else:
            undefined = (
                f"on val the key explains {percent_words(base.value)} "
                f"{interval_words(base.low, base.high)}, too little to ask what is lost (a loss is "
                f"defined surely above {percent_words(gate.minimum_explained_for_transfer)})"
            )
    words = undefined and "the transfer loss is undefined"
    words = words or (
        f"speakers never seen lose {percent_words(measured.value)} "
        f"{interval_words(measured.low, measured.high)} of what the key explains on held-out "
        f"utterances of train speakers; the gate allows {percent_words(maximum)}"
    )
    return _judged(place, "transfer_loss", measured, maximum, "below", words, spoilt, undefined)


def _explained_row(place: Place, gate: OperativeGate, confidence: float, spoilt: str) -> GateRow:
    measured = _measure(place.eval, "explained_fraction", confidence, missing_reason(place))
    minimum = gate.minimum_explained_fraction
    words = (
        f"the key explains {percent_words(measured.value)} "
        f"{interval_words(measured.low, measured.high)} of what {_num_cells(place)} cells could "
        f"explain of the next step of unseen speakers; the gate asks for more than "
        f"{percent_words(minimum)}"
    )
    return _judged(place, "explained_fraction", measured, minimum, "above", words, spoilt)


def has_linear_twin(place: Place) -> bool:
    """Whether the linear twin was scored beside a key: without it no advantage is known."""
    return math.isfinite(float(place.eval.get(f"explained_fraction_{LINEAR}", math.nan)))


def _advantage_row(place: Place, gate: OperativeGate, confidence: float, spoilt: str) -> GateRow:
    measured = _measure(place.eval, "advantage", confidence, missing_reason(place))
    best = place.eval.get("best_surrogate")
    minimum = gate.minimum_advantage
    fails = isinstance(best, str) and judge(measured, minimum, "above") == "fail"
    if (
        not has_linear_twin(place) and not fails
    ):  # more surrogates could only take from the advantage
        spoilt = spoilt or (
            f"no surrogate of kind {LINEAR} was scored beside it, so linear correlation cannot be "
            f"ruled out; add {LINEAR} to the representation's surrogates"
        )
    words = (
        f"the key explains {percent_words(measured.value)} "
        f"{interval_words(measured.low, measured.high)} more than it does on the best surrogate "
        f"({best}); the gate asks for more than {percent_words(gate.minimum_advantage)}"
    )
    return _judged(place, "advantage", measured, minimum, "above", words, spoilt)


def _exclusion_row(place: Place, part: str, gate: OperativeGate, missing: str) -> GateRow:
    mass = math.nan if missing else float(getattr(place, part)["excluded_mass"])
    maximum = gate.maximum_excluded_mass
    words = (
        f"{percent_words(mass)} of the {part} frames fall into cells that train hardly fills; the "
        f"gate allows {percent_words(maximum)}"
    )
    too_much = not missing and not mass <= maximum
    reason = missing or (f"{words} (use fewer cells or more data)" if too_much else "")
    outcome: Outcome = "invalid" if reason else "pass"
    measured = Measured(mass, math.nan, math.nan)
    name = f"excluded_mass_{part}"
    return _row(place, name, measured, maximum, "below", outcome, reason, words)


def _control_row(
    place: Place, control: str, gate: OperativeGate, confidence: float, missing: str
) -> GateRow:
    measured = _measure(place.eval, f"control_{control}", confidence, missing)
    tolerance = gate.control_tolerance
    kind = {"permuted": "with permuted labels", "swapped": "with another utterance's labels"}
    words = (
        f"the key {kind[control]} scores {number_words(measured.value)} "
        f"{interval_words(measured.low, measured.high, number_words)}, and a useless key scores 1 "
        f"within {number_words(tolerance)}"
    )
    outcome = judge(measured, tolerance, "within")
    reason = missing
    if outcome == "invalid" and not missing:
        reason = f"the instrument is off: {words}"
        if not math.isfinite(measured.value):
            reason = f"the {control} control has no scored frame"
            unvisited = place.eval["excluded_mass"] > gate.maximum_excluded_mass
            outcome = "undecided" if unvisited else "invalid"
    name = f"control_{control}"
    return _row(place, name, measured, tolerance, "within", outcome, reason, words)


def _num_cells(place: Place) -> str:
    return str(int(place.eval["codebook_size"])) if place.eval else "its"


def _invalid_reason(rows: list[GateRow]) -> str:
    return next((row.reason for row in rows if row.outcome == "invalid"), "")


def _judged(
    place: Place,
    name: str,
    measured: Measured,
    threshold: float,
    direction: Direction,
    words: str,
    spoilt: str,
    undefined: str = "",
) -> GateRow:
    """Judge a number by its interval unless it is spoilt (invalid) or undefined (undecided)."""
    outcome: Outcome = "invalid" if spoilt else "undecided"
    reason = spoilt or undefined
    if not reason:
        outcome = judge(measured, threshold, direction)
        if outcome == "invalid":
            reason = "the number has no interval here (the floor or a speaker is missing)"
    return _row(place, name, measured, threshold, direction, outcome, reason, words)


def _row(
    place: Place,
    name: str,
    measured: Measured,
    threshold: float,
    direction: Direction,
    outcome: Outcome,
    reason: str,
    words: str,
) -> GateRow:
    where = f"{place.key}, lag {place.lag}, {slice_words(place.slice)}"
    ending = {
        "pass": f"{words}: passes",
        "fail": f"{words}: fails",
        "undecided": f"{words}: undecided, {reason or 'the interval holds both sides'}",
        "invalid": f"{name.replace('_', ' ')} cannot be judged: {reason}",
    }
    quantity = "excluded_mass" if name.startswith("excluded_mass") else name
    return GateRow(
        name=name,
        representation=place.representation,
        split_seed=place.split_seed,
        key=place.key,
        lag=place.lag,
        slice=place.slice,
        quantity=quantity,
        measured=measured,
        threshold=threshold,
        direction=direction,
        outcome=outcome,
        reason=reason,
        sentence=f"{where}: {ending[outcome]}.",
    )
