"""Shards hold whole speakers, none is empty, and they are about equally long."""

import pandas as pd
import pytest

from engram_audio.corpus.shards import assign_shards
from engram_audio.errors import InputError


def table(durations: dict[str, list[float]]) -> pd.DataFrame:
    rows = [(f"{s}-{i}", s, d) for s, values in durations.items() for i, d in enumerate(values)]
    return pd.DataFrame(rows, columns=["utterance_id", "speaker_id", "duration_s"])


def test_longest_first():
    """5, 4, 3, 3, 3 on two shards: 5 | 4, then 3 to the lighter each time: 5 + 3 | 4 + 3 + 3."""
    shards = assign_shards(
        table({"a": [5.0], "b": [4.0], "c": [3.0], "d": [2.0, 1.0], "e": [3.0]}), 2, "key"
    )
    speakers = shards.groupby("shard")["speaker_id"].agg(set).to_dict()
    assert speakers == {"000": {"a", "d"}, "001": {"b", "c", "e"}}


def test_speakers_without_time_are_spread_too():
    shards = assign_shards(table({name: [0.0] for name in "abcd"}), 4, "key")
    assert shards["shard"].tolist() == ["000", "001", "002", "003"]


def test_more_shards_than_speakers_names_the_key():
    with pytest.raises(InputError, match=r"corpora\.mine\.num_shards: 3 .* at most 2"):
        assign_shards(table({"a": [1.0], "b": [1.0]}), 3, "corpora.mine.num_shards")
