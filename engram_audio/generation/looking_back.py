"""What a generator remembers of the frames themselves: newest frames, and codes of their keys.

Shapes: B sequences, T new frames, L frames held and new, n frames of a key, D dimensions.
"""

import torch
from torch import Tensor, nn

from engram_audio.keys.encoder import KeyEncoder


def recent_frames(frames: Tensor, num_recent: int) -> Tensor:
    """Return the newest frames at each position, oldest first, [B, T, R, D].

    The first frame stands for those before it: a linear base then sees steps of 0.
    """
    padded = torch.cat([frames[:, :1].expand(-1, num_recent - 1, -1), frames], 1)
    return padded.unfold(1, num_recent, 1).transpose(2, 3)


def key_windows(frames: Tensor, num_frames: int) -> Tensor:
    """Return the frames of each whole key, oldest first, [B, max(L - n + 1, 0), n, D]."""
    if num_frames == 1:
        return frames.unsqueeze(2)
    if frames.shape[1] < num_frames:
        return frames.new_empty((len(frames), 0, num_frames, frames.shape[2]))
    return frames.unfold(1, num_frames, 1).transpose(2, 3)


def codes_of(key: KeyEncoder, frames: Tensor, num_new: int) -> Tensor:
    """Return the codes of the newest frames, [B, T]; `num_codes` where a key is not whole yet.

    Args:
        key: The key.
        frames: New frames with the n - 1 before them, or fewer at a start, [B, L, D].
        num_new: T.
    """
    windows = key_windows(frames, key.state_frames)
    count = windows.shape[1]
    if not count:
        return windows.new_full((len(frames), num_new), key.num_codes, dtype=torch.int64)
    found = key.codes(windows.flatten(0, 1), 1).view(-1, count)
    if count == num_new:
        return found
    return nn.functional.pad(found, (num_new - count, 0), value=key.num_codes)
