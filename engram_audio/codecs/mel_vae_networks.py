"""Encoder and decoder of mel_vae: a linear map plus a residual network over past frames.

Shapes: B crops, T frames, V values of a log-mel stack, D dimensions, K frames of context.
"""

from torch import Tensor, nn
from torch.nn import functional

from engram_audio.codecs.bottleneck import Posterior, posterior_of
from engram_audio.codecs.fitted_config import MelVaeCodecSettings


class CausalNetwork(nn.Module):
    """A linear map of the present frame plus a network of the last K frames; both see no future."""

    def __init__(
        self, num_inputs: int, num_outputs: int, width: int, num_layers: int, context: int
    ) -> None:
        super().__init__()
        self._context = context
        self.linear = nn.Linear(num_inputs, num_outputs)
        self.first = nn.Linear(num_inputs * context, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(num_layers - 1))
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(num_layers - 1))
        self.last = nn.Linear(width, num_outputs)
        nn.init.zeros_(self.last.weight)  # training starts from the linear map
        nn.init.zeros_(self.last.bias)

    def forward(self, frames: Tensor) -> Tensor:
        """Map [B, T, inputs] to [B, T, outputs]; zeros stand before the first frame."""
        padded = functional.pad(frames, (0, 0, self._context - 1, 0))
        windows = padded.unfold(1, self._context, 1).flatten(2)
        hidden = self.first(windows)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            hidden = hidden + layer(functional.silu(norm(hidden)))
        return self.linear(frames) + self.last(functional.silu(hidden))


class MelVae(nn.Module):
    """Log-mel stacks to a Gaussian and back."""

    frame_mean: Tensor
    frame_scale: Tensor

    def __init__(
        self, settings: MelVaeCodecSettings, frame_mean: Tensor, frame_scale: Tensor
    ) -> None:
        """Build untrained networks.

        Args:
            settings: The codec's section.
            frame_mean: Mean stack of train, shape [V].
            frame_scale: RMS of a value about its mean on train, shape [1]; one for all values, so
                that errors keep the proportions of log-mel.
        """
        super().__init__()
        num_values = len(frame_mean)
        width, layers = settings.width, settings.num_layers
        self.register_buffer("frame_mean", frame_mean)
        self.register_buffer("frame_scale", frame_scale)
        self.encoder = CausalNetwork(
            num_values, 2 * settings.num_dims, width, layers, settings.encoder_context_frames
        )
        self.decoder = CausalNetwork(
            settings.num_dims, num_values, width, layers, settings.decoder_context_frames
        )

    def standardized(self, stacks: Tensor) -> Tensor:
        """Centre and scale log-mel stacks [B, T, V]."""
        return (stacks - self.frame_mean) / self.frame_scale

    def encode(self, stacks: Tensor) -> Posterior:
        """Return the posterior of log-mel stacks [B, T, V]."""
        return posterior_of(self.encoder(self.standardized(stacks)))

    def decode(self, latents: Tensor) -> Tensor:
        """Return log-mel stacks [B, T, V] of latents [B, T, D]."""
        return self.decoder(latents) * self.frame_scale + self.frame_mean
