"""Multi-head hashes of suffix n-grams, as published for text (arXiv 2601.07372; domain.md 40).

For each order n and head k: XOR over the n newest codes of code times an odd random multiplier,
modulo a prime of its own. Primes are distinct over heads and orders, so that two n-grams that
collide in one head rarely collide in another.

Shapes: B sequences, T positions, O orders, K heads.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

MULTIPLIER_BITS = 62


def next_primes(start: int, count: int) -> list[int]:
    """Return the first `count` primes from `start` on."""
    found: list[int] = []
    number = max(start, 2)
    while len(found) < count:
        if all(number % d for d in range(2, int(number**0.5) + 1)):
            found.append(number)
        number += 1
    return found


class NgramHash(nn.Module):
    """Row numbers of suffix n-grams in one long table that holds every head's rows."""

    multipliers: Tensor
    primes: Tensor
    offsets: Tensor

    def __init__(
        self, orders: Sequence[int], num_hashes: int, table_rows: int, pad: int, seed: int
    ) -> None:
        """Draw the multipliers; `pad` is the code of positions before the sequence."""
        super().__init__()
        self.orders, self.num_hashes, self.pad = tuple(orders), num_hashes, pad
        primes = next_primes(table_rows, len(self.orders) * num_hashes)
        generator = np.random.default_rng([seed, len(primes)])
        drawn = generator.integers(2**MULTIPLIER_BITS, size=(len(primes), max(self.orders)))
        self.register_buffer("multipliers", torch.from_numpy(2 * drawn + 1))
        self.register_buffer("primes", torch.tensor(primes))
        self.register_buffer("offsets", torch.tensor(np.concatenate([[0], np.cumsum(primes)[:-1]])))
        self.num_rows = int(sum(primes))

    def forward(self, codes: Tensor) -> Tensor:
        """Return rows, shape [B, T, O * K], of codes [B, T] (oldest first)."""
        return torch.remainder(self.mixed(codes), self.primes) + self.offsets

    def mixed(self, codes: Tensor) -> Tensor:
        """Return the hashes before the modulus, shape [B, T, O * K]: one for each n-gram."""
        length = codes.shape[1]
        padded = nn.functional.pad(codes, (max(self.orders) - 1, 0), value=self.pad) + 1
        found = []
        for place in range(len(self.primes)):
            order = self.orders[place // self.num_hashes]
            mixed = torch.zeros_like(codes)
            for age in range(order):
                start = max(self.orders) - 1 - age
                mixed ^= padded[:, start : start + length] * self.multipliers[place, age]
            found.append(mixed)
        return torch.stack(found, -1)
