"""Linear read-outs: does the backbone know the code, or the next frame, already, and at what depth?

Both have a closed form and no learning rate. The code is read by a Gaussian of each code with one
covariance (linear in the state), the next frame by least squares with a full covariance. Scores
are nats over the law without a state. Ridge and shrinkage are chosen on the choice part.

Shapes: M frames, H width of a state, D dimensions, K codes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RIDGES = (1e-6, 1e-4, 1e-2, 1e-1)  # of the mean variance of the state
PSEUDO_FRAMES = 1.0  # of a code's count and mean, from all codes
PROBE = "readout"
CODE, CODE_HIT, FRAME = "code_nats", "code_accuracy", "frame_nats"


class Part(NamedTuple):
    """States of some frames with what is read from them.

    Attributes:
        states: [M, H].
        codes: The key's code of the frame, all whole, [M].
        following: The next frame, [M, D].
    """

    states: np.ndarray
    codes: np.ndarray
    following: np.ndarray


class CodeReader(NamedTuple):
    """log p(k | h) is linear in h, up to a constant.

    Attributes:
        weight: [H, K].
        bias: [K].
        log_prior: [K].
    """

    weight: np.ndarray
    bias: np.ndarray
    log_prior: np.ndarray

    def gains(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Return log p(k | h) - log p(k) of the true code, nats, and whether it comes first."""
        scores = part.states @ self.weight + self.bias
        each = np.arange(len(scores))
        top = scores.max(1)
        norm = top + np.log(np.exp(scores - top[:, None]).sum(1))
        found = scores[each, part.codes] - norm - self.log_prior[part.codes]
        return found, (scores.argmax(1) == part.codes).astype(np.float64)


class FrameReader(NamedTuple):
    """The next frame by least squares, with the covariance that is left, beside that of all.

    Attributes:
        weight: [H + 1, D], the last row a constant.
        left: Covariance of what is left, [D, D].
        mean: Without a state, [D].
        total: Covariance without a state, [D, D].
    """

    weight: np.ndarray
    left: np.ndarray
    mean: np.ndarray
    total: np.ndarray

    def gains(self, part: Part) -> np.ndarray:
        """Return the log density of the next frame less that without a state, nats, [M]."""
        predicted = _with_one(part.states) @ self.weight
        return _log_density(part.following - predicted, self.left) - _log_density(
            part.following - self.mean, self.total
        )


def read_code(
    train: Part, choice: Part, num_codes: int, ridges: Sequence[float] = RIDGES
) -> CodeReader:
    """Return the reader of codes whose ridge scores best on the choice part."""
    readers = [_code_reader(train, num_codes, ridge) for ridge in ridges]
    return max(readers, key=lambda reader: float(reader.gains(choice)[0].mean()))


def read_frame(train: Part, choice: Part, ridges: Sequence[float] = RIDGES) -> FrameReader:
    """Return the reader of next frames whose ridge scores best on the choice part."""
    readers = [_frame_reader(train, ridge) for ridge in ridges]
    return max(readers, key=lambda reader: float(reader.gains(choice).mean()))


def _code_reader(train: Part, num_codes: int, ridge: float) -> CodeReader:
    counts = np.bincount(train.codes, minlength=num_codes) + PSEUDO_FRAMES
    middle = train.states.mean(0, dtype=np.float64)
    sums = np.tile(PSEUDO_FRAMES * middle, (num_codes, 1))
    np.add.at(sums, train.codes, train.states)
    means = sums / counts[:, None]
    within = _covariance(train.states - means[train.codes], 0.0)
    scale = ridge * float(np.trace(_covariance(train.states - middle, 0.0))) / len(within)
    solved = np.linalg.solve(within + (scale + 1e-12) * np.eye(len(within)), means.T)
    log_prior = np.log(counts / counts.sum())
    bias = log_prior - 0.5 * (means.T * solved).sum(0)
    return CodeReader(solved, bias, log_prior)


def _frame_reader(train: Part, ridge: float) -> FrameReader:
    mean = train.following.mean(0, dtype=np.float64)
    states = train.states.astype(np.float64)
    middle = states.mean(0)
    centred = states - middle
    square = _covariance(centred, 0.0)
    scale = ridge * float(np.trace(square)) / len(square)
    cross = centred.T @ (train.following - mean) / len(states)
    slope = np.linalg.solve(square + (scale + 1e-12) * np.eye(len(square)), cross)
    weight = np.vstack([slope, mean - middle @ slope])
    left = train.following - _with_one(states) @ weight
    return FrameReader(weight, _covariance(left), mean, _covariance(train.following - mean))


def _with_one(states: np.ndarray) -> np.ndarray:
    return np.column_stack([states, np.ones(len(states))])


def _covariance(values: np.ndarray, floor: float = 1e-9) -> np.ndarray:
    values = values.astype(np.float64)
    square = values.T @ values / max(len(values), 1)
    return square + floor * np.trace(square) / len(square) * np.eye(len(square))


def _log_density(values: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return log N(values; 0, covariance) up to the constant that both laws share, [M]."""
    root = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(root, values.T)
    return -0.5 * (whitened**2).sum(0) - np.log(np.diag(root)).sum()
