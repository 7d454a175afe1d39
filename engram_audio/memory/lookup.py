"""The kind `lookup`: fitted in closed form beside a frozen base, stored, read back, controlled.

Shapes: S slots.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from engram_audio.densities.density import ConditionalDensity, Density
from engram_audio.densities.reference import InputScales
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.storage import pack_key, unpack_key
from engram_audio.memory.config import LookupMemory
from engram_audio.memory.density import Lookup, MemoryDensity
from engram_audio.memory.entries import Entries
from engram_audio.memory.fit import FittedMemory, entries_of, fit_lookup
from engram_audio.memory.names import CONSTANT_GATE, KNOCKED_OUT, RANDOM_VALUES
from engram_audio.memory.slots import SlotMap

Arrays = dict[str, np.ndarray]

fit = fit_lookup


def pack(label: str, fitted: FittedMemory) -> tuple[Arrays, dict[str, Any]]:
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


def unpack(
    _settings: LookupMemory,
    label: str,
    arrays: Arrays,
    header: dict[str, Any],
    open_base: Callable[[str], ConditionalDensity],
    _scales: InputScales,
) -> tuple[MemoryDensity, np.ndarray]:
    """Return the memory of `pack` on its base, and the train targets of each slot, [S]."""
    base = open_base(header["base"])
    key = KeyEncoder(unpack_key(f"{label}/key", arrays, header["key"]))
    known = [arrays[f"{label}/known/{number}"] for number in range(len(header["orders"]))]
    slots = SlotMap(header["orders"], known)
    lookup = Lookup(key, slots, header["num_neighbors"], header["temperature"])
    lookup.is_shuffled = header["is_shuffled"]
    entries = Entries(*(arrays[f"{label}/entries/{name}"] for name in Entries._fields))
    model = MemoryDensity(base, lookup, entries, header["is_target_stored"], header["strength"])
    return model.eval(), arrays[f"{label}/counts"]


def controls(
    model: MemoryDensity, counts: np.ndarray, _mean_gate: Callable[[], float], seed: int
) -> dict[str, Density]:
    """Return the base alone, one weight for all entries, and the entries in random places.

    Args:
        model: The memory.
        counts: Train targets of each slot, shape [S]; the constant weight is their mean weight.
        seed: Of the permutation.
    """
    entries = entries_of(model)
    order = np.random.default_rng([seed, len(counts)]).permutation(len(counts))
    common = float(np.average(entries.weight, weights=counts))
    swapped = type(entries)(*(table[order] for table in entries))
    constant = entries._replace(weight=np.full_like(entries.weight, common))
    return {
        KNOCKED_OUT: model.base,
        CONSTANT_GATE: _with(model, constant),
        RANDOM_VALUES: _with(model, swapped),
    }


def _with(model: MemoryDensity, entries: Entries) -> MemoryDensity:
    device = model.means.device
    own = MemoryDensity(model.base, model.lookup, entries, model.is_target_stored, model.strength)
    return own.to(device).eval()
