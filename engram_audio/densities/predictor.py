"""What the evaluation scores: anything that gives densities, means and samples of an event.

Heads and nulls come through `model_predictor.ModelPredictor`, exact predictors of planted worlds
through `OraclePredictor`. The evaluation cannot tell them apart, which is what separates a bug in
a metric from a bug in training.

Shapes: M targets, D dimensions, S samples, N candidates.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from engram_audio import windows
from engram_audio.latents.block import LatentBlock


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
    """A conditional law of events.

    Attributes:
        is_mean_sampled: Whether `mean` is an average of samples, which is dear.
    """

    is_mean_sampled: bool

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


class OraclePredictor:
    """An exact predictor (`calibration.oracle.Oracle`) as a predictor."""

    is_mean_sampled = False

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
