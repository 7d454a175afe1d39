"""The tables that a planted world brings instead of a corpus."""

import numpy as np
import pandas as pd

from engram_audio.calibration.world import Draw
from engram_audio.latents.arrays import EXCLUSION_COLUMNS, UTTERANCE_COLUMNS

FRAME_RATE_HZ = 12.5  # of Mimi: worlds are told in frames, hertz only turns nats into bits/s
SHARD = "000"


def utterance_table(draw: Draw) -> pd.DataFrame:
    """Return the utterance table: no audio, and a `split_hint` that fixes the eval speakers."""
    block = draw.block
    table = pd.DataFrame(
        {
            "utterance_id": block.utterance_ids,
            "speaker_id": block.speaker_ids,
            "sex": "unknown",
            "duration_s": np.diff(block.offsets) / FRAME_RATE_HZ,
        }
    ).reindex(columns=list(UTTERANCE_COLUMNS))
    nullable = {"sample_rate_hz": "Int64", "num_samples": "Int64"}
    table = table.astype({**nullable, "audio_path": "object", "transcript": "object"})
    table["split_hint"] = draw.split_hint
    return table


def shard_table(draw: Draw) -> pd.DataFrame:
    """Return which shard holds which utterance: there is one."""
    block = draw.block
    return pd.DataFrame(
        {"utterance_id": block.utterance_ids, "speaker_id": block.speaker_ids, "shard": SHARD}
    )


def exclusion_table() -> pd.DataFrame:
    """Return an empty table: a world has nothing to exclude."""
    return pd.DataFrame({name: pd.Series(dtype=object) for name in EXCLUSION_COLUMNS})


def frame_times(offsets: np.ndarray) -> np.ndarray:
    """Return the start time of each frame in its utterance, seconds, shape [N]."""
    starts = np.repeat(offsets[:-1], np.diff(offsets))
    return (np.arange(offsets[-1]) - starts) / FRAME_RATE_HZ
