"""Laws of splits for any corpus: disjoint, complete, balanced, indifferent to row order."""

from collections import Counter

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from engram_audio.corpus.quota import count_select_speakers, round_half_up
from engram_audio.corpus.split_parts import PARTS
from engram_audio.corpus.splits import make_splits, share_out

SPEAKERS = st.lists(
    st.tuples(
        st.sampled_from(["F", "M", "unknown"]), st.lists(st.floats(3, 30), min_size=1, max_size=6)
    ),
    min_size=5,
    max_size=40,
)
SEEDS = st.integers(0, 2**31)


def corpus_of(speakers: list[tuple[str, list[float]]]) -> pd.DataFrame:
    rows = [
        (f"{s:02d}-{u}", f"{s:02d}", sex, duration)
        for s, (sex, durations) in enumerate(speakers)
        for u, duration in enumerate(durations)
    ]
    return pd.DataFrame(rows, columns=["utterance_id", "speaker_id", "sex", "duration_s"])


@given(speakers=SPEAKERS, seed=SEEDS, fraction=st.floats(0.4, 0.6))
def test_splits_are_disjoint_complete_and_balanced_by_sex(speakers, seed, fraction):
    """Eval shares no speaker; every utterance once; each sex within one of its share of eval."""
    corpus = corpus_of(speakers)
    splits = make_splits(corpus, fraction, 0.2, 0.1, seed)
    assert sorted(splits["utterance_id"]) == sorted(corpus["utterance_id"])
    assert set(splits["split"]) <= set(PARTS)
    held_out = set(splits.loc[splits["split"] == "eval", "speaker_id"])
    assert not held_out & set(splits.loc[splits["split"] != "eval", "speaker_id"])
    assert len(held_out) == round_half_up(fraction * len(speakers))
    select = set(splits.loc[splits["split"] == "select", "speaker_id"])
    assert not select & set(splits.loc[splits["split"] != "select", "speaker_id"])
    assert len(select) == count_select_speakers(len(speakers) - len(held_out), 0.1)
    for sex in ("F", "M", "unknown"):
        members = {f"{s:02d}" for s, (value, _) in enumerate(speakers) if value == sex}
        exact = len(held_out) * len(members) / len(speakers)
        assert abs(len(members & held_out) - exact) < 1
    val = Counter(splits.loc[splits["split"] == "val", "speaker_id"])
    for s, (_, durations) in enumerate(speakers):
        if f"{s:02d}" in select:
            assert val[f"{s:02d}"] == 0
        elif f"{s:02d}" not in held_out:
            assert val[f"{s:02d}"] < len(durations)
            assert (val[f"{s:02d}"] >= 1) == (len(durations) >= 2)


@given(speakers=SPEAKERS, seed=SEEDS, data=st.data())
def test_row_order_does_not_matter(speakers, seed, data):
    corpus = corpus_of(speakers)
    order = data.draw(st.permutations(range(len(corpus))))
    pd.testing.assert_frame_equal(
        make_splits(corpus, 0.5, 0.2, 0.1, seed),
        make_splits(corpus.iloc[list(order)], 0.5, 0.2, 0.1, seed),
    )


@given(
    minutes=st.lists(st.floats(1, 25), min_size=8, max_size=60),
    seed=SEEDS,
)
def test_minutes_of_eval_are_those_of_the_corpus(minutes, seed):
    """One speaker from each of n blocks of the sorted list: the mean differs by at most range / n.

    Let the block edges be e_0 <= .. <= e_n and the block shares q_i = (block size) / N. Then draw i
    and the mean of block i both lie in [e_(i-1), e_i], so the plain mean of draws and of block
    means differ by at most (e_n - e_0) / n. Blocks differ by one speaker at most, so q_i is within
    1 / N of 1 / n, and weighting by q_i instead of 1 / n moves the mean by at most n / N of half
    the range, as the differences of the weights sum to zero.
    """
    corpus = corpus_of([("F", [value]) for value in minutes])
    splits = make_splits(corpus, 0.25, 0.2, 0.1, seed)
    held_out = splits.loc[splits["split"] == "eval"].merge(corpus)
    num_eval, span = len(held_out), max(minutes) - min(minutes)
    bound = span * (1 / num_eval + 0.5 * num_eval / len(minutes))
    assert abs(held_out["duration_s"].mean() - corpus["duration_s"].mean()) <= bound + 1e-9


@given(
    total=st.integers(0, 200),
    sizes=st.dictionaries(st.text("FMu", min_size=1), st.integers(1, 100), min_size=1, max_size=4),
)
def test_shares_sum_up_and_stay_within_one(total, sizes):
    shares = share_out(total, sizes)
    assert sum(shares.values()) == total
    whole = sum(sizes.values())
    assert all(abs(shares[name] - total * sizes[name] / whole) < 1 for name in sizes)
