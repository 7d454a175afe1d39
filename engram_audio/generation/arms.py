"""Build the arms: the same generator with a memory, without, or with what controls for it.

Arms of one width and one seed start from the same weights of backbone and head, and a memory's own
weights are drawn apart.
"""

import torch
from torch import nn

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.generation.backbone import Backbone
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.head import MixtureHead
from engram_audio.generation.insertion import Engram, GatedValue, Memory, Scaled
from engram_audio.generation.model import Generator, Spec
from engram_audio.generation.model_config import (
    ARMS,
    AnyInsertion,
    Arm,
    ArmName,
    EngramInsertion,
    GeneratorSettings,
    MinimalInsertion,
    check_insertion,
    insertion_of,
)
from engram_audio.generation.short_context import ShortContext
from engram_audio.generation.sources import (
    ROW_SD,
    FrameNetwork,
    OneRow,
    Rows,
    StateNetwork,
    VectorSource,
    tables_of,
    units_of_equal_work,
)
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.fitted import FittedKey


def build_arm(
    name: ArmName,
    settings: GeneratorSettings,
    insertion: AnyInsertion,
    base: BaseArrays,
    key: FittedKey,
    dimensions: Dimensions,
    generator: torch.Generator,
    row_sd: float = ROW_SD,
) -> Generator:
    """Build an untrained arm.

    Args:
        name: The arm.
        settings: Sizes; those of `matching.match_arms` for an arm that is matched.
        insertion: The memory of arm SM; the arm changes of it what it must.
        base: The linear null under the head.
        key: The key that the insertion names.
        dimensions: Train statistics.
        generator: Decides all weights; every arm draws the same from it.
        row_sd: SD at which rows start. Frozen rows stay there: give the RMS of SM's trained rows.

    Raises:
        ValueError: A place that the generator does not have, or a gate that the form does not have.
    """
    arm, insertion = ARMS[name], insertion_of(name, insertion)
    if arm.source is not None:
        check_insertion("insertion", insertion, settings)
    draws = torch.randint(2**31, (4,), generator=generator, device="cpu").tolist()
    encoder = KeyEncoder(key)
    spec = Spec(name, settings, insertion, base, key, dimensions, row_sd)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draws[0])
        backbone = Backbone(
            dimensions.num_dims, settings.width, settings.mlp_units, settings.num_blocks,
            settings.num_heads, settings.context_frames, settings.dropout,
        )  # fmt: skip
        torch.manual_seed(draws[1])
        head = MixtureHead(settings.head, settings.width, base, dimensions.noise_sd, draws[1])
        torch.manual_seed(draws[2])
        short = _short(settings, dimensions.num_dims)
        torch.manual_seed(draws[3])
        memory = None if arm.source is None else _memory(spec, encoder, draws[3])
    return Generator(spec, backbone, short, memory, encoder, head)


def row_rms(model: Generator) -> float:
    """Return the root mean square of the rows that train has read, for the arms of frozen rows.

    Raises:
        ValueError: The model has no rows, or nothing has counted their visits.
    """
    read = [one.table.weight.detach()[one.visits > 0].flatten() for one in tables_of(model)]
    if not sum(map(len, read)):
        raise ValueError(f"arm {model.spec.arm} has no row that train has read")
    return float(torch.cat(read).double().square().mean().sqrt())


def _short(settings: GeneratorSettings, num_dims: int) -> ShortContext | None:
    frames = settings.short_context_frames
    if frames is None:
        return None
    return ShortContext(num_dims, settings.width, settings.mlp_units, settings.num_heads, frames)


def _memory(spec: Spec, key: KeyEncoder, seed: int) -> Memory:
    arm, insertion = ARMS[spec.arm], spec.insertion
    places = insertion.places_in(spec.settings)
    at = places if insertion.HAS_GATE or arm.source == "state_network" else (Memory.SHARED,)
    sources = {place: _source(spec, arm, key, len(at), seed + n) for n, place in enumerate(at)}
    readers: dict[str, nn.Module] = {}
    if insertion.kind != "value":
        width = next(iter(sources.values())).width
        readers = {place: _reader(spec, arm, width) for place in places}
    return Memory(sources, readers)


def _source(spec: Spec, arm: Arm, key: KeyEncoder, num_sources: int, seed: int) -> VectorSource:
    """Return a source; networks in its place share the work of the key's search between them."""
    settings, insertion = spec.settings, spec.insertion
    is_placed = insertion.HAS_GATE
    row_width = insertion.own_row_width or _full_width(spec)
    width = row_width * (insertion.rows_per_frame if is_placed else 1)
    start = spec.row_sd if is_placed or arm.are_rows_frozen else 0.0
    if arm.source == "one_row":
        return OneRow(width, insertion.table_learning_rate_factor, start)
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
    width, insertion = spec.settings.width, spec.insertion
    match insertion:
        case EngramInsertion():
            return Engram(insertion, width, embedded, arm.is_gate_constant)
        case MinimalInsertion():
            return GatedValue(width, embedded, arm.is_gate_constant)
    return Scaled()
