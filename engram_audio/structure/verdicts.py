"""What the structure stage answers: the word of its gate, row by row, and marks of trust.

Rows and sentences are those of the decision. Only the words of the outcomes are those of the
verdict table.
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.structure.config import DecisionSection
from engram_audio.structure.decision import SURROGATE_MARK, Decided
from engram_audio.structure.gate_row import GateRow
from engram_audio.structure.gates import CONTROLS
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
    between,
    exact,
    without_threshold,
)
from engram_audio.verdicts.row import INVALID, SHOWN, VerdictRow, shown
from engram_audio.verdicts.words import OF_STRUCTURE

STAGE = "structure"
GATES = {
    "operative": "operative gate",
    "literal": "literal gate",
    "informational": "for information",
}
NATS = "nats/frame"
UNITS = {"added_fraction": "of attainable", "added_nats": NATS, "heads_gain": NATS, "law": NATS}
OF_GATE = {
    "pass": MET, "fail": NOT_MET, "undecided": UNDECIDED, "invalid": INVALID, None: SHOWN,
}  # fmt: skip


def verdict_rows(
    decided: Mapping[str, Decided], structure: pd.DataFrame, registered: DecisionSection
) -> list[VerdictRow]:
    """Return the verdict on every representation with its gate rows, the registered one first.

    Args:
        decided: The verdicts by representation.
        structure: `tables/structure.csv`.
        registered: What was fixed before looking.
    """
    names = sorted(decided, key=lambda name: (name != registered.representation, name))
    rows = [row for name in names for row in _of_representation(name, decided[name])]
    if registered.representation not in decided:
        return rows
    return [*rows, *_trust_rows(decided[registered.representation], structure, registered)]


def _of_representation(name: str, one: Decided) -> list[VerdictRow]:
    judged = one.first.judged
    outcome = OF_STRUCTURE[one.verdict]
    reason = judged.deciding[0].sentence if judged.deciding else judged.open
    verdict = VerdictRow(
        STAGE, WORDS[STAGE], name, one.verdict, Judged(outcome, reason), one.sentence
    )
    if (size := one.first.size) is not None:
        verdict = verdict._replace(
            measured=Measured(*size.measured), asked=_asked(size), unit=UNITS[size.name]
        )
    # The rows that decided come first, in their own order: the most telling one leads.
    decided = [gate_row("operative", row)._replace(is_deciding=True) for row in judged.deciding]
    gates = {
        "operative": [*one.first.rows, *one.first.heads],
        "literal": one.literal,
        "informational": one.informational,
    }
    others = [
        gate_row(gate, row)
        for gate, rows in gates.items()
        for row in rows
        if row not in judged.deciding
    ]
    return [verdict, *decided, *others]


def gate_row(gate: str, row: GateRow) -> VerdictRow:
    """Return a row of the gate as a row of the verdict table."""
    return VerdictRow(
        STAGE,
        GATES[gate],
        row.representation,
        _place(row),
        Judged(OF_GATE[row.outcome], row.reason),
        row.sentence,
        Measured(*row.measured),
        _asked(row),
        UNITS.get(row.name, ""),
    )


def _place(row: GateRow) -> str:
    key = [row.key] if row.key else []
    parts = (
        row.name.replace("_", " "), *key, f"lag {row.lag}", f"slice {row.slice}",
        f"split {row.split_seed}",
    )  # fmt: skip
    return " · ".join(parts)


def _asked(row: GateRow) -> Asked:
    threshold = row.threshold
    if threshold is None or math.isnan(threshold):
        return NOTHING_ASKED
    if row.outcome is None:
        return without_threshold(threshold)
    if row.direction == "within":
        margin = between(-threshold, threshold)
        return margin._replace(has_ends=False, words=f"within 0 ± {threshold:g}")
    return above(threshold) if row.direction == "above" else below(threshold)


def _trust_rows(
    one: Decided, structure: pd.DataFrame, registered: DecisionSection
) -> list[VerdictRow]:
    """Return marks of trust in the registered representation's numbers."""
    names = {str(name) for name in structure["representation"]}
    own = f"{registered.representation}{SURROGATE_MARK}"
    surrogates = sorted(name.removeprefix(own) for name in names if name.startswith(own))
    rows = [_control_row(control, one.first.rows, registered) for control in CONTROLS]
    found = ", ".join(surrogates) or "none"
    rows.append(
        _trust(registered, "Surrogates scored beside it, for information", shown(), f"{found}.")
    )
    return [*rows, *_speakers(one, structure, registered)]


def _trust(registered: DecisionSection, case: str, judged: Judged, sentence: str) -> VerdictRow:
    subject = registered.representation
    return VerdictRow(STAGE, WORDS["calibration"], subject, case, judged, sentence)


def _control_row(control: str, gate: Sequence[GateRow], registered: DecisionSection) -> VerdictRow:
    """Count the rows of a control that add 0; those without a number are counted apart."""
    rows = [row for row in gate if row.name == f"control_{control}"]
    outcomes = [row.outcome for row in rows if math.isfinite(row.measured.value)]
    num_right, num_missing = outcomes.count("pass"), len(rows) - len(outcomes)
    text = f"{num_right} of {len(outcomes)} measured add 0 within tolerance"
    text += f"; {num_missing} could not be measured" if num_missing else ""
    judged = Judged(UNDECIDED, "" if outcomes else "no number")
    if "invalid" in outcomes:
        judged = Judged(NOT_MET, "a control is off 0")
    elif outcomes and num_right == len(outcomes):
        judged = Judged(MET, "")
    return _trust(registered, f"Control: {control} keys", judged, f"{text}.")


def _speakers(
    one: Decided, structure: pd.DataFrame, registered: DecisionSection
) -> list[VerdictRow]:
    """Return how many speakers were never heard, how uneven they are, and the largest share."""
    if one.first.candidate is None:
        return []
    rows = choose(
        structure,
        representation=registered.representation, split_seed=next(iter(one.splits)), part="eval",
        slice=registered.slices[0], subspace="all", key=one.first.candidate.key,
        lag_frames=registered.lag_frames,
    )  # fmt: skip
    if rows.empty:
        return []
    row = rows.iloc[0]
    count = float(row["num_speakers"])
    text = (
        f"{number.count(count)} speakers, the unit of every interval. As uneven as "
        f"{number.fixed(row['num_effective_speakers'], 1)} equal ones; the largest has "
        f"{number.percent(row['largest_speaker_share'])} of the frames."
    )
    found = _trust(registered, "Speakers never seen in fitting", shown(), text)
    return [found._replace(measured=exact(count), unit="speakers")]
