"""Tune the nets of a curve of nats against size, each by the same grid."""

from functools import partial

from engram_audio.memory.curve import curve_heads
from engram_audio.steps._cli import Output, blame, run
from engram_audio.steps._density_training import MemoryNetFiles, workshop
from engram_audio.steps._tuning import tune_arm, write_tuning


class Files(MemoryNetFiles):
    tuning: Output
    scores: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    with blame(files.section_name(files.controls_section)):
        heads = curve_heads(files.head_section, files.controls_section.curve_widths)
    with workshop(files) as shop:
        judge, train = shop.judge(), partial(shop.point_of, files.event)
        tuned = {
            label: tune_arm(shop.run, label, head, train, judge) for label, head in heads.items()
        }
        write_tuning(files.tuning, files.scores, files.manifest(files.seed), tuned)


if __name__ == "__main__":
    run(main)
