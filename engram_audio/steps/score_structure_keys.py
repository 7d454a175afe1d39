"""Fit one family of coarse keys on train and score train, val and eval, per speaker."""

from pathlib import Path

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run
from engram_audio.structure.config import KeyFamilySection, StructureSection
from engram_audio.structure.key_scores import score_keys
from engram_audio.structure.material import part_of_utterances, prepare


class Files(StepFiles):
    family: Wildcard[str]
    section: Frozen[StructureSection]
    family_section: Frozen[KeyFamilySection]
    splits: Path
    shards: list[Path]
    scores: Output
    key_table: Output
    cells: Output
    curves: Output
    ngrams: Output


def main(argv: list[str] | None = None) -> None:
    """Read shards and splits, score, write five tables."""
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
    tables = score_keys(files.family, files.family_section, material)
    manifest = files.manifest(files.section.seed)
    write_table(files.scores, tables.scores, manifest)
    write_table(files.key_table, tables.keys, manifest)
    write_table(files.cells, tables.cells, manifest)
    write_table(files.curves, tables.curves, manifest)
    write_table(files.ngrams, tables.ngrams, manifest)


if __name__ == "__main__":
    run(main)
