"""Fit linear predictors of delta on train and score train, val and eval, per speaker."""

from pathlib import Path

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.structure.config import StructureSection
from engram_audio.structure.linear import score_linear
from engram_audio.structure.material import part_of_utterances, prepare


class Files(StepFiles):
    section: Frozen[StructureSection]
    splits: Path
    shards: list[Path]
    linear: Output


def main(argv: list[str] | None = None) -> None:
    """Read shards and splits, score, write one table."""
    files = Files.parse(argv)
    store = LatentStore(files.shards)
    splits = read_table(files.splits, ["utterance_id", "split"])
    part_of = part_of_utterances(store.index["utterance_id"], splits, str(files.splits))
    material = prepare(
        lambda: store.blocks(block_frames=files.section.block_frames),
        part_of,
        files.section,
        store.has_energy,
    )
    write_table(files.linear, score_linear(material), files.manifest())


if __name__ == "__main__":
    run(main)
