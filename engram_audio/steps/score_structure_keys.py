"""Score one family of keys, or the target oracle, on train, val and eval, per speaker.

Fails where a family that is no oracle has no fitted keys.
"""

from pathlib import Path

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.errors import InputError
from engram_audio.keys.fitted import FittedFamily
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._keys import read_family
from engram_audio.structure.config import StructureSection, TargetOracleKeys
from engram_audio.structure.key_scores import score_keys
from engram_audio.structure.material import part_of_utterances, prepare


class Files(StepFiles):
    family: Wildcard[str]
    section: Frozen[StructureSection]
    oracle_section: Frozen[TargetOracleKeys | None]
    key_file: Path | None
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
    tables = score_keys(files.family, _keys(files), material)
    manifest = files.manifest(files.section.seed)
    write_table(files.scores, tables.scores, manifest)
    write_table(files.key_table, tables.keys, manifest)
    write_table(files.cells, tables.cells, manifest)
    write_table(files.curves, tables.curves, manifest)
    write_table(files.ngrams, tables.ngrams, manifest)


def _keys(files: Files) -> FittedFamily | TargetOracleKeys:
    """The oracle's settings where the family is one, else its fitted keys."""
    if files.oracle_section is not None:
        return files.oracle_section
    if files.key_file is None:
        raise InputError(f"{files.family}: is no oracle and has no keys; check the rule")
    return read_family(files.key_file)


if __name__ == "__main__":
    run(main)
