"""From gate rows to PROCEED, STOP or UNDECIDED (SCIENCE 3).

A key PROCEEDs if all its rows pass on every registered slice, STOPs if a decisive row fails on any
of them, and is UNDECIDED otherwise. A representation PROCEEDs if any registered key does and STOPs
if all of them do. Intervals are at 1 - alpha / (number of registered keys), so that "any key" errs
as rarely as one key.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd

from engram_audio.structure.config import DecisionSection
from engram_audio.structure.gate_row import GateRow
from engram_audio.structure.gates import DECISIVE, Place, literal_rows, operative_rows
from engram_audio.structure.mean_reversion import mean_reversion_rows, spread_rows

Verdict = Literal["PROCEED", "STOP", "UNDECIDED"]
PLACE = ["representation", "split_seed", "key", "lag_frames", "slice", "part"]
SURROGATE_MARK = "--"


class Decided(NamedTuple):
    """The verdict on one representation.

    Attributes:
        verdict: The word.
        sentence: The verdict in words.
        keys: Verdict of each registered key.
        deciding: The rows that made it so, the most telling first.
        operative: All rows of the gate that decides, mean-reversion rows included.
        literal: All rows of the literal gate.
        informational: Rows beside them (other splits).
        num_looked_at: Keys x lags x slices with a number in the table, registered or not.
    """

    verdict: Verdict
    sentence: str
    keys: dict[str, Verdict]
    deciding: list[GateRow]
    operative: list[GateRow]
    literal: list[GateRow]
    informational: list[GateRow]
    num_looked_at: int


def corrected_confidence(confidence: float, num_keys: int) -> float:
    """Return the Bonferroni level of each key's intervals."""
    return 1 - (1 - confidence) / num_keys


def key_verdict(rows: Sequence[GateRow]) -> Verdict:
    """Combine the judged rows of one key over all slices."""
    judged = [row for row in rows if row.outcome is not None]
    if any(row.outcome == "fail" and row.name in DECISIVE for row in judged):
        return "STOP"
    if judged and all(row.outcome == "pass" for row in judged):
        return "PROCEED"
    return "UNDECIDED"


def representation_verdict(keys: Sequence[Verdict]) -> Verdict:
    """Combine keys: any PROCEED, all STOP, or undecided."""
    if "PROCEED" in keys:
        return "PROCEED"
    return "STOP" if all(verdict == "STOP" for verdict in keys) else "UNDECIDED"


def decide_all(
    structure: pd.DataFrame, linear: pd.DataFrame, section: DecisionSection, confidence: float
) -> dict[str, Decided]:
    """Decide on every representation of the tables that is no surrogate, by name.

    Args:
        structure: `tables/structure.csv`.
        linear: `tables/linear.csv`.
        section: What was registered, and the thresholds.
        confidence: Level of intervals before the correction for several keys.
    """
    whole = structure.loc[structure["subspace"] == "all"]
    registered = whole.loc[whole["key"].isin(section.keys)]
    records = registered.set_index(PLACE, drop=False).sort_index().to_dict("index")
    names = sorted(name for name in set(structure["representation"]) if SURROGATE_MARK not in name)
    decided = {}
    for name in names:
        own = whole.loc[whole["representation"] == name]
        seeds = [int(seed) for seed in dict.fromkeys(own["split_seed"])]
        scored = own[(own["part"] == "eval") & own["ratio"].notna()]
        decided[name] = decide_one(
            name, seeds, records, linear, section, confidence, num_looked_at=len(scored)
        )
    return decided


def decide_one(
    name: str,
    seeds: Sequence[int],
    records: dict[Any, dict[str, Any]],
    linear: pd.DataFrame,
    section: DecisionSection,
    confidence: float,
    num_looked_at: int,
) -> Decided:
    """Decide on one representation; the first of its split seeds counts, others show the spread."""
    level = corrected_confidence(confidence, len(section.keys))
    operative: list[GateRow] = []
    literal: list[GateRow] = []
    informational: list[GateRow] = []
    for key in section.keys:
        for slice_name in section.slices:
            place = _place(records, name, seeds[0], key, section.lag_frames, slice_name)
            operative += operative_rows(place, section.operative_gate, level)
            literal += literal_rows(place, section.literal_gate, section.operative_gate, level)
        first = _place(records, name, seeds[0], key, 1, "all")
        operative += mean_reversion_rows(first, linear, confidence)
        others = [_place(records, name, s, key, section.lag_frames, "all") for s in seeds]
        informational += spread_rows(others, confidence)
    keys: dict[str, Verdict] = {
        key: key_verdict([r for r in operative if r.key == key]) for key in section.keys
    }
    verdict = representation_verdict(list(keys.values()))
    deciding = deciding_rows(verdict, keys, operative)
    sentence = verdict_sentence(name, verdict, deciding, operative, num_looked_at)
    return Decided(
        verdict, sentence, keys, deciding, operative, literal, informational, num_looked_at
    )


def _place(
    records: dict[Any, dict[str, Any]], name: str, seed: int, key: str, lag: int, slice_name: str
) -> Place:
    val, evaluated = (
        records.get((name, seed, key, lag, slice_name, part), {}) for part in ("val", "eval")
    )
    return Place(name, seed, key, lag, slice_name, val, evaluated)


def deciding_rows(
    verdict: Verdict, keys: dict[str, Verdict], rows: Sequence[GateRow]
) -> list[GateRow]:
    """Return the rows that made the verdict, the most telling first.

    STOP: the rows that fail, transfer first (where it fails, it explains the others), then by how
    clearly. PROCEED: for each key that proceeds, the weakest row of each kind. UNDECIDED: what
    straddles or could not be measured, each reason once for a key and slice.
    """
    if verdict == "STOP":
        failing = [row for row in rows if row.outcome == "fail" and row.name in DECISIVE]
        return sorted(failing, key=lambda row: (row.name != "transfer_loss", row.margin))
    if verdict == "PROCEED":
        passing = [row for row in rows if row.name in DECISIVE and keys[row.key] == "PROCEED"]
        weakest: dict[tuple[str, str], GateRow] = {}
        for row in sorted(passing, key=lambda row: row.margin):
            weakest.setdefault((row.key, row.name), row)
        return list(weakest.values())
    open_keys = {key for key, word in keys.items() if word == "UNDECIDED"}
    found = [row for row in rows if row.key in open_keys and row.outcome not in ("pass", None)]
    reasons: dict[tuple[str, str, str], GateRow] = {}
    for row in sorted(found, key=lambda row: (row.outcome != "undecided", bool(row.reason))):
        reasons.setdefault((row.key, row.slice, row.reason or row.name), row)
    return list(reasons.values())


def verdict_sentence(
    name: str,
    verdict: Verdict,
    deciding: Sequence[GateRow],
    rows: Sequence[GateRow],
    num_looked_at: int,
) -> str:
    """Return the verdict in words that a reader can act on."""
    opening = {
        "PROCEED": f"PROCEED: {name} has structure that these keys carry to speakers never seen, "
        "beyond its surrogates; a lookup memory is worth building.",
        "STOP": f"STOP: no structure visible to these keys in {name}.",
        "UNDECIDED": f"UNDECIDED: these data do not decide on {name}.",
    }[verdict]
    label = {"PROCEED": "Weakest row", "STOP": "First reason", "UNDECIDED": "What is open"}[verdict]
    parts = [opening]
    if deciding:
        parts.append(f"{label}: {deciding[0].sentence}")
    if verdict == "STOP":
        null = next((row for row in rows if row.name == "mean_reversion"), None)
        parts += [null.sentence] if null else []
        parts.append("Other keys may see more: this is a statement about the registered ones.")
    parts.append(
        f"{num_looked_at} keys, lags and slices were scored; the registered ones alone decide."
    )
    return " ".join(parts)


def decision_document(decided: dict[str, Decided], section: DecisionSection) -> dict[str, Any]:
    """Return `decision.json` without its manifest."""
    main = decided[section.representation]
    return {
        "verdict": main.verdict,
        "sentence": main.sentence,
        "representation": section.representation,
        "registered": {
            "keys": list(section.keys),
            "lag_frames": section.lag_frames,
            "slices": list(section.slices),
        },
        "deciding_rows": [row.document() for row in main.deciding],
        "representations": {
            name: {
                "verdict": one.verdict,
                "sentence": one.sentence,
                "keys": one.keys,
                "num_looked_at": one.num_looked_at,
                "deciding_rows": [row.document() for row in one.deciding],
                "gates": {
                    "operative": [row.document() for row in one.operative],
                    "literal": [row.document() for row in one.literal],
                    "informational": [row.document() for row in one.informational],
                },
            }
            for name, one in decided.items()
        },
    }
