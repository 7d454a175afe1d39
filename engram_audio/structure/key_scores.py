"""All keys of a family on one representation: fit on train, score train, val and eval.

Loops are over inputs, slices and lags; everything below them is vectorised. The order of the work
does not matter to its results: every fit has its own generator.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.keys.fitted import FittedFamily, KeyCells
from engram_audio.numerics.seeds import named_generator
from engram_audio.structure.cells import make_labeling
from engram_audio.structure.config import TargetOracleKeys
from engram_audio.structure.controls import CONTROLS, permuted_index, swapped_index
from engram_audio.structure.key_tables import (
    CELL_COLUMNS,
    CURVE_COLUMNS,
    KEY_COLUMNS,
    NGRAM_COLUMNS,
    SCORE_COLUMNS,
    Place,
    TableBuilder,
    add_cells,
    add_curves,
    add_key,
    add_scores,
)
from engram_audio.structure.material import Material, memory_bytes
from engram_audio.structure.ngrams import ngram_coverage
from engram_audio.structure.scoring import (
    ScoredLabeling,
    ScoringPlan,
    make_subspaces,
    score_labelings,
)
from engram_audio.structure.target_keys import (
    ScoredKey,
    TargetKeys,
    not_attempted,
    target_keys,
)
from engram_audio.structure.targets import TRAIN
from engram_audio.views import SliceName


class KeyTables(NamedTuple):
    """Tables of one family; see `key_tables` for their columns."""

    scores: pd.DataFrame
    keys: pd.DataFrame
    cells: pd.DataFrame
    curves: pd.DataFrame
    ngrams: pd.DataFrame


def score_keys(name: str, keys: FittedFamily | TargetOracleKeys, material: Material) -> KeyTables:
    """Score all keys of a family.

    Args:
        name: Name of the family in the configuration; keys are `<name>.<input>.<quantizer>`.
        keys: Its fitted keys, or the settings of the target oracle.
        material: The prepared representation.
    """
    work = _Work(material)
    for own in target_keys(name, keys, material):
        work.score_all(own)
    return work.tables()


class _Work:
    """The loops of `score_keys` and the tables they fill."""

    def __init__(self, material: Material) -> None:
        self._material, self._section = material, material.section
        self._scores = TableBuilder(SCORE_COLUMNS)
        self._keys = TableBuilder(KEY_COLUMNS)
        self._cells = TableBuilder(CELL_COLUMNS)
        self._curves = TableBuilder(CURVE_COLUMNS)
        self._ngrams = TableBuilder(NGRAM_COLUMNS)
        self._controls = {
            slice_name: self._control_indices(slice_name) for slice_name in material.slices
        }

    def tables(self) -> KeyTables:
        return KeyTables(
            self._scores.frame(), self._keys.frame(), self._cells.frame(), self._curves.frame(),
            self._ngrams.frame(),
        )  # fmt: skip

    def score_all(self, own: TargetKeys) -> None:
        """Score the keys of one input in every slice at every lag."""
        lags = self._section.lags_frames
        # what sees the target, which no lag moves, is fitted once and reported at every lag
        for lag in lags if own.HAS_LAG else lags[:1]:
            for slice_name in self._material.slices:
                self._score_place(own, slice_name, lag, (lag,) if own.HAS_LAG else lags)

    def _score_place(
        self, own: TargetKeys, slice_name: SliceName, lag: int, reported_lags: tuple[int, ...]
    ) -> None:
        targets = self._material.slices[slice_name]
        attempted = []
        for key in own.keys(lag):
            minimum = self._section.minimum_cell_frames
            reason = not_attempted(key, targets.count(TRAIN), minimum)
            if reason is None:
                attempted.append(key)
                continue
            for place in _places(key, slice_name, reported_lags):
                for control in ("none", *CONTROLS):
                    add_key(self._keys, place, control, targets, reason)
        if not attempted:
            return
        cells = own.cells(slice_name, lag)
        for key, control, outcome in self._score(slice_name, attempted, cells):
            for place in _places(key, slice_name, reported_lags):
                self._report(place, control, outcome, cells[key.name])

    def _score(
        self, slice_name: SliceName, keys: list[ScoredKey], cells: dict[str, KeyCells]
    ) -> Iterator[tuple[ScoredKey, str, ScoredLabeling | str]]:
        """Yield the outcome of each key and control; sums of cells live until the next batch."""
        material, targets = self._material, self._material.slices[slice_name]
        minimum = self._section.minimum_cell_frames
        names, labelings = [], []
        for key in keys:
            own = cells[key.name].cells
            for control, index in self._controls[slice_name].items():
                torn = own if index is None else own[index]
                names.append((key, control))
                labelings.append(make_labeling(torn, targets.part, key.num_cells, minimum))
        plan = ScoringPlan(
            material.source, targets, material.normalizations[slice_name],
            len(material.frame_index.speaker_ids), self._section,
        )  # fmt: skip
        keep = [control == "none" for _, control in names]
        scored = score_labelings(plan, labelings, keep, memory_bytes(self._section))
        for (key, control), outcome in zip(names, scored, strict=True):
            yield key, control, outcome
        for control in sorted(set(CONTROLS) - set(self._controls[slice_name])):
            for key in keys:
                yield key, control, "not_attempted: a part has one utterance only"

    def _report(
        self, place: Place, control: str, outcome: ScoredLabeling | str, cells: KeyCells
    ) -> None:
        slice_name: SliceName = place.slice  # type: ignore[assignment]
        targets = self._material.slices[slice_name]
        normalization = self._material.normalizations[slice_name]
        speaker_ids = self._material.frame_index.speaker_ids
        add_key(self._keys, place, control, targets, outcome)
        if isinstance(outcome, str):
            return
        subspaces = make_subspaces(normalization, self._section.principal_subspaces).names
        add_scores(self._scores, place, control, outcome, subspaces, speaker_ids)
        if control != "none":
            return
        add_cells(self._cells, place, outcome, targets, normalization)
        add_curves(
            self._curves, place, outcome, cells, targets, self._section.confidence_quantiles,
            speaker_ids,
        )  # fmt: skip
        # a lag shifts the sequence of keys and changes nothing in it: one lag is enough
        if place.slice == "all" and place.lag_frames == self._section.lags_frames[0]:
            for row in ngram_coverage(
                cells.cells, targets.utterance, targets.part, self._section.ngram_orders,
                self._section.ngram_minimum_counts,
            ):  # fmt: skip
                self._ngrams.add(1, {"key": place.key, **row._asdict()})

    def _control_indices(self, slice_name: SliceName) -> dict[str, np.ndarray | None]:
        targets, seed = self._material.slices[slice_name], self._section.seed
        permuted = permuted_index(targets, named_generator(seed, "permuted", slice_name))
        swapped = swapped_index(targets, named_generator(seed, "swapped", slice_name))
        indices: dict[str, np.ndarray | None] = {"none": None, "permuted": permuted}
        return indices if swapped is None else {**indices, "swapped": swapped}


def _places(key: ScoredKey, slice_name: SliceName, lags: tuple[int, ...]) -> list[Place]:
    return [Place(key.name, key.num_cells, lag, slice_name) for lag in lags]
