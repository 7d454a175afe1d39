"""All keys of a family on one representation: fit on train, score train, val and eval.

Loops are over inputs, slices and lags; everything below them is vectorised. The order of the work
does not matter to its results: every fit has its own generator.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.errors import InputError
from engram_audio.latents.block import BlockSource
from engram_audio.numerics.seeds import checksum_generator
from engram_audio.structure.cells import make_labeling
from engram_audio.structure.config import (
    NUM_CELLS_LIMIT,
    KeyFamilySection,
    KeyInput,
    TargetOracleKeys,
)
from engram_audio.structure.controls import CONTROLS, permuted_index, swapped_index
from engram_audio.structure.features import FeatureStream, KeyContext, fit_extractor, num_features
from engram_audio.structure.inputs import InputMeans, hold, input_source, input_window
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
from engram_audio.structure.quantizers import (
    KeyCells,
    QuantizerSpec,
    cells_of,
    fit_quantizer,
    not_attempted,
    quantizer_specs,
)
from engram_audio.structure.scoring import (
    ScoredLabeling,
    ScoringPlan,
    make_subspaces,
    score_labelings,
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


def score_keys(name: str, family: KeyFamilySection, material: Material) -> KeyTables:
    """Score all keys of a family.

    Args:
        name: Name of the family in the configuration; keys are `<name>.<input>.<quantizer>`.
        family: Its settings.
        material: The prepared representation.

    Raises:
        InputError: A key has more cells than can be numbered, or increments of one frame.
    """
    work = _Work(name, family, material)
    if isinstance(family, TargetOracleKeys):
        work.score_input("raw", material.source)
    else:
        means = InputMeans(material.source, material.frame_index)
        for key_input in family.inputs:
            inputs = input_source(key_input, material.source, material.frame_index, means)
            work.score_input(key_input, hold(inputs) if material.is_held else inputs)
    return work.tables()


class _Work:
    """The loops of `score_keys` and the tables they fill."""

    def __init__(self, name: str, family: KeyFamilySection, material: Material) -> None:
        self._name, self._family, self._material = name, family, material
        self._section = material.section
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

    def score_input(self, key_input: KeyInput, inputs: BlockSource) -> None:
        """Score all keys of one input in every slice at every lag."""
        is_oracle = isinstance(self._family, TargetOracleKeys)
        lags = self._section.lags_frames
        for slice_name in self._material.slices:
            # the oracle sees the target, which no lag moves: fit once, report at every lag
            for lag in lags[:1] if is_oracle else lags:
                self._score_place(key_input, inputs, slice_name, lag, lags if is_oracle else (lag,))

    def _score_place(
        self, key_input: KeyInput, inputs: BlockSource, slice_name: SliceName, lag: int,
        reported_lags: tuple[int, ...],
    ) -> None:  # fmt: skip
        targets = self._material.slices[slice_name]
        attempted = []
        for spec in self._specs(key_input):
            minimum = self._section.minimum_cell_frames
            reason = not_attempted(spec, targets.count(TRAIN), minimum)
            if reason is None:
                attempted.append(spec)
                continue
            for place in self._places(key_input, spec, slice_name, reported_lags):
                for control in ("none", *CONTROLS):
                    add_key(self._keys, place, control, spec, targets, reason)
        if not attempted:
            return
        cells = self._cells_of(key_input, inputs, slice_name, lag, attempted)
        for spec, control, outcome in self._score(slice_name, attempted, cells):
            for place in self._places(key_input, spec, slice_name, reported_lags):
                self._report(place, control, spec, outcome, cells[spec.name])

    def _places(
        self, key_input: KeyInput, spec: QuantizerSpec, slice_name: SliceName,
        lags: tuple[int, ...],
    ) -> list[Place]:  # fmt: skip
        key = self._key(key_input, spec)
        return [Place(key, spec.num_cells, lag, slice_name) for lag in lags]

    def _cells_of(
        self, key_input: KeyInput, inputs: BlockSource, slice_name: SliceName, lag: int,
        specs: list[QuantizerSpec],
    ) -> dict[str, KeyCells]:  # fmt: skip
        section, targets = self._section, self._material.slices[slice_name]
        context = KeyContext(
            source=self._material.source,
            inputs=inputs,
            targets=targets,
            normalization=self._material.normalizations[slice_name],
            window_frames=input_window(key_input, section.window_frames),
            lag_frames=lag,
            ridge=section.ridge,
        )
        stream = FeatureStream(
            fit_extractor(self._family, context),
            self._num_features(key_input),
            inputs,
            targets,
            memory_bytes(section),
        )
        sample = stream.train_sample()
        quantizers = [
            fit_quantizer(
                spec, sample, section.kmeans_restarts, section.kmeans_iterations,
                checksum_generator(
                    section.seed, "kmeans", self._key(key_input, spec), lag, slice_name
                ),
            )
            for spec in specs
        ]  # fmt: skip
        del sample
        found = cells_of(stream, quantizers, len(targets.part))
        return dict(zip([spec.name for spec in specs], found, strict=True))

    def _score(
        self, slice_name: SliceName, specs: list[QuantizerSpec], cells: dict[str, KeyCells]
    ) -> Iterator[tuple[QuantizerSpec, str, ScoredLabeling | str]]:
        """Yield the outcome of each key and control; sums of cells live until the next batch."""
        material, targets = self._material, self._material.slices[slice_name]
        minimum = self._section.minimum_cell_frames
        names, labelings = [], []
        for spec in specs:
            own = cells[spec.name].cells
            for control, index in self._controls[slice_name].items():
                torn = own if index is None else own[index]
                names.append((spec, control))
                labelings.append(make_labeling(torn, targets.part, spec.num_cells, minimum))
        plan = ScoringPlan(
            material.source, targets, material.normalizations[slice_name],
            len(material.frame_index.speaker_ids), self._section,
        )  # fmt: skip
        keep = [control == "none" for _, control in names]
        scored = score_labelings(plan, labelings, keep, memory_bytes(self._section))
        for (spec, control), outcome in zip(names, scored, strict=True):
            yield spec, control, outcome
        for control in sorted(set(CONTROLS) - set(self._controls[slice_name])):
            for spec in specs:
                yield spec, control, "not_attempted: a part has one utterance only"

    def _report(
        self, place: Place, control: str, spec: QuantizerSpec, outcome: ScoredLabeling | str,
        cells: KeyCells,
    ) -> None:  # fmt: skip
        slice_name: SliceName = place.slice  # type: ignore[assignment]
        targets = self._material.slices[slice_name]
        normalization = self._material.normalizations[slice_name]
        speaker_ids = self._material.frame_index.speaker_ids
        add_key(self._keys, place, control, spec, targets, outcome)
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
        permuted = permuted_index(targets, checksum_generator(seed, "permuted", slice_name))
        swapped = swapped_index(targets, checksum_generator(seed, "swapped", slice_name))
        indices: dict[str, np.ndarray | None] = {"none": None, "permuted": permuted}
        return indices if swapped is None else {**indices, "swapped": swapped}

    def _key(self, key_input: KeyInput, spec: QuantizerSpec) -> str:
        if isinstance(self._family, TargetOracleKeys):
            return f"{self._name}.{spec.name}"
        return f"{self._name}.{key_input}.{spec.name}"

    def _specs(self, key_input: KeyInput) -> list[QuantizerSpec]:
        specs = quantizer_specs(self._family, self._num_features(key_input))
        for spec in specs:
            if spec.num_cells > NUM_CELLS_LIMIT:
                raise InputError(
                    f"structure.library.{self._name}: {spec.name} has more than {NUM_CELLS_LIMIT} "
                    "cells; take fewer components or fewer bins"
                )
        return specs

    def _num_features(self, key_input: KeyInput) -> int:
        num_dims = len(next(iter(self._material.normalizations.values())).mean)
        window_frames = input_window(key_input, self._section.window_frames)
        return num_features(self._family, window_frames, num_dims)
