"""Tune the parametric models that a memory has to beat, each by the same grid."""

from functools import partial
from pathlib import Path

from engram_audio.steps._cli import Output, run
from engram_audio.steps._density_training import MemoryNetFiles, workshop
from engram_audio.steps._matched import matched_heads
from engram_audio.steps._tuning import tune_arm, write_tuning


class Files(MemoryNetFiles):
    memory: Path
    base_model: Path | None
    tuning: Output
    scores: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    with workshop(files) as shop:
        judge, train = shop.judge(), partial(shop.point_of, files.event)
        heads = matched_heads(files, files.memory, files.base_model, shop.material)
        tuned = {
            label: tune_arm(shop.run, label, matched.head, train, judge)
            for label, matched in heads.items()
        }
        write_tuning(files.tuning, files.scores, files.manifest(files.seed), tuned)


if __name__ == "__main__":
    run(main)
