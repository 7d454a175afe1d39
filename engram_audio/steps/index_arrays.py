"""Check the arrays that a user brings; list usable and unusable ones, deal them to shards."""

import logging
from pathlib import Path

from engram_audio.artifacts.external_arrays import read_array_table, read_arrays
from engram_audio.artifacts.table import write_table
from engram_audio.corpus.shards import assign_shards
from engram_audio.latents.arrays import DIGEST, index_arrays
from engram_audio.latents.config import ArraysRepresentation
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._progress import Tracked

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    representation: Wildcard[str]
    section: Frozen[ArraysRepresentation]
    table: Path
    utterances: Output
    exclusions: Output
    shards: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    name = files.representation
    table = read_array_table(files.table)
    rows = Tracked(read_arrays(Path(section.path), table), len(table), "check", "arrays")
    index = index_arrays(rows, section.frame_rate_hz, section.minimum_frames, name)
    shards = assign_shards(
        index.utterances, section.num_shards, f"representations.library.{name}.num_shards"
    )
    shards[DIGEST] = [index.digests[name] for name in shards["utterance_id"]]
    facts = {
        "num_dims": index.num_dims,
        "has_energy": index.has_energy,
        "content_hash": index.content_hash,
    }
    num_excluded = int((~index.exclusions["is_kept"].to_numpy(bool)).sum())
    LOG.info("%d arrays, %d excluded", len(index.utterances), num_excluded)
    manifest = files.manifest(corpus=name)  # arrays are a corpus of their own
    write_table(files.utterances, index.utterances, manifest)
    write_table(files.exclusions, index.exclusions, manifest)
    write_table(files.shards, shards, {**manifest, "arrays": facts})


if __name__ == "__main__":
    run(main)
