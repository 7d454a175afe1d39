"""The gate as the brief first asked for it, with its own three keys: printed, never decides."""

from engram_audio.stats.estimate import Uncertain, fieller_quotient
from engram_audio.structure.candidates import Records
from engram_audio.structure.config import DecisionSection
from engram_audio.structure.gate_row import UNMEASURED, Direction, GateRow, Measured, Outcome, judge
from engram_audio.structure.gates import Place, measure, missing_reason, uncertain_of
from engram_audio.structure.wording import (
    interval_words,
    number_words,
    percent_words,
    slice_words,
)


def literal_rows(
    name: str, seed: int, records: Records, section: DecisionSection, confidence: float
) -> list[GateRow]:
    """Return variance ratio and transfer loss of each of the brief's keys on each judged slice."""
    gate = section.literal_gate
    places = [
        records.place(name, seed, key, section.lag_frames, slice_name)
        for key in gate.keys
        for slice_name in section.slices
    ]
    return [
        row
        for place in places
        for row in (
            _ratio_row(place, gate.maximum_ratio, confidence),
            _loss_row(place, gate.maximum_transfer_loss, confidence),
        )
    ]


def _ratio_row(place: Place, maximum: float, confidence: float) -> GateRow:
    missing = missing_reason(place)
    ratio = UNMEASURED if missing else measure(place.eval, "ratio", confidence)
    words = (
        f"train cell means leave {number_words(ratio.value)} "
        f"{interval_words(ratio.low, ratio.high, number_words)} of the variance of speakers never "
        f"heard. The brief asks for less than {number_words(maximum)}"
    )
    return _row(place, "ratio", ratio, maximum, words, missing)


def _loss_row(place: Place, maximum: float, confidence: float) -> GateRow:
    missing = missing_reason(place) or missing_reason(place, "val")
    loss = UNMEASURED
    if not missing:
        own, known = (_explained(place, part) for part in ("eval", "val"))
        kept = fieller_quotient(own, known, confidence)
        value = 1 - float(own.value) / float(known.value) if float(known.value) else float("nan")
        loss = Measured(value, 1 - float(kept.high), 1 - float(kept.low))
    words = (
        f"speakers never heard lose {percent_words(loss.value)} "
        f"{interval_words(loss.low, loss.high)} of what the key explains on known ones. The brief "
        f"allows {percent_words(maximum)}"
    )
    return _row(place, "literal_transfer_loss", loss, maximum, words, missing)


def _explained(place: Place, part: str) -> Uncertain:
    ratio = uncertain_of(place.parts[part], "ratio")
    return ratio._replace(value=1 - ratio.value)


def _row(
    place: Place, name: str, measured: Measured, threshold: float, words: str, missing: str
) -> GateRow:
    direction: Direction = "below"
    outcome: Outcome = "invalid" if missing else judge(measured, threshold, direction)
    reason = missing or ("the number has no interval here" if outcome == "invalid" else "")
    return GateRow(
        name=name, representation=place.representation, split_seed=place.split_seed,
        key=place.key, lag=place.lag, slice=place.slice, quantity=name, measured=measured,
        threshold=threshold, direction=direction, outcome=outcome, reason=reason,
        sentence=f"{place.key}, lag {place.lag}, {slice_words(place.slice)}: {reason or words}.",
    )  # fmt: skip
