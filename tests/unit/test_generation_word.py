"""The word of the generation stage, as SCIENCE 9 defines it, row by row."""

import itertools
import math

import pytest

from engram_audio.generation.word import (
    ALWAYS,
    CONTROLS,
    PATHWAY,
    Found,
    margin,
    word_of,
)
from engram_audio.verdicts.headline import Answers, headline
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED, UNMEASURED, Judged, Measured
from engram_audio.verdicts.words import (
    COMPRESSES,
    HELPS,
    HURTS,
    NO_BENEFIT,
    PATHWAY_NOT_TESTED,
    PROCEED,
    STOP,
)
from engram_audio.verdicts.words import UNDECIDED as OPEN

DELTA = 0.02
GAINS, EQUAL, LOSES = (
    Measured(0.5, 0.4, 0.6),
    Measured(0.0, -0.01, 0.01),
    Measured(-0.5, -0.6, -0.4),
)
WIDE, LOSES_LITTLE = Measured(0.1, -0.2, 0.4), Measured(-0.003, -0.004, -0.002)
KEPT, LOST = Judged(MET, "kept"), Judged(NOT_MET, "lost")


def found(gains: dict[tuple[str, str], Measured], **others: object) -> Found:
    values: dict[str, object] = {
        "gains": gains, "train_gain": UNMEASURED, "health": KEPT, "work_share": math.nan,
        "delta": DELTA,
    }  # fmt: skip
    return Found(**{**values, **others})  # type: ignore[arg-type]


def over(**gains: Measured) -> dict[tuple[str, str], Measured]:
    """Return gains of SM over other arms."""
    return {("SM", name): gain for name, gain in gains.items()}


def everywhere(gain: Measured, **others: Measured) -> dict[tuple[str, str], Measured]:
    return over(**{**dict.fromkeys(CONTROLS, gain), "S": gain, **others})


def test_helps_needs_every_control_and_health():
    assert word_of(found(everywhere(GAINS))).word == HELPS
    for name in CONTROLS:
        assert word_of(found(everywhere(GAINS, **{name: WIDE}))).word == OPEN
    lost = word_of(found(everywhere(GAINS), health=LOST))
    assert lost.word == OPEN and "free runs are worse" in lost.reason
    assert word_of(found(everywhere(GAINS), health=Judged(UNDECIDED, ""))).word == OPEN


@pytest.mark.parametrize("missing", [{"SMm"}, {"SMf"}, {"SM1"}, {"SMm", "SMf"}, set(PATHWAY)])
def test_a_gain_whose_pathway_was_not_tested_says_so_and_decides_nothing(missing: set[str]):
    gains = {pair: gain for pair, gain in everywhere(GAINS).items() if pair[1] not in missing}
    word = word_of(found(gains))
    assert word.word == PATHWAY_NOT_TESTED
    assert all(name in word.reason for name in missing)
    assert headline(Answers(generation=word.word)).question != 5


@pytest.mark.parametrize("missing", ALWAYS)
def test_without_f_or_foreign_keys_there_is_no_word(missing: str):
    gains = {pair: gain for pair, gain in everywhere(GAINS).items() if pair[1] != missing}
    assert word_of(found(gains)).word == OPEN


@pytest.mark.parametrize("name", CONTROLS)
def test_one_equal_control_is_no_benefit(name: str):
    """The upper bound over at least one of them lies below delta."""
    word = word_of(found(everywhere(GAINS, **{name: EQUAL})))
    assert (word.word, word.against) == (NO_BENEFIT, name)


def test_no_benefit_is_an_equivalence_not_a_missing_gain():
    touching = Measured(0.0, -0.02, DELTA + 1e-9)
    assert word_of(found(everywhere(touching))).word == OPEN
    below = Measured(0.0, -0.02, DELTA - 1e-9)
    assert word_of(found(everywhere(GAINS, F=below))).word == NO_BENEFIT


def test_hurts_needs_a_loss_against_f_and_against_foreign_keys():
    assert word_of(found(everywhere(GAINS, F=LOSES, SMx=LOSES))).word == HURTS
    assert word_of(found(everywhere(GAINS, F=LOSES))).word == NO_BENEFIT


def test_a_loss_within_the_margin_is_an_equality():
    """`iid` loses .003 [.002, .004] of 22.7 nats, and the margin is .02."""
    assert word_of(found(everywhere(LOSES_LITTLE))).word == NO_BENEFIT
    for name in ALWAYS:
        assert word_of(found(everywhere(LOSES, **{name: LOSES_LITTLE}))).word == NO_BENEFIT
    touching = Measured(-0.01, -DELTA - 1e-9, -1e-3)
    assert word_of(found(everywhere(touching))).word == HURTS


def test_compresses_needs_equality_with_p_at_less_work():
    gains = everywhere(WIDE, P=EQUAL)
    assert word_of(found(gains, work_share=0.7)).word == COMPRESSES
    assert word_of(found(gains, work_share=0.71)).word == OPEN
    assert word_of(found(gains)).word == OPEN
    assert word_of(found(everywhere(WIDE, P=WIDE), work_share=0.5)).word == OPEN


def test_a_gain_that_a_wider_backbone_takes_away_is_no_compression():
    gains = everywhere(GAINS, P=EQUAL)
    for wider, word in ((LOSES, OPEN), (EQUAL, OPEN), (WIDE, COMPRESSES), (GAINS, HELPS)):
        own = word_of(found(gains, work_share=0.5, wider=wider))
        assert own.word == word
        assert word != OPEN or "in a wider backbone" in own.reason


def test_what_a_plain_model_of_equal_work_does_too_is_no_compression():
    """On a world without memory SM equals P, and so does F."""
    gains = everywhere(WIDE, P=EQUAL, F=EQUAL)
    assert word_of(found(gains, work_share=0.5)).word == NO_BENEFIT


def test_the_word_is_the_definition_for_every_combination():
    cases = [GAINS, EQUAL, LOSES, LOSES_LITTLE, WIDE]
    for gains in itertools.product(cases, repeat=len(CONTROLS)):
        by_name = dict(zip(CONTROLS, gains, strict=True))
        helps = all(gain.low > DELTA for gain in gains)
        hurts = all(by_name[name].high < 0 for name in ALWAYS) and all(
            by_name[name].low < -DELTA for name in ALWAYS
        )
        none = any(gain.high < DELTA for gain in gains)
        word = HELPS if helps else HURTS if hurts else NO_BENEFIT if none else OPEN
        assert word_of(found(over(**by_name))).word == word, by_name


OUTCOMES = [
    ("Content helps.", everywhere(GAINS)),
    ("An extra branch helps, not memory.",
     {**everywhere(GAINS, SM1=EQUAL), ("SM1", "S"): GAINS}),
    ("An extra branch helps, not memory.",
     {**everywhere(GAINS, SMm=EQUAL), ("SMm", "S"): GAINS}),
    ("Clean short context helps, not memory.",
     {**everywhere(GAINS, SMf=EQUAL), ("SMf", "SMm"): GAINS}),
    ("The key matters and its rows need not be learned: shrink them.",
     {**everywhere(WIDE, SMn=EQUAL), ("SMn", "SMnx"): GAINS}),
    ("The gate selects nothing: drop it.", everywhere(WIDE, SMc=EQUAL)),
]  # fmt: skip


@pytest.mark.parametrize(("says", "gains"), OUTCOMES)
def test_each_line_of_the_table_of_outcomes(says: str, gains: dict[tuple[str, str], Measured]):
    assert says in word_of(found(gains)).sentences


def test_a_wide_interval_says_nothing():
    assert word_of(found(everywhere(WIDE))).sentences == ()


def test_better_on_train_and_worse_on_eval_is_memorising():
    losing = found(everywhere(LOSES), train_gain=GAINS)
    assert "The memory memorises train frames: see the replay." in word_of(losing).sentences
    assert word_of(losing._replace(train_gain=WIDE)).sentences == ()


@pytest.mark.parametrize(("information", "delta"), [(1.0, 0.02), (10.4, 0.104), (math.nan, 0.02)])
def test_the_margin_is_a_floor_or_a_share_of_what_f_knows(information: float, delta: float):
    assert margin(information) == pytest.approx(delta)


@pytest.mark.parametrize(
    ("word", "top"), [(HELPS, PROCEED), (COMPRESSES, PROCEED), (NO_BENEFIT, STOP), (HURTS, STOP)]
)
def test_a_decided_word_is_the_headline(word: str, top: str):
    assert headline(Answers(memory="yes", generation=word))[:2] == (top, 5)
