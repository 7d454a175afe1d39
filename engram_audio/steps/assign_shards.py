"""Deal the speakers of a corpus to shards of about equal length."""

import logging
from pathlib import Path

from engram_audio.artifacts.table import read_table, write_table
from engram_audio.corpus.config import CorpusSection
from engram_audio.corpus.shards import assign_shards
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    corpus: Wildcard[str]
    section: Frozen[CorpusSection]
    utterances: Path
    shards: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    columns = ["utterance_id", "speaker_id", "duration_s"]
    utterances = read_table(files.utterances, columns)
    key = f"corpora.{files.corpus}.num_shards"
    shards = assign_shards(utterances, files.section.num_shards, key)
    LOG.info("%d utterances in %d shards", len(shards), files.section.num_shards)
    write_table(files.shards, shards, files.manifest())


if __name__ == "__main__":
    run(main)
