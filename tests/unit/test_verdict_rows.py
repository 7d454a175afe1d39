"""The verdict table: every question has a row, every row survives the file."""

import math

import pandas as pd
import pytest

from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import write_csv
from engram_audio.verdicts.chain import CHAIN, WORDS, in_order, verdict_table
from engram_audio.verdicts.columns import VERDICTS
from engram_audio.verdicts.judge import MET, UNDECIDED, Judged, Measured, above, exact
from engram_audio.verdicts.row import NOT_RUN, SHOWN, VerdictRow, row_of, shown

ROW = VerdictRow(
    "memory", WORDS["memory"], "mimi", "lag 1", Judged(MET, "all of it is above 0.02"),
    'Lookup, "helps"; 1.5 nats.', Measured(1.5, 1.25, 1.75), above(0.02), "nats/frame", True,
)  # fmt: skip


def test_a_stage_that_was_not_run_has_a_row_and_says_how_to_ask():
    rows = in_order({"memory": [ROW]})
    assert [row.stage for row in rows] == [question.stage for question in CHAIN]
    for row in rows:
        if row.stage != "memory":
            assert row.outcome == NOT_RUN and row.question == WORDS[row.stage]
            assert "`" in row.sentence or "no representation" in row.sentence
            assert all(map(math.isnan, row.measured))


def test_a_stage_that_could_judge_nothing_is_undecided_and_not_absent():
    (row,) = [row for row in in_order({"rollout": []}) if row.stage == "rollout"]
    assert row.outcome == UNDECIDED and row.reason == "no number"


def test_rows_stand_in_the_order_of_the_chain_and_of_their_stage():
    second = ROW._replace(case="lag 2")
    rows = in_order({"rollout": [ROW._replace(stage="rollout")], "memory": [ROW, second]})
    assert [row.case for row in rows if row.stage == "memory"] == ["lag 1", "lag 2"]
    assert [row.stage for row in rows].index("memory") < [row.stage for row in rows].index(
        "rollout"
    )


def test_an_unknown_stage_or_outcome_is_refused():
    with pytest.raises(ValueError, match="no question of the chain: memoryy"):
        in_order({"memoryy": [ROW]})
    with pytest.raises(ValueError, match="no outcome of a verdict: great"):
        in_order({"memory": [ROW._replace(judged=Judged("great", ""))]})


def test_the_columns_are_the_declared_ones():
    assert list(ROW.record()) == VERDICTS.names()
    assert list(verdict_table([]).columns) == VERDICTS.names()
    assert list(verdict_table([ROW]).columns) == VERDICTS.names()


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        ROW._replace(measured=exact(2.0), is_deciding=False, subject="", case=""),
        ROW._replace(judged=shown(), unit=""),
        VerdictRow("rollout", WORDS["rollout"], "", "", Judged(NOT_RUN, ""), "Not asked."),
    ],
)
def test_a_row_survives_both_files(tmp_path, row):
    """Number, words and flags; a range keeps its ends and its words."""
    path = tmp_path / "verdicts.csv"
    write_csv(path, verdict_table([row, ROW]), VERDICTS)
    write_json(tmp_path / "verdicts.json", {"rows": [row.record()]})
    from_csv = row_of(read_csv(path, VERDICTS).to_dict("records")[0])
    from_json = row_of(read_json(tmp_path / "verdicts.json")["rows"][0])
    for found in (from_csv, from_json):
        assert found.record() == row.record()


def test_the_outcome_of_a_shown_row_is_no_judgement():
    assert shown("why") == Judged(SHOWN, "why")
    frame = verdict_table([ROW._replace(judged=shown())])
    assert isinstance(frame, pd.DataFrame) and list(frame["outcome"]) == [SHOWN]
