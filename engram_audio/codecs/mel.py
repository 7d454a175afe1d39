"""Log-mel stacks that share no samples, and their way back to a magnitude spectrum.

A stack is `stack_hops` spectra of one stretch of audio. Every window lies inside its stretch, the
ends of which are mirrored: neighbouring stacks see disjoint samples, so nothing that one stack
tells about the next comes from overlap (SCIENCE 2). The decoder then treats the spectra as an
ordinary short-time transform with overlapping windows.

Shapes: S samples, M stacks, H hops of a stack, F = M * H spectra, N mel bands, Q bins.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft

from engram_audio.codecs.fitted_config import MelStackSettings

CHUNK_STACKS = 256  # stacks transformed at a time; bounds memory, changes no value


class MelAnalysis(NamedTuple):
    """Sizes of the analysis.

    Attributes:
        sample_rate_hz: Rate of the audio.
        hop_samples: Samples between spectra.
        window_samples: Samples of a window, hop <= window <= stack.
        stack_hops: H.
        num_mels: N.
        magnitude_floor: Smallest magnitude before the logarithm; full scale is 1.
    """

    sample_rate_hz: int
    hop_samples: int
    window_samples: int
    stack_hops: int
    num_mels: int
    magnitude_floor: float

    @property
    def stack_samples(self) -> int:
        """Samples of one stack."""
        return self.hop_samples * self.stack_hops

    @property
    def pad_samples(self) -> tuple[int, int]:
        """Mirrored samples before and after a stack, so that H windows fit."""
        total = self.window_samples - self.hop_samples
        return total // 2, total - total // 2

    @property
    def fft_samples(self) -> int:
        """A power of two, long enough that the narrowest mel band holds at least two bins."""
        edges = mel_to_hz(np.linspace(0, hz_to_mel(self.sample_rate_hz / 2), self.num_mels + 2))
        narrowest = float(np.diff(edges).min())
        least = max(self.window_samples, 2 * self.sample_rate_hz / narrowest)
        return 1 << int(np.ceil(np.log2(least)))

    def window(self) -> np.ndarray:
        """Periodic Hann window, shape [window_samples], float32."""
        phase = 2 * np.pi * np.arange(self.window_samples) / self.window_samples
        return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


def analysis_of(settings: MelStackSettings) -> MelAnalysis:
    """Return the analysis sizes in whole samples."""
    rate = settings.sample_rate_hz
    return MelAnalysis(
        sample_rate_hz=rate,
        hop_samples=round(settings.hop_s * rate),
        window_samples=round(settings.window_s * rate),
        stack_hops=settings.stack_hops,
        num_mels=settings.num_mels,
        magnitude_floor=settings.magnitude_floor,
    )


# The Slaney scale: linear below 1 kHz (200/3 Hz per mel), 27 mel per factor 6.4 above.
_LINEAR_HZ, _BREAK_HZ, _LOG_STEP = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0


def hz_to_mel(frequency_hz: float | np.ndarray) -> np.ndarray:
    """Convert Hz to Slaney mel."""
    frequency = np.asarray(frequency_hz, dtype=np.float64)
    above = np.log(np.maximum(frequency, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.minimum(frequency, _BREAK_HZ) / _LINEAR_HZ + above


def mel_to_hz(mel: float | np.ndarray) -> np.ndarray:
    """Convert Slaney mel to Hz."""
    mel = np.asarray(mel, dtype=np.float64)
    corner = _BREAK_HZ / _LINEAR_HZ
    low = np.minimum(mel, corner) * _LINEAR_HZ
    return low * np.exp(np.maximum(mel - corner, 0.0) * _LOG_STEP)


def mel_filterbank(analysis: MelAnalysis) -> np.ndarray:
    """Return triangular bands whose weights sum to one, shape [N, Q], float32."""
    top_hz = analysis.sample_rate_hz / 2
    edges = mel_to_hz(np.linspace(0.0, hz_to_mel(top_hz), analysis.num_mels + 2))
    bins = np.linspace(0.0, top_hz, analysis.fft_samples // 2 + 1)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    bands = np.maximum(np.minimum(rise, fall), 0.0)
    return (bands / bands.sum(axis=1, keepdims=True)).astype(np.float32)


def log_mel_stacks(waveform: np.ndarray, analysis: MelAnalysis) -> np.ndarray:
    """Return one log-mel stack per whole stretch of audio, shape [M, H * N], float32.

    Stack m depends on samples [m, m + 1) * stack_samples only; a partial last stretch is dropped.
    """
    num_stacks = len(waveform) // analysis.stack_samples
    whole = np.asarray(waveform[: num_stacks * analysis.stack_samples], np.float32)
    stretches = whole.reshape(num_stacks, analysis.stack_samples)
    filters, window = mel_filterbank(analysis), analysis.window()
    width = analysis.stack_hops * analysis.num_mels
    stacks = np.empty((num_stacks, width), np.float32)
    for start in range(0, num_stacks, CHUNK_STACKS):
        chunk = stretches[start : start + CHUNK_STACKS]
        padded = np.pad(chunk, ((0, 0), analysis.pad_samples), mode="reflect")
        magnitudes = spectrum_of_stretches(padded, analysis, window)
        floored = np.maximum(magnitudes @ filters.T, analysis.magnitude_floor)
        stacks[start : start + CHUNK_STACKS] = np.log(floored).reshape(len(chunk), width)
    return stacks


def spectrum_of_stretches(
    padded: np.ndarray, analysis: MelAnalysis, window: np.ndarray
) -> np.ndarray:
    """Return magnitudes of all windows, shape [M, H, Q]; a sine of amplitude 1 gives 1."""
    windows = np.lib.stride_tricks.sliding_window_view(padded, analysis.window_samples, axis=1)
    frames = windows[:, :: analysis.hop_samples] * window
    spectra = np.asarray(scipy.fft.rfft(frames, n=analysis.fft_samples, axis=-1))
    return np.abs(spectra) * np.float32(2.0 / window.sum())


def log_mel(waveform: np.ndarray, analysis: MelAnalysis) -> np.ndarray:
    """Return the ordinary log-mel spectrogram (windows overlap freely), shape [S / hop, N].

    For distances and pictures; latents come from `log_mel_stacks`.
    """
    usable = len(waveform) // analysis.hop_samples * analysis.hop_samples
    padded = np.pad(np.asarray(waveform[:usable], np.float32), analysis.pad_samples)
    filters, window = mel_filterbank(analysis), analysis.window()
    rows = []
    step = CHUNK_STACKS * analysis.hop_samples
    overlap = analysis.window_samples - analysis.hop_samples
    for start in range(0, usable, step):
        part = padded[None, start : min(start + step, usable) + overlap]
        rows.append(spectrum_of_stretches(part, analysis, window)[0] @ filters.T)
    bands = np.concatenate(rows) if rows else np.zeros((0, analysis.num_mels), np.float32)
    return np.log(np.maximum(bands, analysis.magnitude_floor))


def log_mel_distance(first: np.ndarray, second: np.ndarray, analysis: MelAnalysis) -> float:
    """Return the mean |difference| of two waveforms' log-mel spectrograms, in natural-log units."""
    length = min(len(first), len(second))
    gap = log_mel(first[:length], analysis) - log_mel(second[:length], analysis)
    return float(np.mean(np.abs(gap), dtype=np.float64))
