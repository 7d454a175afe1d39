"""All keys of a family on one representation: fit on train, score train, val and eval.

Loops are over inputs, slices and lags; everything below them is vectorised. The order of the work
does not matter to its results: every fit has its own generator.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.keys.fitted import FittedFamily
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
from engram_audio.structure.speaker_sums import SpeakerSums, make_subspaces
from engram_audio.structure.target_keys import (
    ScoredKey,
    TargetCells,
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

    A linear model of the whole context takes 8 (W D)^2 bytes, 128 MiB at 8 frames of 512
    dimensions. So one place at a time is scored, under all inputs.

    Args:
        name: Name of the family in the configuration; keys are `<name>.<input>.<quantizer>`.
        keys: Its fitted keys, or the settings of the target oracle.
        material: The prepared representation.
    """
    inputs = list(target_keys(name, keys, material))
    tables = [_Tables.empty() for _ in inputs]
    for where in sorted(material.places, key=lambda where: where[1]):
        place = _PlaceScores(material, where)
        for own, found in zip(inputs, tables, strict=True):
            place.score_all(own, found)
    return _joined(tables)


class _Tables(NamedTuple):
    """The tables that one input fills."""

    scores: TableBuilder
    keys: TableBuilder
    cells: TableBuilder
    curves: TableBuilder
    ngrams: TableBuilder

    @classmethod
    def empty(cls) -> "_Tables":
        columns = SCORE_COLUMNS, KEY_COLUMNS, CELL_COLUMNS, CURVE_COLUMNS, NGRAM_COLUMNS
        return cls(*(TableBuilder(own) for own in columns))


def _joined(tables: list[_Tables]) -> KeyTables:
    whole = _Tables.empty()
    for one in tables:
        for builder, other in zip(whole, one, strict=True):
            builder.extend(other)
    return KeyTables(*(builder.frame() for builder in whole))


class _PlaceScores:
    """A slice at a lag: what all inputs of a family share in it, and their scores."""

    def __init__(self, material: Material, where: Where) -> None:
        self._material, self._where, self._section = material, where, material.section
        self._targets = material.places[where].targets

    def score_all(self, own: TargetKeys, tables: _Tables) -> None:
        """Score the keys of one input."""
        attempted = self._attempted(own, tables)
        if not attempted:
            return
        cells = own.cells(self._where, self._plan)
        if own.IS_ORACLE:
            self._score_oracle(attempted, cells, tables)
            return
        for key, control, outcome in self._score(attempted, cells):
            self._report(key, control, outcome, cells[key.name], tables)

    def _attempted(self, own: TargetKeys, tables: _Tables) -> list[ScoredKey]:
        """Return the keys that can be scored; report why others cannot."""
        minimum = self._section.minimum_cell_frames
        attempted = []
        for key in own.keys(self._where[1]):
            reason = not_attempted(key, self._targets.count(TRAIN), minimum)
            if self._where[0] == "speech" and self._material.frame_index.loud is None:
                reason = NO_ENERGY
            if reason is None:
                attempted.append(key)
                continue
            for control in ("none",) if own.IS_ORACLE else ("none", *CONTROLS):
                add_key(tables.keys, self._place(key), control, self._targets, reason)
        return attempted

    @functools.cached_property
    def _plan(self) -> ScoringPlan:
        """The place with its linear model."""
        data = self._material.places[self._where]
        context = linear_context(self._material, *self._where)
        return ScoringPlan(
            self._material.source, data.targets, data.normalization,
            self._material.num_speakers, self._section,
            fit_linear_model(context, self._section.linear_ridges),
        )  # fmt: skip

    def _score_oracle(
        self, keys: list[ScoredKey], cells: dict[str, TargetCells], tables: _Tables
    ) -> None:
        plan, targets, minimum = self._plan, self._targets, self._section.minimum_cell_frames
        for key in keys:
            own = cells[key.name].cells
            labeling = make_labeling(own, targets.part, key.num_cells, minimum)
            sums = score_oracle(plan, labeling)
            outcome = KeyOutcome(labeling, sums, is_lower_bound=False)
            add_key(tables.keys, self._place(key), "none", targets, outcome)
            self._add_scores(tables, key, "none", sums)

    def _add_scores(self, tables: _Tables, key: ScoredKey, control: str, sums: SpeakerSums) -> None:
        subspaces = make_subspaces(self._plan.normalization, self._section.principal_subspaces)
        speaker_ids = self._material.frame_index.speaker_ids
        add_scores(tables.scores, self._place(key), control, sums, subspaces.names, speaker_ids)

    def _score(
        self, keys: list[ScoredKey], cells: dict[str, TargetCells]
    ) -> Iterator[tuple[ScoredKey, str, ScoredLabeling | str]]:
        """Yield the outcome of each key and control; sums of cells live until the next batch."""
        plan = self._plan
        minimum = self._section.minimum_cell_frames
        names, labelings = [], []
        for key in keys:
            own = cells[key.name].cells
            for control, index in self._controls.items():
                torn = own if index is None else own[index]
                names.append((key, control))
                labelings.append(make_labeling(torn, plan.targets.part, key.num_cells, minimum))
        are_controls = [control != "none" for _, control in names]
        scored = score_labelings(plan, labelings, are_controls, memory_bytes(self._section))
        for (key, control), outcome in zip(names, scored, strict=True):
            yield key, control, outcome
        for control in sorted(set(CONTROLS) - set(self._controls)):
            for key in keys:
                yield key, control, "not_attempted: a part has one utterance only"

    def _report(
        self, key: ScoredKey, control: str, outcome: ScoredLabeling | str, cells: TargetCells,
        tables: _Tables,
    ) -> None:  # fmt: skip
        place, targets = self._place(key), self._targets
        if isinstance(outcome, str):
            add_key(tables.keys, place, control, targets, outcome)
            return
        row = KeyOutcome(outcome.sums.labeling, outcome.speakers, outcome.is_lower_bound)
        add_key(tables.keys, place, control, targets, row)
        self._add_scores(tables, key, control, outcome.speakers)
        if control != "none":
            return
        add_cells(tables.cells, place, outcome, targets, self._plan.normalization)
        add_curves(
            tables.curves, place, outcome, cells.sure, targets, self._section.confidence_quantiles,
            self._material.frame_index.speaker_ids, self._material.frame_index.loud is not None,
        )  # fmt: skip
        # a lag shifts the sequence of keys and changes nothing in it: one lag is enough
        if self._where == ("all", self._section.lags_frames[0]):
            for row in ngram_coverage(
                cells.cells, targets.utterance, targets.part, self._section.ngram_orders,
                self._section.ngram_minimum_counts,
            ):  # fmt: skip
                tables.ngrams.add(1, {"key": place.key, **row._asdict()})

    @functools.cached_property
    def _controls(self) -> dict[str, np.ndarray | None]:
        """Whose labels each target takes under a control, the same for every key."""
        seed, (name, lag_frames) = self._section.seed, self._where
        drawn = name if name != "speech" else f"speech/{lag_frames}"
        permuted = permuted_index(self._targets, named_generator(seed, "permuted", drawn))
        swapped = swapped_index(self._targets, named_generator(seed, "swapped", drawn))
        indices: dict[str, np.ndarray | None] = {"none": None, "permuted": permuted}
        return indices if swapped is None else {**indices, "swapped": swapped}

    def _place(self, key: ScoredKey) -> Place:
        return Place(key.name, key.num_cells, self._where[1], self._where[0])
