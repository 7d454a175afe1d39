"""Multi-resolution spectral loss of waveforms (Yamamoto et al. 2020, arXiv 1910.11480).

Shapes: B crops, S samples, Q bins, F spectra.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def magnitudes(waveforms: Tensor, window_samples: int) -> Tensor:
    """Return magnitudes of Hann windows, [B, Q, F]; a sine of amplitude 1 gives 1."""
    window = torch.hann_window(window_samples, device=waveforms.device)
    return spectra(waveforms, window).abs() * (2.0 / window.sum())


def spectra(waveforms: Tensor, window: Tensor) -> Tensor:
    """Return complex spectra of waveforms [B, S], windows a quarter apart, shape [B, Q, F].

    In float32 whatever the caller's precision: a spectrum spans more than bfloat16 resolves.
    """
    return torch.stft(
        waveforms.float(),
        len(window),
        hop_length=len(window) // 4,
        window=window,
        center=False,
        return_complex=True,
    )


def spectral_loss(
    decoded: Tensor, clean: Tensor, windows_samples: Sequence[int], magnitude_floor: float
) -> Tensor:
    """Return mean |log difference| plus spectral convergence, averaged over windows; a scalar.

    Args:
        decoded: Waveforms, shape [B, S].
        clean: What they should be.
        windows_samples: Window lengths.
        magnitude_floor: Smallest magnitude before the logarithm.
    """
    total = decoded.new_zeros(())
    for window in windows_samples:
        found, wanted = magnitudes(decoded, window), magnitudes(clean, window)
        logs = found.clamp_min(magnitude_floor).log() - wanted.clamp_min(magnitude_floor).log()
        scale = wanted.square().sum().sqrt().clamp_min(magnitude_floor)
        # The square root has no gradient at 0: an exact copy must not give NaN.
        gap = ((found - wanted).square().sum() + magnitude_floor**2).sqrt()
        total = total + logs.abs().mean() + gap / scale
    return total / len(windows_samples)
