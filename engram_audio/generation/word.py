"""The word of the generation stage: does a lookup memory help a generator at equal compute?

A pure function of gains between arms, each with its interval, and of what free runs cost. A gain
is the NLL of the other arm less that of the first on the same frames, in nats per frame.

The arms are S (small), SM (S with memory), F (as much work as SM, no memory), P (as many numbers,
no memory), SMx (reads the keys of another utterance), SM1 (a table of one row), SMm and SMf (a
small network of the state, or of the frames that the key reads, in place of the table), SMn and
SMnx (frozen random rows under true and under foreign keys), SMc (one gate for all frames) and SMl
(reads the code of the frame before, in training too).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engram_audio.verdicts.judge import (
    MET,
    NOT_MET,
    UNMEASURED,
    Judged,
    Measured,
    above,
    below,
    between,
    judge,
)
from engram_audio.verdicts.words import (
    COMPRESSES,
    HELPS,
    HURTS,
    NO_BENEFIT,
    PATHWAY_NOT_TESTED,
    UNDECIDED,
)

MEMORY, SMALL, AS_MUCH_WORK, AS_MANY_NUMBERS = "SM", "S", "F", "P"
FOREIGN, ONE_ROW, OF_STATE, OF_FRAMES = "SMx", "SM1", "SMm", "SMf"
RANDOM, RANDOM_FOREIGN, CONSTANT_GATE, LATE = "SMn", "SMnx", "SMc", "SMl"
OF_OUTPUT, OF_MEANS, RANDOM_ROUTER, UNIGRAM = "SMo", "SMd", "SMr", "SMu"
ADDITIVE, OF_VALUES = "SMa", "SMv"
ALWAYS = (AS_MUCH_WORK, FOREIGN)  # without these there is no word
PATHWAY = (ONE_ROW, OF_STATE, OF_FRAMES)  # without one of these the pathway was not tested
CONTROLS = (*ALWAYS, *PATHWAY)
LEAST_NATS, SHARE_OF_INFORMATION = 0.02, 0.01
SHARE_OF_WORK = 0.7  # of P's, at which an equal SM compresses
# Which pairs of arms are compared: the first over the second.
PAIRS = (
    *((MEMORY, other) for other in (SMALL, *CONTROLS, AS_MANY_NUMBERS)),
    *((MEMORY, other) for other in (RANDOM, RANDOM_FOREIGN, CONSTANT_GATE, LATE)),
    *((LATE, other) for other in CONTROLS),
    *((other, SMALL) for other in (AS_MUCH_WORK, FOREIGN, ONE_ROW, OF_STATE, OF_FRAMES)),
    (OF_FRAMES, OF_STATE),
    (RANDOM, RANDOM_FOREIGN),
    *((MEMORY, other) for other in (OF_OUTPUT, OF_MEANS, RANDOM_ROUTER, UNIGRAM)),
    *((MEMORY, other) for other in (ADDITIVE, OF_VALUES)),
    *((OF_OUTPUT, other) for other in (SMALL, AS_MUCH_WORK)),
    *((OF_MEANS, other) for other in (SMALL, RANDOM)),
)
Pair = tuple[str, str]


class Word(NamedTuple):
    """The answer about one representation.

    Attributes:
        word: HELPS, `HELPS, pathway not tested`, COMPRESSES, NO BENEFIT, HURTS or UNDECIDED.
        against: The arm whose gain decided; "" where several did.
        reason: Why.
        sentences: What the gain is made of, by the table of outcomes.
    """

    word: str
    against: str
    reason: str
    sentences: tuple[str, ...] = ()


class Found(NamedTuple):
    """What is known of one representation.

    Attributes:
        gains: By pair of arms, on eval. A pair whose arms were not trained has no entry.
        train_gain: SM over S on train frames.
        health: Whether SM's free runs are no worse than F's.
        work_share: Work of a generated frame of SM over that of P; NaN without P.
        delta: Margin, nats per frame.
        wider: SM over F in a wider backbone; None where none was trained.
    """

    gains: Mapping[Pair, Measured]
    train_gain: Measured
    health: Judged
    work_share: float
    delta: float
    wider: Measured | None = None

    def beats(self, first: str, second: str) -> bool:
        """Whether one arm is surely better than another by more than the margin."""
        gain = self.gains.get((first, second))
        return gain is not None and judge(gain, above(self.delta)).outcome == MET

    @property
    def survives(self) -> Judged:
        """Whether the gain over F is there in a wider backbone too; met where none was trained."""
        if self.wider is None:
            return Judged(MET, "no wider backbone was trained")
        return judge(self.wider, above(self.delta))

    def equals(self, first: str, second: str) -> bool:
        """Whether two arms are surely equal within the margin."""
        gain = self.gains.get((first, second))
        if gain is None:
            return False
        return judge(gain, between(-self.delta, self.delta)).outcome == MET

    def is_no_better(self, first: str, second: str) -> bool:
        """Whether the whole interval of a gain lies below the margin."""
        gain = self.gains.get((first, second))
        return gain is not None and judge(gain, below(self.delta)).outcome == MET

    def is_worse(self, first: str, second: str) -> bool:
        """Whether the whole interval of a gain lies below 0."""
        gain = self.gains.get((first, second))
        return gain is not None and judge(gain, below(0.0)).outcome == MET


def as_memory(found: Found, arm: str) -> Found:
    """Return what is known with another arm in the place of SM: a late key, or SM read wrong.

    Its gains alone count. Its free runs are taken as kept, so that a lost word is lost by gains.
    """
    own = {(MEMORY, other): gain for (first, other), gain in found.gains.items() if first == arm}
    return Found(own, UNMEASURED, Judged(MET, "taken as kept"), math.nan, found.delta)


def margin(information_nats: float) -> float:
    """Return delta: .02 nats per frame, or 1 % of what F knows about x_t where that is more.

    Args:
        information_nats: F's gain over the marginal of its own family; NaN where it is not known.
    """
    if not math.isfinite(information_nats):
        return LEAST_NATS
    return max(LEAST_NATS, SHARE_OF_INFORMATION * information_nats)


def word_of(found: Found) -> Word:
    """Return the word; the first that holds.

    Where nothing is gained over a plain model of equal work, an SM that equals P compresses
    nothing: that plain model does as well. So NO BENEFIT and HURTS come before COMPRESSES.
    """
    sentences = sentences_of(found)
    absent = [name for name in ALWAYS if (MEMORY, name) not in found.gains]
    if absent:
        return Word(UNDECIDED, absent[0], f"no number for {' and '.join(absent)}", sentences)
    for rule in (_helps, _hurts, _no_benefit, _compresses):
        word = rule(found)
        if word is not None:
            return word._replace(sentences=sentences)
    against, reason = _doubt(found)
    return Word(UNDECIDED, against, reason, sentences)


def controls_of(found: Found) -> list[str]:
    """Return the controls that were trained, in order."""
    return [name for name in CONTROLS if (MEMORY, name) in found.gains]


def _helps(found: Found) -> Word | None:
    trained = controls_of(found)
    beaten = all(found.beats(MEMORY, name) for name in trained)
    if not beaten or found.health.outcome != MET or found.survives.outcome != MET:
        return None
    missing = [name for name in PATHWAY if name not in trained]
    if missing:
        reason = f"better than {_listed(trained)}; {_listed(missing)} not trained"
        return Word(PATHWAY_NOT_TESTED, "", reason)
    return Word(HELPS, "", f"better than {_listed(trained)}, health kept")


def _hurts(found: Found) -> Word | None:
    """A loss that is surely smaller than the margin is none: equality says more than its sign."""
    is_worse = all(found.is_worse(MEMORY, name) for name in ALWAYS)
    if not is_worse or any(found.equals(MEMORY, name) for name in ALWAYS):
        return None
    return Word(HURTS, AS_MUCH_WORK, f"surely worse than {_listed(ALWAYS)}")


def _no_benefit(found: Found) -> Word | None:
    equal = [name for name in CONTROLS if found.is_no_better(MEMORY, name)]
    if not equal:
        return None
    least = min(equal, key=lambda name: found.gains[MEMORY, name].high)
    return Word(NO_BENEFIT, least, f"no better than {_listed(equal)} by {found.delta:.3g} nats")


def _compresses(found: Found) -> Word | None:
    if not found.equals(MEMORY, AS_MANY_NUMBERS) or not found.work_share <= SHARE_OF_WORK:
        return None
    if found.survives.outcome == NOT_MET:
        return None
    reason = f"equals P within {found.delta:.3g} nats at {found.work_share:.2f} of its work"
    return Word(COMPRESSES, AS_MANY_NUMBERS, reason)


def _doubt(found: Found) -> tuple[str, str]:
    """Return which control leaves the word open, and why."""
    for name in controls_of(found):
        judged = judge(found.gains[MEMORY, name], above(found.delta))
        if judged.outcome != MET:
            return name, f"over {name}: {judged.reason}"
    if found.health.outcome == MET:
        return AS_MUCH_WORK, f"gains, but over F in a wider backbone: {found.survives.reason}"
    kept = "free runs are worse than F's" if found.health.outcome == NOT_MET else "health is open"
    return AS_MUCH_WORK, f"gains, but {kept}: {found.health.reason}"


class Outcome(NamedTuple):
    """One line of the table of outcomes: what holds, and what is then to be said."""

    holds: bool
    says: str


def sentences_of(found: Found) -> tuple[str, ...]:
    """Return what the table of outcomes says of these gains; nothing where no line holds."""
    beats, equals = found.beats, found.equals
    plain = (SMALL, *CONTROLS)
    lines = (
        Outcome(all(beats(MEMORY, name) for name in plain), "Content helps."),
        Outcome(
            beats(MEMORY, SMALL)
            and any(equals(MEMORY, name) and beats(name, SMALL) for name in (ONE_ROW, OF_STATE)),
            "An extra branch helps, not memory.",
        ),
        Outcome(
            equals(MEMORY, OF_FRAMES) and beats(MEMORY, OF_STATE) and beats(OF_FRAMES, OF_STATE),
            "Clean short context helps, not memory.",
        ),
        Outcome(
            equals(MEMORY, RANDOM) and beats(RANDOM, RANDOM_FOREIGN),
            "The key matters and its rows need not be learned: shrink them.",
        ),
        Outcome(equals(MEMORY, CONSTANT_GATE), "The gate selects nothing: drop it."),
        Outcome(
            found.is_worse(MEMORY, SMALL) and judge(found.train_gain, above(0.0)).outcome == MET,
            "The memory memorises train frames: see the replay.",
        ),
    )
    return tuple(line.says for line in lines if line.holds)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
