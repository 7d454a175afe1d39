"""Fit one family of coarse keys on train and score train, val and eval, per speaker."""

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.steps import _cli
from engram_audio.structure.config import StructureSection, parse_key_family
from engram_audio.structure.key_scores import score_keys
from engram_audio.structure.material import part_of_utterances, prepare

TABLES = ("scores", "keys", "cells", "curves", "ngrams")


def main(argv: list[str] | None = None) -> None:
    """Read shards and splits, score, write five tables."""
    arguments = _cli.parse_arguments(
        "score_structure_keys",
        __doc__,
        inputs=["splits"],
        input_lists=["shards"],
        outputs=TABLES,
        wildcards=["family"],
        argv=argv,
    )
    section = arguments.load_section("section", StructureSection)
    family = parse_key_family(
        arguments.section_text("family_section"), arguments.section_name("family_section")
    )
    store = LatentStore(arguments.shards)
    splits = read_table(arguments.splits, ["utterance_id", "split"])
    part_of = part_of_utterances(store.index["utterance_id"], splits, str(arguments.splits))
    material = prepare(lambda: store.blocks(block_frames=section.block_frames), part_of, section)
    tables = score_keys(arguments.family, family, material)
    for name in TABLES:
        write_table(
            getattr(arguments, name), getattr(tables, name), arguments.manifest(section.seed)
        )


if __name__ == "__main__":
    _cli.run(main)
