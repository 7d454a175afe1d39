"""Publish what went in and what was left out: tables/corpus.csv and tables/exclusions.csv."""

from pathlib import Path

from engram_audio.artifacts.identity import (
    Corpus,
    Split,
    read_identity,
    read_representation,
)
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.corpus.columns import CORPUS, EXCLUSIONS
from engram_audio.corpus.corpus_tables import (
    corpus_rows,
    corpus_table,
    exclusion_rows,
    representation_row,
)
from engram_audio.steps._cli import Fact, Output, StepFiles, run

UTTERANCES = ["utterance_id", "speaker_id", "sex", "duration_s"]
EXCLUDED = ["path", "utterance_id", "speaker_id", "reason", "detail"]


class Files(StepFiles):
    corpora: Fact[dict[str, str]]  # of each representation
    utterances: list[Path]
    exclusions: list[Path]
    splits: list[Path]
    summaries: list[Path]
    corpus_table: Output
    exclusions_table: Output


def main(argv: list[str] | None = None) -> None:
    """Gather corpora, splits and latent summaries; write two tables."""
    files = Files.parse(argv)
    excluded = {read_identity(p, Corpus).corpus: read_table(p, EXCLUDED) for p in files.exclusions}
    splits: dict[str, dict] = {}
    for path in files.splits:
        own = read_identity(path, Split)
        table = read_table(path, ["utterance_id", "split"])
        splits.setdefault(own.corpus, {})[own.split_seed] = table
    rows = []
    for path in files.utterances:
        name = read_identity(path, Corpus).corpus
        rows += corpus_rows(
            name, read_table(path, UTTERANCES), excluded[name], splits.get(name, {})
        )
    named = {read_representation(path): path for path in files.summaries}
    summaries = {name: (files.corpora[name], read_json(path)) for name, path in named.items()}
    rows += [representation_row(name, *pair) for name, pair in summaries.items()]
    write_csv(files.corpus_table, corpus_table(rows), CORPUS, files.manifest())
    left_out = exclusion_rows(excluded, summaries)
    write_csv(files.exclusions_table, left_out, EXCLUSIONS, files.manifest())


if __name__ == "__main__":
    run(main)
