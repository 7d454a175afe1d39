"""Methods and guards as named arrays, and back.

A method's file holds weights only; the structure comes from its section, the nulls and the base.
"""

from collections.abc import Mapping

import numpy as np
from torch import nn

from engram_audio.densities.storage import stored_states
from engram_audio.rollout.contrast import Contrast
from engram_audio.rollout.corrector import Corrector
from engram_audio.rollout.guard import Codebook, Nearest
from engram_audio.rollout.method_config import (
    AnyMethod,
    CodebookGuard,
    ContrastGuard,
    CorrectorGuard,
    NearestGuard,
)
from engram_audio.rollout.simulate import Limits

MODEL, GUARD = "model/", "guard/"
AnyGuard = Nearest | Codebook | Contrast | Corrector


def pack_method(model: nn.Module, guard: AnyGuard | None) -> dict[str, np.ndarray]:
    """Return the arrays of a trained method and its guard."""
    arrays = _pack(MODEL, model)
    return arrays if guard is None else arrays | _pack(GUARD, guard)


def _pack(prefix: str, module: nn.Module) -> dict[str, np.ndarray]:
    return {
        f"{prefix}{name}": tensor.detach().cpu().numpy()
        for name, tensor in module.state_dict().items()
    }


def load_weights(model: nn.Module, arrays: Mapping[str, np.ndarray]) -> nn.Module:
    """Put a method's weights into a model of the same structure, in evaluation mode."""
    model.load_state_dict(stored_states(MODEL, arrays))
    return model.eval()


def unpack_guard(settings: AnyMethod, arrays: Mapping[str, np.ndarray]) -> AnyGuard | None:
    """Return the guard of `pack_method`, or None where the method has none."""
    section = settings.guard_section
    if section is None:
        return None
    state = stored_states(GUARD, arrays)
    mean, sd, kept = state["frame_mean"], state["frame_sd"], state["kept"].numpy()
    guard: AnyGuard
    match section:
        case NearestGuard():
            guard = Nearest(section, kept, mean.numpy(), sd.numpy())
        case CodebookGuard():
            centres, whitener = state["centres"].numpy(), state["whitener"].numpy()
            guard = Codebook(section, kept, centres, whitener, mean.numpy(), sd.numpy())
        case CorrectorGuard():
            low, high = state["low"].numpy(), state["high"].numpy()
            guard = Corrector(section, kept, low, high, mean.numpy(), sd.numpy())
        case ContrastGuard():
            guard = Contrast(section, Limits(mean, sd, 0.0), state["kept"])
    guard.load_state_dict(state)
    return guard.eval()
