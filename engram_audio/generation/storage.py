"""Generators as named arrays and a JSON header, and back."""

from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from engram_audio.densities.null_storage import base_arrays, base_from
from engram_audio.densities.storage import stored_states
from engram_audio.generation.arms import build_arm
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import InsertionSettings
from engram_audio.keys.storage import pack_key, unpack_key

Arrays = dict[str, np.ndarray]
INSERTION = TypeAdapter(InsertionSettings)


def pack_generator(label: str, model: Generator) -> tuple[Arrays, dict[str, Any]]:
    """Return a generator's arrays under `label` and its header: everything to build it again."""
    spec = model.spec
    arrays = base_arrays(f"{label}/base", spec.base)
    key, key_header = pack_key(f"{label}/key", spec.key)
    arrays |= key
    arrays |= {f"{label}/dimensions/{k}": v for k, v in spec.dimensions._asdict().items()}
    arrays |= {
        f"{label}/state/{name}": tensor.detach().cpu().numpy()
        for name, tensor in model.state_dict().items()
        if not name.startswith("head.base.")
    }
    return arrays, {
        "arm": spec.arm,
        "settings": spec.settings.model_dump(mode="json"),
        "insertion": spec.insertion.model_dump(mode="json"),
        "target": spec.base.target,
        "key": key_header,
        "row_sd": spec.row_sd,
    }


def unpack_generator(label: str, arrays: Arrays, header: dict[str, Any]) -> Generator:
    """Return the generator of `pack_generator`, in evaluation mode.

    Raises:
        ValueError: The arrays are not those of the header's model.
    """
    dimensions = Dimensions(*(arrays[f"{label}/dimensions/{name}"] for name in Dimensions._fields))
    model = build_arm(
        header["arm"],
        GeneratorSettings.model_validate(header["settings"], strict=False),
        INSERTION.validate_python(header["insertion"], strict=False),
        base_from(f"{label}/base", header["target"], arrays),
        unpack_key(f"{label}/key", arrays, header["key"]),
        dimensions,
        torch.Generator().manual_seed(0),
        header["row_sd"],
    )
    missing, unexpected = model.load_state_dict(
        stored_states(f"{label}/state/", arrays), strict=False
    )
    left = [name for name in missing if not name.startswith("head.base.")]
    if left or unexpected:
        raise ValueError(f"stored weights do not fit the model: {left or unexpected}")
    return model.eval()
