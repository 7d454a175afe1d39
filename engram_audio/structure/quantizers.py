"""From features to cells: nearest centroid, or bins at train quantiles.

Shapes: M targets, Q feature dimensions, K cells.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from engram_audio.numerics.kmeans import assign, fit_kmeans
from engram_audio.structure.config import KeyFamilySection, TargetOracleKeys
from engram_audio.structure.features import FeatureStream

# Cells, int32, and confidence (larger is surer; None where it is the cell's train count), [m]
Quantize = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


class QuantizerSpec(NamedTuple):
    """One way to cut features into cells.

    Attributes:
        name: `kmeans_256` or `quantile_bins_4`.
        num_cells: K; for bins with Q components, num_bins ** Q.
        num_bins: Bins per component, 0 for k-means.
    """

    name: str
    num_cells: int
    num_bins: int


class KeyCells(NamedTuple):
    """Cells of all targets of a slice under one key.

    Attributes:
        cells: [M], int32.
        confidence: Minus the squared distance to the own centroid, [M], float32; None for bins.
    """

    cells: np.ndarray
    confidence: np.ndarray | None


def quantizer_specs(family: KeyFamilySection, num_features: int) -> list[QuantizerSpec]:
    """Return the quantisers of a family in configuration order."""
    if isinstance(family, TargetOracleKeys):
        return [QuantizerSpec(f"kmeans_{size}", size, 0) for size in family.codebook_sizes]
    specs = []
    for quantizer in family.quantizers:
        if quantizer.kind == "kmeans":
            specs += [QuantizerSpec(f"kmeans_{size}", size, 0) for size in quantizer.codebook_sizes]
        else:
            bins = quantizer.num_bins
            specs.append(QuantizerSpec(f"quantile_bins_{bins}", bins**num_features, bins))
    return specs


def not_attempted(spec: QuantizerSpec, num_train: int, minimum_cell_frames: int) -> str | None:
    """Return why a key cannot be fitted on this many train frames, or None.

    Quantile bins need no fit of cells: they are attempted, and what falls into thin cells is
    excluded and reported.
    """
    needed = minimum_cell_frames * (1 if spec.num_bins else spec.num_cells)
    if num_train >= needed:
        return None
    cells = "one cell needs" if spec.num_bins else f"{spec.num_cells} cells need"
    return f"not_attempted: {cells} {needed} train frames, have {num_train}"


def fit_quantizer(
    spec: QuantizerSpec,
    sample: np.ndarray,
    restarts: int,
    iterations: int,
    generator: np.random.Generator,
) -> Quantize:
    """Fit on train features, [m, Q]."""
    if spec.num_bins:
        return _bins(sample, spec.num_bins)
    centroids = fit_kmeans(sample, spec.num_cells, restarts, iterations, generator)

    def nearest(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cells, distance = assign(features, centroids)
        return cells, -distance

    return nearest


def _bins(sample: np.ndarray, num_bins: int) -> Quantize:
    edges = np.quantile(sample, np.arange(1, num_bins) / num_bins, axis=0)

    def bin_of(features: np.ndarray) -> tuple[np.ndarray, None]:
        cells = np.zeros(len(features), dtype=np.int32)
        for column in range(features.shape[1]):
            digit = np.searchsorted(edges[:, column], features[:, column], side="right")
            cells = cells * num_bins + digit.astype(np.int32)
        return cells, None

    return bin_of


def cells_of(stream: FeatureStream, quantizers: list[Quantize], num_targets: int) -> list[KeyCells]:
    """Assign all targets under several quantisers in one pass over their features."""
    cells = [np.empty(num_targets, dtype=np.int32) for _ in quantizers]
    confidence: list[np.ndarray | None] = [None] * len(quantizers)
    for features, span in stream.blocks():
        for number, quantize in enumerate(quantizers):
            cells[number][span], sure = quantize(features)
            if sure is not None:
                known = confidence[number]
                if known is None:
                    known = confidence[number] = np.empty(num_targets, dtype=np.float32)
                known[span] = sure
    return [KeyCells(own, sure) for own, sure in zip(cells, confidence, strict=True)]
