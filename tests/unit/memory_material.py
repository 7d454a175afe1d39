"""Small worlds and settings for tests of the memory stage."""

from typing import Any

import numpy as np

from engram_audio.densities.fit import Material
from engram_audio.keys.fit import KeyMaterial, fit_family
from engram_audio.keys.fitted import FittedKey
from engram_audio.memory.config import EngramMemory, LookupMemory
from tests.unit.key_material import FAMILY, keys_section
from tests.unit.prediction_material import Simulator

KMEANS = "last_frame.raw.kmeans_16"
LOOKUP: dict[str, Any] = {
    "kind": "lookup", "key": KMEANS, "ngram_orders": [1], "minimum_count": 2, "maximum_slots": 1000,
    "frames_per_slot": 64,
    "value": "residual", "location": "robust", "spread": "slot", "weight": "slot",
    "strengths": [1.0], "shrinkages_frames": [1.0, 30.0], "spread_shrinkages_frames": [10.0],
    "num_neighbors": 1, "temperatures": [1.0], "may_switch_off": True,
}  # fmt: skip
ENGRAM: dict[str, Any] = {
    "kind": "engram", "head": "h", "recipe": "r", "key": KMEANS, "ngram_orders": [1, 2],
    "num_hashes": 2, "table_rows": 61, "row_dims": 4, "gate": "paper", "kernel_frames": 2,
    "dilation_frames": 1, "table_learning_rate_factor": 5.0,
}  # fmt: skip
# The first experiment's memories, as the study's presets have them.
FIRST = {"location": "mean", "weight": "one", "may_switch_off": False}
PRESETS: dict[str, dict[str, Any]] = {
    "memory_only": {**FIRST, "value": "target"},
    "residual": {**FIRST, "spread": "shared"},
    "soft": {**FIRST, "spread": "shared", "num_neighbors": 3, "temperatures": [0.3, 1.0]},
    "gated": {**FIRST, "spread": "shared", "strengths": [0.0, 0.5, 1.0]},
    "hybrid": {**FIRST, "value": "target", "spread": "shared", "strengths": [0.0, 0.5, 1.0]},
    "robust": {},
}


def sized(name: str) -> dict[str, Any]:
    """Settings of the quantiser of a name, for example `kmeans_256` or `product_2x4`."""
    kind, size = name.split("_")
    if kind == "product":
        groups, codes = size.split("x")
        return {"kind": kind, "num_groups": int(groups), "num_codes": int(codes)}
    if kind == "lsh":
        return {"kind": kind, "num_bits": int(size)}
    return {"kind": kind, "codebook_sizes": [int(size)]}


def key_of(material: Material, name: str = KMEANS, num_components: int = 3) -> FittedKey:
    """Fit the key of a name on the train frames of a material."""
    kind, key_input, quantizer = name.split(".")
    values: dict[str, Any] = {"kind": kind, "inputs": [key_input], "quantizers": [sized(quantizer)]}
    if kind == "pca":
        values["num_components"] = num_components
    section = FAMILY.validate_python(values, strict=False)
    how = keys_section(window_frames=material.window_frames, fit_memory_gib=2.0)
    keys = KeyMaterial(lambda: iter([material.block]), material.part_of, how)
    return fit_family(kind, section, (1,), keys).key(name, 1, "keys")


def lookup(**changes: Any) -> LookupMemory:
    """The small lookup with fields changed."""
    return LookupMemory.model_validate({**LOOKUP, **changes}, strict=False)


def engram(**changes: Any) -> EngramMemory:
    """The small Engram memory with fields changed."""
    return EngramMemory.model_validate({**ENGRAM, **changes}, strict=False)


def table_of(num_symbols: int = 8, num_dims: int = 3, noise: float = 0.1) -> Simulator:
    """Symbols that follow a fixed permutation (one cycle), seen through noise."""
    centres = np.random.default_rng(5).standard_normal((num_symbols, num_dims)) * 2
    order = np.random.default_rng(6).permutation(num_symbols)
    following = np.empty(num_symbols, int)
    following[order] = np.roll(order, -1)

    def simulate(generator: np.random.Generator, length: int) -> np.ndarray:
        symbols = np.empty(length, int)
        symbols[0] = generator.integers(num_symbols)
        for t in range(1, length):
            jump = generator.random() < 0.05
            symbols[t] = generator.integers(num_symbols) if jump else following[symbols[t - 1]]
        return centres[symbols] + noise * generator.standard_normal((length, num_dims))

    return simulate
