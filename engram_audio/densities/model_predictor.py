"""A density network as a predictor, in batches on a device.

Shapes: M targets, D dimensions, S samples, N candidates.
"""

import numpy as np
import torch

from engram_audio.densities.base import Batch
from engram_audio.densities.data import WindowData, window_data
from engram_audio.densities.density import ConditionalDensity, event_offset
from engram_audio.densities.predictor import View
from engram_audio.densities.speakers import SpeakerMeans

CANDIDATE_VALUES = 1 << 22  # floats of one batch of candidates or samples; bounds memory


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
        self.is_mean_sampled = bool(self.model.is_mean_sampled)
        self._window_frames, self._speakers = window_frames, speakers
        self._batch_frames, self._device = batch_frames, device

    @property
    def is_mean_sampled(self) -> bool:
        """See `Predictor.is_mean_sampled`; only a head has one, and a memory is scored without."""
        return self.model.head.is_mean_sampled

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
