"""Split the speakers of a corpus into train and eval, and hold out val within train."""

import logging

from engram_audio.artifacts.table import read_table, write_table
from engram_audio.corpus.config import SplitsSection
from engram_audio.corpus.splits import describe_splits, make_splits
from engram_audio.steps import _cli

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "make_splits",
        __doc__,
        inputs=["utterances"],
        outputs=["splits"],
        wildcards=["split_seed"],
        argv=argv,
    )
    section = arguments.load_section("section", SplitsSection)
    seed = int(arguments.split_seed)
    columns = ["utterance_id", "speaker_id", "sex", "duration_s"]
    utterances = read_table(arguments.utterances, columns)
    splits = make_splits(utterances, section.eval_fraction, section.val_fraction, seed)
    LOG.info("%s", describe_splits(splits))
    write_table(arguments.splits, splits, arguments.manifest(seed=seed))


if __name__ == "__main__":
    _cli.run(main)
