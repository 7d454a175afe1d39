"""Rows that are not trained: shrunk means, by code, of what the linear null leaves of train.

A train frame reads the means of speakers of the other fold, so that no row holds its own target.
All other frames read the means of all train speakers. The reader is trained.

Shapes: B sequences, T frames, k rows that a frame reads, R rows, D dimensions.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engram_audio.generation.data import NUM_FOLDS, GeneratorData
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import RowInsertion
from engram_audio.generation.sources import Keys, Rows, sources_of


class ResidualRows(Rows):
    """A table of means, and one for each fold of train that leaves the fold out.

    A frame of fold f reads by `codes + (f + 1) (K + 1)`, see `in_fold`.
    """

    fold_rows: Tensor

    def __init__(self, insertion: RowInsertion, num_dims: int, num_codes: int, seed: int) -> None:
        """Make the tables, all zero; see `Rows`."""
        super().__init__(insertion, num_dims, num_codes, False, 0.0, seed)
        self.table.weight.requires_grad_(False)
        own = self.table.weight.new_zeros(NUM_FOLDS, *self.table.weight.shape)
        self.register_buffer("fold_rows", own, persistent=False)

    def forward(self, hidden: Tensor, keys: Keys) -> Tensor:
        """Return e, [B, T, k D]."""
        assert keys.codes is not None
        count = self.num_codes + 1
        plain = keys._replace(codes=keys.codes % count)
        fold = keys.codes[:, -keys.num_frames :] // count
        if not bool(fold.any()):
            return super().forward(hidden, plain)
        rows = self.fold_rows[(fold - 1).unsqueeze(-1), self.numbers(plain)]
        return (rows * self.signs(plain) if self.has_signs else rows).flatten(-2)


def in_fold(codes: Tensor, folds: Tensor, num_codes: int) -> Tensor:
    """Return codes [B, T] that read the rows that leave out a fold of each sequence, [B]."""
    return codes + ((folds + 1) * (num_codes + 1)).unsqueeze(1)


class Sums(NamedTuple):
    """What a mean of each row needs: visits [R], sums and sums of squares, each [R, D]."""

    visits: Tensor
    values: Tensor
    squares: Tensor

    def plus(self, other: "Sums") -> "Sums":
        """Return the sums of both."""
        return Sums(*(own + more for own, more in zip(self, other, strict=True)))

    def shrunk(self) -> Tensor:
        """Return the means of rows, shrunk to the mean of all by their own error, [R, D].

        The share that stays is n t / (n t + s), with n visits, t the variance between rows and s
        that within them, both by analysis of variance over all dimensions.
        """
        count, total = self.visits.unsqueeze(1), self.visits.sum().clamp_min(1)
        centre = self.values.sum(0) / total
        means = self.values / count.clamp_min(1)
        num_read = int((self.visits > 0).sum())
        within = self.squares - count * means.square()
        noise = within.sum() / (total - num_read).clamp_min(1)
        spread = (count * (means - centre).square()).sum() - (num_read - 1) * noise
        effective = total - (self.visits.square().sum() / total)
        between = (spread / effective.clamp_min(1)).clamp_min(0)
        share = count * between / (count * between + noise).clamp_min(1e-12)
        return centre + share * (means - centre)


@torch.no_grad()
def fit_residuals(model: Generator, train: GeneratorData) -> None:
    """Fill the rows of a model's tables of residuals from train; nothing where it has none."""
    for source in sources_of(model):
        if isinstance(source, ResidualRows):
            of_fold = [_sums(model, source, train, fold) for fold in range(NUM_FOLDS)]
            whole = of_fold[0]
            for other in of_fold[1:]:
                whole = whole.plus(other)
            source.table.weight.copy_(_means(source, whole))
            for fold in range(NUM_FOLDS):
                others = [own for number, own in enumerate(of_fold) if number != fold]
                left = others[0]
                for other in others[1:]:
                    left = left.plus(other)
                source.fold_rows[fold] = _means(source, left)


def _means(source: Rows, sums: Sums) -> Tensor:
    """Return the rows of all parts of a table, each shrunk apart."""
    ends = [*source.starts[1:], source.num_rows]
    parts = [
        Sums(*(own[start:stop] for own in sums)).shrunk()
        for start, stop in zip(source.starts, ends, strict=True)
    ]
    return torch.cat(parts).to(source.table.weight)


def _sums(model: Generator, source: Rows, train: GeneratorData, fold: int) -> Sums:
    """Return the sums over the utterances of the speakers of a fold."""
    shape = (source.num_rows, source.row_width)
    found = Sums(*(torch.zeros(own, dtype=torch.float64) for own in (shape[0], shape, shape)))
    for rows in train.rows_of_fold(fold):
        numbers, values = _residuals(model, source, train, rows)
        flat = numbers.flatten()
        found.visits.index_add_(0, flat, torch.ones(len(flat), dtype=torch.float64))
        found.values.index_add_(0, flat, values)
        found.squares.index_add_(0, flat, values.square())
    return found


def _residuals(
    model: Generator, source: Rows, train: GeneratorData, rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the rows that frames of an utterance read, and the whitened residual after each."""
    frames = train.frames_of(rows.unsqueeze(0), model.mean.device)
    codes = train.codes(model.key)[rows].unsqueeze(0).to(frames.device)
    keys = Keys(codes, None, len(rows))
    head = model.head
    after = head.base.whiten(frames[:, 1:] - head.predicted(model.recent(frames)[:, :-1]))
    values = after[0].double().unsqueeze(1).expand(-1, source.rows_per_frame, -1)
    if source.has_signs:
        values = values * source.signs(keys)[0, :-1]
    return source.numbers(keys)[0, :-1].cpu(), values.flatten(0, 1).cpu()
