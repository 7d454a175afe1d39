"""What it takes to make frames of z_dyn: z_rec from its prior, the decoder, the way from steps.

Counted as `generation.budget` counts: two operations per weight of a linear map, two per product
of the upsampler's attention. Biases, norms, activations, noise and the attention of a transformer
inside encoder or dynamics are not counted.
"""

from typing import NamedTuple

from torch import nn

from engram_audio.factorizer.model import Factorizer

PASSES = 3  # of training: forward, gradient of the inputs, gradient of the weights


class DecodingWork(NamedTuple):
    """What a factoriser adds to whatever draws its z_dyn.

    Attributes:
        flops_generated: Operations of one frame.
        flops_trained: Operations of one train frame of the whole factoriser, encoder included, in
            one pass: no rollout of the loss is counted.
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
    per_step = units + model.upsampler.num_products
    parts = decoder, prior, model.upsampler
    held = units + sum(one.numel() for part in parts for one in part.parameters())
    return DecodingWork(
        2 * (per_frame + per_step / stride),
        2 * PASSES * _train_products(model),
        held + model.log_noise.numel() + 2 * model.num_dims,
    )


def _weights(module: nn.Module) -> int:
    """Return the weights of linear maps."""
    return sum(one.weight.numel() for one in module.modules() if isinstance(one, nn.Linear))


def _train_products(model: Factorizer) -> float:
    """Return the multiplications of one train frame; dynamics and upsampler run once a step."""
    per_step = _matrices(model.dynamics) + model.upsampler.num_products
    others = _matrices(model) - _matrices(model.dynamics) - _matrices(model.upsampler)
    return others + per_step / model.settings.state.stride_frames


def _matrices(module: nn.Module) -> int:
    """Return the weights of a module, biases left out."""
    return sum(one.numel() for one in module.parameters() if one.dim() > 1)
