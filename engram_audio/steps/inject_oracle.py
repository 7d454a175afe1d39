"""Put a world's exact predictor and hidden key through the metrics, and work out its truths."""

import logging

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.calibration.config import WorldsSection
from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.world import simulate
from engram_audio.errors import InputError
from engram_audio.latents.config import WorldRepresentation
from engram_audio.prediction.config import PredictionEvaluationSection
from engram_audio.steps import _cli
from engram_audio.structure.config import StructureSection
from engram_audio.structure.material import part_of_utterances, prepare
from engram_audio.trust.hidden_key import hidden_key_of, hidden_key_rows
from engram_audio.trust.measurement import all_truths, hidden_in_order
from engram_audio.trust.oracle_rows import oracle_rows
from engram_audio.trust.tables import row_frame, truth_frame

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Read a world's shards; write its truths and what the metrics say of its exact predictor."""
    arguments = _cli.parse_arguments(
        "inject_oracle",
        __doc__,
        inputs=["splits"],
        input_lists=["shards"],
        outputs=["truths", "rows"],
        argv=argv,
    )  # fmt: skip
    representation = arguments.load_section("representation_section", WorldRepresentation)
    worlds = arguments.load_section("worlds_section", WorldsSection)
    section = arguments.load_section("structure_section", StructureSection)
    evaluation = arguments.load_section("evaluation_section", PredictionEvaluationSection)
    name = representation.world
    world = make_world(name, representation.seed)
    size = WorldSize(
        representation.num_train_speakers, representation.num_eval_speakers,
        representation.num_utterances_per_speaker,
    )  # fmt: skip
    planted = all_truths(
        name, world, simulate(world, size), section, worlds.num_truth_speakers,
        worlds.num_truth_utterances_per_speaker,
    )  # fmt: skip
    store = LatentStore(arguments.shards)
    if not hidden_in_order(store.load(), planted.draw):
        raise InputError(
            f"{arguments.shards[0]}: not the world that "
            f"{arguments.section_name('representation_section')} describes; delete it and rerun "
            "simulate_world"
        )
    splits = read_table(arguments.splits, ["utterance_id", "split"])
    part_of = part_of_utterances(store.index["utterance_id"], splits, str(arguments.splits))
    material = prepare(lambda: store.blocks(block_frames=section.block_frames), part_of, section)
    rows = []
    key = hidden_key_of(world, planted.draw.hidden)
    if key is not None:
        rows += hidden_key_rows(name, world, key, planted.truths, material)
    oracle = world.oracle()
    if oracle is not None:
        rows += oracle_rows(name, oracle, planted.truths, material, part_of, evaluation)
    LOG.info("%s: %d truths, %d comparisons", name, len(planted.truths), len(rows))
    manifest = arguments.manifest(representation.seed)
    write_table(arguments.truths, truth_frame(name, planted.truths), manifest)
    write_table(arguments.rows, row_frame(rows), manifest)


if __name__ == "__main__":
    _cli.run(main)
