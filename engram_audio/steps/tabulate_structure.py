"""Publish the structure stage: what keys add, with intervals, surrogates and controls, as CSV."""

import logging
from pathlib import Path

import pandas as pd

from engram_audio.artifacts import structure_tables as tables
from engram_audio.artifacts.identity import Analysis, read_identity, read_representation
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.structure.columns import CURVES, LINEAR, NGRAMS, SPEAKERS, STRUCTURE
from engram_audio.structure.comparisons import Analysed, surrogates_of
from engram_audio.structure.side_tables import (
    curve_rows,
    linear_rows,
    ngram_rows,
    speaker_rows,
)
from engram_audio.structure.structure_table import analyse, structure_rows

LOG = logging.getLogger(__name__)
PUBLISHED = (STRUCTURE, LINEAR, CURVES, NGRAMS, SPEAKERS)
OUTPUTS = [f"{table.name}_table" for table in PUBLISHED]


def read_frame_rate(path: Path) -> float:
    """Read the frames of a second from a latent summary."""
    return float(read_json(path)["metadata"]["frame_rate_hz"])


def named(frame: pd.DataFrame, analysis: Analysis) -> pd.DataFrame:
    """Put the names of representation and split before the columns."""
    frame.insert(0, "representation", analysis.representation)
    frame.insert(1, "split_seed", analysis.split_seed)
    return frame


class Files(StepFiles):
    section: Frozen[StatisticsSection]
    scores: list[Path]
    key_table: list[Path]
    curves: list[Path]
    ngrams: list[Path]
    linear: list[Path]
    summaries: list[Path]
    structure_table: Output
    linear_table: Output
    curves_table: Output
    ngrams_table: Output
    speakers_table: Output


def main(argv: list[str] | None = None) -> None:
    """Read the tables of every representation and split; write five CSV files."""
    files = Files.parse(argv)
    level = files.section.confidence
    rates = {read_representation(path): read_frame_rate(path) for path in files.summaries}
    scores, keys, curves, ngrams = map(
        tables.group_by_analysis, (files.scores, files.key_table, files.curves, files.ngrams)
    )
    analysed: dict[tuple[str, int], Analysed] = {}
    for one, paths in scores.items():
        LOG.info("%s, split %d: %d key families", *one, len(paths))
        analysed[one] = analyse(
            tables.read_all(paths, tables.SCORES), tables.read_all(keys[one], tables.KEYS)
        )
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in OUTPUTS}
    for path in files.linear:
        one = read_identity(path, Analysis)
        linear = linear_rows(read_table(path, tables.LINEAR), level)
        rows = structure_rows(
            analysed[one], surrogates_of(one, analysed), linear, rates[one.representation], level
        )
        curve_sums = tables.read_all(curves[one], tables.CURVES)
        ngram_counts = tables.read_all(ngrams[one], tables.NGRAMS)
        pieces = (
            rows, linear, curve_rows(curve_sums, level), ngram_rows(ngram_counts),
            speaker_rows(analysed[one]),
        )  # fmt: skip
        for name, piece in zip(OUTPUTS, pieces, strict=True):
            found[name].append(named(piece, one))
    for table, (name, frames) in zip(PUBLISHED, found.items(), strict=True):
        frame = table.arrange(pd.concat(frames, ignore_index=True))
        write_csv(files.output_files[name], frame, table, files.manifest())


if __name__ == "__main__":
    run(main)
