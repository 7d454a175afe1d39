"""Texts and speaker prompts of the utterances of a block.

Shapes: N frames of a block, U utterances used, B chunks, T frames of a chunk, L characters of the
longest text of a batch, P frames of a prompt.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from engram_audio.generation.condition import Condition
from engram_audio.generation.condition_config import ConditionSection, TextSection
from engram_audio.latents.block import LatentBlock

Transcripts = Mapping[str, str]  # by utterance id


class Indexed(Protocol):
    """Frames of a block, offsets of its utterances, and numbers of those used."""

    frames: Tensor
    offsets: Tensor
    utterances: Tensor


class Utterances(NamedTuple):
    """Utterances that may be told something, and their frames.

    Attributes:
        frames: Of the block, [N, D].
        offsets: Of all utterances of the block.
        used: Numbers of those used, ascending, [U].
        ids: Of all utterances of the block.
        speakers: Likewise.
    """

    frames: Tensor
    offsets: Tensor
    used: Tensor
    ids: np.ndarray
    speakers: np.ndarray


def symbols_of(identity: str, transcript: str | None, section: TextSection) -> list[int]:
    """Return the symbol of each character of a transcript.

    Args:
        identity: Of the utterance.
        transcript: What is said in it.
        section: The alphabet and the longest transcript.

    Raises:
        ValueError: There is none, it is too long, or the alphabet has none of its characters.
    """
    if not transcript:
        raise ValueError(
            f"model.condition.text: utterance {identity} has no transcript; take a corpus that "
            "has them, or write null"
        )
    if len(transcript) > section.maximum_characters:
        raise ValueError(
            f"model.condition.text.maximum_characters: the transcript of utterance {identity} has "
            f"{len(transcript)} characters; raise it from {section.maximum_characters}"
        )
    number = {character: place for place, character in enumerate(section.alphabet)}
    found = [number.get(character, len(number)) for character in transcript]
    if min(found) == len(number):
        raise ValueError(
            "model.condition.text.alphabet: has no character of the transcript of utterance "
            f"{identity}; write the characters of the corpus"
        )
    return found


def text_alone(
    section: ConditionSection, identity: str, transcript: str | None, num_dims: int
) -> Condition:
    """Return the text of one utterance without a speaker prompt; see `symbols_of`.

    Args:
        section: With a text.
        identity: Of the utterance.
        transcript: What is said in it.
        num_dims: D.
    """
    assert section.text is not None
    symbols = torch.tensor([symbols_of(identity, transcript, section.text)])
    count = section.prompt_frames or 0
    is_prompt = torch.zeros(1, count, dtype=torch.bool)
    return Condition(
        symbols, torch.zeros(1, count, num_dims),
        torch.cat([torch.ones_like(symbols, dtype=torch.bool), is_prompt], 1),
        torch.zeros(1, dtype=torch.int64),
    )  # fmt: skip


class Conditions:
    """What each utterance of a block is told."""

    def __init__(
        self, section: ConditionSection, own: Utterances, transcripts: Transcripts | None
    ) -> None:
        """Look up the transcripts.

        Raises:
            ValueError: One is missing or does not fit the settings.
        """
        self._section, self._own = section, own
        texts = [[] for _ in own.used]
        if section.text is not None:
            known = transcripts or {}
            names = [str(own.ids[number]) for number in own.used.tolist()]
            texts = [symbols_of(name, known.get(name), section.text) for name in names]
        self._lengths = torch.tensor([len(text) for text in texts])
        self._symbols = torch.zeros(len(texts), int(self._lengths.max()), dtype=torch.int16)
        for row, text in zip(self._symbols, texts, strict=True):
            row[: len(text)] = torch.tensor(text, dtype=torch.int16)
        self._donors = _donors(own, section.prompt_frames or 0)

    def of(self, rows: Tensor, device: torch.device, draws: Tensor | None = None) -> Condition:
        """Return what chunks are told.

        Args:
            rows: Block rows of chunks, each of one utterance, [B, T].
            device: Of the result.
            draws: Numbers in [0, 1) that choose the utterance of each prompt, [B]; without them
                it is always the same.
        """
        own = torch.searchsorted(self._own.offsets, rows[:, 0].contiguous(), right=True) - 1
        place = torch.searchsorted(self._own.used, own)
        lengths = self._lengths[place]
        longest = int(lengths.max())
        is_text = torch.arange(longest) < lengths.unsqueeze(1)
        prompt, is_prompt = self._prompts(place, draws)
        return Condition(
            self._symbols[place, :longest].long().to(device),
            prompt.to(device),
            torch.cat([is_text, is_prompt], 1).to(device),
            (rows[:, 0] - self._own.offsets[own]).to(device),
        )

    def _prompts(self, place: Tensor, draws: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return prompts [B, P, D] and which positions hold one; a lone utterance has none."""
        count = self._section.prompt_frames or 0
        prompt = torch.zeros(len(place), count, self._own.frames.shape[1])
        is_prompt = torch.zeros(len(place), count, dtype=torch.bool)
        shares = [0.0] * len(place) if draws is None else draws.tolist()
        for row, (number, share) in enumerate(zip(place.tolist(), shares, strict=True)):
            donors = self._donors[number]
            if len(donors):
                start = int(self._own.offsets[donors[int(share * len(donors))]])
                prompt[row] = self._own.frames[start : start + count]
                is_prompt[row] = True
        return prompt, is_prompt


def conditions_of(
    section: ConditionSection | None,
    block: LatentBlock,
    own: Indexed,
    transcripts: Transcripts | None,
) -> Conditions | None:
    """Return what utterances of a block are told; None where the settings tell nothing.

    Raises:
        ValueError: A transcript is missing or does not fit the settings.
    """
    if section is None:
        return None
    speakers = np.asarray(block.speaker_ids)
    found = Utterances(own.frames, own.offsets, own.utterances, block.utterance_ids, speakers)
    return Conditions(section, found, transcripts)


def _donors(own: Utterances, prompt_frames: int) -> list[np.ndarray]:
    """Return for each utterance used the numbers of those whose first frames may be its prompt."""
    used = own.used.numpy()
    if not prompt_frames:
        return [used[:0]] * len(used)
    speakers = np.asarray(own.speakers, dtype=str)[used]
    is_long = np.diff(own.offsets.numpy())[used] >= prompt_frames
    of_speaker = {name: used[(speakers == name) & is_long] for name in np.unique(speakers)}
    found = []
    for number, name in zip(used, speakers, strict=True):
        others = of_speaker[name]
        after = int(np.searchsorted(others, number, side="right"))
        ahead = np.roll(others, -after)  # the next one first
        found.append(ahead[ahead != number])
    return found
