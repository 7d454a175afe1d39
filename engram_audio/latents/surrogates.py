"""Surrogates that need no fit: shuffled frames, and the linear Gaussian twin by random phases.

Each utterance has its own generator (seed, kind, utterance id), so shards are independent.

Shapes: N frames of a block, T frames of an utterance, D dimensions.
"""

import hashlib

import numpy as np

from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.seeds import named_generator

QUIETEST = 1e-4  # of an utterance's loudest frame: silence has no logarithm


def shuffle_frames(block: LatentBlock, seed: int) -> LatentBlock:
    """Permute the frames within each utterance; a frame keeps its energy.

    Everything of time is gone; each utterance keeps its frames, hence its mean and its speaker.
    """
    starts, sizes = block.offsets[:-1], np.diff(block.offsets)
    rows = np.concatenate(
        [
            start + named_generator(seed, "shuffled", str(name)).permutation(size)
            for start, size, name in zip(starts, sizes, block.utterance_ids, strict=True)
        ]
        or [np.zeros(0, np.int64)]
    )
    # other neighbours: what was repeated no longer is
    return block._replace(frames=block.frames[rows], energy=block.energy[rows], is_scored=None)


def randomize_phases(block: LatentBlock, seed: int) -> LatentBlock:
    """Give each utterance random phases, the same for all dimensions and for the log energy.

    Spectra and cross-spectra (of the utterance as a periodic sequence) are kept to rounding, and so
    are mean and covariance. Whatever is not linear and Gaussian is gone. The energy is made with
    the frames, so that the twin is loud where its own frames are and not where the original was.
    """
    frames, energy = np.empty_like(block.frames), np.empty_like(block.energy)
    for start, stop, name in zip(
        block.offsets[:-1], block.offsets[1:], block.utterance_ids, strict=True
    ):
        generator = named_generator(seed, "phase_randomized", str(name))
        both = np.column_stack([block.frames[start:stop], _log_energy(block.energy[start:stop])])
        mixed = _random_phases(both, generator)
        frames[start:stop], energy[start:stop] = mixed[:, :-1], np.exp(mixed[:, -1])
    return block._replace(frames=frames, energy=energy)


def _log_energy(energy: np.ndarray) -> np.ndarray:
    """Return the log of energies, none of them more than 80 dB below the utterance's loudest."""
    floor = max(float(energy.max(initial=0.0)) * QUIETEST, float(np.finfo(np.float32).tiny))
    return np.log(np.maximum(energy.astype(np.float64), floor))


def _random_phases(rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    import scipy.fft  # shuffled frames and names of surrogates need none

    num_frames = len(rows)
    spectrum = np.asarray(scipy.fft.rfft(rows.astype(np.float64), axis=0))
    turns = np.exp(2j * np.pi * generator.random(len(spectrum)))
    turns[0] = 1.0  # the mean stays
    if num_frames % 2 == 0:
        turns[-1] = 1.0 if generator.random() < 0.5 else -1.0  # the Nyquist bin is real
    return np.asarray(scipy.fft.irfft(spectrum * turns[:, None], n=num_frames, axis=0))


SURROGATES = {"shuffled": shuffle_frames, "phase_randomized": randomize_phases}


def surrogate_hash(weight_hash: str, kind: str, recipe: object) -> str:
    """Return the SHA-256 of a surrogate's recipe; stands where a codec has its weights' hash."""
    return hashlib.sha256(f"{weight_hash} {kind} {recipe}".encode()).hexdigest()
