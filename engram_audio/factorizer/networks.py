"""Causal networks over sequences, with the carry that free running needs.

Shapes: B sequences, T frames, I inputs, H width, C context frames.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from engram_audio.factorizer.config import NetworkSettings


class CausalNetwork(nn.Module, ABC):
    """Output t depends on inputs 0 .. t only."""

    width: int

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs, shape [B, T, H], of inputs [B, T, I] from the start of a sequence."""

    @abstractmethod
    def initial(self, num_sequences: int, device: torch.device) -> Tensor:
        """Return the carry before the first input; its first axis is the sequence."""

    @abstractmethod
    def step(self, inputs: Tensor, carry: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output [B, H] of one more input [B, I], and the new carry."""

    def prime(self, inputs: Tensor) -> Tensor:
        """Return the carry after inputs [B, T, I]; T may be 0."""
        carry = self.initial(len(inputs), inputs.device)
        for number in range(inputs.shape[1]):
            _, carry = self.step(inputs[:, number], carry)
        return carry


class Gru(CausalNetwork):
    """Gated recurrent units; the carry is the state of all layers, [B, layers, H]."""

    def __init__(self, num_inputs: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.width, self.num_layers = settings.width, settings.num_layers
        self.gru = nn.GRU(num_inputs, settings.width, settings.num_layers, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """See `CausalNetwork.forward`."""
        return self.gru(inputs)[0]

    def initial(self, num_sequences: int, device: torch.device) -> Tensor:
        """See `CausalNetwork.initial`."""
        return torch.zeros(num_sequences, self.num_layers, self.width, device=device)

    def step(self, inputs: Tensor, carry: Tensor) -> tuple[Tensor, Tensor]:
        """See `CausalNetwork.step`."""
        output, hidden = self.gru(inputs.unsqueeze(1), carry.transpose(0, 1).contiguous())
        return output[:, 0], hidden.transpose(0, 1)

    def prime(self, inputs: Tensor) -> Tensor:
        """See `CausalNetwork.prime`."""
        if not inputs.shape[1]:
            return self.initial(len(inputs), inputs.device)
        return self.gru(inputs)[1].transpose(0, 1)


class CausalTransformer(CausalNetwork):
    """Pre-norm attention on the newest C frames, relative positions as learned biases.

    The carry holds those C inputs, the newest last, and a flag for each that exists: [B, C, I + 1].
    """

    def __init__(self, num_inputs: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.width, self.context_frames = settings.width, settings.context_frames
        self.num_inputs, self.num_heads = num_inputs, settings.num_heads
        self.embed = nn.Linear(num_inputs, settings.width)
        self.blocks = nn.ModuleList(
            _Block(settings.width, settings.num_heads, settings.context_frames)
            for _ in range(settings.num_layers)
        )
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, inputs: Tensor) -> Tensor:
        """See `CausalNetwork.forward`."""
        hidden = self.embed(inputs)
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)

    def initial(self, num_sequences: int, device: torch.device) -> Tensor:
        """See `CausalNetwork.initial`."""
        reach = self._reach()
        return torch.zeros(num_sequences, reach, self.num_inputs + 1, device=device)

    def _reach(self) -> int:
        """Inputs that the newest output depends on: each layer reaches C - 1 frames further."""
        return len(self.blocks) * (self.context_frames - 1) + 1

    def step(self, inputs: Tensor, carry: Tensor) -> tuple[Tensor, Tensor]:
        """See `CausalNetwork.step`."""
        flag = torch.ones_like(inputs[:, :1])
        newest = torch.cat([inputs, flag], 1).unsqueeze(1)
        carry = torch.cat([carry[:, 1:], newest], 1)
        length = int(carry[0, :, -1].sum())  # all sequences of a batch are equally old
        return self(carry[:, -length:, :-1])[:, -1], carry


class _Block(nn.Module):
    def __init__(self, width: int, num_heads: int, context_frames: int) -> None:
        super().__init__()
        self.num_heads, self.context_frames = num_heads, context_frames
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(num_heads, context_frames))
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        num_frames = hidden.shape[1]
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.project(self.first_norm(hidden)).chunk(3, -1)
        )
        place = torch.arange(num_frames, device=hidden.device)
        age = place[:, None] - place[None, :]
        is_seen = (age >= 0) & (age < self.context_frames)
        bias = self.bias[:, age.clamp(0, self.context_frames - 1)]
        mask = bias.masked_fill(~is_seen, float("-inf"))
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        hidden = hidden + self.output(mixed.transpose(1, 2).flatten(2))
        return hidden + self.mlp(self.second_norm(hidden))


def build_network(num_inputs: int, settings: NetworkSettings) -> CausalNetwork:
    """Build the network of a section."""
    kinds = {"gru": Gru, "transformer": CausalTransformer}
    return kinds[settings.kind](num_inputs, settings)


def mlp(num_inputs: int, width: int, num_outputs: int) -> nn.Sequential:
    """Return two hidden layers whose output starts at zero: idle beside a linear skip."""
    last = nn.Linear(width, num_outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(num_inputs, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), last
    )


class LinearPlusMlp(nn.Module):
    """A linear map plus an MLP that starts at zero."""

    def __init__(self, num_inputs: int, width: int, num_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_inputs, num_outputs)
        self.mlp = mlp(num_inputs, width, num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs, shape [..., O], of inputs [..., I]."""
        return self.linear(inputs) + self.mlp(inputs)


class LinearContext(nn.Module):
    """A linear map of the newest L frames: what a linear predictor would use."""

    def __init__(self, num_inputs: int, num_frames: int, num_outputs: int) -> None:
        super().__init__()
        self.num_frames = num_frames
        self.convolution = nn.Conv1d(num_inputs, num_outputs, num_frames, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs, shape [B, T, O], of inputs [B, T, I]; frames before the first are 0."""
        padded = nn.functional.pad(inputs.transpose(1, 2), (self.num_frames - 1, 0))
        return self.convolution(padded).transpose(1, 2)
