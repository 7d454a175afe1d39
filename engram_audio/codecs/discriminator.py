"""Multi-scale STFT discriminator and its losses (EnCodec, arXiv 2210.13438, section 3.4).

Shapes: B crops, S samples, F spectra, Q bins, C channels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from engram_audio.codecs.spectral_loss import spectra

SLOPE = 0.2
TIME_DILATIONS = (1, 2, 4)


class Judgement(NamedTuple):
    """What one discriminator says.

    Attributes:
        score: High for what it takes for speech, shape [B, F', Q'].
        features: Its hidden layers.
    """

    score: Tensor
    features: list[Tensor]


class ScaleDiscriminator(nn.Module):
    """2-d convolutions over real and imaginary parts at one window."""

    window: Tensor

    def __init__(self, window_samples: int, channels: int) -> None:
        super().__init__()
        window = torch.hann_window(window_samples)
        # Of unit energy: white noise of SD 1 gives parts of size 1 at every window.
        window = window / window.square().sum().sqrt()
        self.register_buffer("window", window, persistent=False)
        layers = [weight_norm(nn.Conv2d(2, channels, (3, 9), padding=(1, 4)))]
        for dilation in TIME_DILATIONS:
            layers.append(
                weight_norm(
                    nn.Conv2d(
                        channels, channels, (3, 9),
                        stride=(1, 2), dilation=(dilation, 1), padding=(dilation, 4),
                    )
                )
            )  # fmt: skip
        layers.append(weight_norm(nn.Conv2d(channels, channels, 3, padding=1)))
        self.layers = nn.ModuleList(layers)
        self.last = weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, waveforms: Tensor) -> Judgement:
        """Judge waveforms [B, S]."""
        parts = torch.view_as_real(spectra(waveforms, self.window))  # [B, Q, F, 2]
        hidden = parts.permute(0, 3, 2, 1)
        features = []
        for layer in self.layers:
            hidden = functional.leaky_relu(layer(hidden), SLOPE)
            features.append(hidden)
        return Judgement(self.last(hidden).squeeze(1), features)


class Discriminator(nn.Module):
    """One discriminator for each window."""

    def __init__(self, windows_samples: Sequence[int], channels: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            ScaleDiscriminator(window, channels) for window in windows_samples
        )

    def forward(self, waveforms: Tensor) -> list[Judgement]:
        """Judge waveforms [B, S] at every window."""
        return [scale(waveforms) for scale in self.scales]


def judged_by_frozen(discriminator: Discriminator, waveforms: Tensor) -> list[Judgement]:
    """Judge waveforms; gradients reach the waveforms and not the discriminator."""
    frozen = {name: value.detach() for name, value in discriminator.named_parameters()}
    return functional_call(discriminator, frozen, (waveforms,))


def discriminator_loss(real: Sequence[Judgement], fake: Sequence[Judgement]) -> Tensor:
    """Return the hinge loss that trains the discriminator, mean over windows; a scalar."""
    losses = [
        functional.relu(1 - r.score.float()).mean() + functional.relu(1 + f.score.float()).mean()
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(losses).mean()


def adversarial_loss(fake: Sequence[Judgement]) -> Tensor:
    """Return the hinge loss that trains the generator, mean over windows; a scalar."""
    return torch.stack([functional.relu(1 - f.score.float()).mean() for f in fake]).mean()


def feature_loss(real: Sequence[Judgement], fake: Sequence[Judgement]) -> Tensor:
    """Return the mean |difference| of features over the real ones' mean size; a scalar.

    The real features are constants: only the fake ones carry a gradient.
    """
    losses = []
    for r, f in zip(real, fake, strict=True):
        for wanted, found in zip(r.features, f.features, strict=True):
            wanted = wanted.detach().float()
            gap = (found.float() - wanted).abs().mean()
            losses.append(gap / wanted.abs().mean().clamp_min(1e-6))
    return torch.stack(losses).mean()
