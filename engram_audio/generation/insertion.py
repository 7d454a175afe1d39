"""How the vector e of a frame enters the hidden state: behind a gate, scaled, or as a value.

Shapes: B sequences, T frames, d width of the hidden state, E width of e.
"""

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from engram_audio.generation.backbone_config import OUTPUT
from engram_audio.generation.model_config import EngramInsertion
from engram_audio.generation.rms_norm import RMSNorm
from engram_audio.generation.sources import Keys, VectorSource
from engram_audio.memory.engram import EngramReader

FIRST_SCALE = 0.1  # of an added row


class Reading(NamedTuple):
    """What a memory did at one place.

    Attributes:
        added: What it added, [B, T, d], or [B, T, e] to the values of a head.
        gate: Its gate, [B, T]; None where there is none.
        hidden: The state that it was added to, [B, T, d].
    """

    added: Tensor
    gate: Tensor | None
    hidden: Tensor

    def share(self) -> Tensor:
        """Return the size of what was added over that of the state, [B, T]."""
        return self.added.norm(dim=-1) / self.hidden.norm(dim=-1).clamp_min(1e-12)


class GatedValue(nn.Module):
    """gate W e: the gate asks the state, starts at 1/2, and is one number where it is constant.

    Attributes:
        constant_gate: A value that a probe puts in place of the gate.
    """

    def __init__(self, width: int, embedded: int, is_gate_constant: bool) -> None:
        """Make gate and projection."""
        super().__init__()
        self.value = nn.Linear(embedded, width, bias=False)
        self.norm = RMSNorm(width)
        self.ask = None if is_gate_constant else nn.Linear(width, 1)
        self.logit = nn.Parameter(torch.zeros(())) if is_gate_constant else None
        for parameter in () if self.ask is None else self.ask.parameters():
            nn.init.zeros_(parameter)
        self.constant_gate: float | None = None

    def gate(self, hidden: Tensor) -> Tensor:
        """Return the gate, [B, T, 1]."""
        if self.constant_gate is not None:
            return torch.full_like(hidden[..., :1], self.constant_gate)
        if self.ask is None:
            assert self.logit is not None
            return torch.sigmoid(self.logit).expand(*hidden.shape[:2], 1)
        return torch.sigmoid(self.ask(self.norm(hidden)))

    def forward(
        self, hidden: Tensor, embedded: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return what is added [B, T, d], the gate [B, T], and nothing to remember."""
        gate = self.gate(hidden)
        return gate * self.value(embedded), gate[..., 0], past


class Engram(EngramReader):
    """The Engram form, which streams: the convolution's reach is remembered."""

    def __init__(
        self, insertion: EngramInsertion, width: int, embedded: int, is_gate_constant: bool
    ) -> None:
        """Make gate, projections and convolution."""
        super().__init__(
            width, embedded, insertion.gate, insertion.kernel_frames, insertion.dilation_frames
        )
        self.logit = None
        if is_gate_constant:  # nothing is compared
            self.logit = nn.Parameter(torch.zeros(()))
            del self.key, self.norm_hidden, self.norm_key

    def gate(self, hidden: Tensor, embedded: Tensor) -> Tensor:
        """Return the gate, [B, T, 1]."""
        if self.constant_gate is None and self.logit is not None:
            return torch.sigmoid(self.logit).expand(*hidden.shape[:2], 1)
        return super().gate(hidden, embedded)

    def forward(
        self, hidden: Tensor, embedded: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return what is added [B, T, d], the gate [B, T], and the gated values in reach."""
        gate = self.gate(hidden, embedded)
        gated = gate * self.value(embedded)
        held = gated if past is None else torch.cat([past, gated], 1)
        added = self.mixed(held)[:, -gated.shape[1] :]
        return added, gate[..., 0], held[:, -self.reach :] if self.reach else None


class Scaled(nn.Module):
    """A learned scalar times e: no gate and no projection."""

    def __init__(self) -> None:
        """Make the scalar."""
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE))

    def forward(
        self, hidden: Tensor, embedded: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return what is added, [B, T, d]; there is no gate."""
        del hidden
        return self.scale * embedded, None, past


class Memory(nn.Module):
    """Sources and readers of a generator, by place.

    A source under `SHARED` serves all places. Without readers e is added to attention values.
    """

    SHARED = "shared"

    def __init__(self, sources: Mapping[str, VectorSource], readers: dict[str, nn.Module]) -> None:
        """Join them; the names of both are places, or `SHARED`."""
        super().__init__()
        self.sources, self.readers = nn.ModuleDict(sources), nn.ModuleDict(readers)

    def source(self, place: str) -> VectorSource:
        """Return the source of a place."""
        own = self.sources[self.SHARED if self.SHARED in self.sources else place]
        return cast(VectorSource, own)


class MemoryPass:
    """What a memory does in one pass over new frames; a `backbone.Insertions`.

    Attributes:
        readings: What was added, by place.
        past: What the next pass remembers, by place.
    """

    def __init__(self, memory: Memory | None, keys: Keys, past: dict[str, Tensor]) -> None:
        """Begin a pass; without a memory it adds nothing."""
        self._memory, self._keys, self._before = memory, keys, past
        self.readings: dict[str, Reading] = {}
        self.past: dict[str, Tensor] = {}

    def added(self, place: str, hidden: Tensor, num_leading: int) -> Tensor:
        """See `backbone.Insertions.added`."""
        if self._memory is None or place not in self._memory.readers:
            return hidden
        own = hidden[:, num_leading:] if num_leading else hidden
        embedded = self._memory.source(place)(own, self._keys)
        added, gate, past = self._memory.readers[place](own, embedded, self._before.get(place))
        self.readings[place] = Reading(added, gate, own)
        if past is not None:
            self.past[place] = past
        joined = own + added
        return torch.cat([hidden[:, :num_leading], joined], 1) if num_leading else joined

    def told(self, features: Tensor) -> Tensor:
        """Return the features [B, T, H], with what a memory in output space tells the head."""
        if self._memory is None or OUTPUT not in self._memory.readers:
            return features
        rows = self._memory.source(OUTPUT)(features, self._keys)
        found, gate = self._memory.readers[OUTPUT](features, rows)
        self.readings[OUTPUT] = Reading(torch.zeros_like(features), gate, features)
        return found

    def value(self, place: str, hidden: Tensor, num_leading: int) -> Tensor | None:
        """See `backbone.Insertions.value`."""
        if self._memory is None or len(self._memory.readers):
            return None
        own = hidden[:, num_leading:]
        added = self._memory.source(place)(own, self._keys)
        self.readings[place] = Reading(added, None, own)
        return nn.functional.pad(added, (0, 0, num_leading, 0))
