"""Shards of whole speakers, balanced by time."""

import heapq

import pandas as pd

from engram_audio.corpus.utterances import seconds_by_speaker
from engram_audio.errors import InputError

SHARD_COLUMNS = ("utterance_id", "speaker_id", "shard")


def assign_shards(utterances: pd.DataFrame, num_shards: int, key: str) -> pd.DataFrame:
    """Deal speakers, longest first, each to the shard that is lightest so far.

    Args:
        utterances: Columns utterance_id, speaker_id, duration_s.
        num_shards: How many; every one gets at least one speaker.
        key: Configuration key of `num_shards`, for the message.

    Returns:
        Columns utterance_id, speaker_id, shard (`000` ..), sorted by shard, speaker, utterance.

    Raises:
        InputError: There are more shards than speakers.
    """
    seconds = seconds_by_speaker(utterances)
    if num_shards > len(seconds):
        raise InputError(
            f"{key}: {num_shards} shards of whole speakers, but the corpus has {len(seconds)} "
            f"speaker(s); set it to at most {len(seconds)}"
        )
    # seconds, then count (so that speakers without time spread too), then number
    loads = [(0.0, 0, shard) for shard in range(num_shards)]
    shard_of: dict[str, str] = {}
    for speaker in sorted(seconds, key=lambda name: (-seconds[name], name)):
        load, count, shard = heapq.heappop(loads)
        shard_of[speaker] = f"{shard:03d}"
        heapq.heappush(loads, (load + seconds[speaker], count + 1, shard))
    pairs = zip(utterances["speaker_id"], utterances["utterance_id"], strict=True)
    rows = sorted((shard_of[speaker], speaker, utterance) for speaker, utterance in pairs)
    return pd.DataFrame([row[::-1] for row in rows], columns=list(SHARD_COLUMNS))
