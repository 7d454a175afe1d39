"""First screen: the verdict, in words, and the rows that decided it."""

from typing import Any

from engram_audio.report import number
from engram_audio.report.data import ReportData, choose
from engram_audio.report.gate_rows import view_rows
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.sections.calibration import trust_words
from engram_audio.report.table_view import outcome_class
from engram_audio.structure.gates import LINEAR

NUM_FIRST_ROWS = 6  # what fits on the first screen; the rest opens below

SENTENCES = {
    "PROCEED": (
        "In {name}, a coarse key of the recent past explains part of the next step on speakers "
        "never seen, beyond what its surrogates explain. A lookup memory is worth building."
    ),
    "STOP": (
        "In {name}, {reason}. No structure that a lookup memory could use is visible to these "
        "keys; other keys may see more."
    ),
    "UNDECIDED": (
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


def build(data: ReportData) -> dict[str, Any]:
    """Gather the verdict, the deciding rows, both gates and the marks of trust."""
    decision = data.decision
    name = str(decision.get("representation") or data.registered["representation"])
    word = str(decision.get("verdict", "UNDECIDED"))
    entry = decision.get("representations", {}).get(name, {})
    rows = decision.get("deciding_rows", [])
    deciding = view_rows(rows)
    gates = entry.get("gates", {})
    return {
        "word": word,
        "mark": outcome_class(word),
        "sentence": SENTENCES.get(word, "{name}").format(name=name, reason=stop_reason(rows)),
        "deciding": deciding[:NUM_FIRST_ROWS],
        "deciding_more": deciding[NUM_FIRST_ROWS:],
        "gates": [
            {"title": title, "note": note, "rows": view_rows(gates.get(key, []))}
            for key, title, note in GATES
            if gates.get(key)
        ],
        "other": [
            {
                "name": other,
                "word": str(row.get("verdict")),
                "mark": outcome_class(str(row.get("verdict"))),
                "rows": view_rows(row.get("deciding_rows", [])[:NUM_FIRST_ROWS]),
            }
            for other, row in sorted(decision.get("representations", {}).items())
            if other != name
        ],
        "trust": trust_marks(data, gates.get("operative", [])),
        "registered": registered_words(data, entry.get("num_looked_at")),
        "lead": LEAD,
    }


def stop_reason(rows: list[dict[str, Any]]) -> str:
    """Return why the first deciding row stops, in words."""
    name = str(rows[0].get("name")) if rows else ""
    return REASONS.get(name, "a registered row fails")


LEAD = (
    "Each row is one measured value with its interval, drawn as a bar, against the dashed "
    "threshold that was fixed beforehand; only an interval wholly on one side passes or fails."
)

GATES = (
    (
        "operative",
        "Operative gate: it decides",
        "Explained fraction and its advantage over the best surrogate must lie above their "
        "thresholds, transfer loss below its own, on every slice; controls must score 1.",
    ),
    (
        "literal",
        "Literal gate: printed, never decides",
        "The variance ratio as first asked for. In many dimensions no key of K cells can reach it; "
        "the floor beside each ratio shows how far a key could go.",
    ),
    (
        "informational",
        "For information",
        "Mean reversion at lag 1, where white noise alone looks like structure, and other splits.",
    ),
)


def registered_words(data: ReportData, num_looked_at: int | None) -> str:
    """Return what was fixed before looking, and how much was looked at, in one line."""
    keys = ", ".join(str(key) for key in data.registered["keys"])
    lag = data.registered["lag_frames"]
    slices = ", ".join(str(name) for name in data.registered.get("slices", []))
    words = f"Fixed before looking: {keys}; lag {lag} frames"
    words += f"; slices {slices}." if slices else "."
    if num_looked_at:
        words += (
            f" {number.count(num_looked_at)} keys, lags and slices were scored; those that were "
            "registered alone decide, their intervals corrected for their number."
        )
    return words


def trust_marks(data: ReportData, operative: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return short marks of trust: known answers, controls, surrogates, exclusions."""
    marks = []
    if "calibration" in data.tables:
        bugs = data.documents.get("calibration", {}).get("sabotage", {}).get("bugs", {})
        words = trust_words(data.tables["calibration"], bugs)
        marks.append({"title": "Worlds with known answers", **words})
    for control in ("permuted", "swapped"):
        rows = [row for row in operative if control in f"{row.get('name')} {row.get('quantity')}"]
        marks.append({"title": f"Control: {control} keys", **control_words(rows)})
    name = str(data.registered["representation"])
    table = data.tables["structure"]
    present = sorted(
        {
            str(other).split("--")[1]
            for other in table["representation"]
            if str(other).startswith(f"{name}--")
        }
    )
    without = "" if LINEAR in present else f"{'; ' if present else ''}no {LINEAR}: no PROCEED"
    marks.append(
        {
            "title": "Surrogates scored beside it",
            "text": ", ".join(present) + without,
            "mark": "open" if without else "good",
        }
    )
    speakers = choose(
        table,
        representation=name, split_seed=data.first_split(name), part="eval", slice="all",
        subspace="all", key=list(data.registered["keys"]), lag_frames=data.registered["lag_frames"],
    )  # fmt: skip
    if len(speakers):
        found = speakers["num_speakers"].max()
        marks.append(
            {
                "title": "Speakers never seen in fitting",
                "text": f"{number.count(found)}, the unit of every interval",
                "mark": "",
            }
        )
    return marks


def control_words(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return how many control rows hold; those that could not be measured are counted apart."""
    measured = [row for row in rows if row.get("value") is not None]
    passed = sum(row.get("outcome") == "pass" for row in measured)
    text = f"{passed} of {len(measured)} measured score 1 within tolerance"
    if len(measured) < len(rows):
        text += f"; {len(rows) - len(measured)} could not be measured"
    holds = bool(measured) and passed == len(measured)
    is_off = any(row.get("outcome") == "invalid" for row in measured)
    return {"text": text, "mark": "good" if holds else "bad" if is_off else "open"}


SECTION = SectionSpec(
    name="verdict",
    title="Verdict",
    lead="",  # the answer comes first; its template says how to read the rows
    needs=("structure",),
    build=build,
)
