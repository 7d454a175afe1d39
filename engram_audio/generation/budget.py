"""What a generator holds, reads and does for one frame.

Counted as published budgets count: two operations per weight of a linear map, two per entry of an
attention product, one addition per number read from a table. Biases, norms and activations are not
counted. Latency is measured elsewhere and never matched on.
"""

from typing import NamedTuple

from torch import nn

from engram_audio.generation.heads import PASSES
from engram_audio.generation.model import Generator
from engram_audio.generation.sources import CountedModule, sources_of

BYTES = 4  # of a number in float32


class Budget(NamedTuple):
    """A generator's budget.

    Attributes:
        flops_generated: Multiplications and additions of one generated frame, batch 1, one sample,
            a full context in the cache, after the longest text and prompt. These are encoded once,
            which is not counted here.
        flops_trained: The same of one train frame, backward passes included.
        num_resident: Numbers held: trained ones, the linear base, codebooks and all rows.
        num_touched: Of the rows' numbers, those that a train frame ever read.
        num_read: Numbers read for one frame: dense weights, codebook and the rows of one frame.
        bytes_per_frame: Bytes of these, and of the cache.
    """

    flops_generated: int
    flops_trained: int
    num_resident: int
    num_touched: int
    num_read: int
    bytes_per_frame: int


def budget_of(model: Generator) -> Budget:
    """Return the budget of a generator."""
    sources = sources_of(model)
    rows = sum(source.num_rows * source.row_width for source in sources)
    read = sum(source.rows_read * source.row_width for source in sources)
    dense = sum(parameter.numel() for parameter in model.parameters()) - rows
    fixed = model.head.num_fixed + model.mean.numel() + model.sd.numel()
    codebook = model.key.num_values if model.searches_key else 0
    search = model.key.flops if model.searches_key else 0
    network, head = _network_flops(model), model.head.flops
    more = round(sum(source.more_read_in_training for source in sources))
    of_condition = 0 if model.conditioner is None else model.conditioner.num_weights
    num_read = dense - of_condition + fixed + codebook + read
    return Budget(
        flops_generated=network + head + search + read,
        flops_trained=PASSES * (network + _prefix_flops(model))
        + _made_anew(model)
        + model.head.flops_trained
        + search
        + read
        + more,
        num_resident=dense + fixed + codebook + rows,
        num_touched=sum(source.rows_touched * source.row_width for source in sources),
        num_read=num_read,
        bytes_per_frame=BYTES * (num_read + _cached_numbers(model)),
    )


def _network_flops(model: Generator) -> int:
    """Return the work of all but the head, the key and the rows."""
    parts = [model.backbone, *(part for part in (model.short, model.memory) if part is not None)]
    return _map_flops(parts) + 2 * _cached_numbers(model)


def _made_anew(model: Generator) -> int:
    """Return the work of the blocks' second forward pass; 0 unless they are checkpointed."""
    settings = model.settings
    if not settings.is_checkpointed:
        return 0
    seen = settings.context_frames + settings.prefix_length
    attended = 4 * settings.num_blocks * seen * settings.width
    return _map_flops(list(model.backbone.blocks)) + attended + _prefix_flops(model)


def _prefix_flops(model: Generator) -> int:
    """Return the work of a chunk's text and prompt, at their longest, for each of its frames."""
    settings = model.settings
    of_blocks = _map_flops(list(model.backbone.blocks))
    of_blocks += 4 * settings.num_blocks * settings.prefix_length * settings.width
    of_prompt = 2 * model.backbone.embed.weight.numel()
    prompt_frames = 0 if settings.condition is None else settings.condition.prompt_frames or 0
    whole = settings.prefix_length * of_blocks + prompt_frames * of_prompt
    return round(whole / settings.chunk_frames)


def _map_flops(parts: list[nn.Module]) -> int:
    """Return the work of maps, convolutions and what modules count beside them."""
    weights, extra = 0, 0
    for part in parts:
        for module in part.modules():
            if isinstance(module, nn.Linear | nn.Conv1d):
                weights += module.weight.numel()
            elif isinstance(module, CountedModule):
                extra += module.extra_flops
    return 2 * weights + extra


def _cached_numbers(model: Generator) -> int:
    """Return the keys and values of a full cache; each is multiplied and added once per frame."""
    settings = model.settings
    seen = settings.context_frames + settings.prefix_length
    backbone = 2 * settings.num_blocks * seen * settings.width
    return backbone + 2 * settings.width * (settings.short_context_frames or 0)
