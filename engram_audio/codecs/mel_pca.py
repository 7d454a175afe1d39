"""The codec that the workflow fits itself: log-mel stacks, PCA of the train split, Griffin-Lim.

Shapes: M stacks (frames of the codec), V = stack_hops * num_mels values of a stack, D components.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.linalg

from engram_audio.artifacts.tensors import read_tensors
from engram_audio.codecs.base import Codec
from engram_audio.codecs.fitted_config import MelPcaCodecSettings
from engram_audio.codecs.griffin_lim import invert_log_mel
from engram_audio.codecs.mel import analysis_of, log_mel_stacks
from engram_audio.codecs.weights import require_file
from engram_audio.errors import InputError
from engram_audio.numerics.moments import Moments
from engram_audio.numerics.subspace import fix_signs

WEIGHTS = "weights.safetensors"


class MelPca(NamedTuple):
    """Fitted projection.

    Attributes:
        mean: Shape [V], float32.
        components: Orthonormal rows, largest variance first, shape [D, V], float32.
        explained_variance: Variance along each component, shape [D], float32.
        total_variance: Trace of the covariance, shape [1], float32.
        num_frames: Stacks that were fitted on, shape [1], int64.
    """

    mean: np.ndarray
    components: np.ndarray
    explained_variance: np.ndarray
    total_variance: np.ndarray
    num_frames: np.ndarray


def fit_mel_pca(waveforms: Iterable[np.ndarray], settings: MelPcaCodecSettings) -> MelPca:
    """Fit the PCA in one pass over waveforms, covariance in float64.

    Args:
        waveforms: Mono, at the settings' rate; only train utterances belong here.
        settings: The codec's section.

    Raises:
        InputError: Fewer stacks than components, or no variance at all.
    """
    analysis = analysis_of(settings)
    moments: Moments | None = None
    for waveform in waveforms:
        stacks = log_mel_stacks(waveform, analysis).astype(np.float64)
        if len(stacks):
            moments = moments or Moments(stacks.mean(axis=0))
            moments.add(stacks)
    count = moments.count if moments else 0
    if moments is None or count <= settings.num_components:
        raise InputError(
            f"codecs (kind mel_pca): {count} train frames cannot fit {settings.num_components} "
            "components; add train speech or lower num_components"
        )
    total = moments.total
    covariance = (moments.products - np.outer(total, total) / count) / (count - 1)
    return _principal(covariance, moments.mean, count, settings.num_components)


def _principal(covariance: np.ndarray, mean: np.ndarray, count: int, num_components: int) -> MelPca:
    width = len(mean)
    values, vectors = scipy.linalg.eigh(
        covariance, subset_by_index=[width - num_components, width - 1]
    )
    if not values[-1] > 0:
        raise InputError(
            "codecs (kind mel_pca): the train speech has no variance (silence?); check the corpus"
        )
    components = fix_signs(vectors[:, ::-1]).T  # so that two platforms agree
    return MelPca(
        mean=mean.astype(np.float32),
        components=np.ascontiguousarray(components, np.float32),
        explained_variance=values[::-1].astype(np.float32),
        total_variance=np.array([np.trace(covariance)], np.float32),
        num_frames=np.array([count], np.int64),
    )


class MelPcaCodec(Codec):
    """Causal by construction: frame t sees the samples of frame t only."""

    is_causal = True
    context_frames = 0
    latent_space = "log_mel_pca"

    def __init__(self, pca: MelPca, settings: MelPcaCodecSettings) -> None:
        """Keep the projection and the sizes."""
        self._pca = pca
        self._iterations = settings.griffin_lim_iterations
        self._analysis = analysis_of(settings)
        self.sample_rate_hz = settings.sample_rate_hz
        self.hop_samples = self._analysis.stack_samples
        self.num_dims = len(pca.components)

    def weight_hash(self) -> str:
        """Return the SHA-256 of the projection and of the analysis sizes."""
        digest = hashlib.sha256(repr(self._analysis).encode())
        digest.update(self._pca.mean.tobytes())
        digest.update(self._pca.components.tobytes())
        return digest.hexdigest()

    def weight_fault(self) -> str | None:
        """Refuse an all-zero projection."""
        if not all(np.isfinite(array).all() for array in self._pca):
            return "a weight is NaN or infinite"
        return None if np.any(self._pca.components) else "all components are zero"

    def encode(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Project the log-mel stacks of each clip."""
        stacks = log_mel_stacks(waveforms.reshape(-1), self._analysis)  # S is a hop multiple
        latents = (stacks - self._pca.mean) @ self._pca.components.T
        return latents.reshape(len(waveforms), -1, self.num_dims)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Invert the projection and the spectrogram, shape [T * hop]."""
        stacks = latents @ self._pca.components + self._pca.mean
        spectrogram = stacks.reshape(-1, self._analysis.num_mels)
        generator = np.random.default_rng(0)  # the first phases, the same for every call
        return invert_log_mel(spectrogram, self._analysis, self._iterations, generator)


def load(
    settings: MelPcaCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> MelPcaCodec:
    """Load the fitted projection (the registry's entry point).

    Raises:
        InputError: The file is missing, damaged or fitted with other sizes.
    """
    path = require_file(files, WEIGHTS, "mel_pca")
    pca = MelPca(**read_tensors(path, MelPca._fields)[0])
    expected = (settings.num_components, settings.stack_hops * settings.num_mels)
    if pca.components.shape != expected:
        raise InputError(
            f"{path}: components have shape {pca.components.shape}, but {expected} is configured; "
            "delete it and rerun fit_codec"
        )
    return MelPcaCodec(pca, settings)
