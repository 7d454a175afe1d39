"""Build densities from configuration sections, linear bases and train statistics."""

import numpy as np
import torch

from engram_audio.densities.base import LinearBase, noise_floor
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import HeadSection
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.heads import DensityHead, StandardNormal
from engram_audio.densities.reference import InputScales
from engram_audio.densities.trunks import FreeParameters, build_trunk


def log_floor_of(arrays: BaseArrays, noise_sd: np.ndarray) -> torch.Tensor | None:
    """Return the log of the smallest scale per whitened dimension, or None without noise."""
    if not np.any(noise_sd):
        return None
    return torch.as_tensor(np.log(noise_floor(arrays, noise_sd)), dtype=torch.float32)


def build_head(
    settings: HeadSection,
    num_dims: int,
    num_components: int,
    log_floor: torch.Tensor | None,
    has_context: bool = True,
) -> DensityHead:
    """Build the head of a section by the `build` of its kind.

    Args:
        settings: The section.
        num_dims: D.
        num_components: Overrides the section's own: a marginal is grown.
        log_floor: Log of the smallest scale per dimension, [D]; None without dequantisation noise.
        has_context: Whether a trunk gives its parameters, and not one free vector.
    """
    module, own = settings.behaviour()
    return module.build(own, num_dims, num_components, log_floor, has_context)


def build_conditional(
    settings: HeadSection,
    arrays: BaseArrays,
    window_frames: int,
    scales: InputScales,
    noise_sd: np.ndarray,
    seed: int,
) -> ConditionalDensity:
    """Build an untrained head with its trunk; weights are drawn from `seed`."""
    num_dims = len(arrays.frame_mean)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        log_floor = log_floor_of(arrays, noise_sd)
        head = build_head(settings, num_dims, settings.components, log_floor)
        start = head.initial_parameters(torch.Generator().manual_seed(seed))
        trunk = build_trunk(settings.trunk, window_frames, start, scales)
    return ConditionalDensity(LinearBase(arrays), trunk, head)


def build_marginal(
    settings: HeadSection,
    arrays: BaseArrays,
    num_components: int,
    noise_sd: np.ndarray,
    seed: int,
) -> ConditionalDensity:
    """Build the untrained context-free member of a head's family."""
    num_dims = len(arrays.frame_mean)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        log_floor = log_floor_of(arrays, noise_sd)
        head = build_head(settings, num_dims, num_components, log_floor, has_context=False)
        start = head.initial_parameters(torch.Generator().manual_seed(seed))
    return ConditionalDensity(LinearBase(arrays), FreeParameters(start), head)


def build_gaussian(arrays: BaseArrays) -> ConditionalDensity:
    """Build a linear-Gaussian null."""
    return ConditionalDensity(LinearBase(arrays), None, StandardNormal(len(arrays.frame_mean)))
