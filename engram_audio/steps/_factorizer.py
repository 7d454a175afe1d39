"""What the factorizer steps read in the same way."""

from pathlib import Path
from typing import Any

import numpy as np

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.tensors import read_tensors
from engram_audio.factorizer.model import Factorizer
from engram_audio.factorizer.storage import unpack_factorizer


def read_factorizer(path: Path) -> tuple[Factorizer, dict[str, Any]]:
    """Read what `train_factorizer` wrote: the model and its header."""
    arrays, header = read_bundle(path)
    return unpack_factorizer(arrays, header["factorizer"]), header


def read_components(decoder: Path | None) -> np.ndarray | None:
    """Return a linear decoder's map from latents to log-mel, [D, Q], or None."""
    if decoder is None:
        return None
    tensors, _ = read_tensors(decoder, ["components"])
    return tensors["components"]
