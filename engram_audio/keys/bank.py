"""A bank of Gaussians that all keys share: what a key may change is only their weights.

    p(y) = sum_g w_g N_g(y),    p(y | k) = sum_g w_{k,g} N_g(y)

A key without information keeps w and scores 0. No head is trained, so no capacity of a head can be
taken for what the key knows (generation.md, part K).

Shapes: M targets, D dimensions, G components.
"""

from typing import NamedTuple

import numpy as np
from pydantic import Field, model_validator

from engram_audio.numerics.kmeans import evenly, fit_kmeans
from engram_audio.numerics.log_sums import log_sum_exp
from engram_audio.numerics.seeds import named_generator
from engram_audio.numerics.units import LOG_2PI
from engram_audio.quantities import Amount, AmountOrZero, Count, Widths
from engram_audio.section import Section

ROWS = 4096  # scored at a time: [ROWS, G] in float64 stays small
START_ITERATIONS = 10  # of the k-means that EM starts from


class BankSection(Section):
    """How the shared components are fitted."""

    num_components: Widths = Field(
        min_length=1, description="G, tried in ascending order until select stops gaining."
    )
    minimum_gain_nats: AmountOrZero = Field(description="Nats on select that a larger G must add.")
    maximum_frames: Count = Field(ge=100, description="Train targets fitted on, evenly thinned.")
    iterations: Count = Field(description="Passes of expectation maximisation.")
    shrinkage_frames: AmountOrZero = Field(
        description="Frames of the pooled variance in the variance of each component."
    )
    noise_fraction: Amount = Field(
        le=1, description="Smallest SD of a component, as a share of the frame's SD."
    )

    @model_validator(mode="after")
    def _check_order(self) -> "BankSection":
        if list(self.num_components) != sorted(self.num_components):
            raise ValueError(
                f"num_components: found {list(self.num_components)}; list them in ascending order"
            )
        if self.num_components[-1] > self.maximum_frames:
            raise ValueError(
                f"num_components: {self.num_components[-1]} components are more than the "
                f"maximum_frames {self.maximum_frames} that they are fitted on; drop it"
            )
        return self


class Bank(NamedTuple):
    """Diagonal Gaussians in the units of the targets.

    Attributes:
        weights: Without context, [G], all above 0.
        means: [G, D].
        sds: [G, D].
    """

    weights: np.ndarray
    means: np.ndarray
    sds: np.ndarray

    @property
    def num_components(self) -> int:
        """G."""
        return len(self.weights)

    def log_densities(self, y: np.ndarray) -> np.ndarray:
        """Return log N_g(y) of targets [M, D], [M, G], float64."""
        precision = self.sds**-2
        y = y.astype(np.float64)
        scores = (y * y) @ precision.T
        scores -= 2 * (y @ (self.means * precision).T)
        scores += (self.means**2 * precision).sum(1)
        np.maximum(scores, 0.0, out=scores)
        scores *= -0.5
        scores -= np.log(self.sds).sum(1) + 0.5 * y.shape[1] * LOG_2PI
        return scores


class FittedBank(NamedTuple):
    """A bank, and the score of each size that was tried.

    Attributes:
        bank: The smallest size that no larger one beats by enough.
        growth: Mean NLL on the choice part in nats by G.
        gaussian_nll: The same of one diagonal Gaussian.
    """

    bank: Bank
    growth: dict[int, float]
    gaussian_nll: float


def fit_bank(
    train: np.ndarray, choice: np.ndarray, floor: np.ndarray, section: BankSection, seed: int
) -> FittedBank:
    """Fit banks of growing size on train targets until the choice part stops gaining.

    Args:
        train: Train targets, [M, D].
        choice: Those of the choice part.
        floor: Smallest SD of a component in each dimension, [D].
        section: Sizes and how to fit.
        seed: Of the starts.
    """
    train = evenly(train, min(section.maximum_frames, len(train)))
    choice = evenly(choice, min(section.maximum_frames, len(choice)))
    gaussian = Bank(
        np.ones(1), train.mean(0, dtype=np.float64)[None], np.maximum(train.std(0), floor)[None]
    )
    growth: dict[int, float] = {}
    best, best_score = gaussian, np.inf
    for size in section.num_components:
        if size > len(train):
            break
        bank = _fit_one(train, size, floor, section, seed)
        growth[size] = mean_nll(bank, choice)
        if growth[size] > best_score - section.minimum_gain_nats:
            break
        best, best_score = bank, growth[size]
    return FittedBank(best, growth, mean_nll(gaussian, choice))


def mean_nll(bank: Bank, y: np.ndarray) -> float:
    """Return the mean NLL of targets without context, nats."""
    total = 0.0
    for start in range(0, len(y), ROWS):
        joint = bank.log_densities(y[start : start + ROWS]) + np.log(bank.weights)
        total -= float(log_sum_exp(joint, axis=1).sum())
    return total / max(len(y), 1)


def _fit_one(y: np.ndarray, size: int, floor: np.ndarray, section: BankSection, seed: int) -> Bank:
    generator = named_generator(seed, "bank", str(size))
    centres = fit_kmeans(y.astype(np.float32), size, 1, START_ITERATIONS, generator)
    pooled = np.maximum(_pooled_sd(y, centres), floor)
    bank = Bank(np.full(size, 1 / size), centres.astype(np.float64), np.tile(pooled, (size, 1)))
    for _ in range(section.iterations):
        bank = _improved(y, bank, floor, section.shrinkage_frames)
    return bank


def _pooled_sd(y: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the SD of targets about their nearest centre, [D]."""
    total = np.zeros(y.shape[1])
    for start in range(0, len(y), ROWS):
        part = y[start : start + ROWS].astype(np.float64)
        squares = (centres * centres).sum(1) - 2 * part @ centres.T
        total += ((part - centres[squares.argmin(1)]) ** 2).sum(0)
    return np.sqrt(total / len(y))


def _improved(y: np.ndarray, bank: Bank, floor: np.ndarray, shrinkage: float) -> Bank:
    """Return the bank after one pass of expectation maximisation."""
    mass = np.zeros(bank.num_components)
    first, second = np.zeros_like(bank.means), np.zeros_like(bank.means)
    for start in range(0, len(y), ROWS):
        part = y[start : start + ROWS].astype(np.float64)
        own = responsibilities(bank.log_densities(part), bank.weights)
        mass += own.sum(0)
        first += own.T @ part
        second += own.T @ (part * part)
    full = np.maximum(mass, 1e-9)[:, None]
    means = np.where(full > 1e-6, first / full, bank.means)
    within = np.maximum(second - full * means**2, 0.0)
    pooled = within.sum(0) / len(y)
    variance = (within + shrinkage * pooled) / (full + shrinkage)
    weights = (mass + 1.0) / (mass + 1.0).sum()  # no component is ever lost
    return Bank(weights, means, np.maximum(np.sqrt(variance), floor))


def responsibilities(log_densities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return w_g N_g / sum, [M, G], of log N_g [M, G] and weights [G] or [M, G]."""
    joint = np.exp(log_densities - log_densities.max(1, keepdims=True))
    joint *= weights
    joint /= np.maximum(joint.sum(1, keepdims=True), np.finfo(float).tiny)
    return joint
