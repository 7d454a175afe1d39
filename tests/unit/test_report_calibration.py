"""The calibration section says what came out right, and the first screen says it too."""

import pandas as pd
import pytest

from engram_audio.report.data import ReportData
from engram_audio.report.page import render_page
from engram_audio.report.sections import verdict
from engram_audio.report.sections.calibration import build
from tests.report_tables import report_data, templates
from tests.report_verdicts import judged
from tests.unit.test_calibration_stage import document


def data(**changes) -> ReportData:
    """The page's material with a calibration; `changes` spoil it."""
    content = document(**changes)
    table = pd.DataFrame(content["rows"])
    base = report_data()
    return judged(
        base._replace(
            tables={**base.tables, "calibration": table},
            documents={**base.documents, "calibration": content},
        )
    )


def marks(one: ReportData) -> dict[str, str]:
    return {item["title"]: item["mark"] for item in verdict.build(one)["trust"]}


def test_the_marks_are_good_only_if_everything_is_right():
    """All rows, all verdicts, all bugs."""
    good = marks(data())
    assert good["Worlds with known answers"] == good["Planted bugs"] == "good"


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"verdict": False}, "Worlds with known answers"),
        ({"coverage": 0.8}, "Worlds with known answers"),
        ({"caught": False}, "Planted bugs"),
    ],
)
def test_one_wrong_answer_spoils_its_mark(changes, title):
    assert marks(data(**changes))[title] == "bad"


def test_failing_numbers_stand_first():
    """A reader who opens the long table sees what is wrong before what is right."""
    one = data()
    good = one.tables["calibration"].iloc[[0]]
    table = pd.concat(
        [good, good.assign(passes=False), one.tables["calibration"].iloc[1:]], ignore_index=True
    )
    view = build(one._replace(tables={**one.tables, "calibration": table}))["numbers"]
    assert [cells[-1].text for _, cells in view.rows] == ["fail", "pass"]


def test_the_page_shows_the_section_and_the_badge():
    """Section, error rates and the mark on the first screen."""
    html = render_page(data(), templates())
    assert 'id="calibration"' in html
    assert "Worlds with known answers" in html.split('id="calibration"')[0]
    assert "false PROCEED where added fraction stands on its boundary" in html


def test_without_worlds_there_is_no_section_and_the_first_screen_says_so():
    """A study that configures none has no section; its marks say that nothing was tried."""
    html = render_page(report_data(), templates())
    assert 'id="calibration"' not in html and "Worlds with known answers" not in html
    assert marks(report_data())["Known answers: not run"] == ""
    assert "This study simulates no world with a known answer" in html
