"""Cells of the targets of every slice: of fitted keys, and of the oracle that sees the target.

Shapes: M targets of a slice, W window rows, D dimensions, K cells.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engram_audio.keys.fitted import FittedFamily, KeyCells, coded, joined, stream_cells
from engram_audio.keys.quantizers import Fitting, KMeans
from engram_audio.numerics.seeds import named_generator
from engram_audio.structure.config import TargetOracleKeys
from engram_audio.structure.material import Material, Where
from engram_audio.structure.oracle import ITERATIONS, oracle_features, oracle_sample
from engram_audio.structure.scoring import ScoringPlan
from engram_audio.structure.targets import EVAL, TRAIN, SliceTargets


class ScoredKey(NamedTuple):
    """A key as the tables name it.

    Attributes:
        name: `<family>.<input>.<quantizer>`, the oracle's `<family>.<quantizer>`.
        num_cells: K.
        num_fitted: Cells of one fit that need train frames.
        missing: Why it was not fitted; empty where it was.
    """

    name: str
    num_cells: int
    num_fitted: int
    missing: str = ""


def not_attempted(key: ScoredKey, num_train: int, minimum_cell_frames: int) -> str | None:
    """Return why a key cannot be scored on this many train frames, or None.

    Cells that are not fitted one by one are attempted, and what falls into thin cells is excluded
    and reported.
    """
    if key.missing:
        return key.missing
    needed = minimum_cell_frames * key.num_fitted
    if num_train >= needed:
        return None
    cells = "one cell needs" if key.num_fitted == 1 else f"{key.num_fitted} cells need"
    return f"not_attempted: {cells} {needed} train frames, have {num_train}"


class TargetCells(NamedTuple):
    """Cells of the targets of a place under one key.

    Attributes:
        cells: Codes, [M], in as few bytes as hold K.
        sure: Confidence in each eval target, in their order, float32; None where there is none.
    """

    cells: np.ndarray
    sure: np.ndarray | None

    def of_part(self, chosen: np.ndarray, is_eval: np.ndarray) -> "TargetCells":
        """Return those of some targets: their positions, [m], among M of which some are eval."""
        if self.sure is None:
            return TargetCells(self.cells[chosen], None)
        place = np.cumsum(is_eval, dtype=np.int32) - 1  # of each eval target among all of them
        return TargetCells(self.cells[chosen], self.sure[place[chosen[is_eval[chosen]]]])


def small_cells(found: KeyCells, num_codes: int, is_eval: np.ndarray) -> TargetCells:
    """Return cells in as few bytes as they need: all codes are held while a lag is scored."""
    sure = None if found.confidence is None else found.confidence[is_eval]
    return TargetCells(found.cells.astype(np.min_scalar_type(num_codes - 1)), sure)


class ContextKeys:
    """The keys of one input of a fitted family."""

    IS_ORACLE = False

    def __init__(self, fitted: FittedFamily, key_input: str, material: Material) -> None:
        """Wrap them."""
        self._fitted, self._input, self._material = fitted, key_input, material
        self._whole: tuple[int, list[TargetCells]] | None = None

    def keys(self, lag_frames: int) -> list[ScoredKey]:
        """Return the keys of a lag, those that lack train frames among them."""
        own = f"{self._fitted.name}.{self._input}."
        return [
            ScoredKey(key.name, key.num_codes, key.num_fitted)
            for key in self._fitted.of_input(self._input, lag_frames)
        ] + [
            ScoredKey(name, size, 1, reason)
            for name, (size, reason) in self._fitted.missing.items()
            if name.startswith(own)
        ]

    def cells(self, where: Where, plan: ScoringPlan) -> dict[str, TargetCells]:
        """Return the cells of a place's targets by key; each frame is coded once for a lag."""
        lag_frames = where[1]
        if self._whole is None or self._whole[0] != lag_frames:
            self._whole = None  # not both lags at once
            self._whole = lag_frames, self._all_cells(lag_frames)
        own = self._fitted.of_input(self._input, lag_frames)
        whole = self._material.places["all", lag_frames].targets
        chosen, is_eval = positions(plan.targets, whole), whole.part == EVAL
        return {
            key.name: found.of_part(chosen, is_eval)
            for key, found in zip(own, self._whole[1], strict=True)
        }

    def _all_cells(self, lag_frames: int) -> list[TargetCells]:
        keys = self._fitted.of_input(self._input, lag_frames)
        targets = self._material.places["all", lag_frames].targets
        found = stream_cells(keys, self._material.source, targets.rows, lag_frames)
        is_eval = targets.part == EVAL
        return [
            small_cells(one, key.num_codes, is_eval) for key, one in zip(keys, found, strict=True)
        ]


def positions(part: SliceTargets, whole: SliceTargets) -> np.ndarray:
    """Return where the targets of a slice stand among all targets, [M]."""
    return np.concatenate(
        [
            start + np.searchsorted(rows, own)
            for own, rows, start in zip(part.rows, whole.rows, whole.start[:-1], strict=True)
        ]
    )


class OracleKeys:
    """k-means on what a linear model leaves of the target itself, fitted in each place."""

    IS_ORACLE = True

    def __init__(self, family: str, section: TargetOracleKeys, material: Material) -> None:
        """Keep the settings."""
        self._family, self._material = family, material
        self._kmeans = KMeans(kind="kmeans", codebook_sizes=section.codebook_sizes)
        self._sizes = list(self._kmeans.sizes(0))

    def keys(self, lag_frames: int) -> list[ScoredKey]:
        """Return the keys; every lag has the same."""
        del lag_frames
        return [
            ScoredKey(f"{self._family}.{size.name}", size.num_codes, size.num_fitted)
            for size in self._sizes
        ]

    def cells(self, where: Where, plan: ScoringPlan) -> dict[str, TargetCells]:
        """Fit on train residuals of a place; return the cells of all its targets by key."""
        section, (slice_name, lag_frames) = self._material.section, where
        stream = oracle_features(plan)
        sample = stream.sample(np.flatnonzero(plan.targets.part == TRAIN))
        found = {}
        for key, size in zip(self.keys(lag_frames), self._sizes, strict=True):
            if not_attempted(key, plan.targets.count(TRAIN), section.minimum_cell_frames) is None:
                names = "oracle", key.name, slice_name, str(lag_frames)
                how = Fitting(1, ITERATIONS, named_generator(section.seed, *names))
                fitted = self._kmeans.fit(size, oracle_sample(sample, size.num_codes), how)
                found[key.name] = self._kmeans, fitted
        parts = [
            {name: coded(own, fit, values) for name, (own, fit) in found.items()}
            for values in stream.blocks()
        ]
        is_eval, sizes = (
            plan.targets.part == EVAL,
            {key.name: key.num_cells for key in self.keys(0)},
        )
        return {
            name: small_cells(joined([part[name] for part in parts]), sizes[name], is_eval)
            for name in found
        }


TargetKeys = ContextKeys | OracleKeys


def target_keys(
    name: str, keys: FittedFamily | TargetOracleKeys, material: Material
) -> Iterator[TargetKeys]:
    """Yield what is scored of a family: its inputs, or the oracle."""
    if isinstance(keys, TargetOracleKeys):
        yield OracleKeys(name, keys, material)
        return
    for key_input in keys.inputs():
        yield ContextKeys(keys, key_input, material)
