"""Publish how many nats survive each key: one row per key, slice, lag, target and base."""

from pathlib import Path

from engram_audio.artifacts.identity import KeyLaws, read_identity
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.keys.columns import KEY_DIRECTIONS, KEYS
from engram_audio.keys.direction_tables import DirectionRun, directions_table
from engram_audio.keys.law_config import LawVerdictSection
from engram_audio.keys.law_tables import keys_table
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.steps._law_tables import read_run


class Files(StepFiles):
    verdict_section: Frozen[LawVerdictSection]
    statistics_section: Frozen[StatisticsSection]
    scores: list[Path]
    facts: list[Path]
    directions: list[Path]
    table: Output
    directions_table: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    runs = [read_run(*paths) for paths in zip(files.scores, files.facts, strict=True)]
    table = keys_table(
        runs, files.verdict_section.minimum_share, files.statistics_section.confidence
    )
    write_csv(files.table, table, KEYS, files.manifest())
    found = [_directions(path) for path in files.directions]
    direction_rows = directions_table(found, files.statistics_section.confidence)
    write_csv(files.directions_table, direction_rows, KEY_DIRECTIONS, files.manifest())


def _directions(path: Path) -> DirectionRun:
    one = read_identity(path, KeyLaws)
    sums = read_table(path, ["key", "case", "part", "speaker_id", "num_frames", "angle", "nats"])
    return DirectionRun(one.representation, one.split_seed, one.lag, sums)


if __name__ == "__main__":
    run(main)
