"""Open memories and what they stand on; shared by the steps of the memory stage."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.fit import Material
from engram_audio.densities.nulls import Rung
from engram_audio.densities.reference import Reference
from engram_audio.errors import InputError
from engram_audio.memory.config import LINEAR
from engram_audio.memory.density import MemoryDensity
from engram_audio.memory.folds import Candidate, linear_candidates, linear_rungs
from engram_audio.memory.joint import EngramDensity
from engram_audio.memory.storage import unpack_engram, unpack_lookup
from engram_audio.steps._prediction import read_models


class StoredMemory(NamedTuple):
    """A memory file.

    Attributes:
        kind: `lookup` or `engram`.
        models: The memory, and its control with shuffled keys, by label.
        counts: Train targets of each slot of a lookup by label; empty for an Engram memory.
        header: What the file states.
    """

    kind: str
    models: dict[str, MemoryDensity | EngramDensity]
    counts: dict[str, np.ndarray]
    header: dict[str, Any]


def event_model(models: dict[str, ConditionalDensity], event: str) -> ConditionalDensity:
    """Return the model of an event; at lag 1 the one model there is scores both."""
    return models.get(event) or next(iter(models.values()))


def candidates(
    base: str,
    material: Material,
    lag: int,
    event: str,
    num_folds: int,
    model: Path | None,
    folds: list[Path],
) -> list[Candidate]:
    """Return the bases that a memory may stand on: linear nulls, or one trained head.

    Raises:
        InputError: A head's own file or its folds are missing.
    """
    if base == LINEAR:
        return linear_candidates(material, lag, event, num_folds)
    if model is None or len(folds) != num_folds:
        raise InputError(f"memory on {base}: needs its model and {num_folds} folds; check the rule")
    head = event_model(read_models(model, "models", material.reference), event)
    held = [event_model(read_models(path, "models", material.reference), event) for path in folds]
    return [Candidate(base, head, held)]


def base_of(
    name: str, rungs: Sequence[Rung], lag: int, event: str, model: Path | None, reference: Reference
) -> ConditionalDensity:
    """Return the base that a memory file names: a linear null, or the head of a model file.

    Raises:
        InputError: There is neither.
    """
    for rung in linear_rungs(rungs, lag, event):
        if rung.name == name:
            return build_gaussian(rung.fit.arrays)
    if model is None:
        raise InputError(f"memory: its base {name} is no linear null; pass the head's model")
    return event_model(read_models(model, "models", reference), event)


def read_memory(
    path: Path, rungs: Sequence[Rung], lag: int, model: Path | None, reference: Reference
) -> StoredMemory:
    """Read a memory file with the bases it stands on."""
    arrays, header = read_bundle(path)
    event = header["event"]
    models: dict[str, MemoryDensity | EngramDensity] = {}
    counts: dict[str, np.ndarray] = {}
    for label, own in header["memories"].items():
        if header["kind"] == "engram":
            models[label] = unpack_engram(label, arrays, own, reference.input_scales)
        else:
            base = base_of(own["base"], rungs, lag, event, model, reference)
            fitted = unpack_lookup(label, arrays, own, base)
            models[label], counts[label] = fitted.model, fitted.counts
    return StoredMemory(header["kind"], models, counts, header)
