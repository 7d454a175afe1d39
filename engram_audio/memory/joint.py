"""Train an Engram memory jointly with a head; its knocked-out twin is the same net without it.

Shapes: B targets.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.memory.config import EngramMemory
from engram_audio.memory.engram import EngramModule, EngramTrunk
from engram_audio.memory.keys import KeyArrays, KeyEncoder, fit_key
from engram_audio.prediction.base import BaseArrays, Batch, LinearBase
from engram_audio.prediction.config import AnyHead, FlowHead
from engram_audio.prediction.density import ConditionalDensity
from engram_audio.prediction.factory import build_conditional
from engram_audio.prediction.fit import Material, choose_base, event_seed
from engram_audio.prediction.task import DensityTask
from engram_audio.prediction.trunks import InputScales, Mlp, SharedFrames
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState, train

BATCH = 4096


class EngramDensity(ConditionalDensity):
    """A conditional density whose trunk has an Engram module."""

    seen: Tensor

    def __init__(self, base: LinearBase, trunk: EngramTrunk, head: nn.Module) -> None:
        """Join the parts; `seen` marks the table rows that train has touched."""
        super().__init__(base, trunk, head)  # type: ignore[arg-type]
        self.register_buffer("seen", torch.zeros(trunk.engram.hash.num_rows, dtype=torch.bool))

    @property
    def engram_trunk(self) -> EngramTrunk:
        """The trunk, with its type."""
        assert isinstance(self.trunk, EngramTrunk)
        return self.trunk

    def gate(self, batch: Batch) -> Tensor:
        """Return the gate of the newest position, shape [B]."""
        return self.engram_trunk.read(batch.context)[1]

    def is_hit(self, batch: Batch) -> Tensor:
        """Return whether train has touched every row that is read, bool, shape [B]."""
        return self.seen[self.engram_trunk.rows(batch.context)].all(1)


class Trained(NamedTuple):
    """A trained Engram memory with what rebuilds it."""

    model: EngramDensity
    base: BaseArrays
    key: KeyArrays
    state: TrainingState


def build_engram(
    settings: EngramMemory,
    head: AnyHead,
    base: BaseArrays,
    key: KeyArrays,
    window_frames: int,
    scales: InputScales,
    noise_sd: np.ndarray,
    seed: int,
) -> EngramDensity:
    """Build an untrained Engram memory on a head.

    Raises:
        ValueError: The head is a flow, whose trunk has no hidden state to add to.
    """
    if isinstance(head, FlowHead):
        raise ValueError("an Engram memory needs a mixture or direction head, not a flow")
    plain = build_conditional(head, base, window_frames, scales, noise_sd, seed)
    assert isinstance(plain.trunk, Mlp | SharedFrames)
    encoder = KeyEncoder(key, len(base.frame_mean))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        width = plain.trunk.output.in_features
        module = EngramModule(settings, width, encoder.num_codes, seed)
        trunk = EngramTrunk(plain.trunk, encoder, module)
    return EngramDensity(plain.base, trunk, plain.head)


def train_engram(
    settings: EngramMemory,
    head: AnyHead,
    recipe: TrainingRecipe,
    material: Material,
    lag_frames: int,
    event: str,
    seed: int,
    device: torch.device,
    state: TrainingState | None,
    callbacks: Callbacks,
    is_shuffled: bool = False,
) -> Trained:
    """Train one; `is_shuffled` is the control whose keys are those of other contexts of a batch.

    See `training.loop.train` for interruption and resuming.
    """
    base = choose_base(
        head, material, lag_frames, event, head.is_linear_skip, event_seed(seed, "base")
    )
    key = fit_key(settings.key, material, lag_frames, event_seed(seed, "key"))
    model = build_engram(
        settings, head, base, key, material.window_frames, material.reference.input_scales,
        material.noise_sd, event_seed(seed, "weights", lag_frames, event),
    )  # fmt: skip
    model.engram_trunk.is_shuffled = is_shuffled
    data = (
        material.data("train", lag_frames),
        material.data("val", lag_frames, recipe.maximum_validation_frames),
    )
    task = DensityTask(model, *data, device)
    run_seed = event_seed(seed, "steps", lag_frames, event)
    state = train(task, recipe, run_seed, device, state, callbacks)
    mark_seen(model, task, device)
    return Trained(model, base, key, state)


@torch.no_grad()
def mark_seen(model: EngramDensity, task: DensityTask, device: torch.device) -> None:
    """Mark the rows that train's newest positions read."""
    data = task.train_data
    for items in torch.arange(len(data)).split(BATCH):
        rows = model.engram_trunk.rows(data.batch(items, device).context)
        model.seen[rows.flatten()] = True
