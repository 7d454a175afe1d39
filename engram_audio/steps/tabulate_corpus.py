"""Publish what went in and what was left out: tables/corpus.csv and tables/exclusions.csv."""

from pathlib import Path

from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.corpus.columns import CORPUS, EXCLUSIONS
from engram_audio.corpus.corpus_tables import (
    corpus_rows,
    corpus_table,
    exclusion_rows,
    representation_row,
)
from engram_audio.errors import InputError
from engram_audio.steps import _cli

UTTERANCES = ["utterance_id", "speaker_id", "sex", "duration_s"]
EXCLUDED = ["path", "utterance_id", "speaker_id", "reason", "detail"]


def seed_of(path: Path) -> int:
    """Read the split seed from `.../<corpus>/seed-<seed>/splits.parquet`."""
    seed = path.parent.name.removeprefix("seed-")
    if not seed.isdecimal():
        raise InputError(f"{path}: expected .../<corpus>/seed-<seed>/splits.parquet")
    return int(seed)


def main(argv: list[str] | None = None) -> None:
    """Gather corpora, splits and latent summaries; write two tables."""
    arguments = _cli.parse_arguments(
        "tabulate_corpus",
        __doc__,
        input_lists=["utterances", "exclusions", "splits", "summaries", "corpora"],
        outputs=["corpus_table", "exclusions_table"],
        argv=argv,
    )
    excluded = {p.parent.name: read_table(p, EXCLUDED) for p in arguments.exclusions}
    splits: dict[str, dict] = {}
    for path in arguments.splits:
        table = read_table(path, ["utterance_id", "split"])
        splits.setdefault(path.parents[1].name, {})[seed_of(path)] = table
    rows = []
    for path in arguments.utterances:
        name = path.parent.name
        rows += corpus_rows(
            name, read_table(path, UTTERANCES), excluded[name], splits.get(name, {})
        )
    summaries = {
        path.parent.name: (str(corpus), read_json(path))
        for path, corpus in zip(arguments.summaries, arguments.corpora, strict=True)
    }
    rows += [representation_row(name, *pair) for name, pair in summaries.items()]
    write_csv(arguments.corpus_table, corpus_table(rows), CORPUS, arguments.manifest())
    left_out = exclusion_rows(excluded, summaries)
    write_csv(arguments.exclusions_table, left_out, EXCLUSIONS, arguments.manifest())


if __name__ == "__main__":
    _cli.run(main)
