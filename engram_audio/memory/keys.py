"""Discrete keys of a context: from its newest frames to a code, and n-grams of codes.

A state is the newest w frames of a context (or of the same context some frames earlier), in units
of the train SD. k-means and PCA keys take the nearest centroid; product keys join the codes of
groups of components into one number; LSH joins signs of random projections.

Shapes: B targets, W window, D dimensions, w frames of a state, Q features, G groups, K codes.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio import windows
from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.data import thin
from engram_audio.densities.fit import Material
from engram_audio.latents.block import split_block
from engram_audio.latents.targets import targets_of
from engram_audio.memory.config import KeySettings, KMeansKey, LshKey, PcaKey, ProductKey
from engram_audio.numerics.kmeans import fit_kmeans
from engram_audio.numerics.subspace import leading_eigenvectors
from engram_audio.numerics.window_moments import WindowAccumulator

RESTARTS, ITERATIONS = 3, 50
PIECE_FRAMES = 65536
DISTANCE_VALUES = 1 << 22  # products held at a time
SHUFFLED_SHARE = 0.381966  # 2 less the golden ratio: far from every fraction of small numbers


class KeyArrays(NamedTuple):
    """A fitted key.

    Attributes:
        shift: Mean of a flattened state, shape [w D].
        scale: Its divisor, shape [w D].
        projection: Shape [w D, Q], or [0, 0] for none (Q = w D).
        centroids: Shape [G, K, Q / G]; [0, 0, 0] for LSH, whose code is made of signs.
        nearest_square: Mean squared distance to the nearest centroid on train (0 for LSH).
    """

    shift: np.ndarray
    scale: np.ndarray
    projection: np.ndarray
    centroids: np.ndarray
    nearest_square: np.ndarray


class KeyEncoder(nn.Module):
    """Codes of contexts; nothing is trained."""

    shift: Tensor
    scale: Tensor
    projection: Tensor
    centroids: Tensor

    def __init__(self, arrays: KeyArrays, num_dims: int) -> None:
        """Keep the arrays as float32 buffers."""
        super().__init__()
        for name in ("shift", "scale", "projection", "centroids"):
            values = torch.as_tensor(np.asarray(getattr(arrays, name)), dtype=torch.float32)
            self.register_buffer(name, values)
        self.nearest_square = float(arrays.nearest_square)
        self.state_frames = len(arrays.shift) // num_dims

    @property
    def num_codes(self) -> int:
        """How many codes there can be."""
        if self.centroids.numel() == 0:
            return 2 ** self.projection.shape[1]
        return self.centroids.shape[1] ** self.centroids.shape[0]

    @property
    def flops(self) -> int:
        """Multiplications and additions of one code."""
        return 2 * (self.projection.numel() + self.centroids.numel())

    def features(self, context: Tensor, age: int = 0) -> Tensor:
        """Return features of the state that ends `age` frames before the newest, shape [B, Q]."""
        stop = context.shape[1] - age
        state = context[:, stop - self.state_frames : stop].flatten(1).float()
        state = (state - self.shift) / self.scale
        return state @ self.projection if self.projection.numel() else state

    def codes(self, context: Tensor, count: int) -> Tensor:
        """Return the codes of the newest `count` states, newest first, shape [B, count], int64."""
        # in full precision also where training is not: a code must not depend on who asks
        with torch.autocast(context.device.type, enabled=False):
            ages = [self._code(self.features(context, age)) for age in range(count)]
        return torch.stack(ages, 1)

    def _code(self, features: Tensor) -> Tensor:
        if self.centroids.numel() == 0:
            bits = (features > 0).long()
            return (bits << torch.arange(bits.shape[1], device=bits.device)).sum(1)
        code = torch.zeros(len(features), dtype=torch.int64, device=features.device)
        for group in range(len(self.centroids) - 1, -1, -1):
            part = features[:, group :: len(self.centroids)]
            own = self._distances(part, self.centroids[group]).argmin(1)
            code = code * self.centroids.shape[1] + own
        return code

    def nearest(self, context: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return the nearest codes of the newest state and their squared distances, [B, count]."""
        with torch.autocast(context.device.type, enabled=False):
            features = self.features(context)
            found = self._distances(features, self.centroids[0]).topk(count, 1, largest=False)
            squares = (found.values + features.square().sum(1, keepdim=True)).clamp_min(0)
        return found.indices, squares

    @staticmethod
    def _distances(features: Tensor, centroids: Tensor) -> Tensor:
        """Squared distances less the squared norm of the features, [B, K], in bounded pieces."""
        norm = centroids.square().sum(1)
        rows = max(DISTANCE_VALUES // len(centroids), 1)
        return torch.cat(
            [torch.addmm(norm, part, centroids.T, alpha=-2) for part in features.split(rows)]
        )


def fit_key(settings: KeySettings, material: Material, lag_frames: int, seed: int) -> KeyArrays:
    """Fit a key on train targets.

    Raises:
        ValueError: Fewer train targets than codes.
    """
    reference, width = material.reference, settings.window_frames
    shift = np.tile(reference.frame_mean, width)
    scale = np.tile(reference.frame_sd, width)
    projection = _projection(settings, material, lag_frames, seed)
    empty = np.zeros((0, 0))
    fitted = KeyArrays(
        shift, scale, empty if projection is None else projection, np.zeros((0, 0, 0)), np.zeros(())
    )
    if isinstance(settings, LshKey):
        return fitted
    features = _train_features(fitted, material, lag_frames, settings.maximum_frames)
    num_groups = settings.num_groups if isinstance(settings, ProductKey) else 1
    generator = np.random.default_rng([seed, settings.num_codes, num_groups])
    centroids = np.stack(
        [
            fit_kmeans(
                np.ascontiguousarray(features[:, group::num_groups]),
                settings.num_codes, RESTARTS, ITERATIONS, generator,
            )
            for group in range(num_groups)
        ]
    )  # fmt: skip
    fitted = fitted._replace(centroids=centroids)
    return fitted._replace(nearest_square=_nearest_square(features, centroids))


def _nearest_square(features: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Mean squared distance to the nearest centroid, summed over groups."""
    total = 0.0
    for group, own in enumerate(centroids):
        part = torch.from_numpy(np.ascontiguousarray(features[:, group :: len(centroids)]))
        table = torch.from_numpy(own)
        least = KeyEncoder._distances(part, table).min(1).values + part.square().sum(1)
        total += float(least.double().clamp_min(0).mean())
    return np.array(total)


def train_targets(material: Material) -> np.ndarray:
    """Return the block rows of train targets, shape [M]."""
    targets = targets_of(material.block, material.window_frames, material.max_lag_frames)
    utterance = windows.utterance_of_rows(material.block.offsets, targets)
    names = material.block.utterance_ids
    is_train = np.array([material.part_of[str(name)] == TRAIN for name in names])
    return targets[is_train[utterance]]


def _train_features(
    fitted: KeyArrays, material: Material, lag_frames: int, maximum: int
) -> np.ndarray:
    """Features of thinned train targets, shape [m, Q], float32."""
    frames = material.block.frames
    width = len(fitted.shift) // frames.shape[1]
    targets = thin(train_targets(material), maximum)
    start = windows.context_start(targets, lag_frames, width)
    states = frames[start[:, None] + np.arange(width)].reshape(len(targets), -1)
    states = (states - fitted.shift) / fitted.scale
    features = states @ fitted.projection if fitted.projection.size else states
    return features.astype(np.float32)


def _projection(
    settings: KeySettings, material: Material, lag_frames: int, seed: int
) -> np.ndarray | None:
    """Principal components of standardised states, exact over all train targets; see SCIENCE 3."""
    if isinstance(settings, KMeansKey):
        return None
    reference, block = material.reference, material.block
    width, num_dims = settings.window_frames, block.frames.shape[1]
    if settings.num_components > width * num_dims:
        raise ValueError(
            f"num_components {settings.num_components} exceeds the {width * num_dims} numbers of a "
            "state; lower it"
        )
    accumulator = WindowAccumulator(width, num_dims)
    for piece in split_block(block, PIECE_FRAMES):
        targets = train_targets(material._replace(block=piece))
        if len(targets):
            shown = ((piece.frames - reference.frame_mean) / reference.frame_sd).astype(np.float32)
            accumulator.add(shown, piece.offsets, targets, lag_frames)
    values, vectors = leading_eigenvectors(
        accumulator.moments().covariance, settings.num_components
    )
    if isinstance(settings, PcaKey | ProductKey):
        return vectors
    whitened = vectors / np.sqrt(np.maximum(values, np.finfo(float).tiny))
    planes = np.random.default_rng([seed, settings.num_bits]).standard_normal(
        (settings.num_components, settings.num_bits)
    )
    return whitened @ planes


def of_others(contexts: Tensor) -> Tensor:
    """Return the contexts of other targets of a batch, [B, ...]: the control with shuffled keys.

    Rolled by a share near no fraction of small numbers: half of a batch of samples by starts would
    be another sample of the same start, which has nearly the same key. A batch of one has none.
    """
    return contexts.roll(max(round(SHUFFLED_SHARE * len(contexts)), 1), 0)


def ngram_ids(codes: Tensor, order: int, num_codes: int) -> Tensor:
    """Return one exact number per n-gram of the newest `order` codes, shape [B], int64.

    Raises:
        ValueError: The numbers do not fit into 63 bits.
    """
    if num_codes**order >= 2**63:
        raise ValueError(
            f"{num_codes} codes in n-grams of order {order} do not fit into 63 bits; "
            "use fewer codes or a lower order"
        )
    number = codes[:, order - 1].contiguous()
    for age in range(order - 2, -1, -1):
        number = number * num_codes + codes[:, age]
    return number
