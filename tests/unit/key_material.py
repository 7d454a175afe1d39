"""Small worlds and settings for tests of keys."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from engram_audio.keys.config import KeyFamily, KeysSection
from engram_audio.keys.fit import KeyMaterial, fit_family
from engram_audio.keys.fitted import FittedFamily
from engram_audio.latents.block import LatentBlock
from engram_audio.structure.config import TargetOracleKeys
from engram_audio.structure.key_scores import KeyTables, score_keys
from engram_audio.structure.material import Material
from engram_audio.structure.targets import PARTS

KMEANS = {"kind": "kmeans", "codebook_sizes": [6]}
INPUTS = ("raw", "speaker_centred", "increments")
FAMILY: TypeAdapter[KeyFamily] = TypeAdapter(KeyFamily)
Simulate = Callable[[np.random.Generator, int], np.ndarray]


def keys_section(**changes: Any) -> KeysSection:
    values: dict[str, Any] = {
        "window_frames": 4, "minimum_cell_frames": 2, "speaker_pseudo_frames": 20.0,
        "ridge": 1e-3, "block_frames": 1024, "fit_memory_gib": 0.1, "kmeans_restarts": 2,
        "kmeans_iterations": 20, "seed": 0,
    }  # fmt: skip
    return KeysSection(**{**values, **changes})


def family(kind: str, quantizers: Sequence[dict[str, Any]] = (KMEANS,), **changes: Any):
    values: dict[str, Any] = {"kind": kind, "inputs": INPUTS, "quantizers": list(quantizers)}
    if kind in ("pca", "predictive"):
        values["num_components"] = 3
    return FAMILY.validate_python({**values, **changes}, strict=False)


def blocks_of(
    simulate: Simulate, num_speakers: int = 6, num_utterances: int = 4, length: int = 60,
    seed: int = 0, num_blocks: int = 2,
) -> tuple[list[LatentBlock], dict[str, str]]:  # fmt: skip
    """Speakers 0, 1, .. of some utterances; the last third is eval, every fourth utterance val."""
    rng = np.random.default_rng(seed)
    part_of, blocks = {}, []
    for speakers in np.array_split(np.arange(num_speakers), num_blocks):
        frames, names, speaker_ids = [], [], []
        for speaker in speakers:
            for number in range(num_utterances):
                frames.append(simulate(rng, length).astype(np.float32))
                names.append(f"s{speaker}-u{number}")
                speaker_ids.append(f"s{speaker}")
                held = "val" if number % 4 == 3 else "train"
                part_of[names[-1]] = "eval" if 3 * speaker >= 2 * num_speakers else held
        rows = np.concatenate(frames)
        offsets = np.cumsum([0, *map(len, frames)])
        blocks.append(
            LatentBlock(rows, np.ones(len(rows), np.float32), offsets, np.array(names, object),
                        np.array(speaker_ids, object))
        )  # fmt: skip
    return blocks, part_of


def fitted(
    family_section: KeyFamily,
    blocks: list[LatentBlock],
    part_of: dict[str, str],
    lags: Sequence[int] = (1, 2),
    **changes: Any,
) -> FittedFamily:
    material = KeyMaterial(lambda: iter(blocks), part_of, keys_section(**changes))
    return fit_family("f", family_section, lags, material)


def cycle(rng: np.random.Generator, length: int) -> np.ndarray:
    """A cycle of six prototypes in noise, D = 5."""
    prototypes = np.random.default_rng(9).normal(size=(6, 5))
    phase = (rng.integers(6) + np.arange(length)) % 6
    return prototypes[phase] + 0.3 * rng.normal(size=(length, 5)) + 2


def walk(rng: np.random.Generator, length: int) -> np.ndarray:
    """A pure random walk, D = 5: nothing predicts its steps."""
    return np.cumsum(rng.normal(size=(length, 5)), axis=0)


def scored(name: str, section: Any, material: Material) -> KeyTables:
    """Fit a family as `fit_keys` does, with the settings of the structure stage, and score it."""
    if isinstance(section, TargetOracleKeys):
        return score_keys(name, section, material)
    own = material.section
    fit = keys_section(
        window_frames=own.window_frames,
        fit_memory_gib=own.fit_memory_gib,
        speaker_pseudo_frames=10.0,
        seed=own.seed,
    )
    part_of = {
        str(name): PARTS[part]
        for block, parts in zip(material.source(), material.frame_index.part, strict=True)
        for name, part in zip(block.utterance_ids, parts, strict=True)
    }
    keys = KeyMaterial(material.source, part_of, fit)
    return score_keys(name, fit_family(name, section, own.lags_frames, keys), material)
