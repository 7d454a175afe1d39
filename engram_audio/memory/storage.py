"""Memories as named arrays and a JSON header, and back."""

from typing import Any

import numpy as np
import torch

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.null_storage import base_arrays, base_from
from engram_audio.densities.reference import InputScales
from engram_audio.densities.storage import HEAD
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.storage import pack_key, unpack_key
from engram_audio.memory.config import EngramMemory
from engram_audio.memory.density import Lookup, MemoryDensity
from engram_audio.memory.entries import Entries
from engram_audio.memory.fit import FittedMemory, entries_of
from engram_audio.memory.joint import EngramDensity, Trained, build_engram
from engram_audio.memory.slots import SlotMap

Arrays = dict[str, np.ndarray]


def pack_lookup(label: str, fitted: FittedMemory) -> tuple[Arrays, dict[str, Any]]:
    """Return a fitted lookup's arrays under `label`, without its base, and its header."""
    model, lookup = fitted.model, fitted.model.lookup
    arrays: Arrays = {f"{label}/counts": fitted.counts}
    key, key_header = pack_key(f"{label}/key", lookup.key.fitted)
    arrays |= key
    arrays |= {f"{label}/entries/{k}": v for k, v in entries_of(model)._asdict().items()}
    for number in range(len(lookup.slots.orders)):
        arrays[f"{label}/known/{number}"] = lookup.slots.known(number).cpu().numpy()
    return arrays, {
        "key": key_header,
        "orders": list(lookup.slots.orders),
        "num_neighbors": lookup.num_neighbors,
        "temperature": lookup.temperature,
        "is_shuffled": lookup.is_shuffled,
        "is_target_stored": model.is_target_stored,
        "strength": model.strength,
        "is_off": fitted.is_off,
        "base": fitted.base,
        "tried": fitted.tried,
    }


def unpack_lookup(
    label: str, arrays: Arrays, header: dict[str, Any], base: ConditionalDensity
) -> FittedMemory:
    """Return the memory of `pack_lookup` on its base."""
    key = KeyEncoder(unpack_key(f"{label}/key", arrays, header["key"]))
    known = [arrays[f"{label}/known/{number}"] for number in range(len(header["orders"]))]
    slots = SlotMap(header["orders"], known)
    lookup = Lookup(key, slots, header["num_neighbors"], header["temperature"])
    lookup.is_shuffled = header["is_shuffled"]
    entries = Entries(*(arrays[f"{label}/entries/{name}"] for name in Entries._fields))
    model = MemoryDensity(
        base, lookup, entries, header["is_target_stored"], header["strength"]
    ).eval()
    return FittedMemory(
        model, arrays[f"{label}/counts"], header["tried"], header["is_off"], header["base"]
    )


def pack_engram(
    label: str, trained: Trained, settings: EngramMemory, head: Any, window_frames: int
) -> tuple[Arrays, dict[str, Any]]:
    """Return a trained Engram memory's arrays under `label` and its header."""
    arrays = base_arrays(f"{label}/base", trained.base)
    key, key_header = pack_key(f"{label}/key", trained.key)
    arrays |= key
    states = {
        name: tensor.detach().cpu().numpy()
        for name, tensor in trained.model.state_dict().items()
        if not name.startswith("base.")
    }
    arrays |= {f"{label}/state/{name}": values for name, values in states.items()}
    return arrays, {
        "key": key_header,
        "settings": settings.model_dump(mode="json"),
        "head": head.model_dump(mode="json"),
        "target": trained.base.target,
        "window_frames": window_frames,
        "is_shuffled": trained.model.engram_trunk.is_shuffled,
        "states": sorted(states),
        "val_nll": trained.state.best_score,
    }


def unpack_engram(
    label: str, arrays: Arrays, header: dict[str, Any], scales: InputScales
) -> EngramDensity:
    """Return the memory of `pack_engram`."""
    settings = EngramMemory.model_validate(header["settings"], strict=False)
    head = HEAD.validate_python(header["head"], strict=False)
    base: BaseArrays = base_from(f"{label}/base", header["target"], arrays)
    key = unpack_key(f"{label}/key", arrays, header["key"])
    noise = np.ones(len(base.frame_mean))  # a place for the stored floor, loaded below
    model = build_engram(settings, head, base, key, header["window_frames"], scales, noise, 0)
    state = {
        name: torch.from_numpy(np.array(arrays[f"{label}/state/{name}"]))
        for name in header["states"]
    }
    model.know(state["known_long"], state["known_short"])  # the lengths are those of the file
    missing, unexpected = model.load_state_dict(state, strict=False)
    left = [name for name in missing if not name.startswith("base.")]
    if left or unexpected:
        raise ValueError(f"stored weights do not fit the memory: {left or unexpected}")
    model.engram_trunk.is_shuffled = header["is_shuffled"]
    return model.eval()
