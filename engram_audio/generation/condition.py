"""What a generator is told of an utterance before its frames: a text and a speaker prompt.

They are a prefix: positions of the longest text, then those of the prompt. Each position sees those
before it, and no frame. Every frame sees them all. A sequence that begins inside an utterance is as
far from them as its frames are in the whole utterance.

Shapes: B sequences, L positions of the longest text here, P frames of the prompt, Q = L + P, D
dimensions, d width.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from engram_audio.generation.condition_config import ConditionSection


class Condition(NamedTuple):
    """Texts and prompts of sequences.

    Attributes:
        symbols: Shape [B, L].
        prompt: Frames in the units of the latents, [B, P, D].
        is_seen: Which positions hold something, bool, [B, Q]; where none does, nothing is told.
        first_frames: Number of each sequence's first frame in its utterance, [B].
    """

    symbols: Tensor
    prompt: Tensor
    is_seen: Tensor
    first_frames: Tensor

    def dropped(self, is_dropped: Tensor) -> Self:
        """Return it with nothing told to some sequences, bool, [B]."""
        return self._replace(is_seen=self.is_seen & ~is_dropped.unsqueeze(1))

    def unprompted(self, is_dropped: Tensor) -> Self:
        """Return it with no prompt for some sequences, bool, [B]; texts stay."""
        is_prompt = torch.arange(self.is_seen.shape[1], device=self.is_seen.device)
        is_prompt = is_prompt >= self.symbols.shape[1]
        return self._replace(is_seen=self.is_seen & ~(is_dropped.unsqueeze(1) & is_prompt))

    def at(self, first_frame: int) -> Self:
        """Return it for sequences that begin at a frame of their utterance."""
        return self._replace(first_frames=torch.full_like(self.first_frames, first_frame))


class EmbeddedPrefix(NamedTuple):
    """A prefix before it goes through the blocks.

    Attributes:
        hidden: Shape [B, Q, d].
        places: Number of each position, [Q].
        length: Positions that there may be.
        is_seen: See `Condition`.
        first_frames: See `Condition`.
    """

    hidden: Tensor
    places: Tensor
    length: int
    is_seen: Tensor
    first_frames: Tensor


class Conditioner(nn.Module):
    """Embeds the characters of a text, and marks the frames of a prompt."""

    def __init__(self, section: ConditionSection, width: int) -> None:
        """Make the embedding."""
        super().__init__()
        self.section = section
        self.embed = self.mark = None
        if section.text is not None:
            self.embed = nn.Embedding(section.text.num_symbols, width)
        if section.prompt_frames is not None:
            self.mark = nn.Parameter(torch.randn(width) / width**0.5)

    @property
    def num_weights(self) -> int:
        """Numbers that no generated frame reads."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, condition: Condition, prompt: Tensor) -> EmbeddedPrefix:
        """Return the positions of a condition whose prompt is embedded, [B, P, d]."""
        parts, count = [], condition.symbols.shape[1]
        if self.embed is not None:
            parts.append(self.embed(condition.symbols))
        if self.mark is not None:
            parts.append(prompt + self.mark)
        places = torch.arange(condition.is_seen.shape[1], device=prompt.device)
        places[count:] += self.section.text_length - count
        return EmbeddedPrefix(
            torch.cat(parts, 1).float(), places, self.section.prefix_length, condition.is_seen,
            condition.first_frames,
        )  # fmt: skip


def guided(told: Tensor, untold: Tensor, scale: float) -> Tensor:
    """Return features on the line from those that were told nothing to those that were told.

    A head makes its law of them. The mixture's law is linear in them: log weights before they are
    normalised, means, log SDs and releases lie on the line of the two laws.

    Args:
        told: Features under the condition, [..., H].
        untold: Features without it.
        scale: At 0 they are the latter, at 1 the former. Beyond 1 they go on away from the latter.
    """
    return untold + scale * (told - untold)
