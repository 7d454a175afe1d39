"""Sums of squared errors per part, speaker and subspace.

Shapes: m frames, D dimensions, G subspaces (`all` first), Q leading directions, S speakers, P
parts, E effective cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram_audio.numerics.grouped import add_grouped
from engram_audio.structure.joint import AddedNats
from engram_audio.structure.normalization import Normalization, subspace_edges
from engram_audio.structure.targets import PARTS

ALONE = ("sse_zero", "sse_key", "cost_key")
WITH_LINEAR = ("sse_linear", "sse_joint", "cost_joint")


class Subspaces(NamedTuple):
    """Subspaces whose errors are told apart.

    Attributes:
        names: `all`, then principal subspaces of delta, [G].
        head: Leading principal directions, [D, Q]; the last subspace is what they leave.
        membership: Which of the Q directions belong to each subspace but first and last, [Q, G-2].
    """

    names: list[str]
    head: np.ndarray
    membership: np.ndarray


def make_subspaces(normalization: Normalization, edges: tuple[int, ...]) -> Subspaces:
    """Cut the principal directions of delta at the edges."""
    named = subspace_edges(edges, len(normalization.mean))
    num_head = named[-1][1]
    membership = np.zeros((num_head, len(named) - 1), dtype=np.float32)
    for column, (_, start, stop) in enumerate(named[:-1]):
        membership[start:stop, column] = 1
    return Subspaces(
        names=["all", *(name for name, _, _ in named)],
        head=normalization.directions[:, :num_head].astype(np.float32),
        membership=membership,
    )


def squares(error: np.ndarray, subspaces: Subspaces) -> np.ndarray:
    """Return the squared errors [m, D] of frames by subspace, [m, G], float64."""
    whole = np.einsum("md,md->m", error, error, dtype=np.float64)
    parts = (np.square(error @ subspaces.head) @ subspaces.membership).astype(np.float64)
    rest = whole - parts.sum(axis=1)
    return np.concatenate([whole[:, None], parts, rest[:, None]], axis=1)


class SpeakerSums:
    """Sums of frame scores per part and speaker; what was not added stays 0.

    Attributes:
        num_frames: Scored frames, [P, S].
        num_excluded: Frames in cells too small, [P, S].
        sums: One array [P, S, G] for each name.
        nats: Nats added to the linear model by part, [P]; NaN where unknown.
        nats_influence: Their derivative in each speaker's weight, [P, S].
        information: Sum of the key's information over `num_informed` frames, [P, S].
        num_informed: Frames whose information was scored, [P, S].
        cell_error: Squared error of eval frames about their cells' train means, [E].
    """

    def __init__(self, num_speakers: int, num_subspaces: int, names: Sequence[str]) -> None:
        """Make empty sums of these names."""
        shape = (len(PARTS), num_speakers)
        self.num_frames = np.zeros(shape, dtype=np.int64)
        self.num_excluded = np.zeros(shape, dtype=np.int64)
        self.sums = {name: np.zeros((*shape, num_subspaces)) for name in names}
        self.nats = np.full(len(PARTS), np.nan)
        self.nats_influence = np.zeros(shape)
        self.information = np.zeros(shape)
        self.num_informed = np.zeros(shape, dtype=np.int64)
        self.cell_error = np.zeros(0)

    def add_frames(self, group: np.ndarray) -> None:
        """Count frames; `group` is part * S + speaker, [m]."""
        self.num_frames += self._count(group)

    def add_excluded(self, group: np.ndarray) -> None:
        """Count excluded frames."""
        self.num_excluded += self._count(group)

    def add(self, name: str, values: np.ndarray, group: np.ndarray) -> None:
        """Add scores by subspace, [m, G]."""
        add_grouped(self.sums[name].reshape(-1, values.shape[1]), values, group)

    def add_information(self, nats: np.ndarray, group: np.ndarray) -> None:
        """Add the key's information in single frames, [m]."""
        add_grouped(self.information.reshape(-1, 1), nats[:, None], group)
        self.num_informed += self._count(group)

    def set_nats(self, part: int, nats: AddedNats) -> None:
        """Keep the nats that a key adds to the linear model."""
        if self.num_frames[part].any():
            self.nats[part], self.nats_influence[part] = nats

    def copy_shared_sums(self, other: "SpeakerSums") -> None:
        """Take over what does not depend on the key."""
        self.num_frames = other.num_frames
        self.sums |= other.sums

    def _count(self, group: np.ndarray) -> np.ndarray:
        size = self.num_frames.size
        return np.bincount(group, minlength=size).reshape(self.num_frames.shape)
