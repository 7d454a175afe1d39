"""Densities as named arrays and a JSON header, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import HeadSection
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.factory import build_conditional, build_marginal
from engram_audio.densities.marginals import MarginalFit
from engram_audio.densities.null_storage import Arrays, base_arrays, base_from
from engram_audio.densities.reference import InputScales

HEAD = TypeAdapter(HeadSection)


def pack_density(
    label: str, model: ConditionalDensity, base: BaseArrays, spec: dict[str, Any]
) -> tuple[Arrays, dict[str, Any]]:
    """Return a density's arrays under `label` and its header: everything to build it again.

    Args:
        label: Prefix of the arrays' names.
        model: The trained density.
        base: Its base in float64.
        spec: `head` (the section as JSON), `window_frames`, `num_components`, `has_context`.
    """
    arrays = base_arrays(f"{label}/base", base)
    for part in ("trunk", "head"):
        module = getattr(model, part)
        for name, tensor in module.state_dict().items():
            arrays[f"{label}/state/{part}.{name}"] = tensor.detach().cpu().numpy()
    return arrays, {**spec, "target": base.target}


def unpack_density(
    label: str, arrays: Arrays, header: dict[str, Any], scales: InputScales
) -> tuple[ConditionalDensity, BaseArrays]:
    """Return the density of `pack_density`."""
    settings = HEAD.validate_python(header["head"], strict=False)
    base = base_from(f"{label}/base", header["target"], arrays)
    noise = np.ones(len(base.frame_mean))  # a place for the stored floor, loaded below
    if header["has_context"]:
        model = build_conditional(settings, base, header["window_frames"], scales, noise, 0)
    else:
        model = build_marginal(settings, base, header["num_components"], noise, 0)
    load_states(model, stored_states(f"{label}/state/", arrays))
    return model, base


def stored_states(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Return the weights whose names begin with a prefix, without it."""
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(values))
        for name, values in arrays.items()
        if name.startswith(prefix)
    }


def load_states(model: ConditionalDensity, states: dict[str, torch.Tensor]) -> None:
    """Put stored weights into a density, whose base it has already.

    Raises:
        ValueError: They are not those of the model.
    """
    missing, unexpected = model.load_state_dict(states, strict=False)
    left = [name for name in missing if not name.startswith("base.")]
    if left or unexpected:
        raise ValueError(f"stored weights do not fit the model: {left or unexpected}")


def density_spec(settings: HeadSection, window_frames: int) -> dict[str, Any]:
    """Return what `pack_density` keeps of a trained head."""
    return {
        "head": settings.model_dump(mode="json"),
        "window_frames": window_frames,
        "num_components": settings.components,
        "has_context": True,
    }


def unpack_models(
    arrays: Arrays, headers: dict[str, Any], scales: InputScales
) -> dict[str, ConditionalDensity]:
    """Return the densities of a file by label (an event, or a space of a marginal)."""
    return {
        label: unpack_density(label, arrays, header, scales)[0] for label, header in headers.items()
    }


def pack_marginals(
    head: str, settings: HeadSection, fits: dict[str, tuple[MarginalFit, BaseArrays]]
) -> tuple[Arrays, dict[str, Any]]:
    """Return grown marginals by space, with the score of every size tried."""
    arrays: Arrays = {}
    headers: dict[str, Any] = {}
    for space, (fit, base) in fits.items():
        spec = density_spec(settings, 0)
        spec |= {"num_components": fit.num_components, "has_context": False}
        packed, header = pack_density(space, fit.model, base, spec)
        arrays |= packed
        headers[space] = {
            **header,
            "choice_nll": fit.choice_nll,
            "growth": fit.growth,
            "has_stopped": fit.has_stopped,
            "name": head,
        }
    return arrays, headers
