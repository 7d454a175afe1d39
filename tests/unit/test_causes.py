"""What the first sentence of an open word names: the cause, and the threshold that was missed."""

from dataclasses import replace

import pytest

from engram_audio.structure.causes import cause_of
from engram_audio.structure.evidence import LawGain, Source, heads_row, law_row
from engram_audio.structure.gate_row import GateRow, Measured
from engram_audio.structure.gates import Place
from engram_audio.structure.word import word_of
from engram_audio.verdicts.sentences import first_sentence
from engram_audio.verdicts.words import INVALID, UNDECIDED, WRONG_KEY_MEAN
from tests.unit.gate_tables import GATE, KEY, NAME, NOTHING_ADDED, decide, gains, row, rows

STRONG, OPEN = gains(0.3), gains(0.02, se=0.05)
SHARE = GATE.minimum_added_fraction
# Standard errors of an interval whose half is above the threshold, and of one far below it.
WIDE, NARROW = SHARE, SHARE / 50


def opening(*args, **more):
    one = decide(*args, **more)
    return one.verdict, first_sentence(one.sentence)


@pytest.mark.parametrize(
    ("error", "cause"), [(WIDE, "has too wide an interval"), (NARROW, "lies too close to")]
)
def test_an_interval_that_holds_the_threshold_is_wide_or_close(error: float, cause: str):
    word, text = opening(rows(added_fraction=(SHARE, error)), STRONG)
    assert word == UNDECIDED and cause in text
    assert "the added fraction " in text and "the threshold 5.00 %: [" in text


def test_heads_that_leave_it_open_are_named_with_their_interval():
    word, text = opening(rows(**NOTHING_ADDED), OPEN)
    assert word == UNDECIDED and "no key adds enough, and the heads' gain has too wide" in text
    assert "[-0.080, 0.120]" in text


def test_heads_that_differ_between_slices_are_told():
    heads = {"all": STRONG["all"], "medial": OPEN["medial"]}
    word, text = opening(rows(**NOTHING_ADDED), heads)
    assert word == UNDECIDED and "the heads' gain on medial frames" in text
    assert "On all frames heads gain." in decide(rows(**NOTHING_ADDED), heads).sentence


def test_a_chosen_key_that_falls_short_is_told_from_a_wide_interval():
    other = [
        row("predictive.raw.kmeans_64", part, name, added_fraction=(0.0, 10 * WIDE))
        for name in ("all", "medial") for part in ("val", "select", "eval")
    ]  # fmt: skip
    chosen = [
        {
            **one,
            "added_fraction": 0.3 if one["part"] != "eval" else 0.0,
            "added_fraction_se": NARROW,
        }
        for one in rows()
    ]
    word, text = opening([*chosen, *other], STRONG)
    assert word == UNDECIDED and "the chosen key adds too small a share" in text


def test_frames_that_see_the_future_are_named():
    word, text = opening(rows(), STRONG, Source(is_causal=False))
    assert word == UNDECIDED and "its frames see later samples" in text


def test_split_seeds_that_disagree_are_named():
    table = [row(part=part, slice_name=name, seed=seed,
                 **(NOTHING_ADDED if seed else {}))
             for seed in (0, 1) for name in ("all", "medial")
             for part in ("val", "select", "eval")]  # fmt: skip
    word, text = opening(table, STRONG)
    assert word == UNDECIDED and "split seeds disagree" in text


def test_a_number_that_cannot_be_trusted_is_named_in_the_first_sentence():
    word, text = opening(rows(excluded_mass=0.5), STRONG)
    assert word == INVALID and "50.0 % of the frames fall into cells" in text


FAR, LITTLE, CLOSE = (0.5, 0.001), (0.0, 0.001), (0.02, 0.001)


@pytest.mark.parametrize(
    ("share", "nats", "words"),
    [
        ((0.0, 0.001), FAR, "misses 5.00 % of the attainable, and reaches 0.020 nats"),
        (FAR, LITTLE, "misses 0.020 nats, and reaches 5.00 % of the attainable"),
        ((0.0, 0.001), CLOSE, "misses 5.00 % of the attainable, and may reach 0.020 nats"),
        ((0.0, 0.001), LITTLE, "misses 5.00 % of the attainable and 0.020 nats"),
    ],
)
def test_the_threshold_that_was_missed_is_told_from_the_one_that_was_met(share, nats, words):
    heads = gains(0.3)
    word, text = opening(rows(added_fraction=share, added_nats_per_frame=nats), heads)
    assert word == WRONG_KEY_MEAN and words in text
    assert KEY not in text


def test_slices_that_miss_different_thresholds_have_a_sentence_each():
    table = [
        row(part=part, slice_name=name, added_fraction=share, added_nats_per_frame=nats)
        for name, share, nats in (("all", LITTLE, FAR), ("medial", FAR, LITTLE))
        for part in ("val", "select", "eval")
    ]
    sentence = decide(table, gains(0.3)).sentence
    assert (
        "on all frames the chosen one surely misses 5.00 % of the attainable, and reaches 0.020 "
        "nats. On medial frames the chosen one surely misses 0.020 nats, and reaches 5.00 % of the "
        "attainable."
    ) in sentence


DELTA = GATE.minimum_added_nats


def law(slice_name: str, value: float, highest: float) -> GateRow:
    """What the law of the chosen key tells, and the most that any key's may."""
    gain = LawGain(KEY, "select", Measured(value, value - 0.005, value + 0.005), highest, 4)
    return law_row(Place(NAME, 0, "", 2, slice_name, {}), gain, DELTA)


def test_a_law_that_fails_on_one_slice_is_named_with_it():
    laws = {"all": law("all", 10 * DELTA, 10 * DELTA), "speech": law("speech", 0.0, DELTA / 2)}
    strong = {
        name: heads_row(Place(NAME, 0, "", 2, name, {}), STRONG["all"], DELTA, 0.95, len(laws))
        for name in laws
    }
    judged = word_of([], strong, has_heads=True, laws=laws)
    assert judged.word == UNDECIDED
    assert judged.cause == "no key's law tells enough on frames of speech"
    assert judged.open.startswith("other keys")


def test_a_law_that_another_key_may_exceed_is_no_wide_interval():
    open_law = law("all", 0.0, 2 * DELTA)
    assert open_law.outcome == "undecided"
    assert "another key's may tell enough" in cause_of(open_law)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_control_is_held_against_the_end_that_its_interval_holds(side: int):
    tolerance = GATE.control_tolerance
    one = decide(rows(control_permuted=(side * tolerance, tolerance / 4)), STRONG)
    text = first_sentence(one.sentence)
    threshold = f"{'-' if side < 0 else ''}2.00 %: ["
    assert one.verdict == UNDECIDED
    assert f"adds with permuted labels lies too close to the threshold {threshold}" in text


def test_a_row_that_cannot_fail_has_no_words():
    with pytest.raises(KeyError, match="unknown"):
        cause_of(replace(law("all", 0.0, 0.0), name="unknown"))
