"""Does training on the same frames again make a memory memorise? Passes, masks, new rows each pass.

S and SM are trained anew for a number of passes over train. Beside them stands SM whose codes are
dealt to the rows anew before each pass: its rows cannot learn what one recording does, and its key
tells as much as before.

Shapes: B chunks, T frames of a chunk, K codes.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from engram_audio.generation.config import GenerationProtocol, GeneratorPoint, ReplaySection
from engram_audio.generation.data import GeneratorData, Sequences
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.protocol import Training
from engram_audio.generation.sources import tables_of
from engram_audio.generation.task import GeneratorTask
from engram_audio.numerics.seeds import step_seed
from engram_audio.training.config import TrainingRecipe

MEMORY: ArmName = "SM"
ARMS: tuple[ArmName, ...] = ("S", MEMORY)
STREAM = 3  # of the random numbers that deal codes to rows
WARMUP_SHARE = 0.1  # of a training of few passes, where the recipe's warm-up is longer


class Dealing(NamedTuple):
    """How codes are dealt to rows: whether anew before each pass, its steps, and a seed."""

    is_permuted: bool
    steps_per_pass: int
    seed: int


class Replay(NamedTuple):
    """One training of a number of passes.

    Attributes:
        training: Arm, seed, steps and point.
        num_passes: Passes over train.
        is_permuted: Whether codes are dealt to rows anew before each pass.
    """

    training: Training
    num_passes: int
    is_permuted: bool

    @property
    def label(self) -> str:
        """A name that no other training of the job has."""
        ending = "-permuted" if self.is_permuted else ""
        return f"replay-{self.num_passes}{ending}-{self.training.label}"

    def recipe(self, recipe: TrainingRecipe) -> TrainingRecipe:
        """Return its recipe; the warm-up ends within the training."""
        own = self.training.recipe(recipe)
        shorter = min(own.warmup_steps, int(WARMUP_SHARE * own.num_steps))
        return own.model_copy(update={"warmup_steps": shorter})


def replays_of(
    protocol: GenerationProtocol, points: dict[ArmName, GeneratorPoint], steps_per_pass: int
) -> list[Replay]:
    """Return the trainings of the replay; none where no number of passes is asked for.

    S is trained at SM's point: after few passes a lower learning rate alone is a loss on train.
    """
    asked = protocol.replay
    kinds: list[tuple[ArmName, bool]] = [(arm, False) for arm in ARMS]
    if asked.is_permuted:
        kinds.append((MEMORY, True))
    return [
        Replay(Training(arm, seed, passes * steps_per_pass, points[MEMORY]), passes, is_permuted)
        for passes in asked.passes
        for arm, is_permuted in kinds
        for seed in protocol.seeds
    ]


def steps_per_pass(data: GeneratorData, recipe: TrainingRecipe, chunk_frames: int) -> int:
    """Return the steps in which every train chunk is read once, short batches left out."""
    return max(len(data) // max(recipe.batch_frames // chunk_frames, 1), 1)


class ReplayTask(GeneratorTask):
    """A training that keeps its last weights, whatever the choice part says of them.

    The model's buffer `num_losses` counts the steps, so that a resumed training knows its pass.
    """

    def __init__(
        self, model: Generator, train: GeneratorData, choice: GeneratorData, device: torch.device,
        dealing: Dealing,
    ) -> None:  # fmt: skip
        """Take how codes are dealt to rows."""
        model.register_buffer("num_losses", torch.zeros((), dtype=torch.int64))
        super().__init__(model, train, choice, device)
        self._dealing = dealing

    @property
    def _num_losses(self) -> int:
        return int(cast(Tensor, self.model.num_losses))

    def loss(self, items: Tensor) -> Tensor:
        """Return the mean loss of train chunks, under the pass's own dealing."""
        cast(Tensor, self.model.num_losses).add_(1)
        return super().loss(items)

    def validate(self) -> float:
        """Return minus the steps so far: the last weights are kept. `details` has the score."""
        score = super().validate()
        self.details = {**self.details, "choice_nll": score}
        return -float(self._num_losses)

    def permutation(self) -> Tensor:
        """Return the row of each code in the present pass, [K + 1]; the last is no whole key."""
        count = self.model.key.num_codes
        if not self._dealing.is_permuted:
            return torch.arange(count + 1)
        number = max(self._num_losses - 1, 0) // self._dealing.steps_per_pass
        generator = torch.Generator().manual_seed(step_seed(self._dealing.seed, number, STREAM))
        return torch.cat([torch.randperm(count, generator=generator), torch.tensor([count])])

    def _codes_read(
        self, data: GeneratorData, batch: Sequences, draws: Tensor | None
    ) -> Tensor | None:
        codes = super()._codes_read(data, batch, draws)
        if codes is None or not self._dealing.is_permuted:
            return codes
        return self.permutation().to(codes.device)[codes]

    @torch.no_grad()
    def settle(self) -> None:
        """Put the rows where their codes are, so that the model reads by plain codes again."""
        rows = self.permutation()
        for table in tables_of(self.model) if self._dealing.is_permuted else ():
            table.table.weight.copy_(table.table.weight[rows.to(table.table.weight.device)])
        del self.model.num_losses


def mask_rows(model: Generator, minimum_visits: int) -> None:
    """Let rows that train visited less often read as 0."""
    for table in tables_of(model):
        table.minimum_visits = minimum_visits


def masks_of(section: ReplaySection, arm: str) -> tuple[int, ...]:
    """Return the visit counts below which rows are masked, 0 for none."""
    return (0, *section.minimum_visits) if arm == MEMORY else (0,)


def labels_of(replay: dict[str, Any]) -> dict[str, Any]:
    """Return what a table says a replay is of."""
    return {name: replay[name] for name in ("arm", "seed", "num_passes", "is_permuted")}
