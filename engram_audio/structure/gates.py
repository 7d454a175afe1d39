"""The gate's rows for one key on one slice: what it adds, what is lost, what spoils the numbers.

Thresholds come from the `decision` section, numbers from the published table alone, so that every
row can be checked by hand. Intervals are formed anew at the level that is asked for.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from engram_audio.stats.estimate import (
    MINIMUM_EFFECTIVE_SPEAKERS,
    Uncertain,
    smallest_shown,
    t_interval,
)
from engram_audio.structure.config import OperativeGate
from engram_audio.structure.gate_row import (
    UNMEASURED,
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

ADDED, NATS, TRANSFER = "added_fraction", "added_nats", "transfer_loss"
CONTROLS = ("permuted", "swapped")
POWER = 0.8  # of the smallest added fraction that these speakers would have shown
MAXIMUM_COST = 0.5  # a correction above this share of what is asked for decides by itself
Row = Mapping[str, Any]


class Place(NamedTuple):
    """Where rows are measured, with the published table's row of each part."""

    representation: str
    split_seed: int
    key: str
    lag: int
    slice: str
    parts: Mapping[str, Row]

    @property
    def eval(self) -> Row:
        """The row of speakers never heard, empty where there is none."""
        return self.parts.get("eval", {})


def missing_reason(place: Place, part: str = "eval") -> str:
    """Return why nothing can be measured at a place; empty where it can."""
    row = place.parts.get(part, {})
    if not row:
        return f"the key has no {part} row here"
    if row["status"] != "ok":
        return str(row["status"])
    if not float(row["num_speakers"]) > 1:
        return f"fewer than two {part} speakers have frames here"
    return ""


def uncertain_of(row: Row, name: str) -> Uncertain:
    """Return a column's value, standard error and degrees of freedom; NaN where there is none.

    A column that publishes no degrees of freedom has those of its speakers.
    """
    df = row.get(f"{name}_df", row.get("num_speakers", math.nan) - 1)
    cells = (row.get(name), row.get(f"{name}_se"), df)
    return Uncertain(*(np.asarray(math.nan if x is None else x, dtype=float) for x in cells))


def measure(row: Row, name: str, confidence: float) -> Measured:
    """Return a column's value and its t interval at this level."""
    quantity = uncertain_of(row, name)
    low, high = t_interval(quantity, confidence)
    return Measured(float(quantity.value), float(low), float(high))


def can_be_ruled_out(place: Place, gate: OperativeGate, delta: float, confidence: float) -> bool:
    """Whether a key surely adds less than is asked: the upper bound of its share or of its nats."""
    share = measure(place.eval, "added_fraction", confidence)
    nats = measure(place.eval, "added_nats_per_frame", confidence)
    return share.high < gate.minimum_added_fraction or nats.high < delta


def shown_with_power(place: Place, gate: OperativeGate, confidence: float) -> float:
    """Return the smallest added fraction whose row would have passed here in 80 of 100 studies."""
    quantity = uncertain_of(place.eval, "added_fraction")
    return float(smallest_shown(gate.minimum_added_fraction, quantity, confidence, POWER))


def gate_rows(place: Place, gate: OperativeGate, delta: float, confidence: float) -> list[GateRow]:
    """Return all rows of a key on a slice: three that decide, then those that can spoil them.

    Args:
        place: The key and slice, with its rows.
        gate: Thresholds.
        delta: Margin for nats per frame.
        confidence: Level of two-sided intervals.
    """
    validity = [*fitting_rows(place, gate, "eval"), *control_rows(place, gate, confidence)]
    spoilt = next((row.reason for row in validity if row.outcome == "invalid"), "")
    return [
        _share_row(place, gate, confidence, spoilt),
        _nats_row(place, delta, confidence, spoilt),
        transfer_row(place, gate.maximum_transfer_loss, spoilt),
        *validity,
    ]


def _share_row(place: Place, gate: OperativeGate, confidence: float, spoilt: str) -> GateRow:
    measured = _measure(place, "added_fraction", confidence)
    words = (
        f"the key adds {percent_words(measured.value)} "
        f"{interval_words(measured.low, measured.high)} of what {_num_cells(place)} cells could add"
        " to a linear model of the same past, on speakers never heard. The gate asks for more than "
        f"{percent_words(gate.minimum_added_fraction)}"
    )
    return _judged(place, ADDED, measured, gate.minimum_added_fraction, "above", words, spoilt)


def _nats_row(place: Place, delta: float, confidence: float, spoilt: str) -> GateRow:
    measured = _measure(place, "added_nats_per_frame", confidence)
    words = (
        f"the key adds {number_words(measured.value)} "
        f"{interval_words(measured.low, measured.high, number_words)} nats per frame to a linear "
        f"model. The gate asks for more than {number_words(delta)}"
    )
    return _judged(place, NATS, measured, delta, "above", words, spoilt)


def transfer_row(place: Place, maximum: float, spoilt: str) -> GateRow:
    """Judge how much of what a key adds is lost on speakers never heard."""
    row = {} if missing_reason(place) else place.eval
    cells = (row.get(f"transfer_loss{end}") for end in ("", "_low", "_high"))
    measured = Measured(*(math.nan if cell is None else float(cell) for cell in cells))
    undefined = ""
    if not math.isfinite(measured.low):
        undefined = "on known speakers it does not surely add anything that could be lost"
    words = undefined and "the transfer loss is undefined"
    words = words or (
        f"speakers never heard lose {percent_words(measured.value)} "
        f"{interval_words(measured.low, measured.high)} of what the key adds on other utterances "
        f"of train speakers. The gate allows {percent_words(maximum)}"
    )
    return _judged(place, TRANSFER, measured, maximum, "below", words, spoilt, undefined)


def fitting_rows(place: Place, gate: OperativeGate, part: str) -> list[GateRow]:
    """Return the rows without an interval: excluded mass, cost of fitting, effective speakers."""
    missing = missing_reason(place, part)
    row = {} if missing else place.parts[part]

    def number(name: str) -> float:
        return float(row[name]) if row.get(name) is not None else math.nan

    if not missing and math.isnan(number("oracle_excluded_mass")):
        missing = (
            f"no target oracle of {row['codebook_size']:.0f} cells was scored beside it (list that "
            "number in codebook_sizes of the oracle in structure.library, or bring more frames)"
        )
    attainable = number("attainable")
    asked = MAXIMUM_COST * gate.minimum_added_fraction * attainable
    excluded = "{value} of the frames fall into cells of the {whose} that train hardly fills"
    cost = "fitting the cells of the {whose} costs {value} of the variance"
    few = " (use fewer cells or more data)"
    checks = (
        ("excluded_mass", excluded, "key", gate.maximum_excluded_mass, few),
        ("oracle_excluded_mass", excluded, "oracle", gate.maximum_excluded_mass, few),
        ("cost_of_fitting", cost, "key", asked, ": too few frames for so many cells"),
        ("oracle_cost_of_fitting", cost, "oracle", MAXIMUM_COST * attainable, few),
    )
    rows = [
        _most(place, f"{name}_{part}", number(name), most,
              words.format(value=percent_words(number(name)), whose=whose), remedy, missing)
        for name, words, whose, most, remedy in checks
    ]  # fmt: skip
    effective = number("num_effective_speakers")
    words = (
        f"{effective:.1f} equal speakers would be as uneven as these, and intervals need "
        f"{MINIMUM_EFFECTIVE_SPEAKERS:g}"
    )
    is_enough = effective >= MINIMUM_EFFECTIVE_SPEAKERS
    reason = missing or ("" if is_enough else f"{words} (add eval speakers)")
    outcome: Outcome = "invalid" if reason else "pass"
    counted = Measured(effective, math.nan, math.nan)
    enough = _row(
        place, f"num_effective_speakers_{part}", counted, MINIMUM_EFFECTIVE_SPEAKERS, "above",
        outcome, reason, words,
    )  # fmt: skip
    return [*rows, enough]


def invalid_reason(rows: Sequence[GateRow]) -> str:
    """Return why the first invalid row is invalid; empty where none is."""
    return next((row.reason for row in rows if row.outcome == "invalid"), "")


def _most(
    place: Place, name: str, value: float, most: float, words: str, remedy: str, missing: str
) -> GateRow:
    words = f"{words}, and at most {percent_words(most)} may be"
    reason = missing or ("" if value <= most else f"{words}{remedy}")
    outcome: Outcome = "invalid" if reason else "pass"
    measured = Measured(value, math.nan, math.nan)
    return _row(place, name, measured, most, "below", outcome, reason, words)


def control_rows(place: Place, gate: OperativeGate, confidence: float) -> list[GateRow]:
    """Return the rows of both controls: torn labels add 0, or the instrument is off."""
    return [_control_row(place, name, gate, confidence) for name in CONTROLS]


def _control_row(place: Place, control: str, gate: OperativeGate, confidence: float) -> GateRow:
    measured = _measure(place, f"control_{control}", confidence)
    tolerance = gate.control_tolerance
    kind = {"permuted": "with permuted labels", "swapped": "with another utterance's labels"}
    words = (
        f"the key {kind[control]} adds {percent_words(measured.value)} "
        f"{interval_words(measured.low, measured.high)}, and a useless key adds 0 within "
        f"{percent_words(tolerance)}"
    )
    outcome = judge(measured, tolerance, "within")
    reason = missing_reason(place)
    if outcome == "invalid" and not reason:
        reason = f"the instrument is off: {words}"
        if not math.isfinite(measured.low):
            reason = f"the {control} control has no number"
    return _row(place, f"control_{control}", measured, tolerance, "within", outcome, reason, words)


def _measure(place: Place, name: str, confidence: float) -> Measured:
    return UNMEASURED if missing_reason(place) else measure(place.eval, name, confidence)


def _num_cells(place: Place) -> str:
    return str(int(place.eval["codebook_size"])) if place.eval else "its"


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
            reason = "the number has no interval here"
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
    return GateRow(
        name=name,
        representation=place.representation,
        split_seed=place.split_seed,
        key=place.key,
        lag=place.lag,
        slice=place.slice,
        quantity=name,
        measured=measured,
        threshold=threshold if math.isfinite(threshold) else None,
        direction=direction,
        outcome=outcome,
        reason=reason,
        sentence=f"{where}: {ending[outcome]}.",
    )
