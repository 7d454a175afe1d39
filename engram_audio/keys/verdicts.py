"""What the curve of nats against ln K answers: does what context tells survive a small key?"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.keys.law_scores import BANK, KEY, PERMUTED, PREDICTOR
from engram_audio.verdicts import judge
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import Asked, Judged, Measured, above, between
from engram_audio.verdicts.row import VerdictRow
from engram_audio.verdicts.words import (
    KEY_UNDECIDED,
    LEARNED_KEY_ONLY,
    NO_STRUCTURE,
    NOT_COMPRESSIBLE,
    OF_KEYS,
    SMALL_KEY,
)

STAGE = "keys"
PLACE = ["representation", "split_seed", "target", "lag_frames", "base"]
LEARNED_METHODS = (
    "laws", "tuned", "vq", "fsq", "product_laws", "residual_laws", "bits", "distilled",
)  # fmt: skip
BANK_TOLERANCE = 0.1  # nats that 128 components may cost on Gaussian data of 30,000 frames: .05
PERMUTED_TOLERANCE = 0.03  # nats that fitting the weights of codes without information may cost
BASE_WORDS = {"none": "alone", "linear": "beside the linear base"}


class Curve(NamedTuple):
    """The rows of one representation at one aim, on all frames.

    Attributes:
        keys: Rows of keys.
        predictor: The row of the predictor; None where it was not trained.
        base: none or linear.
    """

    keys: list[Mapping[Any, Any]]
    predictor: Mapping[Any, Any] | None
    base: str

    @property
    def chosen(self) -> Mapping[Any, Any] | None:
        """The key that scores best where choices are made."""
        known = [row for row in self.keys if np.isfinite(row["nats_choice"])]
        return max(known, key=lambda row: row["nats_choice"], default=None)


class Answered(NamedTuple):
    """A word about a curve.

    Attributes:
        word: One of `verdicts.words.OF_KEYS`.
        reason: What decided, or what is missing.
    """

    word: str
    reason: str


def verdict_rows(
    table: pd.DataFrame, representation: str, delta_nats: float, maximum_loss: float
) -> list[VerdictRow]:
    """Return one answer per curve, the deciding representation first, and marks of trust.

    Args:
        table: `tables/keys.csv`.
        representation: The deciding one.
        delta_nats: Margin for nats per frame.
        maximum_loss: Largest transfer loss.
    """
    whole = choose(table, slice="all")
    order = whole.assign(other=whole["representation"] != representation)
    order = order.sort_values(["other", *PLACE], kind="stable")
    answers, trust = [], []
    for place, rows in order.groupby(PLACE, sort=False):
        records = rows.to_dict("records")
        where = cast("tuple[Any, ...]", place)
        answers.append(_answer(where, curve_of(records), delta_nats, maximum_loss))
        trust += _trust(where, records)
    return [*answers, *trust]


def curve_of(records: Sequence[Mapping[Any, Any]]) -> Curve:
    """Return the curve of the rows of one aim."""
    predictor = next((row for row in records if row["kind"] == PREDICTOR), None)
    keys = [row for row in records if row["kind"] == KEY]
    return Curve(keys, predictor, str(records[0]["base"]))


def answer_of(curve: Curve, delta_nats: float, maximum_loss: float) -> Answered:
    """Return the word of a curve.

    The key is chosen where choices are made and tested once on eval. NO STRUCTURE is a claim of no
    effect, so it needs the whole interval below delta.
    """
    if curve.predictor is None:
        return Answered(KEY_UNDECIDED, "no predictor was trained at this target, lag and base")
    gain = _beyond_linear(curve, curve.predictor)
    if gain is None:
        return Answered(
            KEY_UNDECIDED, "no VAR surrogate was scored: what a linear process tells is unknown"
        )
    if gain.high < delta_nats:
        return Answered(NO_STRUCTURE, f"the predictor's gain is below {delta_nats:g} nats")
    chosen = curve.chosen
    if chosen is None:
        return Answered(KEY_UNDECIDED, "no key was scored where choices are made")
    doubts = _doubts(curve, chosen, maximum_loss)
    if not doubts:
        word = LEARNED_KEY_ONLY if _is_learned_only(curve, chosen) else SMALL_KEY
        return Answered(word, f"{chosen['key']} keeps {chosen['share_of_predictor']:.0%}")
    if gain.low > delta_nats and all(row["kept_nats_high"] < 0 for row in curve.keys):
        return Answered(NOT_COMPRESSIBLE, "no key keeps the share of the predictor that is asked")
    return Answered(KEY_UNDECIDED, doubts[0])


def _beyond_linear(curve: Curve, row: Mapping[Any, Any]) -> Measured | None:
    """Return nats beyond what a linear process tells; None where that is not known.

    Beside the linear base a Gaussian process tells nothing, so there the surrogate may be missing.
    """
    if np.isfinite(row["over_surrogate_nats"]):
        return _measured(row, "over_surrogate_nats")
    return _measured(row, "nats") if curve.base == "linear" else None


def _measured(row: Mapping[Any, Any], name: str) -> Measured:
    return Measured(*(float(row[f"{name}{end}"]) for end in ("", "_low", "_high")))


def _doubts(curve: Curve, chosen: Mapping[Any, Any], maximum_loss: float) -> list[str]:
    """Return why the chosen key does not pass, in words; empty where it does."""
    beyond, key = _beyond_linear(curve, chosen), chosen["key"]
    kept = _measured(chosen, "kept_nats")
    doubts = []
    if not kept.low > 0:
        doubts.append(f"{key}: the share of the predictor that is asked is not surely kept")
    if beyond is None or not beyond.low > 0:
        doubts.append(f"{key}: not surely above the same key on the surrogate")
    if not chosen["transfer_loss_high"] < maximum_loss:
        doubts.append(f"{key}: the transfer loss is not surely below {maximum_loss:g}")
    return doubts


def is_learned(method: str) -> bool:
    """Whether a method's keys are trained."""
    return method.rpartition(".")[2] in LEARNED_METHODS or ".distilled_" in method


def _is_learned_only(curve: Curve, chosen: Mapping[Any, Any]) -> bool:
    """Whether k-means keeps less than half of what a learned key keeps at the same K."""
    if not is_learned(str(chosen["method"])):
        return False
    others = [
        row["nats"]
        for row in curve.keys
        if ".kmeans" in row["method"] and row["num_codes"] == chosen["num_codes"]
    ]
    return bool(others) and max(others) < 0.5 * chosen["nats"]


def _answer(
    place: Sequence[Any], curve: Curve, delta_nats: float, maximum_loss: float
) -> VerdictRow:
    name, seed, target, lag, base = place
    found, chosen = answer_of(curve, delta_nats, maximum_loss), curve.chosen
    measured, asked = judge.UNMEASURED, judge.NOTHING_ASKED
    sentence = f"{found.word}: {found.reason}."
    if chosen is not None:
        measured, asked = _measured(chosen, "kept_nats"), above(0.0)
        sentence += (
            f" {chosen['key']}, best of {len(curve.keys)} on {chosen['chosen_on']}, keeps "
            f"{chosen['nats']:.2f} nats of {_predicted(curve)} with K = {chosen['num_codes']:.0f}."
        )
    return VerdictRow(
        STAGE, WORDS[STAGE], str(name),
        f"{target} at lag {int(lag)} {BASE_WORDS[str(base)]} · split {int(seed)}",
        Judged(OF_KEYS[found.word], found.reason), sentence, measured, asked, "nats/frame",
    )  # fmt: skip


def _predicted(curve: Curve) -> str:
    return "an unknown number" if curve.predictor is None else f"{curve.predictor['nats']:.2f}"


def _trust(place: Sequence[Any], records: Sequence[Mapping[Any, Any]]) -> list[VerdictRow]:
    """Return the two marks of trust of a curve: codes without information, and the bank."""
    name, seed, target, lag, base = place
    case = f"{target} at lag {int(lag)} {BASE_WORDS[str(base)]} · split {int(seed)}"
    zero = between(-PERMUTED_TOLERANCE, PERMUTED_TOLERANCE)
    rows = []
    for kind, asked, words in (
        (PERMUTED, zero, "Codes of other frames must tell nothing"),
        (BANK, above(-BANK_TOLERANCE), "The bank must be no worse than one Gaussian"),
    ):
        for row in records:
            if row["kind"] == kind:
                value = float(row["nats" if kind == PERMUTED else "nats_choice"])
                rows.append(_trust_row(str(name), f"{case} · {row['key']}", value, asked, words))
    return rows


def _trust_row(name: str, case: str, value: float, asked: Asked, words: str) -> VerdictRow:
    measured = judge.exact(value)
    judged = judge.judge(measured, asked)
    return VerdictRow(
        STAGE, WORDS["calibration"], name, case, judged, f"{words}: {value:.3f} nats.", measured,
        asked, "nats/frame",
    )  # fmt: skip
