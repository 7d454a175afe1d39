"""Networks from a context to a law of the bank or to a code, and how plain arrays run them.

A trained network is kept as arrays, `weight_0`, `bias_0` and so on, so that a fitted key holds no
module and runs on tensors of any device.

Shapes: B contexts, Q features, G components, K codes, E embedding dimensions.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Perceptron(nn.Sequential):
    """Layers of GELU units with dropout, and a linear layer at the end."""

    def __init__(
        self, num_inputs: int, width: int, num_layers: int, dropout: float, num_outputs: int
    ) -> None:
        """Make `num_layers` hidden layers of `width` units."""
        sizes = [num_inputs, *[width] * num_layers]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.GELU(), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Linear(sizes[-1], num_outputs))

    def linear_layers(self) -> list[nn.Linear]:
        """Return the layers that have weights, from the input on."""
        return [layer for layer in self if isinstance(layer, nn.Linear)]

    def arrays(self) -> dict[str, Any]:
        """Return the numbers of the layers as numpy arrays."""
        found = {}
        for number, layer in enumerate(self.linear_layers()):
            found[f"weight_{number}"] = layer.weight.detach().cpu().numpy().copy()
            found[f"bias_{number}"] = layer.bias.detach().cpu().numpy().copy()
        return found


def run_network(features: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
    """Return what the network of some arrays makes of features [B, Q]."""
    count = sum(name.startswith("weight_") for name in arrays)
    for number in range(count):
        features = functional.linear(features, arrays[f"weight_{number}"], arrays[f"bias_{number}"])
        if number + 1 < count:
            features = functional.gelu(features)
    return features


def nll_of(log_weights: Tensor, scores: Tensor) -> Tensor:
    """Return -log sum_g exp(log w_g + log N_g(y)), [B], of weights and densities [B, G]."""
    return -torch.logsumexp(log_weights + scores, 1)


class LawModel(nn.Module):
    """What is trained on targets: features to a loss."""

    def loss(self, features: Tensor, scores: Tensor, speakers: Tensor) -> Tensor:
        """Return what is minimised, a scalar.

        Args:
            features: [B, Q].
            scores: log N_g(y), [B, G].
            speakers: Numbers of the speakers, [B].
        """
        del speakers
        return self.nll(features, scores).mean()

    def nll(self, features: Tensor, scores: Tensor) -> Tensor:
        """Return the NLL of each target under what the model would use, [B]."""
        raise NotImplementedError


class LawPredictor(LawModel):
    """q(g | context): the weights of the bank by a network, the ceiling of every key."""

    def __init__(self, network: Perceptron) -> None:
        """Take the network."""
        super().__init__()
        self.network = network

    def nll(self, features: Tensor, scores: Tensor) -> Tensor:
        """See `LawModel.nll`."""
        return nll_of(torch.log_softmax(self.network(features), 1), scores)


class SoftCells(LawModel):
    """Network and centroids trained together by the exact expectation over the codes.

    r(k | c) = softmax(beta q(. | c) . log c_k), and the loss is sum_k r(k | c) (-log p(y | k)).
    beta grows over the training, so that the soft key ends as the hard one that is scored.
    """

    steps: Tensor

    def __init__(
        self, network: Perceptron, centroids: Tensor, betas: tuple[float, float], num_steps: int,
        num_speakers: int, speaker_weight: float,
    ) -> None:  # fmt: skip
        """Start as the key of the centroids [K, G]."""
        super().__init__()
        self.network = network
        self.log_centroids = nn.Parameter(centroids.clamp_min(1e-12).log())
        self._betas, self._num_steps, self._speaker_weight = betas, num_steps, speaker_weight
        self.speaker = nn.Linear(len(centroids), num_speakers) if speaker_weight else None
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def centroids(self) -> Tensor:
        """Return the laws of the cells as logs, [K, G]."""
        return torch.log_softmax(self.log_centroids, 1)

    def _nats(self, features: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return q . log c_k and log p(y | k), each [B, K]."""
        logs = self.centroids()
        laws = torch.softmax(self.network(features), 1)
        peak = scores.max(1, keepdim=True).values
        dense = ((scores - peak).exp() @ logs.exp().T).clamp_min(1e-30).log() + peak
        return laws @ logs.T, dense

    def loss(self, features: Tensor, scores: Tensor, speakers: Tensor) -> Tensor:
        """See `LawModel.loss`."""
        near, dense = self._nats(features, scores)
        share = float(self.steps) / max(self._num_steps, 1)
        first, last = self._betas
        soft = torch.softmax(first * (last / first) ** min(share, 1.0) * near, 1)
        self.steps += 1
        total = -(soft * dense).sum(1).mean()
        if self.speaker is None:
            return total
        speaker_logits = self.speaker(_Reversed.apply(soft, self._speaker_weight))
        return total + functional.cross_entropy(speaker_logits, speakers)

    def nll(self, features: Tensor, scores: Tensor) -> Tensor:
        """See `LawModel.nll`: of the hard code."""
        near, dense = self._nats(features, scores)
        return -dense.gather(1, near.argmax(1, keepdim=True))[:, 0]


class _Reversed(torch.autograd.Function):
    """The identity, with its gradient turned round and scaled."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradients[0], None


RESTART_STEPS = 20
RESTART_SHARE = 0.05  # of even use
USE_DECAY = 0.95
COMMITMENT = 0.25


class VectorQuantized(LawModel):
    """Straight-through codes: the nearest of K unit vectors, its gradient taken for its input's."""

    use: Tensor
    steps: Tensor

    def __init__(self, network: Perceptron, num_codes: int, num_dims: int, num_out: int) -> None:
        """Start with random unit vectors."""
        super().__init__()
        self.network = network
        self.codebook = nn.Parameter(functional.normalize(torch.randn(num_codes, num_dims), dim=1))
        self.decoder = Perceptron(num_dims, 256, 1, 0.0, num_out)
        self.register_buffer("use", torch.full((num_codes,), 1 / num_codes))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def _encoded(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the unit input, the unit code and its number."""
        z = functional.normalize(self.network(features), dim=1)
        book = functional.normalize(self.codebook, dim=1)
        codes = (z @ book.T).argmax(1)
        return z, book[codes], codes

    def loss(self, features: Tensor, scores: Tensor, speakers: Tensor) -> Tensor:
        """See `LawModel.loss`."""
        del speakers
        self._restart(features)
        z, own, codes = self._encoded(features)
        self._count(codes)
        logits = self.decoder(z + (own - z).detach())
        pull = (z.detach() - own).square().sum(1) + COMMITMENT * (z - own.detach()).square().sum(1)
        return (nll_of(torch.log_softmax(logits, 1), scores) + pull).mean()

    def nll(self, features: Tensor, scores: Tensor) -> Tensor:
        """See `LawModel.nll`."""
        _, own, _ = self._encoded(features)
        return nll_of(torch.log_softmax(self.decoder(own), 1), scores)

    @torch.no_grad()
    def _restart(self, features: Tensor) -> None:
        """Put codes that are hardly used on inputs of the batch, every few steps."""
        idle = torch.nonzero(self.use < RESTART_SHARE / len(self.use))[:, 0]
        if int(self.steps) % RESTART_STEPS or not len(idle):
            return
        z, _, _ = self._encoded(features)
        self.codebook[idle] = z[torch.randint(len(z), (len(idle),)).to(z.device)]
        self.use[idle] = 1 / len(self.use)

    @torch.no_grad()
    def _count(self, codes: Tensor) -> None:
        """Follow how often codes are used."""
        share = torch.bincount(codes, minlength=len(self.use)).to(self.use) / len(codes)
        self.use.mul_(USE_DECAY).add_(share, alpha=1 - USE_DECAY)
        self.steps += 1


class FiniteScalar(LawModel):
    """Finite scalar quantisation: each of a few numbers is rounded to one of its levels."""

    def __init__(self, network: Perceptron, levels: Sequence[int], num_out: int) -> None:
        """Take the network; it has one output for each number."""
        super().__init__()
        self.network, self._levels = network, list(levels)
        self.decoder = Perceptron(len(levels), 256, 1, 0.0, num_out)

    def _logits(self, features: Tensor) -> Tensor:
        half = (torch.tensor(self._levels, device=features.device) - 1) / 2
        bounded = half * torch.tanh(self.network(features))
        digits = rounded(bounded, half)
        return self.decoder((bounded + (digits - bounded).detach()) / half)

    def nll(self, features: Tensor, scores: Tensor) -> Tensor:
        """See `LawModel.nll`."""
        return nll_of(torch.log_softmax(self._logits(features), 1), scores)


def rounded(bounded: Tensor, half: Tensor) -> Tensor:
    """Round numbers in [-half, half] to levels one apart that are symmetric about 0."""
    return torch.round(bounded + half) - half


class RoutedBits(LawModel):
    """Signs of linear maps of the features; each group of bits reads a row of its own table.

    The law is softmax(bias + sum of the rows). A bit has no gradient, so each is charged what its
    other value would have read: dL/dz_j = p (1 - p) <dL/drow, E(bit 1) - E(bit 0)>, p = sigmoid(z)
    (followups 2).
    """

    def __init__(self, num_inputs: int, num_routes: int, num_bits: int, num_out: int) -> None:
        """Start with small rows: rows of 0 give the router no gradient."""
        super().__init__()
        self.router = nn.Parameter(
            torch.randn(num_routes * num_bits, num_inputs) / math.sqrt(num_inputs)
        )
        self.table = nn.Parameter(0.02 * torch.randn(num_routes, 2**num_bits, num_out))
        self.bias = nn.Parameter(torch.zeros(num_out))

    def nll(self, features: Tensor, scores: Tensor) -> Tensor:
        """See `LawModel.nll`."""
        z = (unit_rms(features) @ self.router.T).unflatten(1, (len(self.table), -1))
        rows = _Rows.apply(z, self.table)
        return nll_of(torch.log_softmax(self.bias + rows.sum(1), 1), scores)


def unit_rms(features: Tensor) -> Tensor:
    """Return features divided by their root mean square, [B, Q]."""
    return features / features.square().mean(1, keepdim=True).add(1e-6).sqrt()


def symbols_of(z: Tensor) -> Tensor:
    """Return the number that the signs of the last axis spell, lowest bit first."""
    powers = 2 ** torch.arange(z.shape[-1], device=z.device)
    return ((z > 0) * powers).sum(-1)


class _Rows(torch.autograd.Function):
    """Rows of the tables at the symbols of z [B, R, M]; counterfactual gradients for z."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, table: Tensor) -> Tensor:
        routes = torch.arange(len(table), device=z.device)
        ctx.save_for_backward(z, table)
        return table[routes, symbols_of(z)]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        z, table = ctx.saved_tensors
        (own,) = gradients
        routes, symbols = torch.arange(len(table), device=z.device), symbols_of(z)
        # a product has one order of sums; adding to rows by number has many on an accelerator
        used = functional.one_hot(symbols, table.shape[1]).to(own)
        for_table = torch.einsum("brs,brg->rsg", used, own)
        p = torch.sigmoid(z)
        change = torch.empty_like(z)
        for bit in range(z.shape[2]):
            with_bit, without = symbols | (1 << bit), symbols & ~(1 << bit)
            difference = table[routes, with_bit] - table[routes, without]
            change[:, :, bit] = (own * difference).sum(2)
        return p * (1 - p) * change, for_table
