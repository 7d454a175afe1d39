"""The flip probe: what the memory's code of one frame says about the next, all else held fixed.

Of two frames t and t' of an utterance, with codes k and k', only the code at the frame is changed
and only the next frame is scored:

    D = [l_t(k) - l_t(k')] + [l_t'(k') - l_t'(k)],    l = log p of the true next frame.

A wrong code may cost by being wrong at all. So D with filler codes f and f' is taken off: as
frequent as k and k', and as far from each other. A model that reads no code has exactly 0.

Shapes: P pairs, N rows of a block, T frames.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.generation.frame_scores import whole_block
from engram_audio.generation.model import Generator
from engram_audio.generation.names import FLIP, HALF, LAW_SHARE, NET
from engram_audio.generation.probes.codes import CodeBook
from engram_audio.generation.probes.sums import speaker_sums
from engram_audio.latents.block import LatentBlock

LEAST_VISITS = 16  # in train, of every code that is read
OWN, FILLER = "own", "filler"
BATCH_SEQUENCES = 256
TRIES = 20  # partners drawn for a frame before it is given up

# log p of the frame after each row, nats, [P], were the code at the row this one: rows, codes [P].
LawOfCode = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Pairs(NamedTuple):
    """Pairs of frames with their codes and fillers, each [P].

    Attributes:
        first: Rows t.
        second: Rows t'.
        own: k at t.
        other: k' at t'.
        filler: f, in the place of k.
        other_filler: f', in the place of k'.
    """

    first: np.ndarray
    second: np.ndarray
    own: np.ndarray
    other: np.ndarray
    filler: np.ndarray
    other_filler: np.ndarray


def choose_pairs(
    block: LatentBlock, targets: np.ndarray, codes: np.ndarray, book: CodeBook, num_pairs: int,
    generator: np.random.Generator,
) -> Pairs:  # fmt: skip
    """Return pairs of frames of one utterance whose codes differ and are both well visited.

    Fewer than asked where the block has no more.

    Args:
        block: Whole utterances.
        targets: Rows that may be told; the frame before each may be changed.
        codes: Of all rows, [N].
        book: Train's codes.
        num_pairs: P at most.
        generator: Draws frames, partners and fillers.
    """
    rows = targets - 1
    known = codes[rows] < len(book.visits)
    known[known] = book.visits[codes[rows[known]]] >= LEAST_VISITS
    rows = rows[known]
    utterance = windows.utterance_of_rows(block.offsets, rows)
    found = []
    for place in generator.permutation(len(rows)):
        mates = np.flatnonzero(utterance == utterance[place])
        for mate in generator.permutation(mates)[:TRIES]:
            k, other = int(codes[rows[place]]), int(codes[rows[mate]])
            fillers = None if k == other else _fillers(book, k, other, generator)
            if fillers is not None:
                found.append((rows[place], rows[mate], k, other, *fillers))
                break
        if len(found) == num_pairs:
            break
    columns = np.array(found, np.int64).reshape(-1, len(Pairs._fields)).T
    return Pairs(*columns)


def _fillers(
    book: CodeBook, own: int, other: int, generator: np.random.Generator
) -> tuple[int, int] | None:
    """Return two more codes, as frequent as these and about as far from each other."""
    firsts, seconds = (
        np.setdiff1d(
            np.flatnonzero(book.is_as_frequent(code) & (book.visits >= LEAST_VISITS)), [own, other]
        )
        for code in (own, other)
    )
    if not len(firsts):
        return None
    filler = int(generator.choice(firsts))
    seconds = seconds[seconds != filler]
    if not len(seconds):
        return None
    wanted = np.linalg.norm(book.means[own] - book.means[other])
    gaps = np.abs(book.distances(filler)[seconds] - wanted)
    return filler, int(seconds[gaps.argmin()])


class Differences(NamedTuple):
    """D / 2 of each pair under its own codes and under fillers, nats, each [P]."""

    own: np.ndarray
    filler: np.ndarray

    @property
    def net(self) -> np.ndarray:
        """What the fillers do not explain."""
        return self.own - self.filler


def differences(pairs: Pairs, law: LawOfCode) -> Differences:
    """Return D / 2 of every pair under a law."""

    def half(k: np.ndarray, other: np.ndarray) -> np.ndarray:
        at_first = law(pairs.first, k) - law(pairs.first, other)
        return (at_first + law(pairs.second, other) - law(pairs.second, k)) / 2

    return Differences(half(pairs.own, pairs.other), half(pairs.filler, pairs.other_filler))


def law_of_model(model: Generator, block: LatentBlock, codes: Tensor) -> LawOfCode:
    """Return a generator's law by the code at a row; what it reads before stays as it is.

    Args:
        model: A generator on its device, in evaluation mode.
        block: Whole utterances.
        codes: Codes of all rows, [N]; a foreign arm reads those of another utterance before.
    """
    data = whole_block(block)
    ends = np.asarray(block.offsets)

    @torch.no_grad()
    def of_rows(rows: np.ndarray, read: np.ndarray) -> np.ndarray:
        start = ends[windows.utterance_of_rows(ends, rows)]
        place = torch.from_numpy(rows - start)
        ages = torch.arange(int(place.max()) + 1).minimum(place.unsqueeze(1))
        seen = torch.from_numpy(start).unsqueeze(1) + ages
        from_rows = data.foreign_rows(seen) if model.is_foreign else seen
        changed = codes[from_rows]
        each = torch.arange(len(rows))
        changed[each, place] = torch.from_numpy(read)
        device = model.mean.device
        frames = data.frames_of(seen, device)
        features = model.features(frames, changed.to(device))[each, place]
        recent = model.recent(frames)[each, place]
        following = data.frames[torch.from_numpy(rows + 1)].to(device)
        return model.log_prob(features, recent, following).double().cpu().numpy()

    def law(rows: np.ndarray, read: np.ndarray) -> np.ndarray:
        parts = np.arange(0, len(rows), BATCH_SEQUENCES)[1:]
        pairs = zip(np.split(rows, parts), np.split(read, parts), strict=True)
        return np.concatenate([of_rows(*part) for part in pairs if len(part[0])] or [np.empty(0)])

    return law


def flip_sums(
    found: Differences, injected: Differences | None, speakers: np.ndarray
) -> pd.DataFrame:
    """Return D / 2 by speaker: own, of fillers, net of them, and over the net of the key's law.

    Args:
        found: Of a model.
        injected: Of the law that reads the code alone; None leaves the share out.
        speakers: Of the pairs, [P].
    """
    named = {OWN: found.own, FILLER: found.filler, NET: found.net}
    rows = [speaker_sums(FLIP, name, HALF, speakers, values) for name, values in named.items()]
    if injected is not None:
        rows.append(speaker_sums(FLIP, NET, LAW_SHARE, speakers, found.net, injected.net))
    return pd.concat(rows, ignore_index=True)
