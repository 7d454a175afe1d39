"""The line of trust: what recomputed numbers say, and a stage with many marks is counted."""

import pytest

from engram_audio.report.sections import verdict
from tests.report_tables import report_data


def test_numbers_without_the_package_are_a_mark_with_its_outcome():
    data = report_data()
    found = {"sentence": "55 of 55 numbers agree.", "outcome": "met", "differing": []}
    with_numbers = data._replace(documents={**data.documents, "verified": found})
    mark = verdict._trust(with_numbers)[-1]
    assert (mark["title"], mark["outcome"]) == ("Numbers without the package", "met")
    wrong = {**found, "outcome": "not met", "differing": ["added"]}
    mark = verdict._trust(data._replace(documents={**data.documents, "verified": wrong}))[-1]
    assert mark["text"].endswith("Differs: added.") and mark["outcome"] == "not met"


@pytest.mark.parametrize(("num_met", "word"), [(6, "6 of 6 met"), (5, "5 of 6 met")])
def test_many_marks_of_one_stage_are_counted(num_met: int, word: str):
    """The colour is that of the first that is not met."""
    outcomes = ["met"] * num_met + ["not met"] * (6 - num_met)
    marks = [
        {"stage": "keys", "title": f"m{n}", "text": "", "outcome": one, "mark": one}
        for n, one in enumerate(outcomes)
    ]
    few = {"stage": "calibration", "title": "Planted bugs", "outcome": "met", "mark": "met"}
    hidden = {**few, "outcome": "shown"}
    shown = verdict._at_once([few, hidden, *marks])
    assert [one["title"] for one in shown] == ["Planted bugs", "Controls of keys"]
    assert shown[1]["outcome"] == word
    assert shown[1]["mark"] == ("met" if num_met == 6 else "not met")
