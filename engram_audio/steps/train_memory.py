"""Train one memory jointly with its head, and its control with shuffled keys; resumable."""

from functools import partial
from pathlib import Path

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.memory.names import MEMORY
from engram_audio.steps._cli import Output, blame, run
from engram_audio.steps._density_training import EngramFiles, workshop
from engram_audio.steps._memory import memory_header
from engram_audio.steps._tuned import frozen_setting


class Files(EngramFiles):
    tuning: Path | None
    memory: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    settings, key, event = files.memory_section, files.key(), files.event
    head, recipe = frozen_setting(files.tuning, MEMORY, files.head_section, files.recipe_section)
    module, own = settings.behaviour()
    arrays, headers = {}, {}
    with workshop(files) as shop:
        for label, is_shuffled in ((MEMORY, False), ("shuffled_keys", True)):
            train = partial(
                module.train_memory, own, key, head, recipe, shop.material, files.lag, event,
                files.seed, shop.device, is_shuffled=is_shuffled,
            )  # fmt: skip
            with blame(files.section_name(settings)):
                trained = shop.run.train(label, train)
            packed, headers[label] = module.pack(label, trained)
            arrays |= packed
        header = memory_header(settings, files.stage_section.target, headers)
        write_bundle(files.memory, arrays, {**files.manifest(files.seed), **header})


if __name__ == "__main__":
    run(main)
