"""Build densities from configuration sections, linear bases and train statistics."""

import numpy as np
import torch

from engram_audio.densities.base import LinearBase, noise_floor
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import (
    DirectionMagnitudeHead,
    FlowHead,
    HeadSection,
    LowRankMixtureHead,
    StudentTMixtureHead,
)
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.direction import DirectionMagnitude
from engram_audio.densities.flow import ConditionalFlow
from engram_audio.densities.heads import DensityHead, StandardNormal, build_mixture
from engram_audio.densities.marginal_em import MixtureParameters
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
    """Build the head of a section; `num_components` overrides its own (a grown marginal)."""
    if isinstance(settings, DirectionMagnitudeHead):
        return DirectionMagnitude(num_dims, num_components, settings.log_sigma_range)
    if isinstance(settings, FlowHead):
        return ConditionalFlow(
            num_dims,
            settings.num_transforms,
            settings.hidden_features,
            settings.context_features if has_context else 0,
        )
    return build_mixture(settings, num_dims, num_components, log_floor)


def components_of(settings: HeadSection) -> int:
    """Return the number of components of a section's head (1 for a flow)."""
    return 1 if isinstance(settings, FlowHead) else settings.num_components


def can_grow(settings: HeadSection) -> bool:
    """Whether a larger member of the family exists by adding components."""
    return not isinstance(settings, FlowHead)


def has_em(settings: HeadSection) -> bool:
    """Whether the family's marginal is fitted by EM (else by gradient steps)."""
    is_product = isinstance(settings, StudentTMixtureHead) and settings.tail == "per_dimension"
    return not is_product and not isinstance(
        settings, DirectionMagnitudeHead | FlowHead | LowRankMixtureHead
    )


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
        head = build_head(settings, num_dims, components_of(settings), log_floor)
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


def set_mixture(density: ConditionalDensity, mixture: MixtureParameters) -> None:
    """Write a mixture fitted by EM into a marginal's free parameters."""
    parts = [np.log(mixture.weights), mixture.means.ravel(), np.log(mixture.scales).ravel()]
    if np.isfinite(mixture.freedom).all():
        excess = mixture.freedom - 2.0 - 1e-3
        parts.append(excess + np.log(-np.expm1(-excess)))  # inverse of softplus
    assert isinstance(density.trunk, FreeParameters)
    values = torch.as_tensor(np.concatenate(parts), dtype=torch.float32)
    with torch.no_grad():
        density.trunk.parameters_vector.copy_(values)
