"""Keys of a small study, fitted by the step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engram_audio.steps import fit_keys
from tests.frozen_argv import run_step
from tests.unit.key_material import keys_section


def key_sections(window_frames: int, codebook_sizes: Sequence[int]) -> dict[str, Any]:
    """Sections of `fit_keys`: the newest frame and k-means of some sizes."""
    quantizer = {"kind": "kmeans", "codebook_sizes": list(codebook_sizes)}
    section = keys_section(window_frames=window_frames, minimum_cell_frames=1)
    return {
        "keys": section.model_dump(mode="json"),
        "last_frame": {
            "kind": "last_frame",
            "inputs": ["raw", "speaker_centred"],
            "quantizers": [quantizer],
        },
    }


def run_fit_keys(folder: Path) -> None:
    """Write `keys.safetensors` into a folder that holds shard, splits and sections."""
    words = [
        "--section", folder / "keys.json", "--family-section", folder / "last_frame.json",
        "--family", "last_frame", "--splits", folder / "splits.parquet",
        "--shards", folder / "shard-000.zarr.zip", "--key-file", folder / "keys.safetensors",
    ]  # fmt: skip
    run_step(fit_keys, words, lags=[1])
