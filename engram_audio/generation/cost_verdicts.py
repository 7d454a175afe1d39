"""What a gain costs and what it is made of, in words; of these only a wider backbone decides."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.generation.cost_columns import (
    GENERATION_COST,
    GENERATION_PROBES,
    GENERATION_SHARE,
    GENERATION_WIDER,
)
from engram_audio.generation.ladder import BEYOND, INSIDE
from engram_audio.generation.names import (
    CLAMP,
    COST_SHARE,
    FLIP,
    GAIN,
    HALF,
    LAW,
    LAW_SHARE,
    MEAN_GATE,
    NET,
    OWN,
)
from engram_audio.generation.word import AS_MUCH_WORK
from engram_audio.stats.two_way import MINIMUM_SEEDS
from engram_audio.verdicts import number
from engram_audio.verdicts.judge import (
    MET,
    NOT_MET,
    UNDECIDED,
    UNMEASURED,
    Judged,
    Measured,
    above,
    below,
    judge,
)
from engram_audio.verdicts.row import VerdictRow, shown

STAGE = "generation"
COST = "What would its quality cost without a memory?"
SHARE = "How much of the generator should be rows?"
WIDER = "Does the gain survive a wider backbone?"
SELECTS = "Does the gate select?"
READS = "How much of the key's own law does a flipped code tell?"
SELECTION_SHARE = 0.05  # of the gain, below which the mean of the gate does as well as the gate
Row = Mapping[Any, Any]


class Costs(NamedTuple):
    """Published tables; empty where nothing was asked.

    Attributes:
        cost: `tables/generation_cost.csv`.
        share: `tables/generation_share.csv`.
        wider: `tables/generation_wider.csv`.
        probes: `tables/generation_probes.csv`.
    """

    cost: pd.DataFrame
    share: pd.DataFrame
    wider: pd.DataFrame
    probes: pd.DataFrame

    def of(self, representation: str, generator: str) -> "Costs":
        """Return the rows of one generator on one representation."""
        return Costs(*(choose(t, representation=representation, generator=generator) for t in self))

    def gain_in_wider(self) -> Measured | None:
        """Return the gain over F in a wider backbone; None where none was trained."""
        rows = choose(self.wider, against=AS_MUCH_WORK).to_dict("records")
        return _measured(rows[0], "gain_nats") if rows else None

    def rows(self, name: str) -> list[VerdictRow]:
        """Return the answers of one representation."""
        return [
            *(_cost(name, row) for row in self.cost.to_dict("records")),
            *(_share(name, row) for row in choose(self.share, is_best=True).to_dict("records")),
            *(_wider(name, row) for row in self.wider.to_dict("records")),
            *_clamp(name, self.probes),
            *_flip(name, self.probes),
        ]


NO_COSTS = Costs(*(table.empty() for table in (
    GENERATION_COST, GENERATION_SHARE, GENERATION_WIDER, GENERATION_PROBES,
)))  # fmt: skip


def _measured(row: Row, name: str) -> Measured:
    return Measured(*(number.as_float(row[f"{name}{end}"]) for end in ("", "_low", "_high")))


def _told(measured: Measured) -> str:
    return number.interval(*measured)


def _cost(name: str, row: Row) -> VerdictRow:
    measured = _measured(row, "multiplier")
    of = "work per frame" if row["budget"] == "work" else "numbers"
    amount = _amount(measured, row)
    sentences = [
        f"Without a memory the same {row['quality']} takes {amount} times the {of} of SM."
        if amount
        else f"It is not resolved how many times the {of} of SM the same {row['quality']} takes.",
        f"The ladder reaches from {number.fixed(row['first_ratio'], 2)} to "
        f"{number.fixed(row['last_ratio'], 2)}.",
    ]
    if _has_few_seeds(row):
        sentences.append("With fewer than three seeds there is no interval.")
    judged = shown() if amount else Judged(UNDECIDED, "SM is not surely off the ladder")
    case = f"{row['quality']}, {row['budget']}"
    return VerdictRow(STAGE, COST, name, case, judged, " ".join(sentences), measured, unit="times")


def _has_few_seeds(row: Row) -> bool:
    return number.as_float(row["num_seeds"]) < MINIMUM_SEEDS


def _amount(measured: Measured, row: Row) -> str:
    """Return a multiplier; "" where SM lies beyond an end of the ladder, but not surely."""
    value = number.fixed(measured.value, 2)
    if row["reach"] == INSIDE:
        return value if _has_few_seeds(row) else _between(measured)
    is_beyond = row["reach"] == BEYOND
    bound, end = (
        (measured.low, row["last_ratio"]) if is_beyond else (measured.high, row["first_ratio"])
    )
    is_sure = math.isclose(bound, number.as_float(end), rel_tol=1e-9)
    return f"{'more than' if is_beyond else 'at most'} {value}" if is_sure else ""


def _between(measured: Measured) -> str:
    """Return a multiplier with what is known of its ends."""
    low, high = (number.fixed(end, 2) for end in measured[1:])
    ends = {
        (True, True): f"[{low}, {high}]", (True, False): f"[{low}, not bounded]",
        (False, True): f"[not bounded, {high}]", (False, False): "[not bounded]",
    }  # fmt: skip
    known = (math.isfinite(measured.low), math.isfinite(measured.high))
    return f"{number.fixed(measured.value, 2)} {ends[known]}"


def _share(name: str, row: Row) -> VerdictRow:
    measured = _measured(row, "depth_nats")
    sentence = (
        f"{row['word']}. Best on the choice part is a share of {number.fixed(row['share'], 2)}; on "
        f"eval it lies {_told(measured)} nats/frame below no memory."
    )
    case = f"{row['held']} held"
    return VerdictRow(STAGE, SHARE, name, case, shown(), sentence, measured, unit="nats/frame")


def _wider(name: str, row: Row) -> VerdictRow:
    measured, asked = _measured(row, "gain_nats"), above(number.as_float(row["delta_nats"]))
    other = str(row["against"])
    judged = judge(measured, asked) if other == AS_MUCH_WORK else shown("F decides")
    sentence = (
        f"At width {number.count(row['width'])} SM gains {_told(measured)} nats/frame over {other}."
    )
    return VerdictRow(STAGE, WIDER, name, other, judged, sentence, measured, asked, "nats/frame")


def _clamp(name: str, probes: pd.DataFrame) -> Iterable[VerdictRow]:
    """Tell a share of the gain only where there surely is a gain to have a share of."""
    gained = _probe(probes, probe=CLAMP, condition=OWN, measure=GAIN)
    judged = judge(gained, above(0.0))
    rows = choose(probes, probe=CLAMP, condition=MEAN_GATE, measure=COST_SHARE)
    for row in rows.to_dict("records"):
        if judged.outcome != MET:
            yield _no_share(name, gained, judged)
            continue
        measured = _measured(row, "value")
        words = {MET: "It selects nothing.", NOT_MET: "It selects."}
        word = words.get(judge(measured, below(SELECTION_SHARE)).outcome, "Not resolved.")
        sentence = f"{word} Its mean in its place costs {_told(measured)} of the gain over S."
        yield VerdictRow(STAGE, SELECTS, name, "", shown(), sentence, measured)


def _no_share(name: str, gained: Measured, judged: Judged) -> VerdictRow:
    told = f"{_told(gained)} nats/frame"
    if judged.outcome == NOT_MET:
        sentence = f"SM gains nothing over S, {told}, so nothing costs a share of the gain."
        return VerdictRow(STAGE, SELECTS, name, "", shown(), sentence, gained, unit="nats/frame")
    sentence = f"It is not resolved whether SM gains over S, {told}, so no share of it is told."
    asked = above(0.0)
    return VerdictRow(STAGE, SELECTS, name, "", judged, sentence, gained, asked, "nats/frame")


def _probe(probes: pd.DataFrame, **wanted: str) -> Measured:
    """Return the one measure of a probe; unmeasured where it is absent."""
    rows = choose(probes, **wanted).to_dict("records")
    return _measured(rows[0], "value") if rows else UNMEASURED


def _flip(name: str, probes: pd.DataFrame) -> Iterable[VerdictRow]:
    for row in choose(probes, probe=FLIP, measure=LAW_SHARE).to_dict("records"):
        measured = _measured(row, "value")
        arm = str(row["arm"])
        own, law = (
            _told(_probe(probes, arm=of, probe=FLIP, condition=NET, measure=HALF))
            for of in (arm, LAW)
        )
        sentence = (
            f"A flipped code moves the next frame of {arm} by {own} nats, and that of the key's "
            f"own law by {law}. Over the law's that is {_told(measured)}. The two are of different "
            "model families, so a share of 1 is not the whole."
        )
        yield VerdictRow(STAGE, READS, name, str(row["arm"]), shown(), sentence, measured)
