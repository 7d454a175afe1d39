"""A channel that adds Gaussian noise: information with a known ceiling.

The noise of a dimension is a share of its SD over the train frames, so that the shares mean the
same in every representation. The ceiling counts what one frame can carry: with the covariance
given, a Gaussian signal carries most (Cover and Thomas, 9.4), and frames that are alike carry less
together than one by one. So it is an upper bound, exact for white Gaussian frames.

Shapes: N frames, D dimensions.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from engram_audio.errors import InputError
from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.moments import Moments
from engram_audio.numerics.seeds import named_generator


class SignalScale(NamedTuple):
    """Second moments of a representation over its train frames.

    Attributes:
        std: SD of each dimension, shape [D], float64.
        correlation: Shape [D, D], float64; rows and columns of constant dimensions are 0.
    """

    std: np.ndarray
    correlation: np.ndarray


def measure_scale(blocks: Iterable[LatentBlock]) -> SignalScale:
    """Return the SD and the correlations of all frames, in one pass.

    Raises:
        InputError: There is no frame.
    """
    moments: Moments | None = None
    for block in blocks:
        if len(block.frames):
            moments = moments or Moments(block.frames.mean(axis=0, dtype=np.float64))
            moments.add(block.frames)
    if moments is None:
        raise InputError("latents: no train frame to measure the noise against; check the splits")
    covariance = moments.covariance()
    std = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    outer = np.outer(std, std)
    return SignalScale(
        std, np.divide(covariance, outer, out=np.zeros_like(covariance), where=outer > 0)
    )


def capacity_bits_per_frame(scale: SignalScale, noise_to_signal: float) -> float:
    """Return the most that a frame can carry through the channel: 1/2 log2 det(I + C / n^2).

    Args:
        scale: Of the signal; C is its correlation matrix.
        noise_to_signal: n, SD of the noise as a share of the signal's.
    """
    gains = np.maximum(np.linalg.eigvalsh(scale.correlation), 0.0) / noise_to_signal**2
    return float(0.5 * np.log2(1.0 + gains).sum())


def add_noise(
    frames: np.ndarray, std: np.ndarray, noise_to_signal: float, seed: int, utterance_id: str
) -> np.ndarray:
    """Return one utterance's frames [N, D] after the channel, float32.

    An utterance draws its own numbers, so shards, and a prefix of an utterance, get the same.
    """
    generator = named_generator(seed, "noisy", utterance_id)
    noise = generator.normal(size=frames.shape) * (noise_to_signal * std)
    return (frames + noise).astype(np.float32)


def noisy_block(
    block: LatentBlock, std: np.ndarray, noise_to_signal: float, seed: int
) -> LatentBlock:
    """Send a block through the channel; energies are those of the sound and stay."""
    frames = np.empty_like(block.frames)
    for start, stop, name in zip(
        block.offsets[:-1], block.offsets[1:], block.utterance_ids, strict=True
    ):
        frames[start:stop] = add_noise(
            block.frames[start:stop], std, noise_to_signal, seed, str(name)
        )
    return block._replace(frames=frames)


def channel_rate(source_rate: dict[str, Any] | None, capacity_bits_per_s: float) -> dict[str, Any]:
    """Return the tighter of two bounds: no channel tells more than its source had."""
    if source_rate is not None and source_rate["bits_per_s"] <= capacity_bits_per_s:
        return source_rate
    return {"bits_per_s": capacity_bits_per_s, "kind": "capacity_bound"}
