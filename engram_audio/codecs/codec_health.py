"""Has a trained codec collapsed? What held-out speech says of latents and reconstruction.

Shapes: N frames, D dimensions, V values of a spectrum.
"""

import math
from collections.abc import Mapping

import numpy as np

from engram_audio.codecs.fitted_config import TrainedCodecSettings
from engram_audio.numerics.moments import Moments
from engram_audio.numerics.units import LN2
from engram_audio.stats.rank import effective_rank

ACTIVE_NATS = 0.05  # a dimension above this rate is in use


class HealthSums:
    """Running sums over held-out batches."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._means: Moments | None = None
        self._kl = np.zeros(0)
        self._error = self._spread = 0.0

    def add_latents(self, means: np.ndarray, kl_nats: np.ndarray) -> None:
        """Add posterior means and KL per dimension, both [.., D]."""
        dims = means.shape[-1]
        if self._means is None:
            self._means, self._kl = Moments(np.zeros(dims)), np.zeros(dims)
        self._means.add(means.reshape(-1, dims))
        self._kl += kl_nats.reshape(-1, dims).sum(axis=0, dtype=np.float64)

    def add_error(self, error: float, spread: float) -> None:
        """Add squared errors of the reconstruction and of the mean, summed over values."""
        self._error += error
        self._spread += spread

    def details(self, frame_rate_hz: float) -> dict[str, float]:
        """Return rate, effective rank and relative error.

        Raises:
            FloatingPointError: A latent is not finite.
        """
        if self._means is None:
            raise FloatingPointError("held-out speech has no latent")
        covariance = self._means.covariance()
        kl = self._kl / self._means.count
        if not (np.isfinite(covariance).all() and np.isfinite(kl).all()):
            raise FloatingPointError("the latents of held-out speech are not finite")
        return {
            "rate_nats": float(kl.sum()),
            "rate_bits_per_s": float(kl.sum()) * frame_rate_hz / LN2,
            "active_dims": float((kl > ACTIVE_NATS).sum()),
            "effective_rank": effective_rank(covariance),
            "relative_error": self._error / self._spread if self._spread else math.inf,
        }


def collapse_reason(details: Mapping[str, float], settings: TrainedCodecSettings) -> str | None:
    """Return why a trained codec counts as collapsed, in words, or None.

    A rate above zero in every dimension is no sign of health: a waveform VAE that decoded to the
    mean frame had it (effective rank 1.7 of 32).
    """
    limits, dims = settings.health, settings.num_dims
    rank, error = details["effective_rank"], details["relative_error"]
    if not rank >= limits.minimum_effective_rank * dims:
        return (
            f"its latents have effective rank {rank:.3g} of {dims} dimensions "
            f"(health.minimum_effective_rank: {limits.minimum_effective_rank:g} of them)"
        )
    if not error <= limits.maximum_error:
        return (
            f"its log-mel error is {error:.3g} of that of predicting the mean frame "
            f"(health.maximum_error: {limits.maximum_error:g})"
        )
    return None
