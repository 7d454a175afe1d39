"""Random symbols through a linear filter: pulses in noise, and frames that share symbols.

x_t = sum_{j < m} a_j[s_{t-j}] + noise_sd n, with s_t independent symbols. The process is linear,
but its conditional mean is not: it is that of the posterior over the symbols in the context.
Shapes: A symbols, m taps, n states (the m newest symbols), D dimensions, N frames, M targets.
"""

import dataclasses
import functools
import itertools
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array

from engram_audio.calibration.chains import forward_filter, window_filter
from engram_audio.calibration.layout import Speaker, ragged
from engram_audio.calibration.oracle import Oracle, Task
from engram_audio.calibration.predictive import (
    MixturePredictive,
    Predictive,
    isotropic_log_densities,
)
from engram_audio.calibration.world import SpeakerFrames, World


class ShiftRegister(NamedTuple):
    """The m newest symbols as a hidden state; states with very many active symbols are left out.

    Attributes:
        symbols: Newest symbol first, shape [n, m].
        transition: p(next state | state), sparse, shape [n, n]. Rows sum to 1.
        probability: Stationary law, shape [n].
    """

    symbols: np.ndarray
    transition: coo_array
    probability: np.ndarray

    def stationary(self) -> np.ndarray:
        """See `chains.HiddenLaw`."""
        return self.probability

    def advance(self, law: np.ndarray, steps: int = 1) -> np.ndarray:
        """See `chains.HiddenLaw`."""
        for _ in range(steps):
            law = (self.transition.T @ law.T).T
        return law


def shift_register(probabilities: np.ndarray, num_taps: int, maximum_active: int) -> ShiftRegister:
    """Return the register of independent symbols.

    Args:
        probabilities: Of each symbol, shape [A]. Symbol 0 is the passive one.
        num_taps: m.
        maximum_active: States with more symbols other than 0 are left out.
    """
    rows = itertools.product(range(len(probabilities)), repeat=num_taps)
    symbols = np.array([row for row in rows if np.count_nonzero(row) <= maximum_active])
    number = {row: place for place, row in enumerate(map(tuple, symbols.tolist()))}
    links = [
        (place, number[following], weight)
        for row, place in number.items()
        for symbol, weight in enumerate(probabilities)
        if (following := (symbol, *row[:-1])) in number
    ]
    departs, arrives, weights = (np.array(column) for column in zip(*links, strict=True))
    weights = weights / np.bincount(departs, weights=weights)[departs]
    transition = coo_array((weights, (departs, arrives)), shape=(len(symbols),) * 2)
    probability = probabilities[symbols].prod(axis=1)
    return ShiftRegister(symbols, transition, probability / probability.sum())


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilteredSymbols(World):
    """Common part; the window of the exact predictor is the whole past unless one is given."""

    noise_sd: float = 0.3

    @functools.cached_property
    def taps(self) -> np.ndarray:
        """a_j[s], shape [m, A, D]."""
        raise NotImplementedError

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """Law of one symbol, shape [A]."""
        raise NotImplementedError

    @property
    def maximum_active(self) -> int:
        """See `shift_register`."""
        return len(self.taps)

    @functools.cached_property
    def register(self) -> ShiftRegister:
        """The hidden state."""
        return shift_register(self.probabilities, len(self.taps), self.maximum_active)

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        num_taps, longest = len(self.taps), int(speaker.lengths.max())
        shape = (len(speaker.lengths), longest + num_taps - 1)
        symbols = generator.choice(len(self.probabilities), size=shape, p=self.probabilities)
        clean = sum(
            self.taps[tap][symbols[:, num_taps - 1 - tap : num_taps - 1 - tap + longest]]
            for tap in range(num_taps)
        )
        frames = ragged(np.asarray(clean), speaker.lengths)
        frames = frames + self.noise_sd * generator.standard_normal(frames.shape)
        return SpeakerFrames(
            frames, {"symbol": ragged(symbols[:, num_taps - 1 :], speaker.lengths)}
        )

    def autocovariance(self, steps: int) -> np.ndarray:
        """See `World`: pairs of taps `steps` apart hold the same symbol."""
        centred = self.taps - (self.probabilities @ self.taps)[:, None]
        weighted = centred * self.probabilities[:, None]
        shared = zip(weighted[steps:], centred[: len(centred) - steps or None], strict=False)
        total = np.zeros((self.num_dims, self.num_dims))
        for later, earlier in shared:
            total += later.T @ earlier
        return total + (self.noise_sd**2 * np.eye(self.num_dims) if steps == 0 else 0)

    def delta_variance(self) -> np.ndarray:
        """See `World`."""
        return 2 * np.diag(self.autocovariance(0) - self.autocovariance(1))

    def oracle(self, window_frames: int | None = None) -> Oracle:
        """See `World`; with a window the predictor sees that many frames of context only."""
        return FilteredOracle(self, window_frames)

    def outputs(self, symbols: np.ndarray) -> np.ndarray:
        """Return x without noise for registers [n, m], shape [n, D]."""
        return np.asarray(
            sum(tap[column] for tap, column in zip(self.taps, symbols.T, strict=True))
        )


class FilteredOracle(Oracle):
    """Posterior over the m newest symbols, then the law of what follows."""

    def __init__(self, world: FilteredSymbols, window_frames: int | None) -> None:
        """Keep the world and the context's length."""
        self._world, self._window = world, window_frames

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        world, register = self._world, self._world.register
        centres, sd = world.outputs(register.symbols), world.noise_sd
        law = self._law(task, centres)
        if task.space == "position" or task.lag_frames == 1:
            law = register.advance(law)
            shift = -task.frames[task.targets - 1] if task.space == "delta" else None
            return MixturePredictive(law, centres, np.full(len(centres), sd), shift)
        weights, changes = [], []
        for symbol, probability in enumerate(world.probabilities):
            following = np.roll(register.symbols, 1, axis=1)
            following[:, 0] = symbol
            weights.append(probability * law)
            changes.append(world.outputs(following) - centres)
        change = np.concatenate(changes)
        return MixturePredictive(
            np.concatenate(weights, axis=1), change, np.full(len(change), np.sqrt(2) * sd)
        )

    def _law(self, task: Task, centres: np.ndarray) -> np.ndarray:
        """Return the law of the register at t - 1 given the context, shape [M, n]."""
        register = self._world.register
        if task.lag_frames is None:
            return np.tile(register.stationary(), (len(task.targets), 1))
        sd = np.full(len(centres), self._world.noise_sd)
        scores = isotropic_log_densities(task.frames, centres, sd)
        if self._window is None:
            laws = forward_filter(register, scores, task.lengths)[task.newest()]
        else:
            laws = window_filter(register, scores, task.newest(), self._window)
        return register.advance(laws, task.lag_frames - 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pulses(FilteredSymbols):
    """x_t = sum_{j < 12} a_j p_{t-j} + .3 n, p_t = 1 with probability .03, a_j ~ .855^j N(0, I).

    The exact predictor leaves out more than `maximum_pulses` pulses among 12 frames (at p = .03
    one state in 60,000).
    """

    num_dims: int = 32
    probability: float = 0.03
    num_taps: int = 12
    decay: float = 0.855
    maximum_pulses: int = 4

    @functools.cached_property
    def taps(self) -> np.ndarray:
        """See `FilteredSymbols`; no pulse adds nothing."""
        shape = (self.num_taps, self.num_dims)
        filters = self.generator("taps").standard_normal(shape)
        filters *= self.decay ** np.arange(self.num_taps)[:, None]
        return np.stack([np.zeros_like(filters), filters], axis=1)

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """See `FilteredSymbols`."""
        return np.array([1 - self.probability, self.probability])

    @property
    def maximum_active(self) -> int:
        """See `shift_register`."""
        return self.maximum_pulses


@dataclasses.dataclass(frozen=True, kw_only=True)
class OverlapSymbols(FilteredSymbols):
    """x_t = sum_{j < 4} a_j[s_{t-j}] + .3 n, s_t uniform on 4 symbols, a_j[s] ~ N(0, I).

    All structure is the overlap of neighbouring frames: four frames share a symbol.
    """

    num_dims: int = 16
    num_symbols: int = 4
    num_taps: int = 4

    @functools.cached_property
    def taps(self) -> np.ndarray:
        """See `FilteredSymbols`."""
        return self.generator("taps").standard_normal(
            (self.num_taps, self.num_symbols, self.num_dims)
        )

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """See `FilteredSymbols`."""
        return np.full(self.num_symbols, 1 / self.num_symbols)
