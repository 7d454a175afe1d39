"""From the published tables to one word for each representation (SCIENCE 3).

A key is chosen on speakers that were held out for choices and tested once on speakers never heard,
on every judged slice. All rows must pass there, so their levels need no correction.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.structure.candidates import (
    Candidate,
    Records,
    candidates_of,
    chosen,
    records_of,
    ruled_out_slices,
    without_absent_slices,
)
from engram_audio.structure.causes import shortfall_words
from engram_audio.structure.config import DecisionSection
from engram_audio.structure.evidence import (
    Evidence,
    Source,
    heads_row,
    law_row,
    margin_nats,
    source_rows,
)
from engram_audio.structure.gate_row import GateRow, finite_or_none
from engram_audio.structure.gates import ADDED, Place, gate_rows, measure, shown_with_power
from engram_audio.structure.literal import literal_rows
from engram_audio.structure.mean_reversion import mean_reversion_rows
from engram_audio.structure.sentences import verdict_sentence
from engram_audio.structure.word import Judged, word_of

SURROGATE_MARK = "--"


class OnSplit(NamedTuple):
    """The answer on one split.

    Attributes:
        judged: The word with its rows.
        candidate: The chosen key; None where no candidate is valid.
        candidates: Every candidate with its score for the choice.
        rows: Judged rows of the chosen key, and those of the source.
        heads: Rows of the heads' gain and of keys' laws, for each judged slice where known.
        ruled_out: Slices on which no candidate can add enough.
    """

    judged: Judged
    candidate: Candidate | None
    candidates: list[Candidate]
    rows: list[GateRow]
    heads: list[GateRow]
    ruled_out: list[str]

    @property
    def size(self) -> GateRow | None:
        """Row of what the chosen key adds on the first judged slice; None where none is known."""
        found = (row for row in self.rows if row.name == ADDED)
        return next((row for row in found if math.isfinite(row.measured.value)), None)

    @property
    def side(self) -> str:
        """What the keys alone say: `yes`, `no` or `open`."""
        if self.ruled_out:
            return "no"
        is_yes = bool(self.rows) and all(row.outcome in ("pass", None) for row in self.rows)
        return "yes" if is_yes else "open"


class Decided(NamedTuple):
    """The verdict on one representation.

    Attributes:
        verdict: The word, one of `verdicts.words.OF_STRUCTURE`.
        sentence: The verdict in words.
        first: The answer on the first split, which decides.
        splits: What the keys say on each split seed: `yes`, `no` or `open`.
        delta: Margin for nats per frame.
        smallest_shown: Added fraction that these speakers would have shown with 80 % power.
        literal: Rows of the gate as it was first asked for.
        informational: Rows of mean reversion at lag 1.
        num_looked_at: Keys x lags x slices with a number in the table.
    """

    verdict: str
    sentence: str
    first: OnSplit
    splits: dict[int, str]
    delta: float
    smallest_shown: float
    literal: list[GateRow]
    informational: list[GateRow]
    num_looked_at: int


def decide_all(
    structure: pd.DataFrame,
    linear: pd.DataFrame,
    section: DecisionSection,
    confidence: float,
    evidence: Evidence,
) -> dict[str, Decided]:
    """Decide on every representation of the tables that is no surrogate, by name.

    Args:
        structure: `tables/structure.csv`.
        linear: `tables/linear.csv`.
        section: Thresholds, lag and slices.
        confidence: Level of two-sided intervals.
        evidence: The heads' gains and what frames see.
    """
    records = records_of(structure)
    names = sorted(name for name in set(structure["representation"]) if SURROGATE_MARK not in name)
    return {
        name: decide_one(name, records, linear, section, confidence, evidence)
        for name in names
        if records.seeds(name)
    }


def decide_one(
    name: str,
    records: Records,
    linear: pd.DataFrame,
    section: DecisionSection,
    confidence: float,
    evidence: Evidence,
) -> Decided:
    """Decide on one representation; the first split seed decides, others can only hold back."""
    heads = evidence.heads.get(name)
    section, absent = without_absent_slices(records, name, section)
    delta = margin_nats(section, heads)
    seeds = records.seeds(name)
    others = {
        seed: on_split(name, seed, records, section, confidence, evidence).side
        for seed in seeds[1:]
    }
    first = on_split(name, seeds[0], records, section, confidence, evidence, others)
    places = [] if first.candidate is None else _places(name, seeds[0], first.candidate.key,
                                                        records, section)  # fmt: skip
    shown = [shown_with_power(place, section.operative_gate, confidence) for place in places]
    smallest = float(np.max(shown)) if shown else math.nan
    num_looked_at = sum(
        row["part"] == "eval" and row["representation"] == name and row["status"] == "ok"
        for row in records.rows.values()
    )
    reversion = [] if first.candidate is None else mean_reversion_rows(
        records.place(name, seeds[0], first.candidate.key, 1, "all"), linear, confidence
    )  # fmt: skip
    caveats = [row.sentence for row in first.rows if row.outcome is None] + absent
    ridge, gate = _ridge(name, records, section), section.operative_gate
    overlap = next(
        (r.sentence for r in first.rows if r.name == "overlap" and r.outcome == "undecided"), ""
    )
    on_slices = [row for row in first.rows if row.slice in first.ruled_out]
    shortfall = shortfall_words(on_slices, gate.minimum_added_fraction, delta)
    sentence = verdict_sentence(
        name, first.judged, smallest, ridge, first.size, shortfall, caveats, overlap
    )
    return Decided(
        verdict=first.judged.word,
        sentence=sentence,
        first=first,
        splits={seeds[0]: first.side, **others},
        delta=delta,
        smallest_shown=smallest,
        literal=literal_rows(name, seeds[0], records, section, confidence),
        informational=reversion,
        num_looked_at=num_looked_at,
    )


def on_split(
    name: str,
    seed: int,
    records: Records,
    section: DecisionSection,
    confidence: float,
    evidence: Evidence,
    others: Mapping[int, str] | None = None,
) -> OnSplit:
    """Choose a key on one split and test it.

    Args:
        name: The representation.
        seed: The split seed.
        records: The structure table.
        section: Thresholds, lag and slices.
        confidence: Level of two-sided intervals.
        evidence: The heads' gains and what frames see.
        others: What the keys say on the other split seeds.
    """
    heads = evidence.heads.get(name)
    delta = margin_nats(section, heads)
    candidates = candidates_of(records, name, seed, section)
    one = chosen(candidates)
    places = [] if one is None else _places(name, seed, one.key, records, section)
    rows = [
        row
        for place in places
        for row in gate_rows(place, section.operative_gate, delta, confidence)
    ]
    if places:
        rows += _source_rows(places[0], records, section, confidence, evidence)
    ruled_out = ruled_out_slices(records, name, seed, candidates, section, delta, confidence)
    gains = {
        slice_name: heads_row(
            Place(name, seed, "", section.lag_frames, slice_name, {}),
            gain,
            delta,
            confidence,
            len(section.slices),
        )
        for slice_name, gain in (heads or {}).items()
        if slice_name in section.slices
    }
    laws = {
        slice_name: law_row(Place(name, seed, "", section.lag_frames, slice_name, {}), law, delta)
        for slice_name, law in evidence.laws.get(name, {}).items()
        if slice_name in section.slices
    }
    valid = {candidate.key for candidate in candidates if not candidate.reason}
    keys_of_laws = [evidence.laws[name][slice_name].key for slice_name in laws]
    judged = word_of(
        rows,
        {slice_name: gains.get(slice_name) for slice_name in ruled_out},
        heads is not None,
        opposing(others or {}),
        laws,
        next((key for key in keys_of_laws if key not in valid), ""),
    )
    if not rows and candidates:
        first = candidates[0]
        judged = judged._replace(open=f"no key can be chosen, {first.key} because {first.reason}")
    shown_rows = [*gains.values(), *laws.values()]
    return OnSplit(judged, one, candidates, rows, shown_rows, ruled_out)


def opposing(others: Mapping[int, str]) -> str:
    """Return how other splits speak against a PROCEED of the first; empty where they do not.

    A PROCEED needs most of all splits, this one included, and the opposite on none.
    """
    sides = ["yes", *others.values()]
    if "no" in others.values():
        seeds = ", ".join(str(seed) for seed, side in others.items() if side == "no")
        return f"split seed {seeds} says the opposite: more speakers"
    if 2 * sides.count("yes") > len(sides):
        return ""
    return f"only {sides.count('yes')} of {len(sides)} split seeds say so: more speakers"


def _places(
    name: str, seed: int, key: str, records: Records, section: DecisionSection
) -> list[Place]:
    lag = section.lag_frames
    return [records.place(name, seed, key, lag, slice_name) for slice_name in section.slices]


def _source_rows(
    place: Place, records: Records, section: DecisionSection, confidence: float, evidence: Evidence
) -> list[GateRow]:
    source = evidence.sources.get(place.representation, Source())
    control = None
    if source.overlap_control:
        control = records.place(
            source.overlap_control, place.split_seed, place.key, place.lag, place.slice
        )
    return source_rows(place, control, source, section.operative_gate, confidence)


def _ridge(name: str, records: Records, section: DecisionSection) -> float:
    """Return ridge's R^2 at the registered lag on eval, on the first judged slice."""
    place = _first_place(name, records, section)
    return math.nan if place is None else measure(place.eval, "linear_r2", 0.5).value


def _first_place(name: str, records: Records, section: DecisionSection) -> Place | None:
    seed = records.seeds(name)[0]
    keys = records.keys[name, seed]
    return records.place(name, seed, keys[0], section.lag_frames, section.slices[0])


def decision_document(
    decided: Mapping[str, Decided], section: DecisionSection, evidence: Evidence
) -> dict[str, Any]:
    """Return `decision.json` without its manifest: the structure stage by itself."""
    main = decided[section.representation]
    return {
        "verdict": main.verdict,
        "sentence": main.sentence,
        "representation": section.representation,
        "registered": {"lag_frames": section.lag_frames, "slices": list(section.slices)},
        "deciding_rows": [row.document() for row in main.first.judged.deciding],
        "representations": {name: document_of(one) for name, one in decided.items()},
        "sources": {name: source._asdict() for name, source in evidence.sources.items()},
    }


def document_of(one: Decided) -> dict[str, Any]:
    """Return what `decision.json` holds of one representation."""
    first = one.first
    return {
        "verdict": one.verdict,
        "sentence": one.sentence,
        "key": None if first.candidate is None else first.candidate.key,
        "chosen_on": None if first.candidate is None else first.candidate.chosen_on,
        "candidates": [
            {**each._asdict(), "score": finite_or_none(each.score)} for each in first.candidates
        ],
        "ruled_out": first.ruled_out,
        "split_seeds": {str(seed): side for seed, side in one.splits.items()},
        "delta_nats": one.delta,
        "smallest_shown": finite_or_none(one.smallest_shown),
        "num_looked_at": one.num_looked_at,
        "deciding_rows": [row.document() for row in first.judged.deciding],
        "gates": {
            "operative": [row.document() for row in [*first.rows, *first.heads]],
            "literal": [row.document() for row in one.literal],
            "informational": [row.document() for row in one.informational],
        },
    }
