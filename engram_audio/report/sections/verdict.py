"""First screen: the verdict, in words, the rows that decided it, and every question's answer."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from engram_audio.report.data import ReportData
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.verdict_rows import MARKS, VerdictView, view_rows
from engram_audio.structure.verdicts import GATES
from engram_audio.verdicts import number
from engram_audio.verdicts.chain import CHAIN, WORDS
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED
from engram_audio.verdicts.row import SHOWN, VerdictRow

NUM_FIRST_ROWS = 6  # what fits on the first screen; the rest opens below
# The study's verdict is the answer of the structure stage. These are its words.
VERDICTS = {MET: "PROCEED", NOT_MET: "STOP", UNDECIDED: "UNDECIDED"}

LEAD = (
    "Each row is one measured value with its interval, drawn as a bar, against the dashed "
    "threshold that was fixed beforehand; only an interval wholly on one side passes or fails."
)

NOTES = {
    "operative": (
        "Operative gate: it decides",
        "Explained fraction and its advantage over the best surrogate must lie above their "
        "thresholds, transfer loss below its own, on every slice; controls must score 1.",
    ),
    "literal": (
        "Literal gate: printed, never decides",
        "The variance ratio as first asked for. In many dimensions no key of K cells can reach it; "
        "the floor beside each ratio shows how far a key could go.",
    ),
    "informational": (
        "For information",
        "Mean reversion at lag 1, where white noise alone looks like structure, and other splits.",
    ),
}


def answers_of(data: ReportData) -> dict[str, VerdictRow]:
    """Return the structure stage's verdict on each representation."""
    rows = data.verdicts("structure")
    return {row.subject: row for row in rows if row.question == WORDS["structure"]}


def verdict_word(data: ReportData) -> str:
    """Return the study's verdict in one word."""
    return VERDICTS[answers_of(data)[str(data.registered["representation"])].outcome]


def build(data: ReportData) -> dict[str, Any]:
    """Gather the verdict, the deciding rows, both gates, marks of trust, and every question."""
    name, rows, answers = (
        str(data.registered["representation"]), data.verdicts("structure"), answers_of(data)
    )  # fmt: skip
    deciding = _deciding(rows, name)
    return {
        "word": verdict_word(data),
        "mark": MARKS[answers[name].outcome],
        "sentence": answers[name].sentence,
        "deciding": deciding[:NUM_FIRST_ROWS],
        "deciding_more": deciding[NUM_FIRST_ROWS:],
        "gates": [gate for key in GATES if (gate := _gate(rows, name, key))["rows"]],
        "other": [
            {
                "name": other,
                "word": VERDICTS[row.outcome],
                "mark": MARKS[row.outcome],
                "rows": _deciding(rows, other)[:NUM_FIRST_ROWS],
            }
            for other, row in answers.items()
            if other != name
        ],
        "trust": _trust(data),
        "chain": [_link(data, question.stage, question.words) for question in CHAIN],
        "registered": registered_words(data),
        "lead": LEAD,
    }


def _deciding(rows: Iterable[VerdictRow], name: str) -> list[VerdictView]:
    return view_rows(row for row in rows if row.is_deciding and row.subject == name)


def _gate(rows: Iterable[VerdictRow], name: str, key: str) -> dict[str, Any]:
    title, note = NOTES[key]
    own = [row for row in rows if row.question == GATES[key] and row.subject == name]
    return {"title": title, "note": note, "rows": view_rows(own)}


def _trust(data: ReportData) -> list[dict[str, str]]:
    """Return short marks of trust, of whichever stage gives them."""
    rows = [row for stage in WORDS for row in data.verdicts(stage)]
    return [
        {"title": row.case or row.outcome, "text": row.sentence, "mark": MARKS[row.outcome]}
        for row in rows
        if row.question == WORDS["calibration"]
    ]


def _link(data: ReportData, stage: str, words: str) -> dict[str, Any]:
    """Return one question of the chain with its answers about the deciding representation."""
    own = (str(data.registered["representation"]), "")
    rows = [row for row in data.verdicts(stage) if row.question == words and row.subject in own]
    counts = Counter(row.outcome for row in rows if row.outcome != SHOWN)
    outcomes = [
        {"word": f"{count} {word}" if len(rows) > 1 else word, "mark": MARKS[word]}
        for word, count in counts.items()
    ]
    return {"question": words, "outcomes": outcomes}


def registered_words(data: ReportData) -> str:
    """Return what was fixed before looking, and how much was looked at, in one line."""
    keys = ", ".join(str(key) for key in data.registered["keys"])
    lag = data.registered["lag_frames"]
    slices = ", ".join(str(name) for name in data.registered["slices"])
    words = f"Fixed before looking: {keys}; lag {lag} frames; slices {slices}."
    entry = data.decision.get("representations", {}).get(str(data.registered["representation"]), {})
    if entry.get("num_looked_at"):
        words += (
            f" {number.count(entry['num_looked_at'])} keys, lags and slices were scored; those "
            "that were registered alone decide, their intervals corrected for their number."
        )
    return words


SECTION = SectionSpec(
    name="verdict",
    place=10,
    title="Verdict",
    lead="",  # the answer comes first; its template says how to read the rows
    needs=("structure", "verdicts"),
    build=build,
)
