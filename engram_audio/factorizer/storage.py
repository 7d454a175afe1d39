"""Factorisers as named arrays and a JSON header, and back."""

from typing import Any

import numpy as np
import torch

from engram_audio.factorizer.config import FactorizerSection
from engram_audio.factorizer.model import Factorizer, FrameScales

PREFIX = "model/"


def pack_factorizer(model: Factorizer, noise_floor: float) -> tuple[dict[str, np.ndarray], dict]:
    """Return the arrays and the header of a factoriser."""
    arrays = {
        f"{PREFIX}{name}": tensor.detach().cpu().numpy()
        for name, tensor in model.state_dict().items()
    }
    header = {
        "settings": model.settings.model_dump(mode="json"),
        "rms": model.rms,
        "noise_floor": noise_floor,
    }
    return arrays, header


def unpack_factorizer(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> Factorizer:
    """Return the factoriser of `pack_factorizer`, in evaluation mode."""
    settings = FactorizerSection.model_validate(header["settings"], strict=False)
    tensors = {
        name.removeprefix(PREFIX): torch.from_numpy(values.copy())
        for name, values in arrays.items()
        if name.startswith(PREFIX)
    }
    scales = FrameScales(tensors["frame_mean"], tensors["frame_sd"])
    model = Factorizer(settings, scales, header["noise_floor"], seed=0)
    model.rms = header["rms"]
    model.load_state_dict(tensors)
    return model.eval()
