"""What the evaluation scores: anything that gives densities, means and samples of an event.

Heads and nulls come through `ModelPredictor`, exact predictors of planted worlds through
`OraclePredictor`; the evaluation cannot tell them apart, which is what separates a bug in a metric
from a bug in training.

Shapes: M targets, D dimensions, S samples, N candidates.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from engram_audio import windows
from engram_audio.latents.block import LatentBlock
from engram_audio.prediction.base import Batch
from engram_audio.prediction.data import SpeakerMeans, WindowData, window_data
from engram_audio.prediction.density import ConditionalDensity, event_offset

CANDIDATE_VALUES = 1 << 22  # floats of one batch of candidates or samples; bounds memory


class View(NamedTuple):
    """Targets of one event at one lag in a block of whole utterances.

    Attributes:
        block: The block.
        targets: Ascending block rows, shape [M].
        lag_frames: k.
        event: `delta` or `position`.
    """

    block: LatentBlock
    targets: np.ndarray
    lag_frames: int
    event: str

    def values(self) -> np.ndarray:
        """Return what happened, shape [M, D]."""
        return event_values(self.block.frames, self.targets, self.event)

    def subset(self, positions: np.ndarray) -> "View":
        """Return some of the targets."""
        return self._replace(targets=self.targets[positions])


def event_values(frames: np.ndarray, targets: np.ndarray, event: str) -> np.ndarray:
    """Return delta_t or x_t of block rows, shape [M, D]."""
    return windows.delta(frames, targets) if event == "delta" else frames[targets]


class Predictor(Protocol):
    """A conditional law of events."""

    def log_density(self, view: View) -> np.ndarray:
        """Return log p(event | context), nats, shape [M]."""
        ...

    def mean(self, view: View) -> np.ndarray:
        """Return conditional means of the event, shape [M, D]."""
        ...

    def sample(self, view: View, num_samples: int, generator: np.random.Generator) -> np.ndarray:
        """Return samples of the event, shape [S, M, D]."""
        ...

    def log_density_of(self, view: View, values: np.ndarray) -> np.ndarray | None:
        """Return log p(candidates | context), shape [M, N], of [M, N, D]; None if unable."""
        ...


class ModelPredictor:
    """A `ConditionalDensity` as a predictor, in batches on a device."""

    def __init__(
        self,
        model: ConditionalDensity,
        window_frames: int,
        speakers: SpeakerMeans,
        batch_frames: int,
        device: torch.device,
    ) -> None:
        """Wrap a trained model; it is moved to the device and put into evaluation mode."""
        self.model = model.to(device).eval()
        self._window_frames, self._speakers = window_frames, speakers
        self._batch_frames, self._device = batch_frames, device

    def _data(self, view: View) -> WindowData:
        return window_data(
            view.block, view.targets, view.lag_frames, self._window_frames, self._speakers
        )

    def _batches(self, view: View, width: int = 1):
        """Yield (positions, batch); `width` values per target share the memory of one batch."""
        data = self._data(view)
        size = self._batch_frames
        if width > 1:
            size = max(min(size, CANDIDATE_VALUES // (width * view.block.frames.shape[1])), 1)
        for start in range(0, len(data), size):
            items = torch.arange(start, min(start + size, len(data)))
            yield items, data.batch(items, self._device)

    def _offset(self, view: View, batch: Batch) -> torch.Tensor:
        return event_offset(batch, self.model.target, view.event, view.lag_frames)

    @torch.no_grad()
    def log_density(self, view: View) -> np.ndarray:
        """See `Predictor.log_density`; the offset between target and event has Jacobian 1."""
        parts = [self.model.log_prob(batch).double().cpu() for _, batch in self._batches(view)]
        return torch.cat(parts).numpy() if parts else np.empty(0)

    @torch.no_grad()
    def mean(self, view: View) -> np.ndarray:
        """See `Predictor.mean`."""
        parts = [
            (self.model.mean(batch) + self._offset(view, batch)).cpu()
            for _, batch in self._batches(view)
        ]
        return torch.cat(parts).numpy() if parts else np.empty((0, view.block.frames.shape[1]))

    @torch.no_grad()
    def sample(self, view: View, num_samples: int, generator: np.random.Generator) -> np.ndarray:
        """See `Predictor.sample`."""
        source = torch.Generator(device=self._device).manual_seed(int(generator.integers(2**62)))
        parts = [
            (self.model.sample(batch, num_samples, source) + self._offset(view, batch)).cpu()
            for _, batch in self._batches(view, num_samples)
        ]
        empty = np.empty((num_samples, 0, view.block.frames.shape[1]))
        return torch.cat(parts, 1).numpy() if parts else empty

    @torch.no_grad()
    def log_density_of(self, view: View, values: np.ndarray) -> np.ndarray:
        """See `Predictor.log_density_of`."""
        parts = []
        for items, batch in self._batches(view, values.shape[1]):
            candidates = torch.from_numpy(values[items.numpy()]).to(self._device)
            own = candidates - self._offset(view, batch).unsqueeze(1)
            parts.append(self.model.log_prob_of(batch, own).double().cpu())
        return torch.cat(parts).numpy() if parts else np.empty((0, values.shape[1]))


class OraclePredictor:
    """An exact predictor (`calibration.oracle.Oracle`) as a predictor."""

    def __init__(self, oracle: Any) -> None:
        """Wrap an object with log_density, mean and sample(block, targets, lag_frames, ...)."""
        self._oracle = oracle

    def log_density(self, view: View) -> np.ndarray:
        """See `Predictor.log_density`."""
        return self._oracle.log_density(view.block, view.targets, view.lag_frames, view.event)

    def mean(self, view: View) -> np.ndarray:
        """See `Predictor.mean`."""
        return self._oracle.mean(view.block, view.targets, view.lag_frames, view.event)

    def sample(self, view: View, num_samples: int, generator: np.random.Generator) -> np.ndarray:
        """See `Predictor.sample`."""
        return self._oracle.sample(
            view.block, view.targets, view.lag_frames, generator, num_samples, view.event
        )

    def log_density_of(self, view: View, values: np.ndarray) -> None:
        """Oracles score what happened only."""
        del view, values
