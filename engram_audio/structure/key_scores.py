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
from engram_audio.structure.material import Material, Where, memory_bytes
from engram_audio.structure.ngrams import ngram_coverage
from engram_audio.structure.oracle import score_oracle
from engram_audio.structure.scoring import ScoredLabeling, ScoringPlan, score_labelings
from engram_audio.structure.speaker_sums import make_subspaces
from engram_audio.structure.target_keys import (
    ScoredKey,
    TargetKeys,
    not_attempted,
    target_keys,
)
from engram_audio.structure.targets import TRAIN
from engram_audio.structure.wording import NO_ENERGY


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
        self._plans: dict[Where, ScoringPlan] = {}
        self._controls: dict[int, dict[str, np.ndarray | None]] = {}

    def tables(self) -> KeyTables:
        return KeyTables(
            self._scores.frame(), self._keys.frame(), self._cells.frame(), self._curves.frame(),
            self._ngrams.frame(),
        )  # fmt: skip

    def score_all(self, own: TargetKeys) -> None:
        """Score the keys of one input in every slice at every lag, lag by lag."""
        for where in sorted(self._material.places, key=lambda where: where[1]):
            attempted = self._attempted(own, where)
            if not attempted:
                continue
            cells = own.cells(where, self._plan(where))
            if own.IS_ORACLE:
                self._score_oracle(where, attempted, cells)
                continue
            for key, control, outcome in self._score(where, attempted, cells):
                self._report(_place(key, where), where, control, outcome, cells[key.name])

    def _attempted(self, own: TargetKeys, where: Where) -> list[ScoredKey]:
        """Return the keys that can be scored in a slice; report why others cannot."""
        targets, minimum = self._material.places[where].targets, self._section.minimum_cell_frames
        attempted = []
        for key in own.keys(where[1]):
            reason = not_attempted(key, targets.count(TRAIN), minimum)
            if where[0] == "speech" and self._material.frame_index.loud is None:
                reason = NO_ENERGY
            if reason is None:
                attempted.append(key)
                continue
            for control in ("none",) if own.IS_ORACLE else ("none", *CONTROLS):
                add_key(self._keys, _place(key, where), control, targets, reason)
        return attempted

    def _plan(self, where: Where) -> ScoringPlan:
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

    def _score_oracle(
        self, where: Where, keys: list[ScoredKey], cells: dict[str, KeyCells]
    ) -> None:
        plan = self._plan(where)
        targets, minimum = plan.targets, self._section.minimum_cell_frames
        for key in keys:
            own = cells[key.name].cells
            labeling = make_labeling(own, targets.part, key.num_cells, minimum)
            sums = score_oracle(plan, labeling)
            place = _place(key, where)
            outcome = KeyOutcome(labeling, sums, is_lower_bound=False)
            add_key(self._keys, place, "none", targets, outcome)
            add_scores(
                self._scores, place, "none", sums, self._subspaces(plan),
                self._material.frame_index.speaker_ids,
            )  # fmt: skip

    def _subspaces(self, plan: ScoringPlan) -> list[str]:
        return make_subspaces(plan.normalization, self._section.principal_subspaces).names

    def _score(
        self, where: Where, keys: list[ScoredKey], cells: dict[str, KeyCells]
    ) -> Iterator[tuple[ScoredKey, str, ScoredLabeling | str]]:
        """Yield the outcome of each key and control; sums of cells live until the next batch."""
        plan = self._plan(where)
        minimum = self._section.minimum_cell_frames
        controls = self._control_indices(where)
        names, labelings = [], []
        for key in keys:
            own = cells[key.name].cells
            for control, index in controls.items():
                torn = own if index is None else own[index]
                names.append((key, control))
                labelings.append(make_labeling(torn, plan.targets.part, key.num_cells, minimum))
        are_controls = [control != "none" for _, control in names]
        scored = score_labelings(plan, labelings, are_controls, memory_bytes(self._section))
        for (key, control), outcome in zip(names, scored, strict=True):
            yield key, control, outcome
        for control in sorted(set(CONTROLS) - set(controls)):
            for key in keys:
                yield key, control, "not_attempted: a part has one utterance only"

    def _report(
        self, place: Place, where: Where, control: str, outcome: ScoredLabeling | str,
        cells: KeyCells,
    ) -> None:  # fmt: skip
        plan = self._plan(where)
        targets, normalization = plan.targets, plan.normalization
        speaker_ids = self._material.frame_index.speaker_ids
        if isinstance(outcome, str):
            add_key(self._keys, place, control, targets, outcome)
            return
        row = KeyOutcome(outcome.sums.labeling, outcome.speakers, outcome.is_lower_bound)
        add_key(self._keys, place, control, targets, row)
        add_scores(
            self._scores, place, control, outcome.speakers, self._subspaces(plan), speaker_ids
        )
        if control != "none":
            return
        add_cells(self._cells, place, outcome, targets, normalization)
        add_curves(
            self._curves, place, outcome, cells, targets, self._section.confidence_quantiles,
            speaker_ids, self._material.frame_index.loud is not None,
        )  # fmt: skip
        # a lag shifts the sequence of keys and changes nothing in it: one lag is enough
        if place.slice == "all" and place.lag_frames == self._section.lags_frames[0]:
            for row in ngram_coverage(
                cells.cells, targets.utterance, targets.part, self._section.ngram_orders,
                self._section.ngram_minimum_counts,
            ):  # fmt: skip
                self._ngrams.add(1, {"key": place.key, **row._asdict()})

    def _control_indices(self, where: Where) -> dict[str, np.ndarray | None]:
        """Return whose labels each target takes under a control, the same for every key."""
        targets, seed = self._material.places[where].targets, self._section.seed
        if id(targets) not in self._controls:
            name = where[0] if where[0] != "speech" else f"speech/{where[1]}"
            permuted = permuted_index(targets, named_generator(seed, "permuted", name))
            swapped = swapped_index(targets, named_generator(seed, "swapped", name))
            indices: dict[str, np.ndarray | None] = {"none": None, "permuted": permuted}
            self._controls[id(targets)] = (
                indices if swapped is None else {**indices, "swapped": swapped}
            )
        return self._controls[id(targets)]


def _place(key: ScoredKey, where: Where) -> Place:
    return Place(key.name, key.num_cells, where[1], where[0])
