"""Clips of mixed length in padded batches that give the latents of single clips.

A clip is padded with zeros to a multiple of the hop and followed by guard frames; what lies beyond
its own frames is cropped. No mask is relied on: encoders ignore it (Mimi) or honour it in part.

Shapes: B clips of a batch, S samples of the padded batch, T frames of a clip, D dimensions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from engram_audio.codecs.base import Codec


def plan_batches(
    num_samples: np.ndarray, hop_samples: int, guard_frames: int, batch_samples: int
) -> list[np.ndarray]:
    """Group clips of similar length so that a padded batch holds at most `batch_samples`.

    Args:
        num_samples: Length of each clip, shape [U].
        hop_samples: Samples of a frame.
        guard_frames: Zero frames after each clip.
        batch_samples: Budget of the padded batch; a longer clip has a batch of its own.

    Returns:
        Clip numbers of each batch, shortest clips first; ties keep the given order.
    """
    padded = (-(-num_samples // hop_samples) + guard_frames) * hop_samples
    order = np.argsort(padded, kind="stable")
    batches: list[list[int]] = []
    for clip in order:  # ascending, so the newest clip decides the padded width
        if batches and (len(batches[-1]) + 1) * padded[clip] <= batch_samples:
            batches[-1].append(int(clip))
        else:
            batches.append([int(clip)])
    return [np.array(batch) for batch in batches]


def pad_batch(
    waveforms: Sequence[np.ndarray], hop_samples: int, guard_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the zero-padded batch [B, S], float32, and the clips' lengths [B], int64."""
    lengths = np.array([len(waveform) for waveform in waveforms], dtype=np.int64)
    num_frames = -(-int(lengths.max()) // hop_samples) + guard_frames
    batch = np.zeros((len(waveforms), num_frames * hop_samples), np.float32)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return batch, lengths


class StagedClips(NamedTuple):
    """A padded batch on its way to the codec.

    Attributes:
        audio: What `Codec.stage` made of the batch [B, S].
        lengths: Samples of each clip, shape [B].
        num_frames: S / hop.
    """

    audio: Any
    lengths: np.ndarray
    num_frames: int


def stage_batch(codec: Codec, waveforms: Sequence[np.ndarray], guard_frames: int) -> StagedClips:
    """Pad clips to a batch and begin to move it to where the codec encodes."""
    batch, lengths = pad_batch(waveforms, codec.hop_samples, guard_frames)
    return StagedClips(codec.stage(batch), lengths, batch.shape[1] // codec.hop_samples)


def encode_staged(codec: Codec, staged: StagedClips) -> list[np.ndarray]:
    """Encode a batch and crop each clip to its own frames, shapes [T, D].

    Raises:
        ValueError: The codec gave another number of frames than S / hop, or another D.
    """
    latents = codec.encode(staged.audio, staged.lengths)
    expected = (len(staged.lengths), staged.num_frames, codec.num_dims)
    if latents.shape != expected:
        raise ValueError(f"the codec gave latents of shape {latents.shape}, expected {expected}")
    return [
        np.ascontiguousarray(rows[: codec.num_frames(int(length))], np.float32)
        for rows, length in zip(latents, staged.lengths, strict=True)
    ]


def encode_batch(
    codec: Codec, waveforms: Sequence[np.ndarray], guard_frames: int
) -> list[np.ndarray]:
    """Encode clips together and crop each to its own frames, shapes [T, D].

    Raises:
        ValueError: The codec gave another number of frames than S / hop, or another D.
    """
    return encode_staged(codec, stage_batch(codec, waveforms, guard_frames))


def frame_energy(waveform: np.ndarray, hop_samples: int) -> np.ndarray:
    """Return the RMS over exactly the samples of each frame, shape [T], float32 (SCIENCE 2)."""
    num_frames = len(waveform) // hop_samples
    frames = waveform[: num_frames * hop_samples].reshape(num_frames, hop_samples)
    return np.sqrt(np.mean(frames.astype(np.float64) ** 2, axis=1)).astype(np.float32)
