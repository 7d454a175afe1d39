"""What the structure stage answers: the verdict of its gate, row by row, and marks of trust.

Rows and sentences of `decision.json` are carried over as they are. Only the words of the outcomes
are those of the verdict table.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.structure.config import DecisionSection
from engram_audio.structure.decision import SURROGATE_MARK
from engram_audio.structure.gates import CONTROLS, LINEAR
from engram_audio.verdicts import number
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import (
    MET,
    NOT_MET,
    NOTHING_ASKED,
    UNDECIDED,
    Asked,
    Judged,
    Measured,
    above,
    below,
    beside,
    between,
    exact,
)
from engram_audio.verdicts.row import INVALID, SHOWN, VerdictRow, shown

STAGE = "structure"
GATES = {
    "operative": "operative gate",
    "literal": "literal gate",
    "informational": "for information",
}
OF_VERDICT = {"PROCEED": MET, "STOP": NOT_MET, "UNDECIDED": UNDECIDED}
OF_GATE = {
    "pass": MET, "fail": NOT_MET, "undecided": UNDECIDED, "invalid": INVALID, None: SHOWN,
}  # fmt: skip

SENTENCES = {
    MET: (
        "In {name}, a coarse key of the recent past explains part of the next step on speakers "
        "never seen, beyond what its surrogates explain. A lookup memory is worth building."
    ),
    NOT_MET: (
        "In {name}, {reason}. No structure that a lookup memory could use is visible to these "
        "keys; other keys may see more."
    ),
    UNDECIDED: (
        "For {name}, these data do not decide. The rows below name what straddles its threshold "
        "or could not be measured."
    ),
}

# Why a row stops, by its name; the first deciding row speaks.
REASONS = {
    "explained_fraction": "these keys explain too little of the next step of speakers never heard",
    "advantage": "surrogates without local structure explain as much of the next step",
    "transfer_loss": "what these keys explain does not carry over to speakers never heard",
}


def verdict_rows(
    decision: Mapping[str, Any], structure: pd.DataFrame, registered: DecisionSection
) -> list[VerdictRow]:
    """Return the verdict on every representation with its gate rows, the registered one first.

    Args:
        decision: `decision.json`.
        structure: `tables/structure.csv`.
        registered: What was fixed before looking.
    """
    entries = decision["representations"]
    names = sorted(entries, key=lambda name: (name != registered.representation, name))
    rows = [row for name in names for row in _of_representation(name, entries[name])]
    operative = entries[registered.representation]["gates"]["operative"]
    return [*rows, *_trust_rows(operative, structure, registered)]


def _of_representation(name: str, entry: Mapping[str, Any]) -> list[VerdictRow]:
    outcome, deciding = OF_VERDICT[entry["verdict"]], entry["deciding_rows"]
    reason = deciding[0]["sentence"] if deciding else ""
    words = SENTENCES[outcome].format(name=name, reason=stop_reason(deciding))
    verdict = VerdictRow(STAGE, WORDS[STAGE], name, "", Judged(outcome, reason), words)
    # The rows that decided come first, in their own order: the most telling one leads.
    decided = [gate_row("operative", row)._replace(is_deciding=True) for row in deciding]
    others = [
        gate_row(gate, row)
        for gate in GATES
        for row in entry["gates"][gate]
        if gate != "operative" or row not in deciding
    ]
    return [verdict, *decided, *others]


def stop_reason(deciding: Sequence[Mapping[str, Any]]) -> str:
    """Return why the first deciding row stops, in words."""
    name = str(deciding[0]["name"]) if deciding else ""
    return REASONS.get(name, "a registered row fails")


def gate_row(gate: str, row: Mapping[str, Any]) -> VerdictRow:
    """Return a gate row of `decision.json` as a row of the verdict table."""
    low, high = row["interval"] or (math.nan, math.nan)
    value = math.nan if row["value"] is None else row["value"]
    return VerdictRow(
        STAGE,
        GATES[gate],
        row["representation"],
        _place(row),
        Judged(OF_GATE[row["outcome"]], row["reason"] or ""),
        row["sentence"],
        Measured(value, low, high),
        _asked(row),
    )


def _place(row: Mapping[str, Any]) -> str:
    parts = (
        str(row["name"]).replace("_", " "), row["key"], f"lag {row['lag']}",
        f"slice {row['slice']}", f"split {row['split_seed']}",
    )  # fmt: skip
    return " · ".join(parts)


def _asked(row: Mapping[str, Any]) -> Asked:
    threshold = row["threshold"]
    if threshold is None:
        return NOTHING_ASKED
    if row["outcome"] is None:
        return beside(threshold)
    if row["direction"] == "within":
        margin = between(1 - threshold, 1 + threshold)
        return margin._replace(has_ends=False, words=f"within 1 ± {threshold:g}")
    return above(threshold) if row["direction"] == "above" else below(threshold)


def _trust_rows(
    operative: Sequence[Mapping[str, Any]], structure: pd.DataFrame, registered: DecisionSection
) -> list[VerdictRow]:
    """Return marks of trust in the registered representation's numbers."""
    names = {str(name) for name in structure["representation"]}
    own = f"{registered.representation}{SURROGATE_MARK}"
    surrogates = sorted(name.removeprefix(own) for name in names if name.startswith(own))
    rows = [_control_row(control, operative, registered) for control in CONTROLS]
    rows.append(_surrogate_row(surrogates, registered))
    return [*rows, *_speakers(operative, structure, registered)]


def _trust(registered: DecisionSection, case: str, judged: Judged, sentence: str) -> VerdictRow:
    subject = registered.representation
    return VerdictRow(STAGE, WORDS["calibration"], subject, case, judged, sentence)


def _control_row(
    control: str, operative: Sequence[Mapping[str, Any]], registered: DecisionSection
) -> VerdictRow:
    """Count the rows of a control that score 1; those without a number are counted apart."""
    rows = [row for row in operative if control in f"{row['name']} {row['quantity']}"]
    outcomes = [row["outcome"] for row in rows if row["value"] is not None]
    num_right, num_missing = outcomes.count("pass"), len(rows) - len(outcomes)
    text = f"{num_right} of {len(outcomes)} measured score 1 within tolerance"
    text += f"; {num_missing} could not be measured" if num_missing else ""
    judged = Judged(UNDECIDED, "" if outcomes else "no number")
    if "invalid" in outcomes:
        judged = Judged(NOT_MET, "a control is off 1")
    elif outcomes and num_right == len(outcomes):
        judged = Judged(MET, "")
    return _trust(registered, f"Control: {control} keys", judged, f"{text}.")


def _surrogate_row(surrogates: Sequence[str], registered: DecisionSection) -> VerdictRow:
    has_twin = LINEAR in surrogates
    found = [*surrogates, *([] if has_twin else [f"no {LINEAR}: no PROCEED"])]
    judged = Judged(MET, "") if has_twin else Judged(UNDECIDED, "linear correlation may explain it")
    return _trust(registered, "Surrogates scored beside it", judged, f"{', '.join(found)}.")


def _speakers(
    operative: Sequence[Mapping[str, Any]], structure: pd.DataFrame, registered: DecisionSection
) -> list[VerdictRow]:
    seeds = [row["split_seed"] for row in operative]
    rows = choose(
        structure,
        representation=registered.representation, split_seed=seeds[:1], part="eval", slice="all",
        subspace="all", key=list(registered.keys), lag_frames=registered.lag_frames,
    )  # fmt: skip
    if rows.empty:
        return []
    count = float(rows["num_speakers"].to_numpy(float).max())
    text = f"{number.count(count)} speakers, the unit of every interval."
    row = _trust(registered, "Speakers never seen in fitting", shown(), text)
    return [row._replace(measured=exact(count), unit="speakers")]
