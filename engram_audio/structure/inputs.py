"""What a key may look at: the frames, the frames less their speaker's mean, their increments.

Every input is again a stream of blocks with the same utterances and offsets, so that targets keep
their rows. `increments` have one window frame fewer (see `windows.increments`).

Shapes: N frames of a block, D dimensions, S speakers.
"""

from collections.abc import Iterator

import numpy as np

from engram_audio import windows
from engram_audio.errors import InputError
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.numerics.grouped import add_grouped
from engram_audio.structure.config import KeyInput
from engram_audio.structure.targets import TRAIN, VAL, FrameIndex


class InputMeans:
    """Means of the frames: each speaker's own, and that of all train frames."""

    def __init__(self, source: BlockSource, index: FrameIndex) -> None:
        """Read the stream once.

        A train speaker's mean is over its train utterances (its val utterances are centred by it);
        a select or eval speaker's is over its own frames. Frames that decide nothing count for no
        mean. No label is used, only who speaks.
        """
        num_speakers = len(index.speaker_ids)
        sums, counts = None, np.zeros(num_speakers)
        for number, block in enumerate(source()):
            sums = np.zeros((num_speakers, block.frames.shape[1])) if sums is None else sums
            lengths = np.diff(block.offsets)
            own = index.part[number] != VAL
            used = np.repeat(own, lengths) & index.is_scored[number]
            codes = np.repeat(index.speaker[number], lengths)[used]
            add_grouped(sums, block.frames[used], codes)
            counts += np.bincount(codes, minlength=num_speakers)
        if sums is None:
            raise ValueError("the stream is empty")
        is_train = np.zeros(num_speakers, dtype=bool)
        for part, speaker in zip(index.part, index.speaker, strict=True):
            is_train[speaker[part == TRAIN]] = True
        # a speaker with val utterances alone (one utterance in all) is centred by the train mean
        self.train = sums[is_train].sum(axis=0) / max(counts[is_train].sum(), 1)
        self.speaker = np.where(
            counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], self.train
        )


def input_window(name: KeyInput, window_frames: int) -> int:
    """Return how many rows of an input a context of `window_frames` frames holds.

    Raises:
        InputError: Increments of a single frame.
    """
    if name != "increments":
        return window_frames
    if window_frames < 2:
        raise InputError(
            "views.window_frames: increments need a window of at least 2 frames; "
            "raise it or drop the input `increments` from structure.library"
        )
    return window_frames - 1


def input_source(
    name: KeyInput, source: BlockSource, index: FrameIndex, means: InputMeans
) -> BlockSource:
    """Return the stream of one input.

    `raw` is shifted by the train mean: no key sees a translation, and single-precision products
    of the shifted frames stay accurate when the mean is large.
    """

    def blocks() -> Iterator[LatentBlock]:
        for number, block in enumerate(source()):
            yield block._replace(frames=_transform(name, block, index.speaker[number], means))

    return blocks


def _transform(
    name: KeyInput, block: LatentBlock, speaker: np.ndarray, means: InputMeans
) -> np.ndarray:
    if name == "increments":
        return windows.increments(block.frames, block.offsets)
    if name == "raw":
        return block.frames - means.train.astype(np.float32)
    own = means.speaker.astype(np.float32)[speaker]
    return block.frames - np.repeat(own, np.diff(block.offsets), axis=0)


def hold(source: BlockSource) -> BlockSource:
    """Return the same stream, kept in memory."""
    blocks = list(source())
    return lambda: iter(blocks)
