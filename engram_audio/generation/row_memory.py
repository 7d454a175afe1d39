"""Memories whose rows are found by codes of a key, and what stands in their place in controls."""

from typing import cast

from torch import nn

from engram_audio.generation.insertion import Engram, GatedValue, Memory, Scaled
from engram_audio.generation.model import Spec
from engram_audio.generation.model_config import (
    ARMS,
    Arm,
    EngramInsertion,
    MinimalInsertion,
    RowInsertion,
)
from engram_audio.generation.residual_rows import ResidualRows
from engram_audio.generation.sources import (
    FrameNetwork,
    OneRow,
    Rows,
    StateNetwork,
    VectorSource,
    units_of_equal_work,
)
from engram_audio.keys.encoder import KeyEncoder


def build(spec: Spec, key: KeyEncoder, seed: int) -> Memory:
    """Return the memory of an arm, untrained; its own weights come from torch's state.

    Args:
        spec: The arm's name, sizes and insertion, and the SD at which rows start.
        key: The key; a control does as much work as its search.
        seed: Decides hashes.
    """
    arm, insertion = ARMS[spec.arm], _own(spec)
    places = insertion.places_in(spec.settings)
    at = places if insertion.HAS_GATE or arm.source == "state_network" else (Memory.SHARED,)
    sources = {place: source_of(spec, arm, key, len(at), seed + n) for n, place in enumerate(at)}
    readers: dict[str, nn.Module] = {}
    if insertion.kind != "value":
        width = next(iter(sources.values())).width
        readers = {place: _reader(spec, arm, width) for place in places}
    return Memory(sources, readers)


def source_of(
    spec: Spec, arm: Arm, key: KeyEncoder, num_sources: int, seed: int
) -> VectorSource:  # fmt: skip
    """Return a source; networks in its place share the work of the key's search between them."""
    settings, insertion = spec.settings, _own(spec)
    if arm.source == "residual_rows":
        return ResidualRows(insertion, spec.dimensions.num_dims, key.num_codes, seed)
    is_placed = insertion.HAS_GATE
    row_width = insertion.own_row_width or _full_width(spec)
    width = row_width * (insertion.rows_per_frame if is_placed else 1)
    start = spec.row_sd if is_placed or arm.are_rows_frozen else 0.0
    if arm.source == "one_row":
        return OneRow(width, insertion, start)
    if arm.source == "rows":
        rows = Rows(insertion, row_width, key.num_codes, not is_placed, start, seed)
        rows.table.weight.requires_grad_(not arm.are_rows_frozen)
        return rows
    flops = key.flops / num_sources + row_width * insertion.rows_per_frame
    if arm.source == "state_network":
        units = units_of_equal_work(flops, settings.width, width)
        return StateNetwork(settings.width, units, width)
    num_inputs = key.state_frames * spec.dimensions.num_dims
    return FrameNetwork(num_inputs, units_of_equal_work(flops, num_inputs, width), width)


def _full_width(spec: Spec) -> int:
    """Return the width of a row that is added as it is: to the state, or to one head's values."""
    settings = spec.settings
    return settings.width // (settings.num_heads if spec.insertion.kind == "value" else 1)


def _reader(spec: Spec, arm: Arm, embedded: int) -> nn.Module:
    width, insertion = spec.settings.width, _own(spec)
    match insertion:
        case EngramInsertion():
            return Engram(insertion, width, embedded, arm.is_gate_constant)
        case MinimalInsertion():
            return GatedValue(width, embedded, arm.is_gate_constant)
    return Scaled()


def _own(spec: Spec) -> RowInsertion:
    """Return the insertion, whose kind brought us here."""
    return cast(RowInsertion, spec.insertion)
