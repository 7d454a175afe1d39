"""Latent n-gram memory: a router reads bits off the hidden state, and n-grams of them find rows.

    z = W_r RMSNorm(h)              b = [z > 0]             a symbol a of M bits for each route
    row(t, r, n) = the row of symbols a_{t-n+1, r} .. a_{t, r} in a table of its own: no hash
    tau_r = rows of all orders      q = W_q RMSNorm(h)      k_r, v_r = W_kv RMSNorm(tau_r)
    w_r = exp(q k_r / sqrt(e)) / (exp(b0) + sum_s exp(q k_s / sqrt(e)))     o = W_o sum_r w_r v_r

The sink b0 = ln(R (1 - f) / f) gives all routes the weight f at the start. W_o starts at zero, so
the branch starts as nothing. Source: arXiv 2605.24869, its second readout, without a convolution.

Bits have no gradient. That of a logit is counterfactual: what the loss would change, to first
order, if the row with the bit set stood in the place of the row without, times the slope of the
sigmoid. Rows are fixed in it. It is exact in the rows and costs n M more reads of each route.

Shapes: B sequences, T frames, P symbols before them, R routes, M bits, K = 2 ** M symbols, O
orders, E numbers of a row, d width, H heads that ask, G heads of values, e width of a head.
"""

import itertools
import math
from typing import cast

import torch
from torch import Tensor, nn

from engram_audio.generation.insertion import GatedValue, Memory
from engram_audio.generation.model import Spec
from engram_audio.generation.model_config import ARMS, Arm, LatentInsertion
from engram_audio.generation.rms_norm import RMSNorm
from engram_audio.generation.sources import (
    CountedModule,
    FrameNetwork,
    Keys,
    RowTable,
    StateNetwork,
    VectorSource,
    units_of_equal_work,
)
from engram_audio.keys.encoder import KeyEncoder

NONE = -1  # symbol of a frame before the sequence


def build(spec: Spec, key: KeyEncoder, seed: int) -> Memory:
    """Return the memory of an arm, untrained; its weights come from torch's state.

    Args:
        spec: The arm's name, sizes and insertion, and the SD at which rows start.
        key: The key whose frames the control SMf reads.
        seed: Decides nothing here: rows are found without hashes.
    """
    del seed
    arm, own = ARMS[spec.arm], cast(LatentInsertion, spec.insertion)
    if arm.source in ("state_network", "frame_network"):
        pairs = {place: _network(spec, own, key) for place in own.places}
    else:
        pairs = {name: _routed(spec, own, arm, place) for place, name in enumerate(own.places)}
    sources = {place: source for place, (source, _) in pairs.items()}
    return Memory(sources, {place: reader for place, (_, reader) in pairs.items()})


def _routed(
    spec: Spec, own: LatentInsertion, arm: Arm, place: int
) -> tuple[VectorSource, nn.Module]:
    """Return router and reader of a place; without symbols to tell apart each route has one row."""
    width = spec.settings.width
    if arm.source == "one_row":
        return NoBits(), LatentReader(own, width, 0, place, spec.row_sd)
    router = Router(own, width, place)
    router.requires_grad_(not arm.is_router_fixed)
    reader = LatentReader(own, width, own.num_bits, place, spec.row_sd)
    reader.rows.table.weight.requires_grad_(not arm.are_rows_frozen)
    if not (arm.is_router_fixed or arm.is_foreign):
        reader.rows.told_share = own.router_share
    return router, reader


def _network(spec: Spec, own: LatentInsertion, key: KeyEncoder) -> tuple[VectorSource, nn.Module]:
    """Return a network of the state, or of the key's frames, that works as much as the lookup."""
    width, embedded = spec.settings.width, len(own.ngram_orders) * own.row_width
    flops = branch_flops(own, width) - 2 * width * (embedded + 1)  # less value and gate
    reader = GatedValue(width, embedded, False)
    if ARMS[spec.arm].source == "state_network":
        return StateNetwork(width, units_of_equal_work(flops, width, embedded), embedded), reader
    inputs = key.state_frames * spec.dimensions.num_dims
    return FrameNetwork(inputs, units_of_equal_work(flops, inputs, embedded), embedded), reader


def branch_flops(own: LatentInsertion, width: int) -> int:
    """Return the work of one place for a frame: router, questions, tokens, weights, output, rows.

    Args:
        own: The memory.
        width: d.
    """
    routes, token = own.num_routes, len(own.ngram_orders) * own.row_width
    asked = own.num_heads * own.head_width
    held = 2 * own.num_value_heads * own.head_width
    maps = width * routes * own.num_bits + 2 * width * asked + routes * token * held
    return 2 * maps + 4 * routes * asked + routes * token


class Router(VectorSource):
    """Logits of the bits of all routes.

    Attributes:
        num_steps: Training steps that it has seen.
        last_step: Steps after which its weights stay; None: it learns throughout. The state that it
            reads goes on training, so symbols still change.
    """

    num_steps: Tensor

    def __init__(self, own: LatentInsertion, width: int, place: int) -> None:
        """Make the projection of states of a width, at a place by its number."""
        super().__init__()
        self.num_routes, self.num_bits = own.num_routes, own.num_bits
        self._routes, self._share = routes_of(own, place), own.router_share
        self.width = own.num_routes * own.num_bits
        self.norm = RMSNorm(width)
        self.project = nn.Linear(width, self.width, bias=False)
        nn.init.normal_(self.project.weight, std=own.router_sd)
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))
        self.last_step: int | None = None

    def expect_steps(self, num_steps: int) -> None:
        """See `VectorSource`."""
        self.last_step = int(self._share * num_steps)

    def count_step(self) -> None:
        """See `VectorSource`."""
        self.num_steps.add_(1)

    @property
    def is_settled(self) -> bool:
        """Whether its share of the training is over."""
        return self.last_step is not None and int(self.num_steps) > self.last_step

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits of the bits of states [B, T, d], [B, T, R * M]; never in half precision."""
        with torch.autocast(hidden.device.type, enabled=False):
            found = self.project(self.norm(hidden.float()))
        return found.detach() if self.training and self.is_settled else found

    def symbols(self, hidden: Tensor) -> Tensor:
        """Return the symbols of states, [B, T, R]."""
        return symbols_of(self.logits(hidden), self.num_routes)

    def forward(self, hidden: Tensor, keys: Keys) -> Tensor:
        """Return logits, [B, T, R * M]; of given symbols -1 and 1, or -inf where there is none."""
        if keys.codes is None:
            return self.logits(hidden)
        given = keys.codes[..., self._routes].unsqueeze(-1)
        bits = (given >> torch.arange(self.num_bits, device=given.device)) & 1
        found = (2.0 * bits - 1).masked_fill(given >= 2**self.num_bits, -math.inf)
        return found.flatten(-2)


def routes_of(own: LatentInsertion, place: int) -> slice:
    """Return where the routes of a place stand among those of all places."""
    return slice(place * own.num_routes, (place + 1) * own.num_routes)


class NoBits(VectorSource):
    """In place of a router where all keys are one."""

    width = 0

    def forward(self, hidden: Tensor, keys: Keys) -> Tensor:
        """Return logits of no bit, [B, T, 0]."""
        del keys
        return hidden.new_zeros(*hidden.shape[:2], 0)


def symbols_of(logits: Tensor, num_routes: int) -> Tensor:
    """Return the symbols of logits [B, T, R * M], [B, T, R]; `NONE` where a logit is -inf."""
    own = logits.unflatten(-1, (num_routes, -1))
    powers = 2 ** torch.arange(own.shape[-1], device=own.device)
    found = ((own > 0) * powers).sum(-1)
    return found.masked_fill((own == -math.inf).any(-1), NONE)


class RouteRows(RowTable):
    """Rows of the n-grams of every route and order, one for each, in one table.

    Attributes:
        reach: P, symbols before a frame that it needs.
        told_share: Share of the training in which it tells the router what other bits would read.
    """

    first: Tensor

    def __init__(self, own: LatentInsertion, num_bits: int, place: int, start_sd: float) -> None:
        """Make the table of symbols of `num_bits` bits, at a place by its number."""
        sizes = [[2 ** (num_bits * order)] * own.num_routes for order in own.ngram_orders]
        ends = list(itertools.accumulate(itertools.chain(*sizes)))
        super().__init__(ends[-1], own.row_width, len(ends), own, start_sd)
        self.width = own.row_width
        self._orders, self._num_bits = own.ngram_orders, num_bits
        self._routes = routes_of(own, place)
        self._starts = [0, *ends[:-1]]
        first = torch.tensor(self._starts, device="cpu").view(len(sizes), -1)
        self.register_buffer("first", first, persistent=False)
        self.reach = max(own.ngram_orders) - 1
        self.told_share = 0.0

    @property
    def more_read_in_training(self) -> float:
        """See `VectorSource`: n M more rows of each route and n-gram of n symbols."""
        rows = len(self._starts) // len(self._orders) * self._num_bits * sum(self._orders)
        return self.told_share * rows * self.width

    @property
    def starts(self) -> list[int]:
        """See `RowTable.starts`: every route of every order."""
        return self._starts

    @torch.no_grad()
    def count_reads(self, codes: Tensor) -> None:
        """See `RowTable`; codes are the symbols of all places, [B, T, routes of all places]."""
        own = codes[..., self._routes]
        held = nn.functional.pad(own, (0, 0, self.reach, 0), value=NONE)
        numbers, whole = self.numbers(held)
        self.count_visits(numbers[whole])

    def numbers(self, held: Tensor) -> tuple[Tensor, Tensor]:
        """Return the row of each frame, route and order, and whether there is one.

        Args:
            held: Symbols of the frames and of the P = `reach` before them, [B, P + T, R].

        Returns:
            Row numbers and whether all symbols are there, each [B, T, O, R].
        """
        length = held.shape[1] - self.reach
        found, whole = [], []
        for number, order in enumerate(self._orders):
            ages = [held[:, self.reach - age :][:, :length] for age in range(order)]
            shifted = [own.clamp_min(0) << (self._num_bits * age) for age, own in enumerate(ages)]
            found.append(torch.stack(shifted).sum(0) + self.first[number])
            whole.append(torch.stack([own >= 0 for own in ages]).all(0))
        return torch.stack(found, 2), torch.stack(whole, 2)

    def rows(self, held: Tensor, logits: Tensor) -> Tensor:
        """Return rows, 0 where an n-gram is not whole yet, [B, T, O, R, E].

        Args:
            held: Symbols of the frames and of the P before them, [B, P + T, R].
            logits: Of the frames' bits, [B, T, R * M]; they get their gradient here.
        """
        numbers, whole = self.numbers(held)
        found = self.read(numbers.flatten(2)).unflatten(2, numbers.shape[2:])
        if torch.is_grad_enabled() and logits.requires_grad:
            found = self._with_gradient(found, numbers, logits.unflatten(-1, (-1, self._num_bits)))
        return found * whole.unsqueeze(-1)

    def _with_gradient(self, found: Tensor, numbers: Tensor, logits: Tensor) -> Tensor:
        """Return the same rows; the gradient of a bit is that of the row it would change to."""
        share = logits.sigmoid()
        nothing = share - share.detach()  # 0, with the slope of the sigmoid
        table = self.table.weight.detach()
        more = []
        for number, order in enumerate(self._orders):
            own, rows = numbers[:, :, number], found[:, :, number]
            for age in range(order):
                late = nn.functional.pad(nothing, (0, 0, 0, 0, age, 0))[:, : nothing.shape[1]]
                for bit in range(self._num_bits):
                    weight = 1 << (self._num_bits * age + bit)
                    is_set = ((own - self.first[number]) & weight) > 0
                    other = table[own + torch.where(is_set, -weight, weight)]
                    sign = 2.0 * is_set - 1
                    change = sign.unsqueeze(-1) * (rows.detach() - other)
                    rows = rows + late[..., bit : bit + 1] * change
            more.append(rows)
        return torch.stack(more, 2)


class LatentReader(CountedModule):
    """Heads that ask the routes of a frame, beside a sink."""

    def __init__(
        self, own: LatentInsertion, width: int, num_bits: int, place: int, start_sd: float
    ) -> None:
        """Make rows and maps; the output starts at zero."""
        super().__init__()
        self.num_routes, self._groups = own.num_routes, own.num_value_heads
        self._head_width, self._num_heads = own.head_width, own.num_heads
        token = len(own.ngram_orders) * own.row_width
        self.rows = RouteRows(own, num_bits, place, start_sd)
        self.norm, self.token_norm = RMSNorm(width), RMSNorm(token)
        self.ask = nn.Linear(width, own.num_heads * own.head_width, bias=False)
        self.tell = nn.Linear(token, 2 * own.num_value_heads * own.head_width, bias=False)
        self.output = nn.Linear(own.num_heads * own.head_width, width, bias=False)
        nn.init.zeros_(self.output.weight)
        share = own.first_open_share
        self._sink = math.log(own.num_routes * (1 - share) / share)

    @property
    def extra_flops(self) -> int:
        """See `CountedModule`: the map of tokens once per route, and two products of each head."""
        attended = 4 * self.num_routes * self._num_heads * self._head_width
        return 2 * (self.num_routes - 1) * self.tell.weight.numel() + attended

    def forward(
        self, hidden: Tensor, embedded: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return what is added [B, T, d], the weight of all routes [B, T], and newest symbols.

        Args:
            hidden: State, [B, T, d].
            embedded: Logits of the router, [B, T, R * M].
            past: Symbols of the frames before, [B, P, R]; None at a start.
        """
        held = self.held(embedded, past)
        tokens = self.rows.rows(held, embedded).transpose(2, 3).flatten(3)  # [B, T, R, O * E]
        told = self.tell(self.token_norm(tokens)).unflatten(-1, (2, self._groups, -1))
        keys, values = told.permute(3, 0, 1, 4, 2, 5)  # each [B, T, G, R, e]
        asked = self.ask(self.norm(hidden)).unflatten(-1, (self._groups, -1, self._head_width))
        weights = self._weights(asked @ keys.transpose(-1, -2))
        added = self.output((weights.to(values.dtype) @ values).flatten(2))
        reach = self.rows.reach
        gate = weights.sum(-1).flatten(2).mean(-1)
        return added, gate, held[:, -reach:] if reach else None

    def held(self, logits: Tensor, past: Tensor | None) -> Tensor:
        """Return symbols with those before them, [B, P + T, R]; there are none before a start."""
        own = symbols_of(logits, self.num_routes) if logits.shape[-1] else self._same(logits)
        if past is None:
            return nn.functional.pad(own, (0, 0, self.rows.reach, 0), value=NONE)
        return torch.cat([past, own], 1)

    def _same(self, logits: Tensor) -> Tensor:
        return logits.new_zeros(*logits.shape[:2], self.num_routes, dtype=torch.int64)

    def _weights(self, products: Tensor) -> Tensor:
        """Return the weight of each route, [B, T, G, H / G, R]; what is missing is the sink's."""
        scores = products.float() / self._head_width**0.5
        sink = scores.new_full((*scores.shape[:-1], 1), self._sink)
        return torch.cat([scores, sink], -1).softmax(-1)[..., :-1]
