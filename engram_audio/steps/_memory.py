"""Open memories and what they stand on; shared by the steps of the memory stage."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.densities.density import ConditionalDensity, Density
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.fit import Material
from engram_audio.densities.nulls import LinearNull
from engram_audio.densities.reference import Reference
from engram_audio.errors import InputError
from engram_audio.memory.config import LINEAR, AnyMemory, MemorySection
from engram_audio.memory.folds import Candidate, linear_candidates, nulls_at_lag
from engram_audio.memory.names import MEMORY
from engram_audio.section import validated
from engram_audio.steps._prediction import read_models


class StoredMemory(NamedTuple):
    """A memory file.

    Attributes:
        settings: The memory's section.
        models: The memory, and its control with shuffled keys, by label.
        counts: Train targets of each slot by label, [S]; empty where slots are not counted.
        header: What the file states.
    """

    settings: AnyMemory
    models: dict[str, Any]
    counts: dict[str, np.ndarray]
    header: dict[str, Any]

    @property
    def is_centred(self) -> bool:
        """Whether its key is centred by speaker."""
        return self.models[MEMORY].key.fitted.is_centred

    def controls(self, mean_gate: Callable[[], float], seed: int) -> dict[str, Density]:
        """Return what the memory's kind holds it against."""
        module, _ = self.settings.behaviour()
        return module.controls(self.models[MEMORY], self.counts[MEMORY], mean_gate, seed)


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
    name: str,
    linear_nulls: Sequence[LinearNull],
    lag: int,
    event: str,
    model: Path | None,
    reference: Reference,
) -> ConditionalDensity:
    """Return the base that a memory file names: a linear null, or the head of a model file.

    Raises:
        InputError: There is neither.
    """
    for null in nulls_at_lag(linear_nulls, lag, event):
        if null.name == name:
            return build_gaussian(null.fit.arrays)
    if model is None:
        raise InputError(f"memory: its base {name} is no linear null; pass the head's model")
    return event_model(read_models(model, "models", reference), event)


def memory_header(settings: AnyMemory, event: str, headers: dict[str, Any]) -> dict[str, Any]:
    """Return what a memory file states beside its manifest, its models' headers by label."""
    section = settings.model_dump(mode="json")
    return {"settings": section, "event": event, "memories": headers}


def read_memory(
    path: Path,
    linear_nulls: Sequence[LinearNull],
    lag: int,
    model: Path | None,
    reference: Reference,
) -> StoredMemory:
    """Read a memory file with the bases it stands on."""
    arrays, header = read_bundle(path)
    settings: AnyMemory = validated(MemorySection, header["settings"], str(path))
    module, own = settings.behaviour()

    def open_base(name: str) -> ConditionalDensity:
        return base_of(name, linear_nulls, lag, header["event"], model, reference)

    models, counts = {}, {}
    for label, found in header["memories"].items():
        models[label], counts[label] = module.unpack(
            own, label, arrays, found, open_base, reference.input_scales
        )
    return StoredMemory(settings, models, counts, header)
