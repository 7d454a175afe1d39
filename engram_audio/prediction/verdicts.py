"""What the prediction stage answers: does context buy more than every null and every surrogate?"""

import math

import pandas as pd

from engram_audio.prediction.cells import (
    TARGETS,
    Cells,
    cells_of,
    largest_surrogate_gain,
    predicted,
    surrogate_cells,
)
from engram_audio.stats.two_way import MINIMUM_SEEDS
from engram_audio.verdicts import number
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import (
    MET,
    NOT_MET,
    UNDECIDED,
    Asked,
    Judged,
    Measured,
    above,
    judge,
)
from engram_audio.verdicts.row import VerdictRow

STAGE = "prediction"


def verdict_rows(prediction: pd.DataFrame, representation: str) -> list[VerdictRow]:
    """Return one answer per representation, target and lag, for the head that was chosen.

    Args:
        prediction: `tables/prediction.csv`.
        representation: The deciding one; it comes first.
    """
    return [
        row
        for name in predicted(prediction, representation)
        for row in _of_representation(cells_of(prediction, name), surrogate_cells(prediction, name))
    ]


def _of_representation(cells: Cells, surrogates: dict[str, Cells]) -> list[VerdictRow]:
    return [
        _answer(cells, head, lag, target, largest_surrogate_gain(surrogates, lag, target))
        for target in cells.targets()
        for lag in cells.lags(target)
        if (head := cells.chosen_head(lag, target)) is not None
    ]


def judge_gain(gain: Measured, surrogate: float) -> Judged:
    """Judge a gain over the best null, beside the largest gain on a surrogate (NaN: none scored).

    A gain that does not lie above 0 is not met. One above 0 that does not lie above the surrogates
    is undecided: their largest gain has no interval here, so it can refuse a yes and not say no.
    The reason names the bound that was missed.
    """
    judged = judge(gain, above(0.0))
    if judged.outcome == NOT_MET or not math.isfinite(gain.low):
        return judged
    decimals = number.decimals_of_width(gain.high - gain.low)
    of_surrogate = (
        f"{number.fixed(surrogate, decimals)}, a gain on a surrogate, where nothing is to be found"
    )
    low, holds_0 = number.fixed(gain.low, decimals), judged.outcome == UNDECIDED
    if not surrogate > 0 or judge(gain, above(surrogate)).outcome == MET:
        return Judged(UNDECIDED, f"its lower end {low} is not above 0") if holds_0 else judged
    bar = f"above neither 0 nor {of_surrogate}" if holds_0 else f"not above {of_surrogate}"
    # A part of a reason begins with a small letter: the page writes it large.
    ending = ". that gain has no interval, so it cannot say no"
    return Judged(UNDECIDED, f"its lower end {low} is {bar}{ending}")


def asked_of_gain(surrogate: float, decimals: int) -> Asked:
    """Return what a yes needs: more than 0, and more than the largest gain on a surrogate."""
    if not surrogate > 0:
        return above(0.0)
    return above(surrogate)._replace(
        words=f"above a surrogate's {number.fixed(surrogate, decimals)}"
    )


def _of_near(judged: Judged, row: dict[str, object], decimals: int) -> Judged:
    """Leave a verdict open that a tuned point contradicts which is as good on the choice part."""
    low, high = (number.as_float(row[f"near_gain_nats_{end}"]) for end in ("lowest", "highest"))
    if (judged.outcome == MET and low <= 0) or (judged.outcome == NOT_MET and high > 0):
        words = f"{number.fixed(low, decimals)} to {number.fixed(high, decimals)}"
        return Judged(UNDECIDED, f"hangs on the tuning: points as good gain {words} nats")
    return judged


def _answer(cells: Cells, head: str, lag: int, target: str, surrogate: float) -> VerdictRow:
    row = cells.row(head, lag, target)
    is_two_way = number.as_float(row["num_seeds"]) >= MINIMUM_SEEDS
    name = "gain_seeds" if is_two_way else "gain"
    ends = ("", "_low", "_high")
    gain = Measured(*(number.as_float(row[f"{name}_nats{end}"]) for end in ends))
    decimals = number.decimals_of_width(gain.high - gain.low)
    judged = _of_near(judge_gain(gain, surrogate), row, decimals)
    against = _against(cells, head, lag, target, decimals)
    if is_two_way:
        against += f"; interval over {number.count(row['num_seeds'])} seeds and all speakers"
    if math.isfinite(surrogate):
        against += f"; surrogates gain up to {number.fixed(surrogate, decimals)}"
    return VerdictRow(
        STAGE,
        WORDS[STAGE],
        cells.representation,
        f"{TARGETS[target]} at lag {lag}",
        Judged(judged.outcome, f"{judged.reason}; {against}"),
        f"{TARGETS[target]} at lag {lag}: the head's gain over the best null is "
        f"{number.fixed(gain.value, decimals)} nats/frame "
        f"({number.fixed(row[f'{name}_bits_per_s'], 1)} bits/s).",
        gain,
        asked_of_gain(surrogate, decimals),
        "nats/frame",
    )


def _against(cells: Cells, head: str, lag: int, target: str, decimals: int) -> str:
    null = cells.row(head, lag, target)["best_null"]
    strictest, other = cells.strictest_gain(head, lag, target)
    words = f"{head} against {null} (best on {cells.chosen_on})"
    if other and other != null:
        words += f"; against {other}, best on eval: {number.fixed(strictest, decimals)}"
    return words
