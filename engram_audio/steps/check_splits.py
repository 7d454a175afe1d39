"""Refuse utterances that cannot answer what the study asks, before anything is encoded.

Fails where speakers or frames are too few for what the study asks: one line for each demand.
"""

import logging
from pathlib import Path

from engram_audio.artifacts.identity import Split, read_identity
from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import read_table, read_table_manifest
from engram_audio.corpus.demands import Demands
from engram_audio.corpus.shortfalls import part_facts, shortfalls
from engram_audio.errors import InputError
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    corpus: Wildcard[str]
    section: Frozen[Demands]
    utterances: Path
    splits: list[Path]
    arrays: list[Path]
    checked: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    utterances = read_table(files.utterances, ["utterance_id", "duration_s"])
    parts = {
        read_identity(path, Split).split_seed: part_facts(
            utterances, read_table(path, ["utterance_id", "speaker_id", "split"])
        )
        for path in files.splits
    }
    dims = [read_table_manifest(path)["arrays"]["num_dims"] for path in files.arrays]
    demands = files.section.demands
    num_dims = dims[0] if dims else None
    if lines := list(shortfalls(demands, parts, num_dims)):
        raise InputError("\n".join(lines))
    notes = list(shortfalls(demands, parts, num_dims, is_fatal=False))
    for line in notes:
        LOG.warning("%s", line)
    LOG.info("%d demands on %s, %d of them not met", len(demands), files.corpus, len(notes))
    write_json(files.checked, {"notes": notes, "manifest": files.manifest()})


if __name__ == "__main__":
    run(main)
