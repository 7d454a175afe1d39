"""From mel magnitudes back to a waveform: non-negative inversion, then phases by iteration.

Shapes: F spectra, N mel bands, Q bins, S = F * hop samples.
"""

import numpy as np
import scipy.fft

from engram_audio.codecs.mel import MelAnalysis, mel_filterbank

MOMENTUM = 0.99  # fast Griffin-Lim (Perraudin et al. 2013)
INVERSION_STEPS = 30  # multiplicative updates; the mel residual is far below 1 % by then
TINY = np.float32(1e-12)


def mel_to_spectrum(mel: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Return non-negative magnitudes X with X @ filters.T near `mel` (Lee and Seung's updates).

    Args:
        mel: Shape [F, N], positive.
        filters: Shape [N, Q].

    Returns:
        Shape [F, Q], float32.
    """
    target = mel @ filters
    estimate = target / np.maximum(filters.sum(axis=0), TINY)
    for _ in range(INVERSION_STEPS):
        estimate *= target / np.maximum(estimate @ filters.T @ filters, TINY)
    return estimate


def griffin_lim(
    magnitudes: np.ndarray, analysis: MelAnalysis, iterations: int, generator: np.random.Generator
) -> np.ndarray:
    """Return a waveform whose short-time magnitudes are near the given ones, shape [F * hop].

    Args:
        magnitudes: Shape [F, Q]; a sine of amplitude 1 has magnitude 1.
        analysis: Sizes of the transform; spectrum f is centred on hop f.
        iterations: Number of projections.
        generator: Draws the first phases.
    """
    scaled = magnitudes * np.float32(analysis.window().sum() / 2)
    phases = generator.uniform(-np.pi, np.pi, scaled.shape).astype(np.float32)
    angles = np.exp(1j * phases).astype(np.complex64)
    previous = np.zeros_like(angles)
    for _ in range(iterations):
        rebuilt = _transform(_inverse(scaled * angles, analysis), analysis)
        ahead = rebuilt + np.float32(MOMENTUM) * (rebuilt - previous)
        angles = ahead / np.maximum(np.abs(ahead), TINY)
        previous = rebuilt
    padded = _inverse(scaled * angles, analysis)
    left, _ = analysis.pad_samples
    return padded[left : left + len(magnitudes) * analysis.hop_samples]


def _transform(padded: np.ndarray, analysis: MelAnalysis) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(padded, analysis.window_samples)
    frames = windows[:: analysis.hop_samples] * analysis.window()
    return np.asarray(scipy.fft.rfft(frames, n=analysis.fft_samples, axis=-1))


def _inverse(spectra: np.ndarray, analysis: MelAnalysis) -> np.ndarray:
    """Least-squares overlap-add, shape [F * hop + window - hop], float32."""
    window = analysis.window()
    frames = np.asarray(scipy.fft.irfft(spectra, n=analysis.fft_samples, axis=-1))
    frames = frames[:, : analysis.window_samples] * window
    audio = _overlap_add(frames, analysis.hop_samples)
    weight = _overlap_add(np.broadcast_to(window * window, frames.shape), analysis.hop_samples)
    # Where no window reaches (the first sample of a Hann window is zero) the sum is zero as well.
    return audio / np.maximum(weight, np.float32(1e-3) * weight.max())


def _overlap_add(frames: np.ndarray, hop: int) -> np.ndarray:
    """Add frames at multiples of the hop; the loop is over the windows that cover one hop."""
    num_frames, width = frames.shape
    covers = -(-width // hop)
    padded = np.zeros((num_frames, covers * hop), np.float32)
    padded[:, :width] = frames
    parts = padded.reshape(num_frames, covers, hop)
    total = np.zeros((num_frames + covers - 1, hop), np.float32)
    for part in range(covers):
        total[part : part + num_frames] += parts[:, part]
    return total.reshape(-1)[: (num_frames - 1) * hop + width]


def invert_log_mel(
    log_mel: np.ndarray, analysis: MelAnalysis, iterations: int, generator: np.random.Generator
) -> np.ndarray:
    """Return a waveform for a log-mel spectrogram [F, N], shape [F * hop]."""
    filters = mel_filterbank(analysis)
    magnitudes = mel_to_spectrum(np.exp(log_mel), filters)
    return griffin_lim(magnitudes, analysis, iterations, generator)
