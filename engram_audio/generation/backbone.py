"""A causal transformer with a key/value cache: one code path for whole sequences and for steps.

Blocks are pre-norm, with rotary positions and output layers that start at zero. A position sees
the newest c positions, itself included, wherever in the sequence it stands.

Shapes: B sequences, T new positions, P positions in the cache, d width, h heads, e width of a head.
"""

import functools
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engram_audio.generation.backbone_config import place_before
from engram_audio.generation.condition import EmbeddedPrefix
from engram_audio.generation.rms_norm import RMSNorm

ROTARY_BASE = 10_000.0
PAGE = 256  # positions whose turns are kept for the steps of a stream


class Cache(NamedTuple):
    """Keys and values of the newest positions of one block, each [B, h, P, e]."""

    keys: Tensor
    values: Tensor


class Prefix(NamedTuple):
    """What stands before all frames and is seen by each, however far back.

    Attributes:
        caches: Keys and values of the Q positions, one for each block.
        is_seen: Which positions hold something, bool, [B, Q].
    """

    caches: tuple[Cache, ...]
    is_seen: Tensor


class Sight(NamedTuple):
    """What the new positions of a pass see, the same in every block.

    Attributes:
        rotation: Their turns as complex numbers, [T, e / 2].
        mask: Which cached and new positions each one sees, bool, [T, P + T]; None for all. With a
            prefix that comes first, [B, 1, T, Q + P + T].
        is_causal: Whether they see the new positions up to themselves; then nothing is cached.
    """

    rotation: Tensor
    mask: Tensor | None
    is_causal: bool


def sight(
    first: int, count: int, num_cached: int, context: int, head_width: int, like: Tensor
) -> Sight:
    """Return what `count` new positions from number `first` on see.

    Args:
        first: Number of the first new position in its sequence.
        count: T.
        num_cached: P, at most `context - 1`.
        context: c.
        head_width: e.
        like: A tensor of the device and the type wanted.
    """
    rotation = _rotation(first, count, head_width // 2, like)
    if count == 1:
        return Sight(rotation, None, False)
    if not num_cached and count <= context:
        return Sight(rotation, None, True)
    new = torch.arange(num_cached, num_cached + count, device=like.device)
    age = new[:, None] - torch.arange(num_cached + count, device=like.device)
    return Sight(rotation, (age >= 0) & (age < context), False)


def _with_prefix(seen: Sight, is_seen: Tensor, num_cached: int, count: int) -> Sight:
    """Return a sight of `count` new positions with the positions [B, Q] of a prefix before it."""
    own = seen.mask
    if own is None:
        own = is_seen.new_ones(count, num_cached + count).tril(num_cached)
    before = is_seen[:, None, None].expand(-1, 1, count, -1)
    return Sight(
        seen.rotation, torch.cat([before, own.expand(len(is_seen), 1, -1, -1)], -1), False
    )  # fmt: skip


def _rotation(first: int, count: int, half: int, like: Tensor) -> Tensor:
    """Return the turns; angles in float64, or hours of frames would lose their digits."""
    if count == 1:
        page, place = divmod(first, PAGE)
        return _page(page, half, like.device)[place : place + 1]
    return _turns(first, count, half, like.device)


@functools.lru_cache(maxsize=8)
def _page(number: int, half: int, device: torch.device) -> Tensor:
    """Return the turns of a page of positions: steps come one after the other."""
    return _turns(number * PAGE, PAGE, half, device)


def _turns(first: int, count: int, half: int, device: torch.device) -> Tensor:
    return _turns_at(torch.arange(first, first + count, dtype=torch.float64, device=device), half)


def _turns_at(places: Tensor, half: int) -> Tensor:
    """Return the turns of places in float64, [..., e / 2]."""
    own = torch.arange(half, dtype=torch.float64, device=places.device)
    rate = ROTARY_BASE ** (-own / max(half, 1))
    angle = places[..., None] * rate
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)


def _rotated(values: Tensor, rotation: Tensor) -> Tensor:
    """Return [..., T, e] turned pair by pair: neighbouring numbers are one complex number."""
    pairs = torch.view_as_complex(values.float().view(*values.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * rotation).flatten(-2).to(values.dtype)


class Attention(nn.Module):
    """Rotary attention over the cached and the new positions."""

    def __init__(self, width: int, num_heads: int) -> None:
        """Make the projections; that of the output starts at zero."""
        super().__init__()
        self.num_heads = num_heads
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.output.weight)

    def forward(
        self, hidden: Tensor, seen: Sight, cache: Cache | None, added_value: Tensor | None,
        prefix: Cache | None = None,
    ) -> tuple[Tensor, Cache]:  # fmt: skip
        """Return what is added to the hidden state, [B, T, d], and all keys and values.

        Args:
            hidden: Normalised, [B, T, d].
            seen: What the new positions see.
            cache: Of the positions before; None where there are none.
            added_value: Added to the values of the first head, [B, T, e]; None adds nothing.
            prefix: Of the positions before all frames; None where there are none.
        """
        heads = self.project(hidden).view(*hidden.shape[:2], 3, self.num_heads, -1)
        turned, value = heads.permute(2, 0, 3, 1, 4).split([2, 1])
        query, key = _rotated(turned, seen.rotation)
        value = value.squeeze(0)
        if added_value is not None:
            value = torch.cat([value[:, :1] + added_value.unsqueeze(1), value[:, 1:]], 1)
        if cache is not None:
            key = torch.cat([cache.keys, key], 2)
            value = torch.cat([cache.values, value], 2)
        held = Cache(key, value)
        if prefix is not None:
            key = torch.cat([prefix.keys, key], 2)
            value = torch.cat([prefix.values, value], 2)
        mixed = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=seen.mask, is_causal=seen.is_causal
        )
        return self.output(mixed.transpose(1, 2).flatten(2)), held


class Block(nn.Module):
    """Attention, then an MLP, each on a normalised state and added to it."""

    def __init__(
        self, width: int, mlp_units: int, num_heads: int, context: int, dropout: float
    ) -> None:
        """Make the block; it leaves the hidden state as it is until it is trained."""
        super().__init__()
        self.context = context
        self.attention_norm, self.mlp_norm = RMSNorm(width), RMSNorm(width)
        self.attention = Attention(width, num_heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_units), nn.GELU(), nn.Linear(mlp_units, width)
        )
        for parameter in self.mlp[2].parameters():
            nn.init.zeros_(parameter)
        self.dropout = nn.Dropout(dropout)

    def sight(self, first: int, cache: Cache | None, hidden: Tensor) -> Sight:
        """Return what new positions [B, T, d] see; all blocks of one context see the same."""
        num_cached = 0 if cache is None else cache.keys.shape[2]
        head_width = hidden.shape[2] // self.attention.num_heads
        return sight(first, hidden.shape[1], num_cached, self.context, head_width, hidden)

    def forward(
        self, hidden: Tensor, seen: Sight, cache: Cache | None, added_value: Tensor | None = None,
        prefix: Cache | None = None,
    ) -> tuple[Tensor, Cache]:  # fmt: skip
        """Return the new hidden states, [B, T, d], and all keys and values; see `kept`."""
        normed = self.attention_norm(hidden)
        mixed, held = self.attention(normed, seen, cache, added_value, prefix)
        hidden = hidden + self._dropped(mixed)
        return hidden + self._dropped(self.mlp(self.mlp_norm(hidden))), held

    def kept(self, held: Cache) -> Cache:
        """Return of all keys and values what the next pass may see."""
        left = held.keys.shape[2] - self.context + 1
        return Cache(held.keys[:, :, left:], held.values[:, :, left:]) if left > 0 else held

    def _dropped(self, added: Tensor) -> Tensor:
        return self.dropout(added) if self.training else added


class Insertions(Protocol):
    """What a memory does in one pass."""

    def added(self, place: str, hidden: Tensor, num_leading: int) -> Tensor:
        """Return hidden states with what is added at a place; leading positions are no frames."""
        ...

    def value(self, place: str, hidden: Tensor, num_leading: int) -> Tensor | None:
        """Return what is added to the first head's values, [B, T, e]; None for nothing."""
        ...


class Backbone(nn.Module):
    """Embedded frames through the blocks; a learned vector stands before the first frame."""

    def __init__(
        self, num_dims: int, width: int, mlp_units: int, num_blocks: int, num_heads: int,
        context: int, dropout: float, is_checkpointed: bool = False,
    ) -> None:  # fmt: skip
        """Make the blocks."""
        super().__init__()
        self._is_checkpointed = is_checkpointed
        self.embed = nn.Linear(num_dims, width)
        self.first = nn.Parameter(torch.randn(width) / width**0.5)
        self.blocks = nn.ModuleList(
            Block(width, mlp_units, num_heads, context, dropout) for _ in range(num_blocks)
        )

    def forward(
        self, z: Tensor, first: int, caches: tuple[Cache, ...], memory: Insertions,
        prefix: Prefix | None = None,
    ) -> tuple[Tensor, tuple[Cache, ...]]:  # fmt: skip
        """Return the hidden states of new frames, [B, T, d], and what the next pass may see.

        Args:
            z: New frames in train SD, [B, T, D].
            first: Positions before them; 0 is the start, where the learned vector comes first.
            caches: One for each block; none at the start.
            memory: What is added in between.
            prefix: What stands before all frames; None for nothing.
        """
        hidden = self.embed(z).float()  # what is summed over blocks is not rounded under autocast
        num_leading = 0 if first else 1
        if num_leading:
            hidden = torch.cat([self.first.expand(len(z), 1, -1).to(hidden.dtype), hidden], 1)
        seen = cast(Block, self.blocks[0]).sight(first, caches[0] if caches else None, hidden)
        if prefix is not None:
            num_cached = caches[0].keys.shape[2] if caches else 0
            seen = _with_prefix(seen, prefix.is_seen, num_cached, hidden.shape[1])
        kept = []
        for number, block in enumerate(self.blocks):
            place = place_before(number)
            hidden = memory.added(place, hidden, num_leading)
            value = memory.value(place, hidden, num_leading)
            before = caches[number] if caches else None
            own = cast(Block, block)
            told = None if prefix is None else prefix.caches[number]
            hidden, held = self._through(own, hidden, seen, before, value, told)
            kept.append(own.kept(held))
        return hidden[:, num_leading:], tuple(kept)

    def _through(
        self, block: Block, hidden: Tensor, seen: Sight, cache: Cache | None, value: Tensor | None,
        prefix: Cache | None = None,
    ) -> tuple[Tensor, Cache]:  # fmt: skip
        """Return what a block does; checkpointed, its backward pass makes its inside anew."""
        if self._is_checkpointed and torch.is_grad_enabled():
            return checkpoint(block, hidden, seen, cache, value, prefix, use_reentrant=False)
        return block(hidden, seen, cache, value, prefix)

    def encode(self, embedded: EmbeddedPrefix) -> Prefix:
        """Return what frames see of a prefix, which goes through the blocks once."""
        hidden, half = embedded.hidden, self._half_head
        causal = embedded.is_seen.new_ones(2 * (len(embedded.places),)).tril()
        alone = torch.eye(len(embedded.places), dtype=torch.bool, device=hidden.device)
        mask = (causal & embedded.is_seen[:, None]) | alone
        seen = Sight(_turns_at(embedded.places.double(), half), mask.unsqueeze(1), False)
        # The first frame of an utterance stands right after the last position.
        away = _turns_at(-(embedded.length + embedded.first_frames).double(), half)[:, None, None]
        caches = []
        for block in self.blocks:
            hidden, held = self._through(cast(Block, block), hidden, seen, None, None)
            caches.append(Cache(_rotated(held.keys, away), held.values))
        return Prefix(tuple(caches), embedded.is_seen)

    @property
    def _half_head(self) -> int:
        return len(self.first) // cast(Block, self.blocks[0]).attention.num_heads // 2
