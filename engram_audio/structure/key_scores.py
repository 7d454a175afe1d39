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
from engram_audio.structure.features import (
    Extractor,
    FeatureStream,
    KeyContext,
    fit_extractor,
    num_features,
)
from engram_audio.structure.inputs import InputMeans, hold, input_source, input_window
from engram_audio.structure.key_tables import (
    CELL_COLUMNS,
    CURVE_COLUMNS,
    KEY_COLUMNS,
    NGRAM_COLUMNS,
    SCORE_COLUMNS,
    KeyOutcome,
    Place,
    TableBuilder,
    add_cells,
    add_curves,
    add_key,
    add_scores,
)
from engram_audio.structure.linear import linear_context
from engram_audio.structure.linear_model import fit_linear_model
from engram_audio.structure.material import Material, memory_bytes
from engram_audio.structure.ngrams import ngram_coverage
from engram_audio.structure.oracle import oracle_features, oracle_quantizer, score_oracle
from engram_audio.structure.quantizers import (
    KeyCells,
    QuantizerSpec,
    cells_of,
    fit_quantizer,
    not_attempted,
    quantizer_specs,
)
from engram_audio.structure.scoring import ScoredLabeling, ScoringPlan, score_labelings
from engram_audio.structure.speaker_sums import make_subspaces
from engram_audio.structure.targets import TRAIN
from engram_audio.structure.wording import NO_ENERGY
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
        self._plans: dict[tuple[SliceName, int], ScoringPlan] = {}
        self._controls: dict[int, dict[str, np.ndarray | None]] = {}

    def tables(self) -> KeyTables:
        return KeyTables(
            self._scores.frame(), self._keys.frame(), self._cells.frame(), self._curves.frame(),
            self._ngrams.frame(),
        )  # fmt: skip

    def score_input(self, key_input: KeyInput, inputs: BlockSource) -> None:
        """Score all keys of one input in every slice at every lag."""
        for where in self._material.places:
            attempted = self._attempted(key_input, where)
            if not attempted:
                continue
            cells = self._cells_of(key_input, inputs, where, attempted)
            if self._is_oracle:
                self._score_oracle(where, attempted, cells)
                continue
            for spec, control, outcome in self._score(where, attempted, cells):
                place = self._place(key_input, spec, where)
                self._report(place, where, control, spec, outcome, cells[spec.name])

    @property
    def _is_oracle(self) -> bool:
        return isinstance(self._family, TargetOracleKeys)

    def _attempted(self, key_input: KeyInput, where: tuple[SliceName, int]) -> list[QuantizerSpec]:
        """Return the quantisers that can be fitted in a slice; report why others cannot."""
        num_train = self._material.places[where].targets.count(TRAIN)
        attempted = []
        for spec in self._specs(key_input):
            reason = not_attempted(spec, num_train, self._section.minimum_cell_frames)
            if where[0] == "speech" and self._material.frame_index.loud is None:
                reason = NO_ENERGY
            if reason is None:
                attempted.append(spec)
                continue
            for control in ("none",) if self._is_oracle else ("none", *CONTROLS):
                place = self._place(key_input, spec, where)
                add_key(self._keys, place, control, spec, num_train, reason)
        return attempted

    def _place(
        self, key_input: KeyInput, spec: QuantizerSpec, where: tuple[SliceName, int]
    ) -> Place:
        return Place(self._key(key_input, spec), spec.num_cells, where[1], where[0])

    def _plan(self, where: tuple[SliceName, int]) -> ScoringPlan:
        """Return the slice with its linear model, which all inputs share."""
        if where not in self._plans:
            data = self._material.places[where]
            context = linear_context(self._material, *where)
            self._plans[where] = ScoringPlan(
                self._material.source, data.targets, data.normalization,
                self._material.num_speakers, self._section,
                fit_linear_model(context, self._section.linear_ridges),
            )  # fmt: skip
        return self._plans[where]

    def _cells_of(
        self, key_input: KeyInput, inputs: BlockSource, where: tuple[SliceName, int],
        specs: list[QuantizerSpec],
    ) -> dict[str, KeyCells]:  # fmt: skip
        section, data = self._section, self._material.places[where]
        stream = FeatureStream(
            self._extractor(key_input, inputs, where),
            self._num_features(key_input),
            inputs,
            data.targets,
            memory_bytes(section),
        )
        sample = stream.train_sample()
        slice_name, lag = where
        quantizers = []
        for spec in specs:
            key = self._key(key_input, spec)
            generator = checksum_generator(section.seed, "kmeans", key, lag, slice_name)
            if self._is_oracle:
                quantizers.append(oracle_quantizer(spec, sample, generator))
                continue
            fits = section.kmeans_restarts, section.kmeans_iterations
            quantizers.append(fit_quantizer(spec, sample, *fits, generator))
        del sample
        found = cells_of(stream, quantizers, len(data.targets.part))
        return dict(zip([spec.name for spec in specs], found, strict=True))

    def _extractor(
        self, key_input: KeyInput, inputs: BlockSource, where: tuple[SliceName, int]
    ) -> Extractor:
        if self._is_oracle:
            return oracle_features(self._plan(where))
        data, section = self._material.places[where], self._section
        context = KeyContext(
            source=self._material.source,
            inputs=inputs,
            targets=data.targets,
            normalization=data.normalization,
            window_frames=input_window(key_input, section.window_frames),
            lag_frames=where[1],
            ridge=section.ridge,
        )
        return fit_extractor(self._family, context)

    def _score_oracle(
        self, where: tuple[SliceName, int], specs: list[QuantizerSpec], cells: dict[str, KeyCells]
    ) -> None:
        plan = self._plan(where)
        targets, minimum = plan.targets, self._section.minimum_cell_frames
        for spec in specs:
            own = cells[spec.name].cells
            labeling = make_labeling(own, targets.part, spec.num_cells, minimum)
            sums = score_oracle(plan, labeling)
            place = self._place("raw", spec, where)
            outcome = KeyOutcome(labeling, sums, is_lower_bound=False)
            add_key(self._keys, place, "none", spec, targets.count(TRAIN), outcome)
            add_scores(
                self._scores, place, "none", sums, self._subspaces(plan),
                self._material.frame_index.speaker_ids,
            )  # fmt: skip

    def _subspaces(self, plan: ScoringPlan) -> list[str]:
        return make_subspaces(plan.normalization, self._section.principal_subspaces).names

    def _score(
        self, where: tuple[SliceName, int], specs: list[QuantizerSpec], cells: dict[str, KeyCells]
    ) -> Iterator[tuple[QuantizerSpec, str, ScoredLabeling | str]]:
        """Yield the outcome of each key and control; sums of cells live until the next batch."""
        plan = self._plan(where)
        minimum = self._section.minimum_cell_frames
        controls = self._control_indices(where)
        names, labelings = [], []
        for spec in specs:
            own = cells[spec.name].cells
            for control, index in controls.items():
                torn = own if index is None else own[index]
                names.append((spec, control))
                labelings.append(make_labeling(torn, plan.targets.part, spec.num_cells, minimum))
        are_controls = [control != "none" for _, control in names]
        scored = score_labelings(plan, labelings, are_controls, memory_bytes(self._section))
        for (spec, control), outcome in zip(names, scored, strict=True):
            yield spec, control, outcome
        for control in sorted(set(CONTROLS) - set(controls)):
            for spec in specs:
                yield spec, control, "not_attempted: a part has one utterance only"

    def _report(
        self, place: Place, where: tuple[SliceName, int], control: str, spec: QuantizerSpec,
        outcome: ScoredLabeling | str, cells: KeyCells,
    ) -> None:  # fmt: skip
        plan = self._plan(where)
        targets, normalization = plan.targets, plan.normalization
        speaker_ids = self._material.frame_index.speaker_ids
        if isinstance(outcome, str):
            add_key(self._keys, place, control, spec, targets.count(TRAIN), outcome)
            return
        row = KeyOutcome(outcome.sums.labeling, outcome.speakers, outcome.is_lower_bound)
        add_key(self._keys, place, control, spec, targets.count(TRAIN), row)
        add_scores(
            self._scores, place, control, outcome.speakers, self._subspaces(plan), speaker_ids
        )
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

    def _control_indices(self, where: tuple[SliceName, int]) -> dict[str, np.ndarray | None]:
        """Return whose labels each target takes under a control, the same for every key."""
        targets, seed = self._material.places[where].targets, self._section.seed
        if id(targets) not in self._controls:
            name = where[0] if where[0] != "speech" else f"speech/{where[1]}"
            permuted = permuted_index(targets, checksum_generator(seed, "permuted", name))
            swapped = swapped_index(targets, checksum_generator(seed, "swapped", name))
            indices: dict[str, np.ndarray | None] = {"none": None, "permuted": permuted}
            self._controls[id(targets)] = (
                indices if swapped is None else {**indices, "swapped": swapped}
            )
        return self._controls[id(targets)]

    def _key(self, key_input: KeyInput, spec: QuantizerSpec) -> str:
        if self._is_oracle:
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
        num_dims = len(next(iter(self._material.places.values())).normalization.mean)
        window_frames = input_window(key_input, self._section.window_frames)
        return num_features(self._family, window_frames, num_dims)
