"""The prediction section's numbers: heads chosen on val, dNLL taken apart without remainder."""

import numpy as np
import pytest

from engram_audio.artifacts.columns import choose
from engram_audio.prediction.cells import TARGETS
from engram_audio.report.figures_prediction import decompose, decompositions
from engram_audio.report.prediction_rows import cells_of, white_noise_reversion
from engram_audio.report.prediction_tables import gain_table, robust_table, worst_table
from engram_audio.report.sections.prediction import build, worst_players
from tests.report_prediction_tables import BASE, LEVELS, NUM_DIMS, with_prediction
from tests.report_tables import report_data

# The chosen levels are exact but for speaker noise: SD 0.2 over 10 speakers, a difference of two
# such means has SE 0.2 * sqrt(2 / 10) = 0.09; 5 of them.
TOLERANCE = 0.45


@pytest.fixture(scope="module")
def data():
    return with_prediction(report_data())


@pytest.fixture(scope="module")
def cells(data):
    return cells_of(data, BASE)


def test_head_is_chosen_on_val_not_on_eval(data):
    """A head that is best on eval only is not taken."""
    table = data.tables["prediction"].copy()
    eval_rows = (table["part"] == "eval") & (table["model"] == "gaussian_mixture")
    table.loc[eval_rows, "nll_mean"] = 0.0
    flattered = data._replace(tables={**data.tables, "prediction": table})
    assert cells_of(flattered, BASE).chosen_head(1, "delta") == "student_t_mixture"


def test_parts_add_up_to_the_first_score(cells):
    """Mean reversion + shape + linear + real = minus dNLL, to rounding."""
    for lag in (1, 2):
        row = cells.row(cells.chosen_head(lag, "delta"), lag, "delta")
        bar = decompose(row, "bar")
        assert bar is not None
        # sums of differences of numbers near 100: 100 * 2^-52 * a few operations
        assert bar.total == pytest.approx(-float(row["dnll_first_experiment"]), abs=1e-10)


def test_parts_are_the_chosen_levels(cells):
    """Lag 1: 8 mean reversion, 4 shape, 2 linear, 3 real of 17."""
    bar = decompose(cells.row("student_t_mixture", 1, "delta"), "bar")
    assert bar is not None
    assert bar.parts == pytest.approx((8.0, 4.0, 2.0), abs=TOLERANCE)
    assert bar.real == pytest.approx(3.0, abs=TOLERANCE)
    assert bar.low < bar.real < bar.high


def test_position_has_no_dnll_beyond_lag_1(cells):
    assert decompose(cells.row("gaussian_mixture", 2, "position"), "bar") is None


def test_white_noise_stands_beside_each_lag(data):
    """(D/2) ln 2 at lag 1, nothing later, and nothing of it real."""
    white = [bar for bar in decompositions(data, BASE) if bar.is_null]
    assert [bar.total for bar in white] == pytest.approx([NUM_DIMS / 2 * np.log(2), 0.0])
    assert all(bar.real == 0 for bar in white)
    assert white_noise_reversion(512, 1) == pytest.approx(177.4, abs=0.05)


def test_the_page_shows_the_rows_of_the_stage(data):
    """Known levels: a gain at lag 1; at lag 2 the head chosen on val ties with ridge."""
    (group,) = build(data)["groups"]
    shown = {row.sentence.split(":")[0]: row for row in group["rows"]}
    assert group["name"] == BASE and len(shown) == 4
    assert shown[f"{TARGETS['position']} at lag 1"].outcome == "met"
    assert shown[f"{TARGETS['delta']} at lag 2"].outcome == "undecided"


def test_strictest_gain_is_the_smallest_over_nulls(cells):
    gain, null = cells.strictest_gain("student_t_mixture", 1, "delta")
    own = float(cells.row("student_t_mixture", 1, "delta")["gain_nats"])
    rows = choose(cells.rows, lag_frames=1, target="delta", kind="null")
    others = [own - float(value) for value in rows["gain_nats"]]
    assert gain == pytest.approx(min(others)) and null in set(rows["model"])


def test_tables_show_interval_and_null(data):
    gains = gain_table(data)
    titles = [column.title for column in gains.columns]
    assert titles.count("its null") == 4 and "Strictest gain" in titles
    first = [cells for is_first, cells in gains.rows if is_first]
    assert len(first) == 2 * 4, "heads times (target, lag) of the base representation"
    at = titles.index("Gain over the best null")
    assert all("[" in cells[at].text for cells in first)
    robust = {column.title for column in robust_table(data).columns}
    assert {"Mean NLL", "Trimmed mean", "Median", "5 %", "95 %", "Not finite"} <= robust


def test_worst_frames_carry_time_and_link_players(data):
    """Frame 5 at 12.5 Hz is heard at 0.4 s; frame 60 lies beyond the 2 s of the player."""
    view = worst_table(data)
    assert view is not None
    at = [column.name for column in view.columns].index("time_s")
    assert {cells[at].text for _, cells in view.rows} == {"0.400", "4.800"}
    links = worst_players(data)
    assert [link["times"] for link in links] == ["0.4"]
    assert links[0]["text"].startswith("v01-0003")
    assert worst_players(data._replace(players={})) == []


def test_study_without_predictions_builds_nothing():
    found = build(report_data())
    (group,) = found["groups"]
    assert [row.outcome for row in group["rows"]] == ["not run"] and group["figures"] == []
    assert found["gains"] is None and found["players"] == []


def test_every_level_is_scored(data):
    """The fixture uses the stage's own table code: each model reaches the published table."""
    table = choose(data.tables["prediction"], representation=BASE)
    assert {model for model, _, _ in LEVELS} == set(table["model"])
