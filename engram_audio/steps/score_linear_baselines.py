"""Fit linear predictors of delta on train and score train, val and eval, per speaker."""

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.steps import _cli
from engram_audio.structure.config import StructureSection
from engram_audio.structure.linear import score_linear
from engram_audio.structure.material import part_of_utterances, prepare


def main(argv: list[str] | None = None) -> None:
    """Read shards and splits, score, write one table."""
    arguments = _cli.parse_arguments(
        "score_linear_baselines",
        __doc__,
        inputs=["splits"],
        input_lists=["shards"],
        outputs=["linear"],
        argv=argv,
    )
    section = arguments.load_section("section", StructureSection)
    store = LatentStore(arguments.shards)
    splits = read_table(arguments.splits, ["utterance_id", "split"])
    part_of = part_of_utterances(store.index["utterance_id"], splits, str(arguments.splits))
    material = prepare(lambda: store.blocks(block_frames=section.block_frames), part_of, section)
    write_table(arguments.linear, score_linear(material), arguments.manifest())


if __name__ == "__main__":
    _cli.run(main)
