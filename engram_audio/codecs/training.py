"""Train a codec on waveforms; its task is imported by name, when it is needed.

No import statement leads from here to a task, so that the step's code digest covers the kind that
it trains and no other.
"""

import importlib
from collections.abc import Iterable
from typing import Protocol

import numpy as np
import torch
from torch import nn

from engram_audio.codecs.fitted_config import TrainedCodecSettings
from engram_audio.numerics.seeds import step_seed
from engram_audio.training.loop import Callbacks, Task, TrainingState, train


class CodecTask(Task, Protocol):
    """A task of the training loop that gives a codec."""

    @property
    def generator(self) -> nn.Module:
        """The network whose weights the adapter loads."""
        ...


def build_task(
    settings: TrainedCodecSettings,
    train_waveforms: Iterable[np.ndarray],
    val_waveforms: Iterable[np.ndarray],
    device: torch.device,
) -> CodecTask:
    """Build an untrained codec with its data; the same seed, the same weights.

    Args:
        settings: The codec's section.
        train_waveforms: Train utterances at the settings' rate, read as they are needed.
        val_waveforms: Val utterances.
        device: Where to train.

    Raises:
        InputError: A part has no utterance as long as a crop, or train is silent.
    """
    trainer = importlib.import_module(settings.TRAINER)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(step_seed(settings.seed, 0, stream=2))
        return trainer.build_task(settings, train_waveforms, val_waveforms, device)


def train_codec(
    settings: TrainedCodecSettings,
    task: CodecTask,
    device: torch.device,
    state: TrainingState | None,
    callbacks: Callbacks,
) -> TrainingState:
    """Train; the task ends with the weights that are kept, and its `details` are theirs.

    See `training.loop.train` for interruption and resuming.
    """
    torch.backends.cudnn.deterministic = True  # a resumed run must repeat its steps
    state = train(task, settings.recipe, settings.seed, device, state, callbacks)
    task.model.eval()
    with torch.no_grad():
        task.validate()
    return state


def pack_codec(network: nn.Module) -> dict[str, np.ndarray]:
    """Return the tensors of a codec by name."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
