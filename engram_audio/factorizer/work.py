"""What it takes to make frames of z_dyn: z_rec from its prior, the decoder, the way from steps.

Counted as `generation.budget` counts: two operations per weight of a linear map. Biases, norms,
activations and noise are not counted.
"""

from typing import NamedTuple

from torch import nn

from engram_audio.factorizer.model import Factorizer

PASSES = 3  # of training: forward, gradient of the inputs, gradient of the weights


class DecodingWork(NamedTuple):
    """What a factoriser adds to whatever draws its z_dyn.

    Attributes:
        flops_generated: Operations of one frame.
        flops_trained: Operations of one train frame of the whole factoriser, encoder included.
        num_resident: Numbers that generation holds: decoder, prior, upsampler and units. The
            encoder reads a prompt alone, and the own dynamics nothing.
    """

    flops_generated: float
    flops_trained: float
    num_resident: int


def decoding_work(model: Factorizer) -> DecodingWork:
    """Return what a factoriser adds to whatever draws its z_dyn."""
    stride = model.settings.state.stride_frames
    decoder, prior = model.decoder, model.innovation.prior
    per_frame = _weights(decoder)
    per_frame += 0 if prior.trunk is None else _weights(prior.trunk)
    # an autoregressive flow draws one dimension after another, each by a pass of its network
    per_frame += _weights(prior.head) * model.settings.innovation.num_dims
    units = model.settings.state.num_dims**2
    per_step = units + sum(one.numel() for one in model.upsampler.parameters())
    held = sum(one.numel() for part in (decoder, prior) for one in part.parameters())
    return DecodingWork(
        2 * (per_frame + per_step / stride),
        2 * PASSES * _all_weights(model),
        held + per_step + model.log_noise.numel() + 2 * model.num_dims,
    )


def _weights(module: nn.Module) -> int:
    """Return the weights of linear maps."""
    return sum(one.weight.numel() for one in module.modules() if isinstance(one, nn.Linear))


def _all_weights(model: Factorizer) -> int:
    """Return the weights that one train frame is multiplied with, biases left out."""
    return sum(one.numel() for one in model.parameters() if one.dim() > 1)
