"""Where the vector e of a frame comes from: rows by key, one row, or a small network instead.

Every source has `forward(hidden, keys)`, which returns e of each frame, and `width`, its size. All
but rows stand in for them in the control arms.

Shapes: B sequences, T frames, m codes before them, n frames of a key, D dimensions, d width of the
hidden state, E width of e, R rows, k rows that a frame reads.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.generation.model_config import MemoryKind, RowInsertion
from engram_audio.generation.rms_norm import RMSNorm
from engram_audio.memory.hashing import MULTIPLIER_BITS, NgramHash
from engram_audio.training.tables import SparseTable

SIGNS = 11  # of the random numbers that draw the patterns of signs
SIGN_BIT = 62  # of the product that tells a sign: high bits of a product are mixed best
ROW_SD = 0.02  # of the rows' start: what is added starts small through them, not through the gate


class Keys(NamedTuple):
    """What the frames of a pass are looked up by.

    Attributes:
        codes: Codes of the frames, with those before them that n-grams need, [B, m + T].
        frames: The frames of each key in train SD, [B, T, n * D]; 0 where a key is not whole yet.
        num_frames: T.
    """

    codes: Tensor | None
    frames: Tensor | None
    num_frames: int


class CountedModule(nn.Module):
    """A module that works more than two operations per weight of its maps."""

    @property
    def extra_flops(self) -> int:
        """What it works beyond that, for one frame."""
        return 0


class VectorSource(CountedModule):
    """Gives each frame a vector e.

    Attributes:
        width: E.
    """

    width: int

    @property
    def num_rows(self) -> int:
        """Rows of its table."""
        return 0

    @property
    def rows_read(self) -> int:
        """Rows that a frame reads."""
        return 0

    @property
    def more_read_in_training(self) -> float:
        """Numbers that a train frame reads beyond those that a generated one does."""
        return 0.0

    @property
    def rows_touched(self) -> int:
        """Rows of the many in a table that train has read."""
        return 0

    @property
    def row_width(self) -> int:
        """Numbers of a row."""
        return self.width

    def expect_steps(self, num_steps: int) -> None:
        """Learn how many training steps are to come."""
        del num_steps

    def count_step(self) -> None:
        """Learn that a training step begins."""


class RowTable(VectorSource):
    """A table of which a frame reads few rows.

    Attributes:
        minimum_visits: Rows that train visited less often read as 0; a probe sets it.
        is_averaged: Whether every row reads as the mean of what train read; a probe sets it.
    """

    visits: Tensor

    def __init__(
        self, num_rows: int, row_width: int, rows_per_frame: int, memory: MemoryKind,
        start_sd: float,
    ) -> None:  # fmt: skip
        """Make the rows.

        Args:
            num_rows: R.
            row_width: Numbers of a row.
            rows_per_frame: k.
            memory: How rows are trained.
            start_sd: SD of the rows at the start.
        """
        super().__init__()
        self.rows_per_frame = rows_per_frame
        self.table = table_of(memory, num_rows, row_width)
        nn.init.normal_(self.table.weight, std=start_sd)
        self.register_buffer("visits", torch.zeros(num_rows, dtype=torch.int64))
        self.minimum_visits, self.is_averaged = 0, False

    @property
    def starts(self) -> list[int]:
        """First row of each part of the table, of which a frame reads one row each."""
        return [0]

    @property
    def num_rows(self) -> int:
        """See `VectorSource`."""
        return self.table.num_embeddings

    @property
    def rows_read(self) -> int:
        """See `VectorSource`."""
        return self.rows_per_frame

    @property
    def rows_touched(self) -> int:
        """See `VectorSource`; 0 for a table that is only measured."""
        return 0 if self.visits.is_meta else int((self.visits > 0).sum())

    @property
    def row_width(self) -> int:
        """See `VectorSource`."""
        return self.table.embedding_dim

    def count_reads(self, codes: Tensor) -> None:
        """Count train's reads in `visits`, of the codes of whole sequences."""
        raise NotImplementedError

    def read(self, numbers: Tensor) -> Tensor:
        """Return rows by number [B, T, k], or what a probe puts in their place, [B, T, k, E]."""
        if self.is_averaged:
            return self.mean_rows().expand(*numbers.shape, -1)
        rows = self.table(numbers)
        if not self.minimum_visits:
            return rows
        return rows * (self.visits[numbers] >= self.minimum_visits).unsqueeze(-1)

    @torch.no_grad()
    def mean_rows(self) -> Tensor:
        """Return the mean row of each part of the table, weighted by visits, [k, row width]."""
        means = []
        for start, stop in zip(self.starts, [*self.starts[1:], len(self.visits)], strict=True):
            weight = self.visits[start:stop].to(self.table.weight.dtype)
            means.append(weight @ self.table.weight[start:stop] / weight.sum().clamp_min(1))
        return torch.stack(means)

    @torch.no_grad()
    def count_visits(self, numbers: Tensor) -> None:
        """Add train's reads of rows [..., k] to `visits`."""
        self.visits += torch.bincount(numbers.flatten(), minlength=len(self.visits))


class Rows(RowTable):
    """A table whose rows are found by the newest code, or by hashes of n-grams of codes.

    Attributes:
        has_signs: Whether each n-gram reads its row under a fixed pattern of signs.
    """

    sign_multipliers: Tensor

    def __init__(
        self, insertion: RowInsertion, row_width: int, num_codes: int, is_summed: bool,
        start_sd: float, seed: int,
    ) -> None:  # fmt: skip
        """Make the table.

        Args:
            insertion: Orders, hashes and rows.
            row_width: Numbers of a row.
            num_codes: Codes there can be; one more stands for a key that is not whole yet.
            is_summed: Whether the rows of a frame are added up, and not joined.
            start_sd: SD of the rows at the start.
            seed: Decides the hashes.
        """
        found = None
        if insertion.table_rows is not None:
            shape = (insertion.ngram_orders, insertion.num_hashes, insertion.table_rows)
            found = NgramHash(*shape, num_codes, seed)
        super().__init__(
            num_codes + 1 if found is None else found.num_rows, row_width,
            insertion.rows_per_frame, insertion, start_sd,
        )  # fmt: skip
        self.has_signs = insertion.has_signs
        generator = np.random.default_rng([seed, SIGNS])
        odd = 2 * generator.integers(2**MULTIPLIER_BITS, size=row_width) + 1
        self.register_buffer("sign_multipliers", torch.from_numpy(odd), persistent=False)
        self.num_codes, self.is_summed, self.hash = num_codes, is_summed, found
        self.width = row_width if is_summed else row_width * self.rows_per_frame

    @property
    def extra_flops(self) -> int:
        """See `CountedModule`: each number read is multiplied with its sign."""
        return self.rows_per_frame * self.row_width if self.has_signs else 0

    def signs(self, keys: Keys) -> Tensor:
        """Return the pattern of -1 and 1 of each n-gram, [B, T, k, row width].

        Two n-grams in one row read it under patterns of their own, so what one of them learns is
        nearly orthogonal to what the other reads.
        """
        assert keys.codes is not None and self.hash is not None
        mixed = self.hash.mixed(keys.codes)[:, -keys.num_frames :].unsqueeze(-1)
        bits = (mixed * self.sign_multipliers) >> SIGN_BIT & 1
        return 2.0 * bits - 1

    @property
    def starts(self) -> list[int]:
        """See `RowTable.starts`: the hash heads."""
        return [0] if self.hash is None else self.hash.offsets.tolist()

    def numbers(self, keys: Keys) -> Tensor:
        """Return the rows of each frame, [B, T, k]."""
        assert keys.codes is not None
        if self.hash is None:
            return keys.codes[:, -keys.num_frames :].unsqueeze(-1)
        return self.hash(keys.codes)[:, -keys.num_frames :]

    def count_reads(self, codes: Tensor) -> None:
        """See `RowTable`; codes are [B, T]."""
        self.count_visits(self.numbers(Keys(codes, None, codes.shape[1])))

    def forward(self, hidden: Tensor, keys: Keys) -> Tensor:
        """Return e, [B, T, E]; the hidden state says nothing here."""
        del hidden
        rows = self.read(self.numbers(keys))
        if self.has_signs and not self.is_averaged:
            rows = rows * self.signs(keys)
        return rows.sum(-2) if self.is_summed else rows.flatten(-2)


class OneRow(VectorSource):
    """One trained row for all keys."""

    def __init__(self, width: int, memory: MemoryKind, start_sd: float) -> None:
        """Make the row; it is trained as the rows of a table are."""
        super().__init__()
        self.width = width
        self.table = table_of(memory, 1, width)
        nn.init.normal_(self.table.weight, std=start_sd)

    @property
    def num_rows(self) -> int:
        """See `VectorSource`."""
        return 1

    @property
    def rows_read(self) -> int:
        """See `VectorSource`."""
        return 1

    def forward(self, hidden: Tensor, keys: Keys) -> Tensor:
        """Return e, [B, T, E]."""
        del keys
        return self.table(hidden.new_zeros(hidden.shape[:2], dtype=torch.int64))


class StateNetwork(VectorSource):
    """Two layers of the hidden state."""

    def __init__(self, num_inputs: int, num_units: int, width: int) -> None:
        """Make the layers."""
        super().__init__()
        self.width = width
        self.norm = RMSNorm(num_inputs)
        self.layers = two_layers(num_inputs, num_units, width)

    def forward(self, hidden: Tensor, keys: Keys) -> Tensor:
        """Return e, [B, T, E]."""
        del keys
        return self.layers(self.norm(hidden))


class FrameNetwork(VectorSource):
    """Two layers of the frames that the key reads."""

    def __init__(self, num_inputs: int, num_units: int, width: int) -> None:
        """Make the layers."""
        super().__init__()
        self.width = width
        self.layers = two_layers(num_inputs, num_units, width)

    def forward(self, hidden: Tensor, keys: Keys) -> Tensor:
        """Return e, [B, T, E]."""
        del hidden
        assert keys.frames is not None
        return self.layers(keys.frames)


def table_of(memory: MemoryKind, num_rows: int, row_width: int) -> SparseTable:
    """Return a table that is trained as a memory says."""
    return SparseTable(
        num_rows, row_width, memory.table_learning_rate_factor, memory.table_moments == "row"
    )


def sources_of(model: nn.Module) -> list[VectorSource]:
    """Return all sources of a memory; none without one."""
    return [module for module in model.modules() if isinstance(module, VectorSource)]


def tables_of(model: nn.Module) -> list[RowTable]:
    """Return the tables whose rows are found by keys, or by bits of the state."""
    return [module for module in model.modules() if isinstance(module, RowTable)]


def two_layers(num_inputs: int, num_units: int, num_outputs: int) -> nn.Sequential:
    """Return a hidden layer and an output, without biases: all their work is products."""
    return nn.Sequential(
        nn.Linear(num_inputs, num_units, bias=False),
        nn.GELU(),
        nn.Linear(num_units, num_outputs, bias=False),
    )


def units_of_equal_work(flops: float, num_inputs: int, num_outputs: int) -> int:
    """Return the fewest hidden units with which `two_layers` works at least `flops` per frame."""
    return max(1, -int(-flops // (2 * (num_inputs + num_outputs))))
