"""Tune one Engram memory: every point of its recipe's grid, at full length."""

from engram_audio.densities.config import AnyHead
from engram_audio.densities.density import Density
from engram_audio.memory.names import MEMORY
from engram_audio.steps._cli import Output, blame, run
from engram_audio.steps._density_training import EngramFiles, workshop
from engram_audio.steps._tuning import tune_arm, write_tuning
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState


class Files(EngramFiles):
    tuning: Output
    scores: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    key, event = files.key(), files.event
    module, own = files.memory_section.behaviour()
    with workshop(files) as shop:

        def train(
            head: AnyHead, how: TrainingRecipe, state: TrainingState | None, calls: Callbacks
        ) -> Density:
            return module.train_memory(
                own, key, head, how, shop.material, files.lag, event, files.seed, shop.device,
                state, calls,
            ).model  # fmt: skip

        with blame(files.section_name(files.memory_section)):
            tuned = tune_arm(shop.run, MEMORY, files.head_section, train, shop.judge())
        write_tuning(files.tuning, files.scores, files.manifest(files.seed), {MEMORY: tuned})


if __name__ == "__main__":
    run(main)
