"""Speaker prompts: the first frames of other utterances of the same speaker and part.

Shapes: N frames, V utterances, B chunks, P frames of a prompt, D dimensions.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from engram_audio.generation.condition_config import ConditionSection
from engram_audio.latents.block import LatentBlock

FIXED_SHARE = 0.381966  # 2 less the golden ratio: how far along the list a fixed donor stands


class Heads(NamedTuple):
    """Utterances whose first frames may be prompts.

    Attributes:
        frames: Shape [N, D].
        first_rows: Row of the first frame of each utterance, [V].
        lengths: Frames that each utterance has, [V].
        ids: Shape [V], strings.
        speakers: Likewise.
    """

    frames: Tensor
    first_rows: np.ndarray
    lengths: np.ndarray
    ids: np.ndarray
    speakers: np.ndarray


class Prompts:
    """Draws prompts. Which one is drawn depends on the utterances of the part, not on blocks."""

    def __init__(self, heads: Heads, num_frames: int) -> None:
        """Order the utterances that are long enough by speaker, then by id."""
        self._heads, self._num_frames = heads, num_frames
        ids, speakers = heads.ids.astype(str), heads.speakers.astype(str)
        is_long = heads.lengths >= num_frames
        order = np.lexsort((ids, speakers))
        order = order[is_long[order]]
        names, firsts, counts = np.unique(speakers[order], return_index=True, return_counts=True)
        ranges = zip(firsts.tolist(), counts.tolist(), strict=True)
        self._rows = heads.first_rows[order]
        self._range = dict(zip(names.tolist(), ranges, strict=True))
        self._place = {name: place for place, name in enumerate(ids[order].tolist())}

    @classmethod
    def of_block(cls, block: LatentBlock, frames: Tensor, used: np.ndarray, count: int) -> Self:
        """Return prompts of the utterances of numbers `used`, as rows of the block's frames."""
        lengths, ids, speakers = np.diff(block.offsets), block.utterance_ids, block.speaker_ids
        heads = Heads(
            frames, block.offsets[:-1][used], lengths[used], np.asarray(ids)[used],
            np.asarray(speakers)[used],
        )  # fmt: skip
        return cls(heads, count)

    @classmethod
    def of_stream(cls, blocks: Iterable[LatentBlock], count: int) -> Self:
        """Return prompts of all utterances of a stream; their first frames are copied."""
        parts, lengths, ids, speakers = [], [], [], []
        for block in blocks:
            starts, sizes = block.offsets[:-1], np.diff(block.offsets)
            parts += [block.frames[n : n + min(count, size)].copy()
                      for n, size in zip(starts, sizes, strict=True)]  # fmt: skip
            lengths.append(sizes)
            ids.append(np.asarray(block.utterance_ids, dtype=str))
            speakers.append(np.asarray(block.speaker_ids, dtype=str))
        ends = np.cumsum([len(part) for part in parts])
        heads = Heads(
            torch.from_numpy(np.concatenate(parts).astype(np.float32)),
            np.concatenate([[0], ends[:-1]]), np.concatenate(lengths), np.concatenate(ids),
            np.concatenate(speakers),
        )  # fmt: skip
        return cls(heads, count)

    def _donor(self, name: str, speaker: str, share: float) -> int | None:
        """Return the first row of a prompt of an utterance; None where no other is long enough."""
        first, count = self._range.get(speaker, (0, 0))
        place = self._place.get(name)
        others = count - (place is not None)
        if not others:
            return None
        ahead = min(int(share * others), others - 1)
        if place is not None:
            ahead = (place - first + 1 + ahead) % count
        return int(self._rows[first + ahead])

    def of(
        self, names: Sequence[str], speakers: Sequence[str], draws: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return prompts [B, P, D] and which of their positions hold one, [B, P].

        Args:
            names: Ids of the utterances that are told, [B].
            speakers: Who speaks in them, [B].
            draws: Numbers in [0, 1) that choose the donors, [B]; without them a donor is fixed.
        """
        frames, count = self._heads.frames, self._num_frames
        prompt = torch.zeros(len(names), count, frames.shape[1])
        is_prompt = torch.zeros(len(names), count, dtype=torch.bool)
        shares = [FIXED_SHARE] * len(names) if draws is None else draws.tolist()
        for row, told in enumerate(zip(names, speakers, shares, strict=True)):
            start = self._donor(*told)
            if start is not None:
                prompt[row] = frames[start : start + count]
                is_prompt[row] = True
        return prompt, is_prompt

    @property
    def prompted_share(self) -> float:
        """Share of the frames of all utterances that have a prompt."""
        heads = self._heads
        told = zip(heads.ids.astype(str), heads.speakers.astype(str), strict=True)
        has_donor = [self._donor(*names, 0.0) is not None for names in told]
        return float(heads.lengths @ np.array(has_donor) / heads.lengths.sum())


def prompts_of(section: ConditionSection | None, blocks: Iterable[LatentBlock]) -> Prompts | None:
    """Return the prompts of a stream; None where no prompt is told."""
    if section is None or section.prompt_frames is None:
        return None
    return Prompts.of_stream(blocks, section.prompt_frames)
