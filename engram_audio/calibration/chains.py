"""Hidden chains: a fixed successor for each state, and now and then a jump.

Shapes: n states, B any leading axes, U utterances, T frames, N frames together.
"""

from typing import NamedTuple, Protocol

import numpy as np

from engram_audio.calibration.layout import padded, ragged
from engram_audio.numerics.log_sums import log_sum_exp
from engram_audio.numerics.remembered import remembered

REMEMBERED_BYTES = 2**28  # the laws of a world's speakers: all its truths are read from them


class HiddenLaw(Protocol):
    """What a forward filter asks of a hidden Markov process of n states."""

    def stationary(self) -> np.ndarray:
        """Return the law of the state at any time, shape [n]."""
        ...

    def advance(self, law: np.ndarray, steps: int = 1) -> np.ndarray:
        """Return the law of the state some frames ahead. `law` is [..., n]."""
        ...


class Chain(NamedTuple):
    """With probability 1 - jump the state moves to its successor, else it jumps.

    A jump is uniform over the states of class `arrival` == the old state's class `departure`; with
    one class it is uniform over all states. The uniform law must be stationary.

    Attributes:
        successor: A permutation, shape [n].
        jump: Probability of a jump.
        departure: Class that each state jumps to, shape [n].
        arrival: Class of each state, shape [n]; classes have equal sizes.
    """

    successor: np.ndarray
    jump: float
    departure: np.ndarray
    arrival: np.ndarray

    @property
    def num_states(self) -> int:
        """How many states there are."""
        return len(self.successor)

    def stationary(self) -> np.ndarray:
        """See `HiddenLaw`: all states are equally likely."""
        return np.full(self.num_states, 1 / self.num_states)

    def advance(self, law: np.ndarray, steps: int = 1) -> np.ndarray:
        """See `HiddenLaw`."""
        num_classes = int(self.arrival.max()) + 1
        departs = self.departure[:, None] == np.arange(num_classes)
        class_size = self.num_states // num_classes
        for _ in range(steps):
            jumped = (law @ departs / class_size)[..., self.arrival]
            moved = np.empty_like(law)
            moved[..., self.successor] = law
            law = (1 - self.jump) * moved + self.jump * jumped
        return law

    def expect(self, values: np.ndarray, steps: int) -> np.ndarray:
        """Return E[values of the state `steps` frames ahead | state now]; `values` is [n, D]."""
        class_size = self.num_states // (int(self.arrival.max()) + 1)
        for _ in range(steps):
            sums = np.zeros((int(self.arrival.max()) + 1, values.shape[1]))
            np.add.at(sums, self.arrival, values)
            jumped = (sums / class_size)[self.departure]
            values = (1 - self.jump) * values[self.successor] + self.jump * jumped
        return values

    def matrix(self) -> np.ndarray:
        """Return P[i, j] = p(next = j | now = i), shape [n, n]; for small chains."""
        return self.advance(np.eye(self.num_states))

    def sample(self, shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
        """Draw paths from the stationary law, shape [U, T], int64."""
        paths = np.empty(shape, dtype=np.int64)
        state = generator.integers(self.num_states, size=shape[0])
        by_class = np.argsort(self.arrival, kind="stable")
        class_size = self.num_states // (int(self.arrival.max()) + 1)
        for frame in range(shape[1]):
            paths[:, frame] = state
            target = self.departure[state] * class_size
            landing = by_class[target + generator.integers(class_size, size=len(state))]
            jumps = generator.random(len(state)) < self.jump
            state = np.where(jumps, landing, self.successor[state])
        return paths


def chain_autocovariance(chain: Chain, values: np.ndarray, steps: int) -> np.ndarray:
    """Return Cov(values_t, values_{t-steps}) of values [n, D] of the state, shape [D, D]."""
    centred = values - values.mean(axis=0)
    return chain.expect(centred, steps).T @ centred / chain.num_states


def cycle(num_states: int, jump: float) -> Chain:
    """Return the phase chain: phase + 1 modulo n, or uniform with probability `jump`."""
    zeros = np.zeros(num_states, dtype=np.int64)
    return Chain((np.arange(num_states) + 1) % num_states, jump, zeros, zeros)


@remembered(REMEMBERED_BYTES)
def forward_filter(chain: HiddenLaw, log_likelihood: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return p(state_t | observations up to t) of every frame, shape [N, n].

    Args:
        chain: The chain, stationary at the first frame of each utterance.
        log_likelihood: log p(observation_t | state_t) up to a constant per frame, shape [N, n].
        lengths: Frames of each utterance, shape [U].
    """
    scores = padded(log_likelihood, lengths)
    laws = np.empty_like(scores)
    law = np.tile(chain.stationary(), (len(lengths), 1))
    for frame in range(scores.shape[1]):
        if frame:
            law = chain.advance(law)
        law = _bayes(law, scores[:, frame])
        laws[:, frame] = law
    return ragged(laws, lengths)


def window_filter(
    chain: HiddenLaw, log_likelihood: np.ndarray, newest: np.ndarray, window_frames: int
) -> np.ndarray:
    """Return p(state_t | the `window_frames` newest observations), shape [M, n].

    Args:
        chain: The process, stationary before the window.
        log_likelihood: As in `forward_filter`, shape [N, n].
        newest: Row of each window's newest frame, shape [M].
        window_frames: W, at most the frames of the utterance up to `newest`.
    """
    law = np.tile(chain.stationary(), (len(newest), 1))
    for age in range(window_frames - 1, -1, -1):
        law = _bayes(law, log_likelihood[newest - age])
        if age:
            law = chain.advance(law)
    return law


def _bayes(law: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the law after an observation of log likelihood `scores`, both [B, n]."""
    with np.errstate(divide="ignore"):
        joint = np.log(law) + scores
    return np.exp(joint - log_sum_exp(joint, axis=1, keepdims=True))
