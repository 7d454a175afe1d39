"""Few predictable dimensions among many white ones: what a decoder reads, and what it does not.

Shapes: D dimensions.
"""

import dataclasses
import functools

import numpy as np

from engram_audio.calibration.layout import Speaker
from engram_audio.calibration.oracle import Oracle, Task
from engram_audio.calibration.predictive import Predictive, ProductPredictive
from engram_audio.calibration.world import SpeakerFrames, World
from engram_audio.calibration.worlds_linear import Autoregression
from engram_audio.calibration.worlds_motif import MotifOracle, Motifs


@dataclasses.dataclass(frozen=True, kw_only=True)
class JunkDimensions(World):
    """The first dimensions are motifs, the others white noise; a decoder reads the first only."""

    num_dims: int = 512
    num_predictive_dims: int = 8
    num_phases: int = 24
    jump_probability: float = 0.005
    key_ratio: float = 0.3

    @functools.cached_property
    def inner(self) -> Motifs:
        """The predictive part."""
        return Motifs(
            seed=self.seed,
            num_dims=self.num_predictive_dims,
            num_phases=self.num_phases,
            jump_probability=self.jump_probability,
            key_ratio=self.key_ratio,
        )

    @functools.cached_property
    def junk(self) -> Autoregression:
        """The white part."""
        return Autoregression(seed=self.seed, num_dims=self.num_dims - self.num_predictive_dims)

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        part = self.inner.simulate_speaker(speaker, generator)
        noise = generator.standard_normal((speaker.num_frames, self.junk.num_dims))
        return SpeakerFrames(np.concatenate([part.frames, noise], axis=1), part.hidden)

    def decoder_weights(self) -> np.ndarray:
        """Return the sensitivity of the pretended decoder to each dimension, shape [D]."""
        return (np.arange(self.num_dims) < self.num_predictive_dims).astype(np.float64)

    def diluted(self) -> tuple[World, World]:
        """See `World`."""
        return self.inner, self.junk

    def swapped_repeats(self, num_frames: float) -> float:
        """See `World`: labels and frames have one period."""
        return num_frames / self.num_phases

    def delta_variance(self) -> np.ndarray:
        """See `World`."""
        return np.concatenate([self.inner.delta_variance(), self.junk.delta_variance()])

    def oracle(self) -> Oracle:
        """See `World`."""
        return JunkOracle(self)


class JunkOracle(Oracle):
    """Product of the two parts' oracles."""

    def __init__(self, world: JunkDimensions) -> None:
        """Keep the world and its parts' oracles."""
        self._width = world.num_predictive_dims
        self._widths = [self._width, world.num_dims - self._width]
        self._parts = (MotifOracle(world.inner), world.junk.oracle())

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        inner, junk = self._parts
        left = task._replace(frames=task.frames[:, : self._width])
        right = task._replace(frames=task.frames[:, self._width :])
        return ProductPredictive([inner.predict(left), junk.predict(right)], self._widths)
