"""Tune one head on one representation: every point of its recipe's grid, at full length."""

from functools import partial

from engram_audio.densities.fit import events_trained
from engram_audio.steps._cli import Output, run
from engram_audio.steps._density_training import DensityFiles, workshop
from engram_audio.steps._tuned import HEAD
from engram_audio.steps._tuning import tune_arm, write_tuning


class Files(DensityFiles):
    tuning: Output
    scores: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    event = events_trained(files.lag, files.section.targets)[0]
    with workshop(files) as shop:
        train = partial(shop.point_of, event)
        tuned = tune_arm(shop.run, HEAD, files.head_section, train, shop.judge())
        write_tuning(files.tuning, files.scores, files.manifest(files.seed), {HEAD: tuned})


if __name__ == "__main__":
    run(main)
