"""What the factorizer stage answers: are both parts used, is the rate honest, how good is it?"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.factorizer.context import WHOLE_PAST
from engram_audio.verdicts import number
from engram_audio.verdicts.chain import DIRECT, WORDS
from engram_audio.verdicts.judge import (
    NOT_MET,
    Judged,
    Measured,
    above,
    all_of,
    judge,
    without_threshold,
)
from engram_audio.verdicts.row import VerdictRow, shown

STAGE = "factorizer"
COSTS = {"shuffled_rec": "z_rec", "shuffled_dyn": "z_dyn"}  # shuffled part -> the part


def verdict_rows(factorizer: pd.DataFrame, representation: str) -> list[VerdictRow]:
    """Return two answers per variant that is no point of a sweep, for its smallest seed.

    Args:
        factorizer: `tables/factorizer.csv`.
        representation: The deciding one; it comes first.
    """
    is_named = [str(name) in ("", "nan") for name in factorizer["sweep"]]
    named = choose(factorizer.loc[is_named], part="eval", slice="all")
    names = sorted(
        {str(name) for name in named["representation"]},
        key=lambda name: (name != representation, name),
    )
    rows = []
    for name in names:
        own = choose(named, representation=name)
        own = choose(own, seed=own["seed"].min())
        rows += [row for one in own.to_dict("records") for row in (_usage(one), _direct(one))]
    return rows


def judge_usage(row: Mapping[Any, Any]) -> tuple[Judged, Measured]:
    """Judge a variant: no health limit crossed, an honest rate, and both parts cost when shuffled.

    Returns:
        The judgement, and the cost of the part that costs less.
    """
    costs = {
        part: Measured(
            *(number.as_float(row[f"cost_{case}{end}"]) for end in ("", "_low", "_high"))
        )
        for case, part in COSTS.items()
    }
    least = min(costs.values(), key=lambda cost: (cost.low == cost.low, cost.low))  # NaN first
    collapse = "" if pd.isna(row["collapse"]) else str(row["collapse"])
    if collapse:
        return Judged(NOT_MET, f"collapsed: {collapse}"), least
    if str(row["is_honest"]) != "True":
        return Judged(NOT_MET, "not honest: z_dyn sees the frame for nothing"), least
    bars = [_named(judge(cost, above(0.0)), part) for part, cost in costs.items()]
    return all_of(bars), least


def _named(judged: Judged, part: str) -> Judged:
    return Judged(judged.outcome, f"cost of shuffling {part}: {judged.reason}")


def _usage(row: Mapping[Any, Any]) -> VerdictRow:
    judged, least = judge_usage(row)
    _, low, high = _gain(row)
    decimals = number.decimals_of_width(high - low) if high > low else 2
    information = number.fixed(row["information_nats"], decimals)
    text = (
        f"{row['factorizer']}: its bound lies {information} nats/frame below the best law without "
    )
    text += "context"
    if not pd.isna(row["innovation_bits_per_s"]):
        text += f", the innovation takes {number.fixed(row['innovation_bits_per_s'], 0)} bits/s"
    text += f" at {number.fixed(row['error_posterior'], 3)} of the variance."
    return VerdictRow(
        STAGE, WORDS[STAGE], str(row["representation"]), str(row["factorizer"]), judged, text,
        least, above(0.0), "of the variance",
    )  # fmt: skip


def _direct(row: Mapping[Any, Any]) -> VerdictRow:
    gain = _gain(row)
    decimals = number.decimals_of_width(gain.high - gain.low)
    text = f"{row['factorizer']}: its bound gains {number.fixed(gain.value, decimals)} nats/frame "
    text += f"over {row['best_direct']}, the best direct predictor on {row['chosen_on']}. "
    text += f"The bound sees {_all(row['bound_context'])}, that predictor {row['direct_context']}."
    return VerdictRow(
        STAGE, DIRECT, str(row["representation"]), str(row["factorizer"]), shown(), text, gain,
        without_threshold(0.0), "nats/frame",
    )  # fmt: skip


def _all(context: Any) -> str:
    return "the whole past" if context == WHOLE_PAST else str(context)


def _gain(row: Mapping[Any, Any]) -> Measured:
    ends = ("", "_low", "_high")
    return Measured(*(number.as_float(row[f"gain_over_direct_nats{end}"]) for end in ends))
