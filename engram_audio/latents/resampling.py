"""Representations at a lower frame rate: groups of r frames, stacked, averaged, or turned.

A group covers exactly the audio of its frames, so what was causal stays causal. A partial last
group is dropped and counted.

Shapes: N frames of a block, T frames of an utterance, G groups of it, r frames per group, D
dimensions.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from engram_audio.latents.block import LatentBlock


class Resampled(NamedTuple):
    """A block of groups and what grouping cost.

    Attributes:
        block: Grouped frames; utterances shorter than a group are left out.
        num_dropped: Frames in partial last groups, and of utterances left out.
        left_out: Numbers of the utterances without a group.
        moments: Sums over the grouped frames that `within_group_share` needs.
    """

    block: LatentBlock
    num_dropped: int
    left_out: np.ndarray
    moments: dict[str, Any]


def group_turn(frames_per_group: int) -> np.ndarray:
    """Return the orthonormal map of a group's frames, [r, r]: mean times sqrt(r), then contrasts.

    Contrast i sets frame i + 1 against the mean of the frames before it (Helmert).
    """
    return np.asarray(scipy.linalg.helmert(frames_per_group, full=True))


def group_frames(frames: np.ndarray, frames_per_group: int, mode: str) -> np.ndarray:
    """Return the groups of one utterance's frames [T, D]: [G, r * D], or [G, D] for `average`.

    `average_residual` is `stack` after a rotation: densities and distances are the same.
    """
    num_groups, num_dims = len(frames) // frames_per_group, frames.shape[1]
    groups = frames[: num_groups * frames_per_group]
    groups = groups.reshape(num_groups, frames_per_group, num_dims)
    if mode == "average":
        return groups.mean(axis=1, dtype=np.float64).astype(np.float32)
    if mode == "average_residual":
        turned = np.einsum("ij,gjd->gid", group_turn(frames_per_group), groups)
        groups = turned.astype(np.float32)
    return groups.reshape(num_groups, frames_per_group * num_dims)


def ungroup_frames(groups: np.ndarray, frames_per_group: int, mode: str) -> np.ndarray:
    """Return the frames [G * r, D] of groups; what `average` dropped is replaced by the mean."""
    if mode == "average":
        return np.repeat(groups, frames_per_group, axis=0)
    num_dims = groups.shape[1] // frames_per_group
    stacked = groups.reshape(len(groups), frames_per_group, num_dims)
    if mode == "average_residual":
        turned = np.einsum("ij,gid->gjd", group_turn(frames_per_group), stacked)
        stacked = turned.astype(np.float32)
    return stacked.reshape(len(groups) * frames_per_group, num_dims)


def resample_block(block: LatentBlock, frames_per_group: int, mode: str) -> Resampled:
    """Group the frames of each utterance; a group's energy is the RMS over its frames.

    Args:
        block: Whole utterances, cold start dropped.
        frames_per_group: r.
        mode: `stack`, `average` or `average_residual`.
    """
    sizes = np.diff(block.offsets)
    groups = sizes // frames_per_group
    kept = np.flatnonzero(groups > 0)
    starts, counts = block.offsets[kept], groups[kept] * frames_per_group
    ends = np.cumsum(counts)
    rows = np.arange(counts.sum()) + np.repeat(starts - (ends - counts), counts)
    frames = block.frames[rows]  # whole groups only, so one call groups all utterances
    squares = block.energy[rows].astype(np.float64).reshape(-1, frames_per_group) ** 2
    resampled = LatentBlock(
        frames=group_frames(frames, frames_per_group, mode),
        energy=np.sqrt(squares.mean(axis=1)).astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum(groups[kept])]).astype(np.int64),
        utterance_ids=block.utterance_ids[kept],
        speaker_ids=block.speaker_ids[kept],
    )
    return Resampled(
        resampled,
        int(len(block.frames) - len(frames)),
        np.flatnonzero(groups == 0),
        _moments(frames, frames_per_group),
    )


def _moments(frames: np.ndarray, frames_per_group: int) -> dict[str, Any]:
    rows = frames.astype(np.float64).reshape(-1, frames_per_group, frames.shape[1])
    within = rows - rows.mean(axis=1, keepdims=True)
    return {
        "num_frames": len(frames),
        "within_square": float((within**2).sum()),
        "square": float((rows**2).sum()),
        "total": rows.sum(axis=(0, 1)).tolist(),
    }


def within_group_share(moments: Iterable[Mapping[str, Any]]) -> float:
    """Return the share of variance that lies within groups, which `average` drops.

    Args:
        moments: Of every shard.
    """
    rows = list(moments)
    count = sum(row["num_frames"] for row in rows)
    if not count:
        return float("nan")
    total = np.sum([row["total"] for row in rows], axis=0)
    variation = sum(row["square"] for row in rows) - float(total @ total) / count
    within = sum(row["within_square"] for row in rows)
    return within / variation if variation > 0 else float("nan")
