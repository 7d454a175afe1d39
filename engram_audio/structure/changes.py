"""What would change the answer: the verdict under every other choice, from numbers that exist."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pandas as pd

from engram_audio.structure.candidates import Records, records_of
from engram_audio.structure.config import DecisionSection, OperativeGate
from engram_audio.structure.decision import Decided, decide_one
from engram_audio.structure.evidence import Evidence
from engram_audio.verdicts.columns import WHAT_WOULD_CHANGE

FACTORS = (0.8, 1.2)  # thresholds 20 % lower and higher
NO_LINEAR = pd.DataFrame(
    columns=["representation", "split_seed", "lag_frames", "slice", "part", "model", "r2"]
)  # mean reversion is no part of a verdict
EvidenceAt = Callable[[int], Evidence]


class Study(NamedTuple):
    """What a verdict is made of.

    Attributes:
        records: The structure table.
        section: Thresholds, lag and slices.
        confidence: Level of two-sided intervals.
        evidence_at: Returns the heads' gains and what frames see, at a lag.
    """

    records: Records
    section: DecisionSection
    confidence: float
    evidence_at: EvidenceAt

    def decide(self) -> Decided:
        """Decide on the deciding representation."""
        section = self.section
        evidence = self.evidence_at(section.lag_frames)
        return decide_one(
            section.representation, self.records, NO_LINEAR, section, self.confidence, evidence
        )


class Change(NamedTuple):
    """One other choice.

    Attributes:
        change: What is chosen otherwise: key, K, lag, slice, split seed, or a threshold.
        value: What it would be.
        study: The study with it.
    """

    change: str
    value: str
    study: Study


def changes_table(
    structure: pd.DataFrame, section: DecisionSection, confidence: float, evidence_at: EvidenceAt
) -> pd.DataFrame:
    """Return the published table: the study as it is first, then every other choice.

    Args:
        structure: `tables/structure.csv`.
        section: Thresholds, lag and slices.
        confidence: Level of two-sided intervals.
        evidence_at: Returns the heads' gains on all scored slices and what frames see, at a lag.
    """
    study = Study(records_of(structure), section, confidence, evidence_at)
    if not study.records.seeds(section.representation):
        return WHAT_WOULD_CHANGE.empty()
    own = study.decide()
    rows = [_row(Change("nothing", "", study), own, own.verdict)]
    rows += [_row(one, one.study.decide(), own.verdict) for one in _changes(study, own)]
    return WHAT_WOULD_CHANGE.arrange(pd.DataFrame(rows, columns=WHAT_WOULD_CHANGE.names()))


def _changes(study: Study, own: Decided) -> Iterator[Change]:
    yield from _keys(study, own)
    yield from _lags(study)
    yield from _slices(study)
    yield from _seeds(study)
    yield from _thresholds(study)


def _keys(study: Study, own: Decided) -> Iterator[Change]:
    """Each candidate as the only one; another K of the chosen key is named so."""
    chosen = "" if own.first.candidate is None else own.first.candidate.key
    for one in own.first.candidates:
        if one.key == chosen:
            continue
        is_size = chosen.rpartition(".")[0] == one.key.rpartition(".")[0] != ""
        keys = {place: [one.key] for place, names in study.records.keys.items() if one.key in names}
        records = study.records._replace(keys=keys)
        yield Change("K" if is_size else "key", one.key, study._replace(records=records))


def _lags(study: Study) -> Iterator[Change]:
    for lag in sorted({place[3] for place in study.records.rows}):
        if lag != study.section.lag_frames:
            section = study.section.model_copy(update={"lag_frames": int(lag)})
            yield Change("lag", str(lag), study._replace(section=section))


def _slices(study: Study) -> Iterator[Change]:
    """Each scored slice as the only one that is judged."""
    for name in dict.fromkeys(place[4] for place in study.records.rows):
        section = study.section.model_copy(update={"slices": (name,)})
        yield Change("slice", f"{name} alone", study._replace(section=section))


def _seeds(study: Study) -> Iterator[Change]:
    name = study.section.representation
    for seed in study.records.seeds(name)[1:]:
        keys = {place: names for place, names in study.records.keys.items()
                if place[0] != name or place[1] == seed}  # fmt: skip
        yield Change(
            "split seed", str(seed), study._replace(records=study.records._replace(keys=keys))
        )


def _thresholds(study: Study) -> Iterator[Change]:
    gate = study.section.operative_gate
    for name in OperativeGate.model_fields:
        for factor in FACTORS:
            value = factor * getattr(gate, name)
            moved = gate.model_copy(update={name: value})
            section = study.section.model_copy(update={"operative_gate": moved})
            yield Change(name, f"{value:g}", study._replace(section=section))


def _row(one: Change, decided: Decided, own: str) -> dict[str, object]:
    candidate = decided.first.candidate
    return {
        "change": one.change.replace("_", " "),
        "value": one.value,
        "verdict": decided.verdict,
        "is_other": decided.verdict != own,
        "key": "" if candidate is None else candidate.key,
        "smallest_shown": decided.smallest_shown,
    }
