"""Split the speakers of a corpus into train, select and eval, and hold out val within train."""

import logging
from pathlib import Path

from engram_audio.artifacts.table import read_table, write_table
from engram_audio.corpus.config import SplitsSection
from engram_audio.corpus.splits import describe_splits, make_splits, require_val
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    corpus: Wildcard[str]
    split_seed: Wildcard[int]
    section: Frozen[SplitsSection]
    utterances: Path
    splits: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    columns = ["utterance_id", "speaker_id", "sex", "duration_s"]
    utterances = read_table(files.utterances, columns)
    shares = files.section
    splits = make_splits(
        utterances, shares.eval_fraction, shares.val_fraction, shares.select_fraction,
        files.split_seed,
    )  # fmt: skip
    require_val(splits, files.corpus)
    LOG.info("%s", describe_splits(splits))
    write_table(files.splits, splits, files.manifest(seed=files.split_seed))


if __name__ == "__main__":
    run(main)
