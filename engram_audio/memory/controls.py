"""Controls of a memory that need no training: what is left when a part of it is taken away."""

from collections.abc import Mapping

import numpy as np
import torch

from engram_audio.densities.density import ConditionalDensity
from engram_audio.memory.density import MemoryDensity
from engram_audio.memory.fit import entries_of
from engram_audio.memory.joint import EngramDensity

KNOCKED_OUT, CONSTANT_GATE, RANDOM_VALUES = "knock_out", "constant_gate", "random_values"


def lookup_controls(
    model: MemoryDensity, counts: np.ndarray, seed: int
) -> dict[str, ConditionalDensity | MemoryDensity]:
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


def _with(model: MemoryDensity, entries) -> MemoryDensity:
    device = model.means.device
    own = MemoryDensity(model.base, model.lookup, entries, model.is_target_stored, model.strength)
    return own.to(device).eval()


def engram_controls(
    copies: Mapping[str, EngramDensity], mean_gate: float, seed: int
) -> dict[str, EngramDensity]:
    """Turn three copies of an Engram memory into its controls.

    Args:
        copies: One per control; changed in place.
        mean_gate: Mean gate on the choice part.
        seed: Of the permutation of the table's rows.
    """
    copies[KNOCKED_OUT].engram_trunk.is_knocked_out = True
    copies[CONSTANT_GATE].engram_trunk.engram.constant_gate = mean_gate
    table = copies[RANDOM_VALUES].engram_trunk.engram.table
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(table.weight), generator=generator).to(table.weight.device)
    with torch.no_grad():
        table.weight.copy_(table.weight[order])
    return dict(copies)
