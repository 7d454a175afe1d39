"""Predictive distributions of exact predictors.

Shapes: M targets, D dimensions, K components, S samples.
"""

from abc import ABC, abstractmethod

import numpy as np

from engram_audio.numerics.log_sums import log_sum_exp
from engram_audio.numerics.units import LOG_2PI


class Predictive(ABC):
    """The law of M targets, one distribution each."""

    @abstractmethod
    def log_density(self, values: np.ndarray) -> np.ndarray:
        """Return log p(values), nats, shape [M]; `values` is [M, D]."""

    @abstractmethod
    def mean(self) -> np.ndarray:
        """Return the means, shape [M, D]."""

    @abstractmethod
    def sample(self, generator: np.random.Generator, num_samples: int) -> np.ndarray:
        """Return samples, shape [S, M, D]."""


class GaussianPredictive(Predictive):
    """Gaussians whose covariances are shared within groups of targets."""

    def __init__(self, mean: np.ndarray, covariances: np.ndarray, group: np.ndarray) -> None:
        """Keep means [M, D], covariances [G, D, D] and each target's group [M]."""
        self._mean = mean
        self._group = group
        self._numbers = np.unique(group)
        self._factors = {
            number: np.linalg.cholesky(covariances[number]) for number in self._numbers
        }

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """See `Predictive`."""
        out = np.empty(len(values))
        for number, factor in self._factors.items():
            chosen = self._group == number
            residual = values[chosen] - self._mean[chosen]
            white = np.linalg.solve(factor, residual.T)
            log_determinant = 2 * np.log(np.diag(factor)).sum()
            out[chosen] = -0.5 * (
                (white**2).sum(axis=0) + log_determinant + values.shape[1] * LOG_2PI
            )
        return out

    def mean(self) -> np.ndarray:
        """See `Predictive`."""
        return self._mean

    def sample(self, generator: np.random.Generator, num_samples: int) -> np.ndarray:
        """See `Predictive`."""
        noise = generator.standard_normal((num_samples, *self._mean.shape))
        for number, factor in self._factors.items():
            chosen = self._group == number
            noise[:, chosen] = noise[:, chosen] @ factor.T
        return self._mean + noise


class MixturePredictive(Predictive):
    """Mixtures of isotropic Gaussians: shared components, one weight vector and shift per target.

    The density of target m is sum_k weights[m, k] N(value - shift[m]; centres[k], sd[k]^2 I).
    """

    def __init__(
        self,
        weights: np.ndarray,
        centres: np.ndarray,
        sd: np.ndarray,
        shift: np.ndarray | None = None,
    ) -> None:
        """Keep weights [M, K], centres [K, D], standard deviations [K] and shifts [M, D] (or 0)."""
        self._weights, self._centres, self._sd = weights, centres, sd
        self._shift = np.zeros((len(weights), centres.shape[1])) if shift is None else shift

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """See `Predictive`."""
        log_parts = isotropic_log_densities(values - self._shift, self._centres, self._sd)
        with np.errstate(divide="ignore"):
            log_parts += np.log(self._weights)
        return log_sum_exp(log_parts, axis=1)

    def mean(self) -> np.ndarray:
        """See `Predictive`."""
        return self._weights @ self._centres + self._shift

    def sample(self, generator: np.random.Generator, num_samples: int) -> np.ndarray:
        """See `Predictive`."""
        num_targets, num_components = self._weights.shape
        cumulative = np.cumsum(self._weights, axis=1)
        out = np.empty((num_samples, *self._shift.shape))
        for sample in out:
            uniform = generator.random(num_targets) * cumulative[:, -1]
            chosen = (cumulative <= uniform[:, None]).sum(axis=1).clip(max=num_components - 1)
            noise = generator.standard_normal(sample.shape)
            sample[:] = self._centres[chosen] + self._sd[chosen, None] * noise + self._shift
        return out


def isotropic_log_densities(values: np.ndarray, centres: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return log N(values[m]; centres[k], sd[k]^2 I), shape [M, K]."""
    squares = (values**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)
    squares = squares - 2 * (values @ centres.T)
    num_dims = values.shape[1]
    return -0.5 * squares / sd**2 - num_dims * (np.log(sd) + 0.5 * LOG_2PI)


class ProductPredictive(Predictive):
    """Independent blocks of dimensions, side by side."""

    def __init__(self, parts: list[Predictive], widths: list[int]) -> None:
        """Keep the parts and how many dimensions each has."""
        self._parts = parts
        self._edges = np.cumsum(widths)[:-1]

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """See `Predictive`."""
        pieces = np.split(values, self._edges, axis=1)
        return np.sum(
            [part.log_density(piece) for part, piece in zip(self._parts, pieces, strict=True)],
            axis=0,
        )

    def mean(self) -> np.ndarray:
        """See `Predictive`."""
        return np.concatenate([part.mean() for part in self._parts], axis=1)

    def sample(self, generator: np.random.Generator, num_samples: int) -> np.ndarray:
        """See `Predictive`."""
        samples = [part.sample(generator, num_samples) for part in self._parts]
        return np.concatenate(samples, axis=2)


class RotatedPredictive(Predictive):
    """The law of y = z Q for an orthogonal Q and the law of z."""

    def __init__(self, inner: Predictive, rotation: np.ndarray) -> None:
        """Keep the law of z and Q, shape [D, D]."""
        self._inner, self._rotation = inner, rotation

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """See `Predictive`."""
        return self._inner.log_density(values @ self._rotation.T)

    def mean(self) -> np.ndarray:
        """See `Predictive`."""
        return self._inner.mean() @ self._rotation

    def sample(self, generator: np.random.Generator, num_samples: int) -> np.ndarray:
        """See `Predictive`."""
        return self._inner.sample(generator, num_samples) @ self._rotation
