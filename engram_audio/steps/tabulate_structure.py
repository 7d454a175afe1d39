"""Publish the structure stage: ratios with intervals, floors, surrogates and controls as CSV."""

import logging
from pathlib import Path

import pandas as pd

from engram_audio.artifacts import structure_tables as tables
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.structure_tables import Analysis
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps import _cli
from engram_audio.structure.columns import CURVES, LINEAR, NGRAMS, SPEAKERS, STRUCTURE
from engram_audio.structure.comparisons import Analysed, surrogates_of
from engram_audio.structure.side_tables import (
    curve_rows,
    linear_rows,
    ngram_rows,
    speaker_rows,
)
from engram_audio.structure.structure_table import Unit, analyse, structure_rows

LOG = logging.getLogger(__name__)
LISTS = ("scores", "keys", "curves", "ngrams")
PUBLISHED = (STRUCTURE, LINEAR, CURVES, NGRAMS, SPEAKERS)
OUTPUTS = [f"{table.name}_table" for table in PUBLISHED]


def read_unit(path: Path) -> Unit:
    """Read frame rate and dimension from a latent summary."""
    metadata = read_json(path)["metadata"]
    return Unit(metadata["frame_rate_hz"], metadata["num_dims"])


def named(frame: pd.DataFrame, analysis: Analysis) -> pd.DataFrame:
    """Put the names of representation and split before the columns."""
    frame.insert(0, "representation", analysis.representation)
    frame.insert(1, "split_seed", analysis.split_seed)
    return frame


def main(argv: list[str] | None = None) -> None:
    """Read the tables of every representation and split; write five CSV files."""
    arguments = _cli.parse_arguments(
        "tabulate_structure",
        __doc__,
        input_lists=[*LISTS, "linear", "summaries"],
        outputs=OUTPUTS,
        argv=argv,
    )
    section = arguments.load_section("section", StatisticsSection)
    level = section.confidence
    units = {path.parent.name: read_unit(path) for path in arguments.summaries}
    scores, keys, curves, ngrams = (
        tables.group_by_analysis(getattr(arguments, name)) for name in LISTS
    )
    analysed: dict[tuple[str, int], Analysed] = {}
    for one, paths in scores.items():
        LOG.info("%s, split %d: %d key families", *one, len(paths))
        analysed[one] = analyse(
            tables.read_all(paths, tables.SCORES), tables.read_all(keys[one], tables.KEYS)
        )
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in OUTPUTS}
    for path in arguments.linear:
        one = tables.analysis_of(path)
        linear = linear_rows(read_table(path, tables.LINEAR), level)
        rows = structure_rows(
            analysed[one], surrogates_of(one, analysed), linear, units[one.representation],
            section, f"{one.representation}/{one.split_seed}",
        )  # fmt: skip
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
        write_csv(getattr(arguments, name), frame, table, arguments.manifest())


if __name__ == "__main__":
    _cli.run(main)
