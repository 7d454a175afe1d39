"""Read scores of keys by their laws; shared by the steps that publish them."""

from pathlib import Path

from engram_audio.artifacts.identity import KeyLaws, read_identity
from engram_audio.artifacts.table import read_table
from engram_audio.keys.law_tables import LawRun

SCORES = ("key", "kind", "slice", "part", "speaker_id", "num_frames", "nats")


def read_run(scores: Path, facts: Path) -> LawRun:
    """Read what `score_key_laws` wrote of one representation at one target, base and lag."""
    one = read_identity(scores, KeyLaws)
    return LawRun(
        one.representation,
        one.split_seed,
        one.target,
        one.base,
        one.lag,
        read_table(scores, SCORES),
        read_table(facts, ["key", "slice", "num_codes"]),
    )
