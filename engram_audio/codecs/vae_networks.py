"""Encoder and decoder of the waveform VAE: causal strided convolutions (SEANet-like).

The design follows CALM's codec (arXiv 2509.06926, section 4.1) without its transformers. Every
convolution is padded on its left only: latent t depends on samples before (t + 1) * hop, and sample
n of the decoder on latents up to n / hop.

Shapes: B crops, S samples, T frames, D dimensions, C channels.
"""

from torch import Tensor, nn
from torch.nn import functional

from engram_audio.codecs.bottleneck import Posterior, posterior_of
from engram_audio.codecs.fitted_config import VaeCodecSettings

OUTER_KERNEL = 7  # at the audio rate
LATENT_KERNEL = 3  # at the frame rate
RESIDUAL_KERNEL = 3
DILATION_BASE = 3
INITIAL_LOG_SD = -3.0  # about the size of the untrained means: the first latents are not all noise


class CausalConv(nn.Conv1d):
    """Convolution whose output t sees the inputs before (t + 1) * stride."""

    def forward(self, input: Tensor) -> Tensor:
        """Map [B, C, L] to [B, C', L / stride]; zeros stand before the first input."""
        return super().forward(functional.pad(input, (self.reach - self.stride[0], 0)))

    @property
    def reach(self) -> int:
        """Inputs that one output sees."""
        return (self.kernel_size[0] - 1) * self.dilation[0] + 1


class CausalUpsampling(nn.ConvTranspose1d):
    """Transposed convolution over two strides whose tail, which needs the next input, is cut."""

    def __init__(self, num_inputs: int, num_outputs: int, stride: int) -> None:
        super().__init__(num_inputs, num_outputs, 2 * stride, stride=stride)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map [B, C, L] to [B, C', L * stride]."""
        return super().forward(input)[..., : input.shape[-1] * self.stride[0]]


class ResidualUnit(nn.Module):
    """x + conv(conv(x)), the first one dilated, half the channels between."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        inner = max(channels // 2, 1)
        self.wide = CausalConv(channels, inner, RESIDUAL_KERNEL, dilation=dilation)
        self.narrow = CausalConv(inner, channels, 1)

    def forward(self, signal: Tensor) -> Tensor:
        """Map [B, C, L] to [B, C, L]."""
        hidden = functional.elu(self.wide(functional.elu(signal)))
        return signal + self.narrow(hidden)


def widths(settings: VaeCodecSettings) -> list[int]:
    """Return the channels at the audio rate and after each stride."""
    return [
        min(settings.channels * 2**level, settings.maximum_channels)
        for level in range(len(settings.strides) + 1)
    ]


def residual_units(channels: int, settings: VaeCodecSettings) -> list[nn.Module]:
    """Return the residual units of one rate, dilations 1, 3, 9, ..."""
    return [
        ResidualUnit(channels, DILATION_BASE**level) for level in range(settings.num_residual_units)
    ]


class Encoder(nn.Module):
    """Waveform to parameters of the posterior."""

    def __init__(self, settings: VaeCodecSettings) -> None:
        super().__init__()
        channels = widths(settings)
        layers: list[nn.Module] = [CausalConv(1, channels[0], OUTER_KERNEL)]
        for before, after, stride in zip(channels, channels[1:], settings.strides, strict=False):
            layers += residual_units(before, settings)
            layers += [nn.ELU(), CausalConv(before, after, 2 * stride, stride=stride)]
        layers += [nn.ELU(), CausalConv(channels[-1], 2 * settings.num_dims, LATENT_KERNEL)]
        self.layers = nn.Sequential(*layers)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Map [B, S] to [B, T, 2 D]; S is a multiple of the hop."""
        return self.layers(waveforms.unsqueeze(1)).transpose(1, 2)

    def field_samples(self) -> int:
        """Return how many samples up to its last one a frame sees."""
        field = step = 1
        for module in self.modules():
            if isinstance(module, CausalConv):
                field += (module.reach - 1) * step
                step *= module.stride[0]
        return field


class Decoder(nn.Module):
    """Latents to waveform, the encoder in a mirror."""

    def __init__(self, settings: VaeCodecSettings) -> None:
        super().__init__()
        channels = widths(settings)[::-1]
        layers: list[nn.Module] = [CausalConv(settings.num_dims, channels[0], OUTER_KERNEL)]
        strides = settings.strides[::-1]
        for before, after, stride in zip(channels, channels[1:], strides, strict=False):
            layers += [nn.ELU(), CausalUpsampling(before, after, stride)]
            layers += residual_units(after, settings)
        layers += [nn.ELU(), CausalConv(channels[-1], 1, OUTER_KERNEL)]
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        """Map [B, T, D] to [B, T * hop]."""
        return self.layers(latents.transpose(1, 2)).squeeze(1)


def _keep_variance(module: nn.Module) -> None:
    """Draw weights that neither shrink nor grow a signal; torch's own shrink it layer by layer."""
    if isinstance(module, CausalConv | CausalUpsampling):
        # a transposed convolution over two strides gives each output two taps of each input
        taps = module.kernel_size[0] if isinstance(module, CausalConv) else 2
        nn.init.normal_(module.weight, std=(module.in_channels * taps) ** -0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class WaveformVae(nn.Module):
    """Waveform to a Gaussian and back."""

    def __init__(self, settings: VaeCodecSettings) -> None:
        super().__init__()
        self.hop_samples = settings.hop_samples
        self.encoder = Encoder(settings)
        self.decoder = Decoder(settings)
        self.apply(_keep_variance)
        last = self.encoder.layers[-1]
        assert isinstance(last, CausalConv) and last.bias is not None
        nn.init.constant_(last.bias[settings.num_dims :], INITIAL_LOG_SD)

    def encode(self, waveforms: Tensor) -> Posterior:
        """Return the posterior of waveforms [B, S], S a multiple of the hop."""
        return posterior_of(self.encoder(waveforms))

    def decode(self, latents: Tensor) -> Tensor:
        """Return waveforms [B, T * hop] of latents [B, T, D]."""
        return self.decoder(latents).float()

    def cold_start_frames(self) -> int:
        """Return how many frames at the head see zeros from before the first sample."""
        return max(-(-self.encoder.field_samples() // self.hop_samples) - 1, 0)
