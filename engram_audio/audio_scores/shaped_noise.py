"""Noise with the spectrum of a clip: what no quality score should like.

Shapes: S samples.
"""

import numpy as np


def shaped_noise(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a clip [S] with the same power at every frequency and phases drawn at random."""
    spectrum = np.fft.rfft(waveform)
    phases = rng.uniform(0, 2 * np.pi, len(spectrum))
    turned = np.abs(spectrum) * np.exp(1j * phases)
    # A sum, and the alternating sum of an even number of samples, have no phase.
    turned[0] = spectrum[0]
    if len(waveform) % 2 == 0:
        turned[-1] = spectrum[-1]
    return np.fft.irfft(turned, len(waveform)).astype(waveform.dtype)
