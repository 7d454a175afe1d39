"""The page of one's own data: it shows what was measured there, and nothing of other studies."""

import numpy as np
import pandas as pd
import pytest

from engram_audio.corpus.columns import CORPUS
from engram_audio.report.chain import chain_of
from engram_audio.report.data import ReportData
from engram_audio.report.prediction_tables import OF_BRIEF, gain_table
from engram_audio.report.sections import verdict
from engram_audio.report.sections.corpus import SEXES, known_sexes
from engram_audio.report.verdict_rows import view_row
from engram_audio.structure.curves import confidence_ranks
from engram_audio.verdicts.answers import with_deciding
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import MET, NOT_MET, Judged, Measured
from engram_audio.verdicts.row import VerdictRow
from tests.report_tables import report_data
from tests.report_verdicts import judged


@pytest.fixture(scope="module")
def data() -> ReportData:
    return report_data()


@pytest.fixture(scope="module")
def own(data: ReportData) -> ReportData:
    """The same study without keys of the brief."""
    decision = data.sections["decision"]
    gate = {**decision["literal_gate"], "keys": []}
    return judged(
        data._replace(
            sections={**data.sections, "decision": {**decision, "literal_gate": gate}},
        )
    )


def test_a_study_of_other_data_shows_nothing_of_the_brief(data: ReportData, own: ReportData):
    shown, without = (verdict.build(one) for one in (data, own))
    assert any("brief" in gate["title"] for gate in shown["gates"]) and shown["expected"]
    assert not any("brief" in gate["title"] for gate in without["gates"])
    assert without["gates"] and without["expected"] == []
    assert without["word"] == shown["word"]
    columns = {column.name for column in gain_table(own).columns}
    assert not columns & set(OF_BRIEF) and "gain_nats" in columns
    assert set(OF_BRIEF) <= {column.name for column in gain_table(data).columns}


def test_question_one_shows_the_chosen_key_with_its_lag(data: ReportData):
    """The number is that of the gate's row on the first slice, and its threshold stands by it."""
    decided = data.verdicts("structure")
    answer = chain_of(data)[0]
    chosen = next(row for row in decided if row.case.startswith("added fraction · "))
    _, key, lag, *_ = chosen.case.split(" · ")
    numbers, asked = answer.numbers[0]
    assert numbers.startswith(f"{key}, {lag}: ")
    assert f"{chosen.measured.value:.3f}"[:4].replace("-", "\N{MINUS SIGN}") in numbers
    assert asked == "asked: above 0.05"


def answers(stage: str, subject: str, *cases: str) -> list[VerdictRow]:
    """Return rows that answer a stage's question, the first of which fails."""
    measured = Measured(0.3, 0.2, 0.4)
    return [
        VerdictRow(stage, WORDS[stage], subject, case, Judged(MET if place else NOT_MET, ""), "",
                   measured)
        for place, case in enumerate(cases)
    ]  # fmt: skip


def test_the_row_that_answers_a_question_of_many_rows_is_marked_and_named():
    """Question 2 is about the next step at the registered lag. Others take the first yes."""
    step, name = "xₜ \N{MINUS SIGN} xₜ₋₁ at lag", "mel_pca"
    rows = [
        *answers("prediction", name, "xₜ at lag 2", f"{step} 1", f"{step} 2"),
        *answers("prediction", "other", "xₜ at lag 2", f"{step} 2"),
        *answers("memory", name, "lag 1", "lag 2", "lag 3"),
        *answers("keys", name, "a", "b"),
    ]
    found = with_deciding(rows, name, 2, 0.02)
    assert [row[:4] for row in found] == [row[:4] for row in rows]
    marked = [(row.stage, row.subject, row.case) for row in found if row.is_deciding]
    assert marked == [("prediction", name, f"{step} 2"), ("memory", name, "lag 2")]
    views = [view_row(row).where for row in found]
    assert [where.startswith("answers the question · ") for where in views] == [
        row.is_deciding for row in found
    ]


def changes(data: ReportData, *kinds: str) -> ReportData:
    """Return the data with other choices of some kinds, the first of which changes the word."""
    rows = pd.DataFrame({
        "change": ["nothing", *kinds], "value": "", "verdict": "STOP",
        "is_other": [False, *(place == 0 for place in range(len(kinds)))], "key": "",
        "smallest_shown": 0.1,
    })  # fmt: skip
    return data._replace(tables={**data.tables, "what_would_change": rows})


def test_only_choices_that_were_varied_are_listed(data: ReportData):
    one = verdict.build(changes(data, "K", "lag", "slice", "minimum added nats"))
    assert one["changes_words"] == (
        "1 of 4 other choices of key, lag, slice or threshold give another word to question 1. "
        "Not varied: split seed."
    )
    every = verdict.build(changes(data, "key", "lag", "slice", "split seed", "control tolerance"))
    assert "split seed or threshold" in every["changes_words"]
    assert "Not varied" not in every["changes_words"]


def test_a_choice_that_cannot_be_judged_gives_no_other_word(data: ReportData):
    """Of three choices one is STOP as the study, one PROCEED and one INVALID."""
    table = changes(data, "key", "lag", "slice").tables["what_would_change"]
    table = table.assign(
        verdict=["STOP", "PROCEED", "INVALID", "STOP"], is_other=[False, True, True, False]
    )
    one = verdict.build(data._replace(tables={**data.tables, "what_would_change": table}))
    assert "1 of 3 other choices" in one["changes_words"]
    assert "Under 1 more it is INVALID." in one["changes_words"]


def counts(female: list[int], male: list[int]) -> pd.DataFrame:
    rows = pd.DataFrame({"num_female_speakers": female, "num_male_speakers": male})
    return rows.reindex(columns=CORPUS.names())


def test_sexes_that_nobody_told_are_not_counted_as_none():
    """All unknown: no column. Known in one row alone: the other row has no number."""
    _, columns = known_sexes(counts([0, 0], [0, 0]))
    assert not {column.name for column in columns} & set(SEXES)
    table, columns = known_sexes(counts([3, 0], [0, 0]))
    assert set(SEXES) <= {column.name for column in columns}
    assert table["num_male_speakers"].tolist()[0] == 0
    assert np.isnan(table[list(SEXES)].iloc[1].to_numpy(float)).all()


def test_frames_without_energies_are_matched_by_none():
    """The norm of a vector is no loudness: a line that keeps its distribution says nothing."""
    confidence, energy = np.arange(20.0), np.ones(20)
    assert set(confidence_ranks(confidence, energy, has_energy=False)) == {"plain"}
    assert set(confidence_ranks(confidence, energy)) == {"plain", "energy_matched"}
