"""Waveforms at the rate a codec wants."""

import numpy as np
import soxr


def resample(waveform: np.ndarray, from_rate_hz: int, to_rate_hz: int) -> np.ndarray:
    """Resample a mono waveform with soxr HQ; equal rates pass through untouched.

    Args:
        waveform: Shape [S], float32.
        from_rate_hz: Its rate.
        to_rate_hz: The rate wanted.

    Returns:
        Shape [S'], float32, S' within one sample of S * to / from.
    """
    if from_rate_hz == to_rate_hz:
        return waveform
    return soxr.resample(waveform, from_rate_hz, to_rate_hz, quality="HQ").astype(np.float32)
