"""The candidate keys of a verdict: which count, which is chosen, and where none can add enough.

Every context key that was scored is a candidate. One is chosen on speakers that were held out for
choices, and only that one is tested on speakers never heard. A STOP asks all of them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from engram_audio.latents.config import SURROGATE_MARK
from engram_audio.structure.config import DecisionSection
from engram_audio.structure.gates import (
    Place,
    Row,
    can_be_ruled_out,
    control_rows,
    fitting_rows,
    invalid_reason,
    measure,
)
from engram_audio.structure.wording import NO_ENERGY

INDEX = ["representation", "split_seed", "key", "lag_frames", "slice", "part"]
PARTS_OF_CHOICE = ("select", "val")  # the first that was scored; too few speakers leave no select


class Records(NamedTuple):
    """The published table as rows by place.

    Attributes:
        rows: Row of each (representation, split seed, key, lag, slice, part), all dimensions.
        keys: Context keys of each (representation, split seed), in the table's order.
    """

    rows: Mapping[tuple[Any, ...], Row]
    keys: Mapping[tuple[str, int], list[str]]

    def place(self, name: str, seed: int, key: str, lag: int, slice_name: str) -> Place:
        """Return a place with the rows of its parts."""
        parts = ("val", "select", "eval")
        found = {part: self.rows.get((name, seed, key, lag, slice_name, part)) for part in parts}
        rows = {part: row for part, row in found.items() if row is not None}
        return Place(name, seed, key, lag, slice_name, rows)

    def seeds(self, name: str) -> list[int]:
        """Return the split seeds of a representation in the table's order."""
        return [seed for own, seed in self.keys if own == name]


def records_of(structure: pd.DataFrame) -> Records:
    """Index `tables/structure.csv` without surrogates.

    The oracle (`<family>.<quantizer>`) is no context key.
    """
    is_surrogate = structure["representation"].str.contains(SURROGATE_MARK, regex=False)
    whole = structure.loc[(structure["subspace"] == "all") & ~is_surrogate]
    keys: dict[tuple[str, int], list[str]] = {}
    context = whole.loc[whole["key"].str.count(r"\.") > 1]
    unique = context[["representation", "split_seed", "key"]].drop_duplicates()
    for name, seed, key in unique.itertuples(index=False):
        keys.setdefault((str(name), int(seed)), []).append(str(key))
    names = [str(name) for name in whole.columns]
    columns = (whole[name].tolist() for name in whole.columns)
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    return Records({tuple(row[name] for name in INDEX): row for row in rows}, keys)


class Candidate(NamedTuple):
    """One context key on one split.

    Attributes:
        key: Its name.
        score: Added fraction where the choice is made; NaN if it is not known there.
        chosen_on: The part where it was scored for the choice; "" if on none.
        reason: Why it is invalid there; empty where it can be chosen.
    """

    key: str
    score: float
    chosen_on: str
    reason: str


def candidates_of(
    records: Records, name: str, seed: int, section: DecisionSection
) -> list[Candidate]:
    """Return every context key with its score for the choice, in the table's order."""
    keys = records.keys.get((name, seed), [])
    part = _part_of_choice(records, name, seed, keys, section)
    return [_candidate(records, name, seed, key, part, section) for key in keys]


def chosen(candidates: Iterable[Candidate]) -> Candidate | None:
    """Return the valid candidate with the largest score, the first of equals; None if none is."""
    valid = [one for one in candidates if not one.reason]
    return max(valid, key=lambda one: one.score, default=None)


def ruled_out_slices(
    records: Records,
    name: str,
    seed: int,
    candidates: Sequence[Candidate],
    section: DecisionSection,
    delta: float,
    confidence: float,
) -> list[str]:
    """Return the judged slices on which no valid candidate can add what is asked.

    A key whose control is off tells nothing, neither that it adds nor that it does not.
    All candidates must fail, so their number needs no correction. One slice is enough for a STOP,
    so the level is shared over the slices.
    """
    gate, slices = section.operative_gate, section.slices
    level = 1 - (1 - confidence) / len(slices)
    valid = [one.key for one in candidates if not one.reason]

    def is_valid(place: Place) -> bool:
        rows = [*fitting_rows(place, gate, "eval"), *control_rows(place, gate, confidence)]
        return not invalid_reason(rows)

    def is_ruled_out(slice_name: str) -> bool:
        places = [records.place(name, seed, key, section.lag_frames, slice_name) for key in valid]
        places = [one for one in places if is_valid(one)]
        return bool(places) and all(can_be_ruled_out(place, gate, delta, level) for place in places)

    return [slice_name for slice_name in slices if is_ruled_out(slice_name)]


def without_absent_slices(
    records: Records, name: str, section: DecisionSection
) -> tuple[DecisionSection, list[str]]:
    """Return the section without slices that a representation does not have, and a sentence each.

    Arrays without energies have no speech to tell from silence. Nothing can be judged there, and
    that is no fault of a key.
    """
    absent = {
        place[4]
        for place, row in records.rows.items()
        if place[0] == name and row["status"] == NO_ENERGY
    }
    kept = tuple(slice_name for slice_name in section.slices if slice_name not in absent)
    words = NO_ENERGY.removeprefix("not_attempted: ")
    gone = [one for one in section.slices if one in absent]
    sentences = [f"Slice {one} was not judged: {words}." for one in gone]
    return section.model_copy(update={"slices": kept or ("all",)}), sentences


def _part_of_choice(
    records: Records, name: str, seed: int, keys: Sequence[str], section: DecisionSection
) -> str:
    for part in PARTS_OF_CHOICE:
        for key in keys:
            place = records.place(name, seed, key, section.lag_frames, section.slices[0])
            if part in place.parts and place.parts[part]["num_frames"] > 0:
                return part
    return ""


def _candidate(
    records: Records, name: str, seed: int, key: str, part: str, section: DecisionSection
) -> Candidate:
    """Score a key for the choice on the first judged slice; eval speakers have no say."""
    places = [
        records.place(name, seed, key, section.lag_frames, slice_name)
        for slice_name in section.slices
    ]
    reason = next((one for place in places if (one := _reason(place, part, section))), "")
    row = places[0].parts.get(part, {})
    score = measure(row, "added_fraction", 0.5).value if row else math.nan
    if not reason and not math.isfinite(score):
        reason = f"its added fraction on {part} is unknown"
    return Candidate(key, score, part, reason)


def _reason(place: Place, part: str, section: DecisionSection) -> str:
    """Return why a key is no candidate at a place; how many speakers `part` has is no reason."""
    if not part:
        return "no part was scored for the choice"
    rows = fitting_rows(place, section.operative_gate, part)
    return invalid_reason([row for row in rows if not row.name.startswith("num_effective")])
