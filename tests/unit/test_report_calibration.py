"""The calibration section says what came out right, and the first screen says it too."""

import pandas as pd
import pytest

from engram_audio.report.data import ReportData
from engram_audio.report.page import render_page
from engram_audio.report.sections.calibration import build, trust_words
from tests.report_tables import report_data, templates
from tests.unit.test_calibration_stage import document


def data(**changes) -> ReportData:
    """The page's material with a calibration; `changes` spoil it."""
    content = document(**changes)
    table = pd.DataFrame(content["rows"])
    base = report_data()
    return base._replace(
        tables={**base.tables, "calibration": table},
        documents={**base.documents, "calibration": content},
    )


def badge(one: ReportData) -> dict[str, str]:
    return trust_words(one.tables["calibration"], one.documents["calibration"]["sabotage"]["bugs"])


def test_the_badge_is_good_only_if_everything_is_right():
    """All rows, all verdicts, all bugs; the words count them."""
    good = badge(data())
    assert good["mark"] == "good"
    assert "4 of 4 known answers" in good["text"] and "6 of 6 planted bugs" in good["text"]


@pytest.mark.parametrize("changes", [{"verdict": False}, {"coverage": 0.8}, {"caught": False}])
def test_one_wrong_answer_spoils_the_badge(changes):
    assert badge(data(**changes))["mark"] == "bad"


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
    """Section, figures and the mark on the first screen."""
    html = render_page(data(), templates())
    assert 'id="calibration"' in html
    assert "Worlds with known answers" in html.split('id="calibration"')[0]
    assert "fig-calibration-coverage" in html and "fig-calibration-power" in html


def test_without_worlds_there_is_no_section():
    """A study that configures none has neither section nor badge."""
    html = render_page(report_data(), templates())
    assert "Worlds with known answers" not in html
