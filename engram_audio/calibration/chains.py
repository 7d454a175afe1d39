"""Hidden chains: a fixed successor for each state, and now and then a jump.

Shapes: n states, B any leading axes, U utterances, T frames, N frames together.
"""

from typing import NamedTuple

import numpy as np

from engram_audio.calibration.layout import padded, ragged
from engram_audio.numerics.log_sums import log_sum_exp
from engram_audio.numerics.remembered import remembered

REMEMBERED_BYTES = 2**28  # the laws of a world's speakers: all its truths are read from them


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

    def uniform(self) -> np.ndarray:
        """Return the stationary law, shape [n]."""
        return np.full(self.num_states, 1 / self.num_states)

    def advance(self, law: np.ndarray, steps: int = 1) -> np.ndarray:
        """Return the law of the state some frames ahead; `law` is [..., n]."""
        num_classes = int(self.arrival.max()) + 1
        departs = self.departure[:, None] == np.arange(num_classes)
        class_size = self.num_states // num_classes
        for _ in range(steps):
            jumped = (law @ departs / class_size)[..., self.arrival]
            moved = np.empty_like(law)
            moved[..., self.successor] = law
            law = (1 - self.jump) * moved + self.jump * jumped
        return law

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


def cycle(num_states: int, jump: float) -> Chain:
    """Return the phase chain: phase + 1 modulo n, or uniform with probability `jump`."""
    zeros = np.zeros(num_states, dtype=np.int64)
    return Chain((np.arange(num_states) + 1) % num_states, jump, zeros, zeros)


@remembered(REMEMBERED_BYTES)
def forward_filter(chain: Chain, log_likelihood: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return p(state_t | observations up to t) of every frame, shape [N, n].

    Args:
        chain: The chain, stationary at the first frame of each utterance.
        log_likelihood: log p(observation_t | state_t) up to a constant per frame, shape [N, n].
        lengths: Frames of each utterance, shape [U].
    """
    scores = padded(log_likelihood, lengths)
    laws = np.empty_like(scores)
    law = np.tile(chain.uniform(), (len(lengths), 1))
    for frame in range(scores.shape[1]):
        if frame:
            law = chain.advance(law)
        with np.errstate(divide="ignore"):
            joint = np.log(law) + scores[:, frame]
        law = np.exp(joint - log_sum_exp(joint, axis=1, keepdims=True))
        laws[:, frame] = law
    return ragged(laws, lengths)
