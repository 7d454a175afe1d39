"""What a verdict needs beside the key's own numbers: the heads' gain, causality, overlap.

Later stages, or a world's known truth, bring the heads' gain. The latents say what a frame sees.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from engram_audio.stats import student_t
from engram_audio.stats.estimate import linear_combination, t_interval
from engram_audio.structure.config import DecisionSection, OperativeGate
from engram_audio.structure.gate_row import UNMEASURED, GateRow, Measured, Outcome, judge
from engram_audio.structure.gates import Place, missing_reason, uncertain_of
from engram_audio.structure.wording import interval_words, number_words, percent_words, slice_words

HEADS, LAW = "heads_gain", "law"
MAXIMUM_COPIED = 0.01  # share of near copies that no answer hangs on


class HeadsGain(NamedTuple):
    """What the best density head knows beyond the best null of the linear kind, on one slice.

    Attributes:
        gain: Nats per frame with the interval.
        information: Gain over the head's context-free family in nats per frame, NaN if unknown.
        words: Whose gain it is, in words.
        df: Degrees of freedom of the interval; infinite where the gain is known exactly.
    """

    gain: Measured
    information: float = math.nan
    words: str = "the best head"
    df: float = math.inf

    def high_at(self, level: float, confidence: float) -> float:
        """Return the upper end at another level than the one that `gain` has."""
        ends = (student_t.quantile(0.5 + one / 2, np.array(self.df)) for one in (level, confidence))
        wanted, own = (float(end) for end in ends)
        return self.gain.value + (self.gain.high - self.gain.value) * wanted / own


class LawGain(NamedTuple):
    """What the law of a key tells beside the linear base, on one slice.

    Attributes:
        key: The key that tells most where choices are made.
        chosen_on: Where that is.
        gain: Its nats per frame on eval.
        highest: The largest upper end of any scored key's interval: no law tells more.
        num_keys: Keys that were scored.
    """

    key: str
    chosen_on: str
    gain: Measured
    highest: float
    num_keys: int


class Source(NamedTuple):
    """What a frame of a representation sees.

    Attributes:
        is_causal: Whether frame t sees no later sample.
        overlap_frames: Frames that share samples with a frame, itself included. None: unknown.
        overlap_control: The same latents with their samples permuted by blocks; "" if none.
        copied_share: Share of the utterances that have a near copy under another speaker.
        copied_pair: Two of them, as "a and b"; "" if none.
        is_declared: Whether `is_causal` is the user's word alone: nobody measured it.
    """

    is_causal: bool = True
    overlap_frames: int | None = None
    overlap_control: str = ""
    copied_share: float = 0.0
    copied_pair: str = ""
    is_declared: bool = False


class Evidence(NamedTuple):
    """The same of every representation.

    Attributes:
        heads: Gain of the best head by slice, of each representation where heads were run.
        sources: What a frame sees, of each representation where it is known.
        laws: What the best law of a key tells by slice, of each representation where keys were
            scored by their laws.
    """

    heads: Mapping[str, Mapping[str, HeadsGain]]
    sources: Mapping[str, Source]
    laws: Mapping[str, Mapping[str, LawGain]] = MappingProxyType({})


def margin_nats(section: DecisionSection, heads: Mapping[str, HeadsGain] | None) -> float:
    """Return delta, the margin for nats: a floor, or a share of what the best head knows.

    The share is that of the judged slice on which it knows most.
    """
    gate, found = section.operative_gate, heads or {}
    known = [found[name].information for name in section.slices if name in found]
    known = [one for one in known if math.isfinite(one)]
    return max([gate.minimum_added_nats, *(gate.minimum_share_of_information * x for x in known)])


def heads_row(
    place: Place, heads: HeadsGain, delta: float, confidence: float, num_slices: int
) -> GateRow:
    """Judge whether anything beyond linear is there to store: pass above delta, fail below it.

    One slice that fails is enough for a STOP, so the level of a fail is shared over the slices.
    """
    outcome = judge(heads.gain, delta, "above")
    words = (
        f"{slice_words(place.slice)}: {heads.words} gains {number_words(heads.gain.value)} "
        f"{interval_words(heads.gain.low, heads.gain.high, number_words)} nats per frame over the "
        f"best null of the linear kind, where {number_words(delta)} would matter"
    )
    shared = heads.high_at(1 - (1 - confidence) / num_slices, confidence)
    if outcome == "fail" and not shared < delta:
        outcome = "undecided"
        words += f". At the level shared over {num_slices} slices the end is {number_words(shared)}"
    return _row(place, HEADS, heads.gain, delta, outcome, words)


def law_row(place: Place, law: LawGain, delta: float) -> GateRow:
    """Judge whether some key's law carries what no key's mean does.

    The key that was chosen passes above delta. All keys must lie below it for a fail.
    """
    outcome: Outcome = "undecided"
    if law.gain.low > delta:
        outcome = "pass"
    elif law.highest < delta:
        outcome = "fail"
    words = (
        f"{slice_words(place.slice)}: beside the linear base the law of {law.key}, best of "
        f"{law.num_keys} on {law.chosen_on}, tells {number_words(law.gain.value)} "
        f"{interval_words(law.gain.low, law.gain.high, number_words)} nats per frame, where "
        f"{number_words(delta)} would matter"
    )
    return _row(place._replace(key=law.key), LAW, law.gain, delta, outcome, words)


def source_rows(
    place: Place, control: Place | None, source: Source, gate: OperativeGate, confidence: float
) -> list[GateRow]:
    """Return the rows of causality, near copies and overlap at a place.

    Args:
        place: The key and slice.
        control: The same place of the overlap control; None where it was not analysed.
        source: What a frame sees.
        gate: Thresholds.
        confidence: Level of two-sided intervals.
    """
    return [
        _causality_row(place, source),
        _copies_row(place, source),
        _overlap_row(place, control, source, gate, confidence),
    ]


def _causality_row(place: Place, source: Source) -> GateRow:
    if not source.is_causal:
        words = "frames see later samples, so a key of the past may tell what it was shown"
        return _row(place, "causality", _exact(0.0), 0.5, "fail", words)
    if source.is_declared:
        words = "that a frame sees no later sample was declared, not measured"
        return _row(place, "causality", UNMEASURED, None, None, words)
    return _row(place, "causality", _exact(1.0), 0.5, "pass", "a frame sees no later sample")


def _copies_row(place: Place, source: Source) -> GateRow:
    words = (
        f"{percent_words(source.copied_share)} of the utterances have a near copy under another "
        f"speaker, and {percent_words(MAXIMUM_COPIED)} may have"
    )
    reason = ""
    if source.copied_share > MAXIMUM_COPIED:
        reason = (
            f"{words}: what is learned from a recording is no transfer to its copy. "
            f"{source.copied_pair} are such a pair (drop one, or give both the same speaker)"
        )
    outcome: Outcome = "invalid" if reason else "pass"
    measured = _exact(source.copied_share)
    row = _row(place, "near_copies", measured, MAXIMUM_COPIED, outcome, reason or words)
    return replace(row, direction="below", reason=reason)


def _overlap_row(
    place: Place, control: Place | None, source: Source, gate: OperativeGate, confidence: float
) -> GateRow:
    if control is not None and not missing_reason(control):
        return _controlled_row(place, control, gate, confidence)
    words, outcome = _uncontrolled(source)
    frames = math.nan if source.overlap_frames is None else float(source.overlap_frames)
    return _row(place, "overlap", _exact(frames), 1.5, outcome, words)


def _uncontrolled(source: Source) -> tuple[str, Outcome | None]:
    """Return what is known of the overlap without a control, and its outcome."""
    if source.overlap_frames is None:
        return "overlap of the encoder was not excluded", None
    if source.overlap_frames > 1:
        return (
            f"{source.overlap_frames} neighbouring frames share samples and no overlap control was "
            "analysed, so the structure may be the encoder's"
        ), "undecided"
    return "neighbouring frames share no sample", "pass"


def _controlled_row(
    place: Place, control: Place, gate: OperativeGate, confidence: float
) -> GateRow:
    own, other = (uncertain_of(one.eval, "added_fraction") for one in (place, control))
    excess = linear_combination(own, other, -1.0)
    low, high = (float(end) for end in t_interval(excess, confidence))
    measured = Measured(float(excess.value), low, high)
    words = (
        f"the key adds {percent_words(measured.value)} {interval_words(low, high)} more than on "
        f"the overlap control {control.representation}, where only the encoder's overlap is left"
    )
    outcome = judge(measured, gate.minimum_added_fraction, "above")
    return _row(place, "overlap", measured, gate.minimum_added_fraction, outcome, words)


def _exact(value: float) -> Measured:
    return Measured(value, math.nan, math.nan)


def _row(
    place: Place, name: str, measured: Measured, threshold: float | None,
    outcome: Outcome | None, words: str,
) -> GateRow:  # fmt: skip
    return GateRow(
        name=name, representation=place.representation, split_seed=place.split_seed,
        key=place.key, lag=place.lag, slice=place.slice, quantity=name, measured=measured,
        threshold=threshold, direction="above", outcome=outcome, reason="",
        sentence=f"{words}.",
    )  # fmt: skip
