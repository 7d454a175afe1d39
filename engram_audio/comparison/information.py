"""What the past tells about a frame, speaker by speaker, and the share of it that is overlap.

Shapes: S speakers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.corpus.split_parts import EVAL
from engram_audio.densities.comparison import (
    Cell,
    SumTable,
    choose_baselines,
    gain,
    has_stopped,
    strongest_null,
)
from engram_audio.stats.estimate import Estimate, paired_quotient

LAG, EVENT = 1, "position"
EVAL_CELL = Cell(LAG, EVENT, EVAL, "all")


class Information(NamedTuple):
    """Scores of one representation at lag 1, position target, eval, all frames.

    Attributes:
        information: Nats per frame of the best predictor (heads and nulls that read the past only,
            chosen before eval) over the best law without context: too low by what the predictor
            misses, too high by what that law misses.
        gain: Nats per frame of the best head over the best null, both chosen before eval.
        predictor: The best predictor.
        head: The best head.
        marginal: The best law without context.
        marginal_has_stopped: Whether that law was grown until it stopped improving.
        null: The best null.
        chosen_on: The part that all of these were chosen on.
        speakers: Speaker ids behind the influences, sorted, [S].
        num_frames: Frames scored.
    """

    information: Estimate | None
    gain: Estimate | None
    predictor: str
    head: str
    marginal: str
    marginal_has_stopped: bool
    null: str
    chosen_on: str
    speakers: list[str]
    num_frames: int


class Share(NamedTuple):
    """A quotient of two values of information with its interval."""

    value: float
    low: float
    high: float


UNMEASURED = Share(np.nan, np.nan, np.nan)


def measure(scores: pd.DataFrame, heads: Sequence[str]) -> Information | None:
    """Return the information of one representation and training seed; None without scores.

    Args:
        scores: Joined `scores` tables of heads and nulls, any lags and events.
        heads: Names of the heads.
    """
    table = SumTable(scores.loc[scores["event"] == EVENT])
    baselines = choose_baselines(table, heads, LAG, EVENT)
    if baselines is None:
        return None
    choice = table.choice_cell(LAG, EVENT)
    own = [head for head in heads if table.sums(head, choice) is not None]
    predictor = strongest_null(table, [*own, *table.past_nulls(heads, LAG, EVENT)], choice)
    head = strongest_null(table, own, choice)
    if predictor is None:
        return None
    count = table.column(predictor, EVAL_CELL, "num_frames")
    chosen = (scores["part"] == EVAL) & (scores["slice"] == "all") & (scores["event"] == EVENT)
    return Information(
        gain(table, predictor, baselines.marginal, EVAL_CELL),
        None if head is None else gain(table, head, baselines.best, EVAL_CELL),
        predictor,
        head or "",
        baselines.marginal,
        has_stopped(table, baselines.marginal, EVAL_CELL),
        baselines.best,
        table.choice_part,
        sorted(scores.loc[chosen, "speaker_id"].unique()),
        0 if count is None else int(count.sum()),
    )


def information_share(
    part: Information | None, whole: Information | None, confidence: float
) -> Share:
    """Return part / whole of two values of information, in nats, paired by speaker.

    Both must run at the same rate. The interval is empty where the whole cannot be told from 0.
    """
    if part is None or whole is None or part.information is None or whole.information is None:
        return UNMEASURED
    speakers = sorted({*part.speakers, *whole.speakers})
    top = _on_speakers(part.information, part.speakers, speakers)
    bottom = _on_speakers(whole.information, whole.speakers, speakers)
    interval = paired_quotient(top, bottom, confidence)
    value = float(top.value / bottom.value) if bottom.value != 0 else np.nan
    return Share(value, float(interval.low), float(interval.high))


def complement(share: Share) -> Share:
    """Return 1 - share."""
    return Share(1 - share.value, 1 - share.high, 1 - share.low)


def _on_speakers(estimate: Estimate, own: Sequence[str], wanted: Sequence[str]) -> Estimate:
    """Spread influences over more speakers; one without data has none."""
    place = {name: number for number, name in enumerate(wanted)}
    places = [place[name] for name in own]
    influence, share = np.zeros(len(wanted)), np.zeros(len(wanted))
    influence[places], share[places] = estimate.influence, estimate.share
    return Estimate(estimate.value, influence, share)
