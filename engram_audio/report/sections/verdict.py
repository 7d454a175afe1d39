"""First screen: the headline, the five questions behind it, and the rows that decided."""

import itertools
from collections.abc import Iterable
from typing import Any

import pandas as pd

from engram_audio.report.chain import begun, chain_of
from engram_audio.report.data import ReportData
from engram_audio.report.first_screen import caveat_words, lag_words, measured_on, scored_words
from engram_audio.report.next_command import next_command
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import Column, TableView, make_table
from engram_audio.report.verdict_rows import MARKS, VerdictView, view_rows
from engram_audio.structure.verdicts import GATES
from engram_audio.verdicts import number
from engram_audio.verdicts.advice import advice_of
from engram_audio.verdicts.answers import EXPECTED, HEADLINE
from engram_audio.verdicts.answers import STAGE as CHAIN_STAGE
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.columns import WHAT_WOULD_CHANGE
from engram_audio.verdicts.judge import MET
from engram_audio.verdicts.row import VerdictRow
from engram_audio.verdicts.words import INVALID

MOST_MARKS = 4  # of one stage in the line of trust
NUM_FIRST_ROWS = 6  # what fits on the first screen; the rest opens below

KINDS = ("key", "lag", "slice", "split seed", "threshold")  # of other choices
KINDS_OF_CHANGE = {"K": "key", **{kind: kind for kind in KINDS}}

LEAD = (
    "Each row is one measured value with its interval, drawn as a bar. The dashed threshold was "
    "fixed beforehand. Only an interval wholly on one side of it passes or fails."
)

NOTES = {
    "operative": (
        "Operative gate: it decides",
        "What the chosen key adds to a linear model must lie above its thresholds on every slice, "
        "and transfer loss below its own. Controls must add 0.",
    ),
    "literal": (
        "Literal gate of the brief: printed, never decides",
        "The variance ratio as first asked for, with the brief's own three keys. In many "
        "dimensions no key of K cells can reach it.",
    ),
    "informational": (
        "For information",
        "Mean reversion at lag 1, where white noise alone looks like structure.",
    ),
}


def answers_of(data: ReportData) -> dict[str, VerdictRow]:
    """Return the structure stage's verdict on each representation."""
    rows = data.verdicts("structure")
    return {row.subject: row for row in rows if row.question == WORDS["structure"]}


def headline_of(data: ReportData) -> VerdictRow:
    """Return the row of the headline; its case is the word."""
    return next(row for row in data.verdicts(CHAIN_STAGE) if row.question == HEADLINE)


def verdict_word(data: ReportData) -> str:
    """Return the study's verdict in one word."""
    return headline_of(data).case


def build(data: ReportData) -> dict[str, Any]:
    """Gather the headline, the chain, the deciding rows, both gates and marks of trust."""
    name, rows, answers = (
        str(data.registered["representation"]), data.verdicts("structure"), answers_of(data)
    )  # fmt: skip
    top, deciding = headline_of(data), _deciding(rows, name)
    return {
        "word": top.case,
        "mark": MARKS[top.outcome],
        "sentence_of_word": begun(top.sentence.removeprefix(f"{top.case}: ")),
        "measured_on": " ".join(filter(None, (measured_on(data, name), scored_words(data, name)))),
        "lag_words": lag_words(data),
        "caveats": begun(caveat_words(data, name)),
        "advice": advice_of(top.case, top.reason),
        "command": next_command(data, top.case),
        "chain": chain_of(data),
        "expected": _expected(data),
        "deciding": deciding[:NUM_FIRST_ROWS],
        "deciding_more": deciding[NUM_FIRST_ROWS:],
        "gates": [gate for key in GATES if (gate := _gate(rows, name, key))["rows"]],
        "changes": _changes(data),
        "changes_words": _changes_words(data),
        "other": [
            {
                "name": other,
                "word": row.case,
                "mark": MARKS[row.outcome],
                "rows": _deciding(rows, other)[:NUM_FIRST_ROWS],
            }
            for other, row in answers.items()
            if other != name
        ],
        "trust": (trust := _trust(data)),
        "trust_at_once": _at_once(trust),
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
    marks = [
        {
            "stage": row.stage,
            "title": row.case or f"Known answers: {row.outcome}",
            "text": row.sentence,
            "outcome": row.outcome,
            "mark": MARKS[row.outcome],
        }
        for row in rows
        if row.question == WORDS["calibration"]
    ]
    again = data.documents.get("verified")
    if again is not None:
        text = " ".join([again["sentence"], *(f"Differs: {what}." for what in again["differing"])])
        outcome = again["outcome"]
        title = "Numbers without the package"
        own = {"stage": "", "title": title, "text": text, "outcome": outcome}
        marks.append({**own, "mark": MARKS[outcome]})
    return marks


def _at_once(marks: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the marks for one line: those of a stage that has many are counted."""
    found = []
    for stage, group in itertools.groupby(marks, lambda mark: mark["stage"]):
        own = [mark for mark in group if mark["outcome"] != "shown"]
        if len(own) > MOST_MARKS:
            open_ones = [mark for mark in own if mark["outcome"] != MET]
            words = f"{len(own) - len(open_ones)} of {len(own)} met"
            first = (open_ones or own)[0]
            own = [{"title": f"Controls of {stage}", "outcome": words, "mark": first["mark"]}]
        found += own
    return found


def _expected(data: ReportData) -> list[dict[str, str]]:
    rows = [row for row in data.verdicts(CHAIN_STAGE) if row.question == EXPECTED]
    return [{"text": row.sentence, "mark": MARKS[row.outcome]} for row in rows]


def _changes(data: ReportData) -> TableView | None:
    table = data.table("what_would_change")
    if table.empty:
        return None
    shown = {column.name: column for column in WHAT_WOULD_CHANGE.columns}
    columns = [
        Column("change", shown["change"].title, is_text=True),
        Column("value", shown["value"].title, is_text=True),
        Column("verdict", shown["verdict"].title, is_text=True),
        Column("is_other", shown["is_other"].title, form=number.yes),
        Column("key", shown["key"].title, is_text=True),
        Column("smallest_shown", shown["smallest_shown"].title, form=number.percent),
    ]
    return make_table(
        "what-would-change", "The verdict under every other choice", table, columns,
        maximum_rows=data.settings.maximum_table_rows // 4, source="what_would_change.csv",
        first=pd.Series(table["is_other"].astype(str) == "True", index=table.index),
        more="Choices that change nothing",
    )  # fmt: skip


def _changes_words(data: ReportData) -> str:
    """Return how many other choices would have given another word, in one sentence."""
    table = data.table("what_would_change")
    others = table.loc[table["change"] != "nothing"]
    if others.empty:
        return ""
    is_other = others["is_other"].astype(str).eq("True")
    is_invalid = is_other & others["verdict"].eq(INVALID)  # no other word: it cannot be judged
    count, num_invalid = int((is_other & ~is_invalid).sum()), int(is_invalid.sum())
    varied = {KINDS_OF_CHANGE.get(str(change), "threshold") for change in others["change"]}
    *first, last = [kind for kind in KINDS if kind in varied]
    kinds = f"{', '.join(first)} or {last}" if first else last
    absent = [kind for kind in KINDS if kind not in varied]
    words = f"{count} of {len(others)} other choices of {kinds} give another word to question 1."
    words += f" Under {num_invalid} more it is INVALID." if num_invalid else ""
    return f"{words} Not varied: {', '.join(absent)}." if absent else words


def registered_words(data: ReportData) -> str:
    """Return what was fixed before looking, and how much was looked at, in one line."""
    lag = data.registered["lag_frames"]
    slices = ", ".join(str(name) for name in data.registered["slices"])
    words = f"{data.registered_words} Fixed: lag {lag} frames; slices {slices}; the thresholds."
    entry = data.decision.get("representations", {}).get(str(data.registered["representation"]), {})
    candidates = entry.get("candidates", [])
    if entry.get("key"):
        words += (
            f" {entry['key']} was chosen among {len(candidates)} keys on {entry['chosen_on']} "
            "speakers, before eval speakers were asked."
        )
        if entry["chosen_on"] == "val":
            words += " There are too few train speakers to hold some out for choices."
    if entry.get("num_looked_at"):
        words += f" {number.count(entry['num_looked_at'])} keys, lags and slices were scored."
    return words


SECTION = SectionSpec(
    name="verdict",
    place=10,
    title="Verdict",
    lead="",  # the answer comes first; its template says how to read the rows
    needs=("structure", "verdicts"),
    build=build,
)
