"""Texts and speaker prompts of the utterances of a block.

Shapes: N frames of a block, U utterances used, B chunks, T frames of a chunk, L characters of the
longest text of a batch.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from engram_audio.generation.condition import Condition
from engram_audio.generation.condition_config import ConditionSection, TextSection
from engram_audio.generation.prompts import Prompts
from engram_audio.latents.block import LatentBlock

Transcripts = Mapping[str, str]  # by utterance id


class Indexed(Protocol):
    """Frames of a block, offsets of its utterances, and numbers of those used."""

    frames: Tensor
    offsets: Tensor
    utterances: Tensor


class Utterances(NamedTuple):
    """Utterances that may be told something.

    Attributes:
        num_dims: D.
        offsets: Of all utterances of the block.
        used: Numbers of those used, ascending, [U].
        ids: Of all utterances of the block.
        speakers: Likewise.
    """

    num_dims: int
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


def require_transcripts(
    section: ConditionSection | None, ids: Iterable[str], transcripts: Transcripts | None
) -> None:
    """Check the transcripts of all utterances of a study before the first training.

    Raises:
        ValueError: One is missing or does not fit the settings.
    """
    if section is None or section.text is None:
        return
    for name in ids:
        symbols_of(name, (transcripts or {}).get(name), section.text)


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
        self, section: ConditionSection, own: Utterances, transcripts: Transcripts | None,
        prompts: Prompts | None,
    ) -> None:  # fmt: skip
        """Look up the transcripts.

        Raises:
            ValueError: One is missing or does not fit the settings, or prompts are.
        """
        if section.prompt_frames is not None and prompts is None:
            raise ValueError("a generator with a speaker prompt needs the prompts of the part")
        self._own, self._prompts = own, prompts
        self._ids = np.asarray(own.ids, dtype=str)[own.used.numpy()]
        self._speakers = np.asarray(own.speakers, dtype=str)[own.used.numpy()]
        texts = [[] for _ in own.used]
        if section.text is not None:
            known = transcripts or {}
            names = self._ids.tolist()
            texts = [symbols_of(name, known.get(name), section.text) for name in names]
        self._lengths = torch.tensor([len(text) for text in texts])
        self._symbols = torch.zeros(len(texts), int(self._lengths.max()), dtype=torch.int16)
        for row, text in zip(self._symbols, texts, strict=True):
            row[: len(text)] = torch.tensor(text, dtype=torch.int16)

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
        prompt, is_prompt = self._prompted(place, draws)
        return Condition(
            self._symbols[place, :longest].long().to(device),
            prompt.to(device),
            torch.cat([is_text, is_prompt], 1).to(device),
            (rows[:, 0] - self._own.offsets[own]).to(device),
        )

    def _prompted(self, place: Tensor, draws: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return prompts and which positions hold one; see `Prompts.of`."""
        if self._prompts is None:
            nothing = torch.zeros(len(place), 0, dtype=torch.bool)
            return torch.zeros(len(place), 0, self._own.num_dims), nothing
        chosen = place.numpy()
        names, speakers = self._ids[chosen].tolist(), self._speakers[chosen].tolist()
        return self._prompts.of(names, speakers, draws)


def conditions_of(
    section: ConditionSection | None,
    block: LatentBlock,
    own: Indexed,
    transcripts: Transcripts | None,
    prompts: Prompts | None,
) -> Conditions | None:
    """Return what utterances of a block are told; None where the settings tell nothing.

    Raises:
        ValueError: A transcript is missing or does not fit the settings, or prompts are missing.
    """
    if section is None:
        return None
    speakers, num_dims = np.asarray(block.speaker_ids), own.frames.shape[1]
    found = Utterances(num_dims, own.offsets, own.utterances, block.utterance_ids, speakers)
    return Conditions(section, found, transcripts, prompts)
