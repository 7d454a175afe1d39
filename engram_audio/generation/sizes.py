"""How large a generator is and what a training step holds, from its settings alone, without torch.

Shapes: D dimensions, d width, m units of an MLP, L blocks.
"""

from engram_audio.generation.backbone_config import GeneratorSettings

BYTES, HALF_BYTES = 4, 2.6  # of a kept number: float32, and under bfloat16, where sums stay float32
MOMENTS = 2  # of the optimiser, beside a weight and its gradient
PASSES = 3  # of training: forward, gradient of inputs, gradient of weights


def num_weights(model: GeneratorSettings, num_dims: int) -> int:
    """Return the weights that a generated frame is multiplied with, head included."""
    return _body_weights(model, num_dims) + model.head.num_weights(model.width, num_dims)


def _body_weights(model: GeneratorSettings, num_dims: int) -> int:
    num_short = 0 if model.short_context_frames is None else 1
    of_blocks = (model.num_blocks + num_short) * _block_weights(model)
    return of_blocks + (1 + num_short) * num_dims * model.width


def _block_weights(model: GeneratorSettings) -> int:
    return 4 * model.width**2 + 2 * model.width * model.mlp_units


def _prefix_per_frame(model: GeneratorSettings) -> float:
    """Return the positions of text and prompt that go through the blocks for a train frame."""
    return model.prefix_length / model.chunk_frames


def trained_flops(model: GeneratorSettings, num_dims: int) -> float:
    """Return the operations of one train frame, attention and the linear base left out."""
    head = model.head
    passes = PASSES + (1 if model.is_checkpointed else 0)
    of_prefix = _prefix_per_frame(model) * model.num_blocks * _block_weights(model)
    body = passes * (_body_weights(model, num_dims) + of_prefix)
    return 2.0 * (body + PASSES * head.runs_trained * head.num_weights(model.width, num_dims))


def num_saved(model: GeneratorSettings, num_dims: int) -> int:
    """Return the numbers that a train frame keeps for the backward pass.

    A block keeps 11 d + 2 m of them: inputs of maps and norms, turned keys, and what attention
    keeps. Checkpointed it keeps its input, and one block at a time is made anew.
    """
    block = 11 * model.width + 2 * model.mlp_units
    num_short = 0 if model.short_context_frames is None else 1
    own = model.width if model.is_checkpointed else block
    kept = model.num_blocks * own + num_short * block
    if model.is_checkpointed:
        kept += block
    kept += round(_prefix_per_frame(model) * model.num_blocks * own)
    return kept + 2 * model.width + num_dims + model.head.num_saved(model.width, num_dims)


def step_bytes(
    model: GeneratorSettings, num_dims: int, batch_frames: int, is_half: bool, num_row_numbers: int
) -> float:
    """Return what a training step holds beside the data: weights, moments, kept numbers.

    Args:
        model: The generator.
        num_dims: D.
        batch_frames: Frames of a step.
        is_half: Whether it computes in bfloat16.
        num_row_numbers: Numbers of all rows of its memory; their gradient is sparse.
    """
    weights = BYTES * (2 + MOMENTS) * num_weights(model, num_dims)
    rows = BYTES * (1 + MOMENTS) * num_row_numbers
    kept = (HALF_BYTES if is_half else BYTES) * batch_frames * num_saved(model, num_dims)
    return weights + rows + kept
