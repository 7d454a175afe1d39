"""Publish how many nats survive each key: one row per key, slice, lag, target and base."""

from pathlib import Path

from engram_audio.artifacts.identity import KeyLaws, read_identity
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.keys.columns import KEYS
from engram_audio.keys.law_config import LawVerdictSection
from engram_audio.keys.law_tables import LawRun, keys_table
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run


class Files(StepFiles):
    verdict_section: Frozen[LawVerdictSection]
    statistics_section: Frozen[StatisticsSection]
    scores: list[Path]
    facts: list[Path]
    table: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    runs = [_run(*paths) for paths in zip(files.scores, files.facts, strict=True)]
    table = keys_table(
        runs, files.verdict_section.minimum_share, files.statistics_section.confidence
    )
    write_csv(files.table, table, KEYS, files.manifest())


def _run(scores: Path, facts: Path) -> LawRun:
    one = read_identity(scores, KeyLaws)
    return LawRun(
        one.representation, one.split_seed, one.target, one.base, one.lag,
        read_table(scores, ["key", "kind", "slice", "part", "speaker_id", "num_frames", "nats"]),
        read_table(facts, ["key", "slice", "num_codes"]),
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
