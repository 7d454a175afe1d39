"""Deal the speakers of a corpus to shards of about equal length."""

import logging

from engram_audio.artifacts.table import read_table, write_table
from engram_audio.corpus.config import corpus_model
from engram_audio.corpus.shards import assign_shards
from engram_audio.steps import _cli

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "assign_shards",
        __doc__,
        inputs=["utterances"],
        outputs=["shards"],
        wildcards=["corpus"],
        argv=argv,
    )
    section = arguments.load_section("section", corpus_model(arguments.section_text("section")))
    columns = ["utterance_id", "speaker_id", "duration_s"]
    utterances = read_table(arguments.utterances, columns)
    key = f"corpora.{arguments.corpus}.num_shards"
    shards = assign_shards(utterances, section.num_shards, key)
    LOG.info("%d utterances in %d shards", len(shards), section.num_shards)
    write_table(arguments.shards, shards, arguments.manifest())


if __name__ == "__main__":
    _cli.run(main)
