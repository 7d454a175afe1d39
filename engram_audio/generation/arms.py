"""Build the arms: the same generator with a memory, without, or with what controls for it.

Arms of one width and one seed start from the same weights of backbone and head, and a memory's own
weights are drawn apart.
"""

import torch

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.generation.arm_checks import check_insertion, insertion_of, require_model
from engram_audio.generation.backbone import Backbone
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.condition import Conditioner
from engram_audio.generation.data import GeneratorData
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.heads import build_head
from engram_audio.generation.insertion import Memory
from engram_audio.generation.model import Generator, Spec
from engram_audio.generation.model_config import (
    ARMS,
    AnyInsertion,
    ArmName,
)
from engram_audio.generation.output_memory import fit_output, with_bank
from engram_audio.generation.residual_rows import fit_residuals
from engram_audio.generation.short_context import ShortContext
from engram_audio.generation.sources import ROW_SD, tables_of
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
    require_model("arm", name, insertion, settings)
    draws = torch.randint(2**31, (4,), generator=generator, device="cpu").tolist()
    encoder = KeyEncoder(key)
    spec = Spec(name, settings, insertion, base, key, dimensions, row_sd)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draws[0])
        backbone = Backbone(
            dimensions.num_dims, settings.width, settings.mlp_units, settings.num_blocks,
            settings.num_heads, settings.context_frames, settings.dropout,
            settings.is_checkpointed,
        )  # fmt: skip
        torch.manual_seed(draws[1])
        head = build_head(settings.head, settings.width, base, dimensions, draws[1])
        torch.manual_seed(draws[2])
        short = _short(settings, dimensions.num_dims)
        torch.manual_seed(draws[3])
        memory = None if arm.source is None else _memory(spec, encoder, draws[3])
    conditioner = _conditioner(settings, generator)
    head = with_bank(spec, head)
    return Generator(spec, backbone, short, memory, encoder, head, conditioner)


def fit_contents(model: Generator, train: GeneratorData, choice: GeneratorData) -> None:
    """Fit what an arm takes from train before its training; most arms take nothing.

    Raises:
        ValueError: Train has too few frames or speakers for it.
    """
    fit_output(model, train, choice)
    fit_residuals(model, train)


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


def _conditioner(settings: GeneratorSettings, generator: torch.Generator) -> Conditioner | None:
    """Return what embeds a condition, drawn apart: without one nothing is drawn."""
    if settings.condition is None:
        return None
    seed = int(torch.randint(2**31, (), generator=generator, device="cpu"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Conditioner(settings.condition, settings.width)


def _memory(spec: Spec, key: KeyEncoder, seed: int) -> Memory:
    """Return the memory of an arm by the `build` of its kind."""
    module, _ = spec.insertion.behaviour()
    return module.build(spec, key, seed)
