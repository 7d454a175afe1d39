"""What the past tells about a frame, speaker by speaker, and the share of it that is overlap.

Shapes: S speakers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.densities.comparison import (
    Cell,
    SumTable,
    choose_baselines,
    gain,
    strongest_null,
)
from engram_audio.stats.estimate import Estimate, paired_quotient

LAG, EVENT = 1, "position"
SPEAKER_NULL = "speaker_ar1"  # reads the speaker's other utterances: more than the past
VAL, EVAL = Cell(LAG, EVENT, "val", "all"), Cell(LAG, EVENT, "eval", "all")


class Information(NamedTuple):
    """Scores of one representation at lag 1, position target, eval, all frames.

    Attributes:
        information: Nats per frame of the best predictor (heads and nulls that read the past only,
            chosen on val) over the best law without context; a lower bound of what the past tells.
        gain: Nats per frame of the best head over the best null, both chosen on val.
        predictor: The best predictor.
        head: The best head.
        marginal: The best law without context.
        null: The best null.
        speakers: Speaker ids behind the influences, sorted, [S].
        num_frames: Frames scored.
    """

    information: Estimate | None
    gain: Estimate | None
    predictor: str
    head: str
    marginal: str
    null: str
    speakers: list[str]
    num_frames: int


class Share(NamedTuple):
    """A quotient of two values of information with its interval."""

    value: float
    low: float
    high: float


NOTHING = Share(np.nan, np.nan, np.nan)


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
    own = [head for head in heads if table.sums(head, VAL) is not None]
    nulls = [name for name in table.null_names(heads, LAG, EVENT) if name != SPEAKER_NULL]
    predictor = strongest_null(table, [*own, *nulls], VAL)
    head = strongest_null(table, own, VAL)
    if predictor is None:
        return None
    count = table.column(predictor, EVAL, "num_frames")
    chosen = (scores["part"] == "eval") & (scores["slice"] == "all") & (scores["event"] == EVENT)
    return Information(
        gain(table, predictor, baselines.marginal, EVAL),
        None if head is None else gain(table, head, baselines.best, EVAL),
        predictor,
        head or "",
        baselines.marginal,
        baselines.best,
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
        return NOTHING
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
