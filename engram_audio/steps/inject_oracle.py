"""Put a world's exact predictor and hidden key through the metrics, and work out its truths.

Fails where the latents are not those of the world that the settings describe.
"""

import logging
from pathlib import Path

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.calibration.config import WorldsSection
from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.world import simulate
from engram_audio.densities.config import PredictionEvaluationSection
from engram_audio.errors import InputError
from engram_audio.latents.config import WorldRepresentation
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.structure.config import StructureSection
from engram_audio.structure.material import part_of_utterances, prepare
from engram_audio.trust.hidden_key import hidden_key_rows
from engram_audio.trust.measurement import all_truths, hidden_in_order
from engram_audio.trust.oracle_rows import oracle_rows
from engram_audio.trust.tables import row_frame, truth_frame

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    representation_section: Frozen[WorldRepresentation]
    worlds_section: Frozen[WorldsSection]
    structure_section: Frozen[StructureSection]
    evaluation_section: Frozen[PredictionEvaluationSection]
    splits: Path
    shards: list[Path]
    truths: Output
    rows: Output


def main(argv: list[str] | None = None) -> None:
    """Read a world's shards; write its truths and what the metrics say of its exact predictor."""
    files = Files.parse(argv)
    representation = files.representation_section
    name = representation.world
    world = make_world(name, representation.seed)
    size = WorldSize(
        representation.num_train_speakers, representation.num_eval_speakers,
        representation.num_utterances_per_speaker,
    )  # fmt: skip
    planted = all_truths(
        name, world, simulate(world, size), files.structure_section,
        files.worlds_section.num_truth_speakers,
        files.worlds_section.num_truth_utterances_per_speaker,
    )  # fmt: skip
    store = LatentStore(files.shards)
    if not hidden_in_order(store.load(), planted.draw):
        raise InputError(
            f"{files.shards[0]}: not the world that "
            f"{files.section_name(representation)} describes; delete it and rerun "
            "simulate_world"
        )
    splits = read_table(files.splits, ["utterance_id", "split"])
    part_of = part_of_utterances(store.index["utterance_id"], splits, str(files.splits))
    material = prepare(
        lambda: store.blocks(block_frames=files.structure_section.block_frames),
        part_of,
        files.structure_section,
    )
    rows = []
    key = world.stated_key(planted.draw.hidden)
    if key is not None:
        rows += hidden_key_rows(name, world, key, planted.truths, material)
    oracle = world.oracle()
    if oracle is not None:
        rows += oracle_rows(
            name, oracle, planted.truths, material, part_of, files.evaluation_section
        )
    LOG.info("%s: %d truths, %d comparisons", name, len(planted.truths), len(rows))
    manifest = files.manifest(representation.seed)
    write_table(files.truths, truth_frame(name, planted.truths), manifest)
    write_table(files.rows, row_frame(rows), manifest)


if __name__ == "__main__":
    run(main)
