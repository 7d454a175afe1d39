"""Splits: sizes, hints and the errors that name their key."""

from collections import Counter

import pandas as pd
import pytest

from engram_audio.corpus.quota import count_eval_speakers, count_select_speakers, round_half_up
from engram_audio.corpus.split_parts import choice_part
from engram_audio.corpus.splits import describe_splits, make_splits, require_val, share_out
from engram_audio.errors import InputError


def table(num_speakers: int, num_utterances: int = 10, **columns: list[str]) -> pd.DataFrame:
    rows = [
        (f"{s:03d}-{u:03d}", f"{s:03d}", "FM"[s % 2], 5.0 + s)
        for s in range(num_speakers)
        for u in range(num_utterances)
    ]
    frame = pd.DataFrame(rows, columns=["utterance_id", "speaker_id", "sex", "duration_s"])
    return frame.assign(**columns)


def speakers_of(splits: pd.DataFrame, part: str) -> set[str]:
    return set(splits.loc[splits["split"] == part, "speaker_id"])


def eval_speakers(splits: pd.DataFrame) -> set[str]:
    return speakers_of(splits, "eval")


def test_librispeech_fraction_gives_200_and_51():
    """0.2032 of 251 speakers is 51 (SCIENCE 1), half of each sex."""
    splits = make_splits(table(251, 2), 0.2032, 0.1, 0.1, seed=0)
    held_out = eval_speakers(splits)
    assert len(held_out) == 51
    assert sum(int(name) % 2 for name in held_out) in (25, 26)


def test_seeds_differ_and_repeat():
    corpus = table(30)
    first, again, other = (make_splits(corpus, 0.3, 0.1, 0.1, seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert eval_speakers(first) != eval_speakers(other)
    assert set(first.loc[first["split"] == "val", "utterance_id"]) != set(
        other.loc[other["split"] == "val", "utterance_id"]
    )


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 1), (4, 1), (14, 1), (15, 2), (25, 3)])
def test_val_is_a_tenth_of_each_train_speaker(count: int, expected: int):
    """At least one where there are two, none where there is one; halves are rounded up."""
    splits = make_splits(table(6, count), 0.34, 0.1, 0.1, seed=0)
    held_out = eval_speakers(splits)
    val = Counter(splits.loc[splits["split"] == "val", "speaker_id"])
    assert len(held_out) == 2
    assert [val[s] for s in sorted(set(splits["speaker_id"]) - held_out)] == [expected] * 4


def test_another_speaker_leaves_val_of_the_others_alone():
    """Val of a speaker depends on the seed and on that speaker only."""
    corpus = table(8).assign(
        split_hint=lambda t: t["speaker_id"].map(lambda s: "eval" if s < "002" else "train")
    )
    fewer = corpus.loc[corpus["speaker_id"] != "005"]
    whole = make_splits(corpus, 0.3, 0.2, 0.1, seed=3)
    expected = whole.loc[whole["speaker_id"] != "005"].reset_index(drop=True)
    pd.testing.assert_frame_equal(make_splits(fewer, 0.3, 0.2, 0.1, seed=3), expected)


@pytest.mark.parametrize(("num_speakers", "fraction"), [(3, 0.5), (10, 0.1), (10, 0.9), (1, 0.5)])
def test_too_few_speakers_name_the_key(num_speakers: int, fraction: float):
    with pytest.raises(InputError, match=r"splits\.eval_fraction: .* at least 2"):
        make_splits(table(num_speakers), fraction, 0.1, 0.1, seed=0)


def test_hints_fix_eval_and_leave_val_to_the_seed():
    corpus = table(6, 20)
    hint = ["eval" if s in ("001", "004") else "train" for s in corpus["speaker_id"]]
    first, other = (make_splits(corpus.assign(split_hint=hint), 0.3, 0.1, 0.1, s) for s in (0, 1))
    assert eval_speakers(first) == eval_speakers(other) == {"001", "004"}
    assert not first.equals(other)


@pytest.mark.parametrize(
    ("num_train", "fraction", "expected"),
    [(15, 0.1, 0), (16, 0.1, 4), (22, 0.1, 4), (45, 0.1, 5), (200, 0.1, 20), (16, 0.49, 8)],
)
def test_select_is_a_tenth_of_the_train_speakers_and_at_least_four(
    num_train: int, fraction: float, expected: int
):
    """SCIENCE 1: none with fewer than 16 train speakers, halves rounded up."""
    assert count_select_speakers(num_train, fraction) == expected


def test_select_holds_whole_train_speakers_that_nothing_else_sees():
    """All utterances of a select speaker are select; eval and val of the others do not move."""
    corpus = table(60)
    splits, without = (make_splits(corpus, 0.3, 0.1, share, 0) for share in (0.2, 0.1))
    select, train = (speakers_of(splits, part) for part in ("select", "train"))
    assert len(select) == 8 and not select & train
    assert eval_speakers(splits) == eval_speakers(without)
    both = train & speakers_of(without, "train")
    parts = [
        s.loc[s["speaker_id"].isin(list(both))].reset_index(drop=True) for s in (splits, without)
    ]
    pd.testing.assert_frame_equal(*parts)
    assert speakers_of(splits, "val") == train


def test_select_is_balanced_by_sex_and_drawn_anew_by_each_seed():
    corpus = table(60)
    drawn = [speakers_of(make_splits(corpus, 0.3, 0.1, 0.2, seed), "select") for seed in (0, 0, 1)]
    assert [sum(int(name) % 2 for name in names) for names in drawn] == [4, 4, 4]
    assert drawn[0] == drawn[1] != drawn[2]


def test_hints_keep_select_inside_their_train_speakers():
    corpus = table(40)
    hint = ["eval" if int(s) < 20 else "train" for s in corpus["speaker_id"]]
    splits = make_splits(corpus.assign(split_hint=hint), 0.3, 0.1, 0.1, 0)
    assert len(speakers_of(splits, "select")) == 4
    assert all(int(name) >= 20 for name in speakers_of(splits, "select"))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [(("train", "val", "select", "eval"), "select"), (("train", "val", "eval"), "val")],
)
def test_choices_are_made_on_select_and_on_val_without_one(parts: tuple[str, ...], expected: str):
    assert choice_part(parts) == expected


def test_a_column_of_empty_hints_is_no_hint():
    corpus = table(10)
    pd.testing.assert_frame_equal(
        make_splits(corpus.assign(split_hint=None), 0.3, 0.1, 0.1, 0),
        make_splits(corpus, 0.3, 0.1, 0.1, 0),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(split_hint="test"), "split_hint 'test' is not one of"),
        (lambda t: t.assign(split_hint="eval"), "0 train speaker"),
        (lambda t: t.assign(split_hint=["train"] * 59 + ["eval"]), "more than one split_hint"),
        (lambda t: t.assign(split_hint=["train"] * 50 + ["eval"] * 10), "1 eval speaker"),
        (lambda t: t.assign(sex=["F"] * 59 + ["M"]), "more than one sex"),
        (lambda t: t.assign(utterance_id="same"), "occurs twice"),
    ],
)
def test_contradictions_are_refused(change, message: str):
    with pytest.raises(InputError, match=message) as caught:
        make_splits(change(table(6)), 0.34, 0.1, 0.1, seed=0)
    assert "\n" not in str(caught.value)


def test_shares_are_within_one_of_proportion():
    assert share_out(10, {"F": 26, "M": 25}) == {"F": 5, "M": 5}
    assert share_out(3, {"M": 1, "F": 1}) == {"F": 2, "M": 1}
    assert [round_half_up(value) for value in (0.5, 1.5, 2.4999)] == [1, 2, 2]


def test_description_counts_speakers_and_utterances():
    line = describe_splits(make_splits(table(10), 0.3, 0.1, 0.1, seed=0))
    assert line == (
        "train 7 speakers, 63 utterances; val 7 speakers, 7 utterances; "
        "select 0 speakers, 0 utterances; eval 3 speakers, 30 utterances"
    )


def test_a_split_without_val_is_refused():
    """Nothing could be chosen where every train speaker has one utterance."""
    one = make_splits(table(8, 1), 0.5, 0.2, 0.1, 0)
    with pytest.raises(InputError, match=r"^splits\.val_fraction: no fitted speaker of mine has"):
        require_val(one, "mine")
    require_val(make_splits(table(8, 2), 0.5, 0.2, 0.1, 0), "mine")


@pytest.mark.parametrize(
    ("num_speakers", "fraction", "remedy"),
    [(1, 0.5, "bring at least 4"), (24, 0.01, "raise it"), (24, 0.99, "lower it")],
)
def test_too_few_speakers_name_the_remedy(num_speakers: int, fraction: float, remedy: str):
    with pytest.raises(ValueError, match=rf"^splits\.eval_fraction: .*{remedy}"):
        count_eval_speakers(num_speakers, fraction)


@pytest.mark.parametrize("val_fraction", [0.1, 0.9, 0.99])
def test_val_leaves_every_speaker_something_to_train_on(val_fraction: float):
    """Of two utterances or more, at least one is val and at least one is train."""
    splits = make_splits(table(20, 2), 0.2, val_fraction, 0.1, seed=0)
    fitted = splits.loc[splits["split"].isin(["train", "val"])]
    for _, own in fitted.groupby("speaker_id"):
        assert set(own["split"]) == {"train", "val"}
