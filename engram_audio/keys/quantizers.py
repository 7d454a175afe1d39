"""Quantisers: from features to codes. A kind holds its settings, its fit and its codes.

`codes` uses operations that numpy and torch share, so one law serves frames that are streamed on a
CPU and batches of contexts on an accelerator. The caller cuts the rows into pieces.

Shapes: M features, Q feature dimensions, K codes, G groups, P hyperplanes.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field

from engram_audio.kinds import Plugin
from engram_audio.quantities import Count, Listed
from engram_audio.section import Section, require_power_below

NUM_CODES_LIMIT = 2**31 - 1  # codes are int32
NumCodes = Annotated[int, Field(ge=1, le=NUM_CODES_LIMIT)]
SMALLEST_VARIANCE = 1e-12  # of a whitened direction, as a share of the largest
Arrays = Mapping[str, Any]  # numpy arrays, or tensors on one device


class KeySize(NamedTuple):
    """One quantiser of a kind.

    Attributes:
        name: For example `kmeans_256`.
        num_codes: K, how many codes there can be.
        num_fitted: Cells of one fit that need train frames; 1 where no cell is fitted.
        size: What the kind's `fit` needs to know of it.
    """

    name: str
    num_codes: int
    num_fitted: int
    size: int


class Fitting(NamedTuple):
    """How quantisers are fitted.

    Attributes:
        restarts: Starts of k-means.
        iterations: Most iterations of k-means.
        generator: Randomness.
    """

    restarts: int
    iterations: int
    generator: np.random.Generator


class Quantizer(Section):
    """What every kind has."""

    HAS_DISTANCES: ClassVar[bool] = False
    NEEDS_WIDTH: ClassVar[bool] = False

    @property
    def has_distances(self) -> bool:
        """Whether there are `squares`."""
        return self.HAS_DISTANCES

    @property
    def needs_width(self) -> bool:
        """Whether K depends on Q."""
        return self.NEEDS_WIDTH

    def names(self) -> list[str]:
        """Return the names of the quantisers of the settings."""
        raise NotImplementedError

    def cut(self, names: Collection[str]) -> Self | None:
        """Return the settings cut to the quantisers of some names; None if none is left."""
        return self if set(self.names()) & set(names) else None

    def sizes(self, num_features: int) -> Iterator[KeySize]:
        """Yield the quantisers of the settings, for features of Q dimensions.

        Raises:
            ValueError: There would be more codes than can be numbered.
        """
        raise NotImplementedError

    def fit(self, size: KeySize, features: np.ndarray, how: Fitting) -> dict[str, np.ndarray]:
        """Fit on train features [M, Q], float32; return named arrays."""
        raise NotImplementedError

    def codes(self, features: Any, arrays: Arrays) -> Any:
        """Return codes, integers [m], of features [m, Q]."""
        raise NotImplementedError

    def num_scores(self, arrays: Arrays) -> int:
        """Return how many numbers a row needs while its code is found."""
        raise NotImplementedError

    def squares(self, features: Any, arrays: Arrays) -> Any:
        """Return squared distances from all codes less the squared norm of the feature, [m, K]."""
        raise NotImplementedError


class KMeans(Quantizer):
    """Nearest of K centroids."""

    HAS_DISTANCES: ClassVar[bool] = True
    kind: Literal["kmeans"]
    codebook_sizes: Listed[NumCodes] = Field(min_length=1, description="K, one key for each.")

    def names(self) -> list[str]:
        """See `Quantizer.names`."""
        return [f"kmeans_{size}" for size in self.codebook_sizes]

    def cut(self, names: Collection[str]) -> Self | None:
        """See `Quantizer.cut`."""
        kept = tuple(size for size in self.codebook_sizes if f"kmeans_{size}" in names)
        return self.model_copy(update={"codebook_sizes": kept}) if kept else None

    def sizes(self, num_features: int) -> Iterator[KeySize]:
        """See `Quantizer.sizes`."""
        del num_features
        for name, size in zip(self.names(), self.codebook_sizes, strict=True):
            yield KeySize(name, size, size, size)

    def fit(self, size: KeySize, features: np.ndarray, how: Fitting) -> dict[str, np.ndarray]:
        """See `Quantizer.fit`; the mean squared distance to the nearest centroid is kept too."""
        from engram_audio.numerics.kmeans import fit_kmeans  # SciPy: settings alone need none

        centroids = fit_kmeans(features, size.size, how.restarts, how.iterations, how.generator)
        least = [
            self.squares(part, {"centroids": centroids}).min(1) + (part * part).sum(1)
            for part in pieces(features, size.size)
        ]
        mean = np.concatenate(least).mean(dtype=np.float64)
        return {"centroids": centroids, "mean_square": np.array(max(mean, 0.0))}

    def squares(self, features: Any, arrays: Arrays) -> Any:
        """See `Quantizer.squares`."""
        return squares_to(features, arrays["centroids"])

    def codes(self, features: Any, arrays: Arrays) -> Any:
        """See `Quantizer.codes`."""
        return self.squares(features, arrays).argmin(1)

    def num_scores(self, arrays: Arrays) -> int:
        """See `Quantizer.num_scores`."""
        return len(arrays["centroids"])


class QuantileBins(Quantizer):
    """Bins at train quantiles per feature; K = num_bins ** Q."""

    NEEDS_WIDTH: ClassVar[bool] = True
    kind: Literal["quantile_bins"]
    num_bins: Count = Field(ge=2, le=NUM_CODES_LIMIT, description="Bins per component.")

    def names(self) -> list[str]:
        """See `Quantizer.names`."""
        return [f"quantile_bins_{self.num_bins}"]

    def sizes(self, num_features: int) -> Iterator[KeySize]:
        """See `Quantizer.sizes`."""
        (name,) = self.names()
        cells = f"{name}: cells, num_bins ** features"
        require_power_below(self.num_bins, num_features, NUM_CODES_LIMIT + 1, cells)
        yield KeySize(name, self.num_bins**num_features, 1, self.num_bins)

    def fit(self, size: KeySize, features: np.ndarray, how: Fitting) -> dict[str, np.ndarray]:
        """See `Quantizer.fit`."""
        del size, how
        shares = np.arange(1, self.num_bins) / self.num_bins
        powers = self.num_bins ** np.arange(features.shape[1] - 1, -1, -1, dtype=np.int64)
        return {"edges": _up(np.quantile(features, shares, axis=0)), "powers": powers}

    def codes(self, features: Any, arrays: Arrays) -> Any:
        """See `Quantizer.codes`."""
        digits = (features[:, None, :] >= arrays["edges"][None]).sum(1)
        return (digits * arrays["powers"]).sum(1)

    def num_scores(self, arrays: Arrays) -> int:
        """See `Quantizer.num_scores`."""
        return arrays["edges"].shape[0] * arrays["edges"].shape[1]


def _up(values: np.ndarray) -> np.ndarray:
    """Round float64 to the next float32 that is not below it: f >= edge then says the same."""
    near = values.astype(np.float32)
    return np.where(near < values, np.nextafter(near, np.float32(np.inf)), near)


class Product(Quantizer):
    """Groups of features, each with its own k-means; K = num_codes ** num_groups."""

    kind: Literal["product"]
    num_groups: Count = Field(ge=2, le=8, description="Groups: every G-th feature is one.")
    num_codes: Count = Field(ge=2, le=4096, description="Codes per group.")

    def names(self) -> list[str]:
        """See `Quantizer.names`."""
        return [f"product_{self.num_groups}x{self.num_codes}"]

    def sizes(self, num_features: int) -> Iterator[KeySize]:
        """See `Quantizer.sizes`."""
        (name,) = self.names()
        if num_features < self.num_groups:
            raise ValueError(f"{name}: {num_features} features make no {self.num_groups} groups")
        cells = f"{name}: num_codes ** num_groups"
        require_power_below(self.num_codes, self.num_groups, NUM_CODES_LIMIT + 1, cells)
        yield KeySize(name, self.num_codes**self.num_groups, self.num_codes, self.num_codes)

    def fit(self, size: KeySize, features: np.ndarray, how: Fitting) -> dict[str, np.ndarray]:
        """See `Quantizer.fit`."""
        from engram_audio.numerics.kmeans import fit_kmeans

        found = {}
        for group in range(self.num_groups):
            own = np.ascontiguousarray(features[:, group :: self.num_groups])
            fitted = fit_kmeans(own, size.size, how.restarts, how.iterations, how.generator)
            found[f"centroids_{group}"] = fitted
        return found

    def codes(self, features: Any, arrays: Arrays) -> Any:
        """See `Quantizer.codes`."""
        code = 0
        for group in range(self.num_groups - 1, -1, -1):
            own = squares_to(features[:, group :: self.num_groups], arrays[f"centroids_{group}"])
            code = code * self.num_codes + own.argmin(1)
        return code

    def num_scores(self, arrays: Arrays) -> int:
        """See `Quantizer.num_scores`."""
        return len(arrays["centroids_0"])


class Hyperplanes(Quantizer):
    """Signs of random projections of whitened features (LSH); K = 2 ** num_bits."""

    kind: Literal["lsh"]
    num_bits: Count = Field(le=30, description="Random hyperplanes through the mean.")

    def names(self) -> list[str]:
        """See `Quantizer.names`."""
        return [f"lsh_{self.num_bits}"]

    def sizes(self, num_features: int) -> Iterator[KeySize]:
        """See `Quantizer.sizes`."""
        del num_features
        yield KeySize(self.names()[0], 2**self.num_bits, 1, self.num_bits)

    def fit(self, size: KeySize, features: np.ndarray, how: Fitting) -> dict[str, np.ndarray]:
        """See `Quantizer.fit`."""
        from engram_audio.numerics.subspace import leading_eigenvectors

        mean = features.mean(axis=0, dtype=np.float64)
        centred = features - mean.astype(np.float32)
        values, vectors = leading_eigenvectors(
            (centred.T @ centred / len(centred)).astype(np.float64), features.shape[1]
        )
        floor = max(SMALLEST_VARIANCE * float(values[0]), np.finfo(float).tiny)
        whitened = vectors / np.sqrt(np.maximum(values, floor))
        planes = whitened @ how.generator.standard_normal((features.shape[1], size.size))
        return {
            "planes": planes.astype(np.float32),
            "offsets": (mean @ planes).astype(np.float32),
            "powers": 2 ** np.arange(size.size, dtype=np.int64),
        }

    def codes(self, features: Any, arrays: Arrays) -> Any:
        """See `Quantizer.codes`."""
        return ((features @ arrays["planes"] > arrays["offsets"]) * arrays["powers"]).sum(1)

    def num_scores(self, arrays: Arrays) -> int:
        """See `Quantizer.num_scores`."""
        return arrays["planes"].shape[1]


class PluginQuantizer(Plugin, Quantizer):
    """A quantiser of another package: its `Settings` is a `Quantizer` (docs/extend.md)."""

    GROUP: ClassVar[str] = "engram_audio.quantizers"
    FUNCTIONS: ClassVar[tuple[str, ...]] = ()

    @property
    def _own(self) -> Quantizer:
        return self.own(Quantizer)

    @property
    def has_distances(self) -> bool:
        """See `Quantizer.has_distances`."""
        return self._own.has_distances

    @property
    def needs_width(self) -> bool:
        """See `Quantizer.needs_width`."""
        return self._own.needs_width

    def names(self) -> list[str]:
        """See `Quantizer.names`."""
        return self._own.names()

    def sizes(self, num_features: int) -> Iterator[KeySize]:
        """See `Quantizer.sizes`."""
        return self._own.sizes(num_features)

    def fit(self, size: KeySize, features: np.ndarray, how: Fitting) -> dict[str, np.ndarray]:
        """See `Quantizer.fit`."""
        return self._own.fit(size, features, how)

    def codes(self, features: Any, arrays: Arrays) -> Any:
        """See `Quantizer.codes`."""
        return self._own.codes(features, arrays)

    def num_scores(self, arrays: Arrays) -> int:
        """See `Quantizer.num_scores`."""
        return self._own.num_scores(arrays)

    def squares(self, features: Any, arrays: Arrays) -> Any:
        """See `Quantizer.squares`."""
        return self._own.squares(features, arrays)


def squares_to(features: Any, centroids: Any) -> Any:
    """Return squared distances less the squared norm of the features, [m, K]."""
    return (centroids * centroids).sum(1) - 2 * (features @ centroids.T)


PIECE_VALUES = 2**16  # scores held at a time, so that they stay in the cache


def pieces(features: np.ndarray, num_scores: int) -> Iterator[np.ndarray]:
    """Cut features [M, Q] into pieces whose scores are few; one piece at least."""
    step = max(PIECE_VALUES // num_scores, 64)
    for first in range(0, max(len(features), 1), step):
        yield features[first : first + step]
