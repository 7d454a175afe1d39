"""Laws of shards for any corpus."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from engram_audio.corpus.shards import assign_shards

CORPORA = st.dictionaries(
    st.text("abcdef0123456789", min_size=1, max_size=4),
    st.lists(st.floats(0.5, 30), min_size=1, max_size=5),
    min_size=1,
    max_size=20,
)


@given(corpus=CORPORA, data=st.data())
def test_shards_are_whole_complete_full_and_balanced(
    corpus: dict[str, list[float]], data: st.DataObject
):
    """Every utterance once, a speaker in one shard, exactly num_shards shards, order irrelevant.

    Balance: a shard got its last speaker when it was the lightest, so without that speaker it is no
    longer than the mean; hence no shard exceeds the mean by more than the longest speaker.
    """
    rows = [(f"{s}-{i}", s, d) for s, values in corpus.items() for i, d in enumerate(values)]
    num_shards = data.draw(st.integers(1, len(corpus)))
    order = data.draw(st.permutations(rows))
    columns = ["utterance_id", "speaker_id", "duration_s"]
    table = pd.DataFrame(rows, columns=columns)
    shards = assign_shards(table, num_shards, "key")
    assert sorted(shards["utterance_id"]) == sorted(table["utterance_id"])
    pairs = set(zip(shards["speaker_id"], shards["shard"], strict=True))
    assert len(pairs) == len(corpus)
    assert sorted(set(shards["shard"])) == [f"{n:03d}" for n in range(num_shards)]
    pd.testing.assert_frame_equal(
        shards, assign_shards(pd.DataFrame(order, columns=columns), num_shards, "key")
    )
    load = dict.fromkeys(shards["shard"], 0.0)
    for speaker, shard in pairs:
        load[shard] += sum(corpus[speaker])
    mean, longest = sum(load.values()) / num_shards, max(map(sum, corpus.values()))
    assert max(load.values()) <= mean + longest + 1e-6  # 1e-6: rounding of sums up to 1e3
