"""What the training loop trains: the mean NLL of a density on window data."""

import torch
from torch import Tensor

from engram_audio.densities.data import WindowData
from engram_audio.densities.density import ConditionalDensity

VALIDATION_BATCH = 4096


class DensityTask:
    """Mean NLL, nats per frame, on train batches and on all of the choice part."""

    frames_per_item = 1

    def __init__(
        self, model: ConditionalDensity, train: WindowData, choice: WindowData, device: torch.device
    ) -> None:
        self.model = model.to(device)
        self._train, self._choice, self._device = train, choice, device
        self.details: dict[str, float] = {}

    @property
    def num_items(self) -> int:
        """Train targets."""
        return len(self._train)

    @property
    def train_data(self) -> WindowData:
        """The train targets."""
        return self._train

    def loss(self, items: Tensor) -> Tensor:
        """Return the mean NLL of train targets."""
        return -self.model.log_prob(self._train.batch(items, self._device)).mean()

    def validate(self) -> float:
        """Return the mean NLL of the choice part."""
        total = 0.0
        for start in range(0, len(self._choice), VALIDATION_BATCH):
            items = torch.arange(start, min(start + VALIDATION_BATCH, len(self._choice)))
            batch = self._choice.batch(items, self._device)
            total -= float(self.model.log_prob(batch).double().sum())
        return total / len(self._choice)
