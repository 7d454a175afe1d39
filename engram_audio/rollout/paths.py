"""Starting states: a window of true frames and what truly followed, the same for every method.

Shapes: N starts, W window, H longest horizon, D dimensions, M paths of a batch.
"""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.densities.speakers import SpeakerMeans
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.latents.targets import targets_of


class Starts(NamedTuple):
    """States to run from.

    Attributes:
        history: True frames before the run, oldest first, [N, W, D].
        future: True frames after it, [N, H, D]; past the stretch's end the last one repeats.
        lengths: How many of them are true, [N].
        speaker_mean: Mean frame of the speaker's other utterances, [N, D].
        speaker_ids: Shape [N], strings.
        utterance_ids: Shape [N], strings.
        first_frames: Frame number of the first future frame in its utterance, [N].
        so_far: Mean of the speaker's frames so far at each frame of the history, and their number,
            [N, W, D + 1]; None where no key asks for it.
    """

    history: Tensor
    future: Tensor
    lengths: Tensor
    speaker_mean: Tensor
    speaker_ids: np.ndarray
    utterance_ids: np.ndarray
    first_frames: np.ndarray
    so_far: Tensor | None = None

    def rows(self, chosen: slice | np.ndarray) -> "Starts":
        """Return some of the starts."""
        return Starts._make(None if part is None else part[chosen] for part in self)

    def to(self, device: torch.device) -> "Starts":
        """Return the starts with their tensors on a device."""
        return self._replace(
            history=self.history.to(device), future=self.future.to(device),
            lengths=self.lengths.to(device), speaker_mean=self.speaker_mean.to(device),
            so_far=None if self.so_far is None else self.so_far.to(device),
        )  # fmt: skip

    def is_true(self) -> Tensor:
        """Return which future frames are true ones, bool, [N, H]."""
        steps = torch.arange(self.future.shape[1], device=self.future.device)
        return steps < self.lengths[:, None]

    def frames(self) -> Tensor:
        """Return history and future in one, [N, W + H, D]."""
        return torch.cat([self.history, self.future], 1)

    def true_steps(self) -> Tensor:
        """Return delta of every future frame, [N, H, D]."""
        whole = self.frames()
        first = self.history.shape[1]
        return whole[:, first:] - whole[:, first - 1 : -1]


def collect_starts(
    source: BlockSource,
    means: SpeakerMeans,
    window_frames: int,
    horizon_frames: int,
    minimum_frames: int,
    count: int,
    kept: Collection[str] | None = None,
) -> Starts:
    """Choose about `count` starts, evenly over utterances and, within one, over its frames.

    Args:
        source: Stream of the part.
        means: Speaker means.
        window_frames: W.
        horizon_frames: H.
        minimum_frames: True frames that every start has after it.
        count: N.
        kept: Utterances that starts may lie in; None allows all.

    Raises:
        ValueError: No stretch of frames that decide is long enough.
    """
    eligible = sum(
        len(_rows(block, window_frames, minimum_frames, kept).targets) for block in source()
    )
    if eligible == 0:
        raise ValueError(
            f"no utterance has {window_frames} + {minimum_frames} frames (window and forecast "
            "horizon) of which the last ones neither repeat nor are digital silence"
        )
    chosen = np.unique(np.linspace(0, eligible - 1, min(count, eligible)).round().astype(np.int64))
    sizes = (window_frames, horizon_frames, minimum_frames)
    return _joined(_blocks(source, means, sizes, chosen, kept))


def other_starts(
    source: BlockSource, means: SpeakerMeans, starts: Starts, minimum_frames: int
) -> Starts:
    """Return another start in the utterance of each start, [N]: what else the data did there.

    It lies half of the utterance's starts away, so that the two futures share as little as they
    can. Where an utterance has one start only, `lengths` is 0.

    Args:
        source: Stream that the starts were chosen from.
        means: Speaker means.
        starts: Chosen by `collect_starts`.
        minimum_frames: As given to `collect_starts`.
    """
    window_frames, horizon_frames = starts.history.shape[1], starts.future.shape[1]
    parts, places = [], []
    for block in source():
        names = np.asarray(block.utterance_ids, dtype=str)
        own = np.flatnonzero(np.isin(starts.utterance_ids, names))
        if not len(own):
            continue
        eligible = _rows(block, window_frames, minimum_frames)
        order = np.argsort(names)
        utterance = order[np.searchsorted(names[order], starts.utterance_ids[own])]
        rows = block.offsets[utterance] + starts.first_frames[own]
        other, is_alone = _half_way(eligible.targets, eligible.utterance, rows, utterance)
        found = _starts_at(block, means, eligible.rows(other), (window_frames, horizon_frames))
        parts.append(found._replace(lengths=torch.where(is_alone, 0, found.lengths)))
        places.append(own)
    return _joined(iter(parts)).rows(np.argsort(np.concatenate(places)))


def _half_way(
    targets: np.ndarray, utterances: np.ndarray, rows: np.ndarray, utterance: np.ndarray
) -> tuple[np.ndarray, Tensor]:
    """Return the place of another start of each row's utterance, and whether there is none."""
    first = np.searchsorted(utterances, utterance, side="left")
    count = np.searchsorted(utterances, utterance, side="right") - first
    place = np.searchsorted(targets, rows) - first
    return first + (place + count // 2) % count, torch.from_numpy(count < 2)


class _Eligible(NamedTuple):
    """Block rows of first future frames, each one's utterance, and where it stops."""

    targets: np.ndarray
    utterance: np.ndarray
    stop: np.ndarray

    def rows(self, chosen: np.ndarray) -> "_Eligible":
        """Return some of them."""
        return _Eligible(*(part[chosen] for part in self))


def _rows(
    block: LatentBlock, window_frames: int, minimum_frames: int, kept: Collection[str] | None = None
) -> _Eligible:
    """Return where a future may start.

    It stops before the first frame that decides nothing, or at the utterance's end.
    """
    targets = targets_of(block, window_frames, 1)
    utterance = windows.utterance_of_rows(block.offsets, targets)
    runs = windows.consecutive_runs(block.offsets, targets)
    stop = np.repeat(runs.stop, runs.stop - runs.start)
    fits = targets + minimum_frames <= stop
    if kept is not None:
        fits &= np.array([str(name) in kept for name in block.utterance_ids])[utterance]
    return _Eligible(targets, utterance, stop).rows(fits)


def _blocks(
    source: BlockSource,
    means: SpeakerMeans,
    sizes: tuple[int, int, int],
    chosen: np.ndarray,
    kept: Collection[str] | None,
) -> Iterator[Starts]:
    window_frames, horizon_frames, minimum_frames = sizes
    seen = 0
    for block in source():
        eligible = _rows(block, window_frames, minimum_frames, kept)
        count = len(eligible.targets)
        own = chosen[(chosen >= seen) & (chosen < seen + count)] - seen
        seen += count
        if len(own):
            yield _starts_at(block, means, eligible.rows(own), (window_frames, horizon_frames))


def _starts_at(
    block: LatentBlock, means: SpeakerMeans, chosen: _Eligible, sizes: tuple[int, int]
) -> Starts:
    window_frames, horizon_frames = sizes
    rows, utterance, stop = chosen
    future = np.minimum(rows[:, None] + np.arange(horizon_frames), stop[:, None] - 1)
    history = rows[:, None] + np.arange(-window_frames, 0)
    so_far = means.so_far(block)
    return Starts(
        torch.from_numpy(np.asarray(block.frames[history], dtype=np.float32)),
        torch.from_numpy(np.asarray(block.frames[future], dtype=np.float32)),
        torch.from_numpy(np.minimum(stop - rows, horizon_frames)),
        torch.from_numpy(means.of(block.utterance_ids[utterance])),
        np.asarray(block.speaker_ids, dtype=str)[utterance],
        np.asarray(block.utterance_ids, dtype=str)[utterance],
        rows - block.offsets[utterance],
        None if so_far is None else torch.from_numpy(so_far[history]),
    )


def _joined(parts: Iterator[Starts]) -> Starts:
    return Starts._make(_column(column) for column in zip(*parts, strict=True))


def _column(parts: tuple[Any, ...]) -> Any:
    match parts[0]:
        case None:
            return None
        case Tensor():
            return torch.cat(parts)
    return np.concatenate(parts)


class PathData:
    """Training sequences of W + K frames, by index arithmetic; every start that fits is one."""

    def __init__(
        self,
        block: LatentBlock,
        utterances: np.ndarray,
        means: SpeakerMeans,
        window_frames: int,
        horizon_frames: int,
        maximum: int | None = None,
    ) -> None:
        """Index the sequences of chosen utterances, thinned evenly to at most `maximum`."""
        length = window_frames + horizon_frames
        rows, utterance, _ = _rows(block, window_frames, horizon_frames)
        kept = np.isin(utterance, utterances)
        rows, utterance = rows[kept], utterance[kept]
        if maximum is not None and len(rows) > maximum:
            thinned = np.linspace(0, len(rows) - 1, maximum).round().astype(np.int64)
            rows, utterance = rows[thinned], utterance[thinned]
        frames = torch.from_numpy(np.ascontiguousarray(block.frames, dtype=np.float32))
        num_frames, num_dims = frames.shape
        count = max(num_frames - length + 1, 0)
        self._shape = (length, num_dims)
        self._windows = frames.as_strided((count, length * num_dims), (num_dims, 1))
        self._starts = torch.from_numpy(rows - window_frames)
        self._means = torch.from_numpy(means.of(block.utterance_ids))
        self._utterances = torch.from_numpy(utterance)

    def __len__(self) -> int:
        """How many sequences there are."""
        return len(self._starts)

    def batch(self, items: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return frames [B, W + K, D] and speaker means [B, D] of sequence numbers."""
        frames = self._windows.index_select(0, self._starts[items]).view(-1, *self._shape)
        means = self._means.index_select(0, self._utterances[items])
        return frames.to(device), means.to(device)
