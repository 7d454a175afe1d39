"""Which trainings a job has: the tuning of every arm, then its seeds and numbers of steps."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Self

from engram_audio.generation.config import GenerationProtocol, GeneratorPoint
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.variants import Variant
from engram_audio.training.config import TrainingRecipe


class Training(NamedTuple):
    """One training.

    Attributes:
        arm: What is trained.
        seed: Its seed: weights, order of the data, noise.
        num_steps: Its length.
        point: Learning rate and dropout.
        is_repeat: Whether it is another training's, once more.
        variant: Its size, where that is not the arm's own.
    """

    arm: ArmName
    seed: int
    num_steps: int
    point: GeneratorPoint
    is_repeat: bool = False
    variant: Variant | None = None

    @property
    def training(self) -> Self:
        """Itself: a replay has one inside."""
        return self

    @property
    def is_permuted(self) -> bool | None:
        """None: it deals no codes to rows, as a replay does."""
        return None

    @property
    def label(self) -> str:
        """A name that no other training of the job has."""
        rate, dropout = self.point.learning_rate, self.point.dropout
        ending = "-repeat" if self.is_repeat else ""
        size = "" if self.variant is None else f"{self.variant.label}-"
        return (
            f"{size}{self.arm}-seed{self.seed}-steps{self.num_steps}-{rate:g}-{dropout:g}{ending}"
        )

    def recipe(self, recipe: TrainingRecipe) -> TrainingRecipe:
        """Return the recipe of this training."""
        changes = {"num_steps": self.num_steps, "learning_rate": self.point.learning_rate}
        return recipe.model_copy(update=changes)


def tuning_of(
    arm: ArmName, protocol: GenerationProtocol, num_steps: int, variant: Variant | None = None
) -> list[Training]:
    """Return the trainings that an arm is tuned on: every point, first seed, full length."""
    seed = protocol.seeds[0]
    return [Training(arm, seed, num_steps, point, variant=variant) for point in protocol.points]


def choose_point(
    arm: ArmName,
    protocol: GenerationProtocol,
    num_steps: int,
    score: Callable[[Training], float],
    variant: Variant | None = None,
) -> GeneratorPoint:
    """Return the point with the lowest score on the choice part; the first of equal ones.

    Args:
        arm: Whose point.
        protocol: The points; one point needs no training.
        num_steps: Full length.
        score: Trains and returns the best score, infinite where the training diverged.
        variant: A size that is not the arm's own.
    """
    if len(protocol.points) == 1:
        return protocol.points[0]
    return min(tuning_of(arm, protocol, num_steps, variant), key=score).point


def trainings_of(
    arms: Sequence[ArmName],
    protocol: GenerationProtocol,
    num_steps: int,
    points: Mapping[ArmName, GeneratorPoint],
) -> list[Training]:
    """Return the trainings that are published: every arm, number of steps and seed; then repeats.

    A training of the tuning that was chosen is one of them and is not done twice.
    """
    lengths = (*protocol.shorter_steps, num_steps)
    found = [
        Training(arm, seed, steps, points[arm])
        for arm in arms
        for steps in lengths
        for seed in protocol.seeds
    ]
    again = [
        Training(arm, protocol.seeds[0], num_steps, points[arm], is_repeat=True)
        for arm in arms
        if arm in protocol.repeated_arms
    ]
    return [*found, *again]
