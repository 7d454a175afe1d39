"""Tensor files whose names only the file knows: models, nulls, checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np

from engram_audio.artifacts.tensors import read_tensors, write_tensors


def write_bundle(path: Path, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> None:
    """Write arrays with a header that also lists their names and shapes (0-d arrays included)."""
    shapes = {name: list(np.shape(values)) for name, values in arrays.items()}
    write_tensors(path, arrays, {**header, "bundle_shapes": shapes})


def read_bundle(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read all arrays and the header of `write_bundle`.

    Raises:
        InputError: Missing, damaged, or another schema version.
    """
    arrays, header = read_tensors(path)
    shapes = header.get("bundle_shapes", {})
    return {name: arrays[name].reshape(shapes[name]) for name in sorted(shapes)}, header
