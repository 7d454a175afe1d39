"""A speaker embedding: the network of Resemblyzer 0.1.4 (GE2E), without its package.

The package imports a voice detector that current Python cannot build. The network is three layers
of LSTM and a linear layer, so it stands here and reads the wheel's weights. Long silences are not
cut out.

Shapes: S samples, F spectra, P parts of a clip, 40 bands, 256 numbers of an embedding.
"""

from collections.abc import Mapping

import numpy as np
import scipy.fft
import torch
from torch import Tensor, nn

from engram_audio.codecs.mel import hz_to_mel, mel_to_hz

RATE_HZ = 16000
NUM_MELS, WIDTH, NUM_LAYERS = 40, 256, 3
FFT_SAMPLES, HOP_SAMPLES = 400, 160
PART_FRAMES, STEP_FRAMES = 160, 77  # 1.6 s, 1.3 times a second
LEAST_COVERAGE = 0.75  # of the last part that lies in the clip
TARGET_DBFS = -30.0  # quieter clips are made as loud
LEAST_NORM = 1e-12


class SpeakerEncoder(nn.Module):
    """Embeds parts of a clip; embeddings have length 1 and no negative numbers."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        """Load the weights of the published network.

        Raises:
            KeyError: One is missing.
            RuntimeError: One has another shape.
        """
        super().__init__()
        self.lstm = nn.LSTM(NUM_MELS, WIDTH, NUM_LAYERS, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.load_state_dict({name: weights[name] for name in self.state_dict()})
        self.eval()

    @torch.no_grad()
    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return an embedding for each part of a clip [S] at `RATE_HZ`, [P, 256]."""
        spectra = power_mels(loud_enough(waveform))
        starts = part_starts(len(waveform))
        missing = starts[-1] + PART_FRAMES - len(spectra)
        spectra = np.pad(spectra, ((0, max(missing, 0)), (0, 0)))
        windows = np.stack([spectra[start : start + PART_FRAMES] for start in starts])
        _, (hidden, _) = self.lstm(torch.from_numpy(windows.astype(np.float32)))
        return unit_length(torch.relu(self.linear(hidden[-1])).double().numpy())


def part_starts(num_samples: int) -> list[int]:
    """Return the first spectrum of each part of a clip; there is at least one."""
    num_frames = -(-(num_samples + 1) // HOP_SAMPLES)
    stop = max(1, num_frames - PART_FRAMES + STEP_FRAMES + 1)
    starts = list(range(0, stop, STEP_FRAMES))
    inside = num_samples - starts[-1] * HOP_SAMPLES
    if inside < LEAST_COVERAGE * PART_FRAMES * HOP_SAMPLES and len(starts) > 1:
        starts.pop()
    return starts


def loud_enough(waveform: np.ndarray) -> np.ndarray:
    """Return a clip whose RMS is at least `TARGET_DBFS`; digital silence stays as it is."""
    rms = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) if len(waveform) else 0.0
    wanted = 10 ** (TARGET_DBFS / 20)
    return waveform * (wanted / rms) if 0 < rms < wanted else waveform


def power_mels(waveform: np.ndarray) -> np.ndarray:
    """Return the power spectrogram in Slaney's bands, [F, 40]; ends are padded with 0."""
    padded = np.pad(np.asarray(waveform, np.float64), FFT_SAMPLES // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES]
    phase = 2 * np.pi * np.arange(FFT_SAMPLES) / FFT_SAMPLES
    spectra = np.abs(np.asarray(scipy.fft.rfft(frames * (0.5 - 0.5 * np.cos(phase)))))
    return np.square(spectra) @ mel_bands().T


def mel_bands() -> np.ndarray:
    """Return triangular bands of equal area, [40, bins]."""
    edges = mel_to_hz(np.linspace(0.0, hz_to_mel(RATE_HZ / 2), NUM_MELS + 2))
    bins = np.linspace(0.0, RATE_HZ / 2, FFT_SAMPLES // 2 + 1)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    bands = np.maximum(np.minimum(rise, fall), 0.0)
    return bands * (2.0 / (edges[2:] - edges[:-2]))[:, None]


def unit_length(values: np.ndarray) -> np.ndarray:
    """Return vectors [..., 256] with length 1; a vector of zeros stays one."""
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), LEAST_NORM)


def embedding(parts: np.ndarray) -> np.ndarray:
    """Return the embedding of a clip, [256], of those of its parts."""
    return unit_length(parts.mean(axis=0))


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Return the cosine between two embeddings of length 1."""
    return float(first @ second)
