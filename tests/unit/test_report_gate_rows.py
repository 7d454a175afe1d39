"""Gate rows: the drawing agrees with the numbers, and what was asked is said."""

from engram_audio.report.gate_rows import STRIP_WIDTH, strip_of, view_row

ROW = {
    "name": "explained_fraction", "representation": "mimi", "split_seed": 0,
    "key": "pca.raw.kmeans_64", "lag": 2, "slice": "all", "quantity": "explained_fraction",
    "value": 0.12, "interval": [0.015, 0.15], "threshold": 0.02, "direction": "above",
    "outcome": "undecided", "reason": None, "sentence": "pca.raw.kmeans_64, all frames: 12 %.",
}  # fmt: skip


def test_strip_keeps_the_order_of_value_interval_and_threshold():
    strip = strip_of(0.12, 0.015, 0.15, [0.02])
    assert strip is not None
    assert 0 <= strip.low < strip.thresholds[0] < strip.value < strip.high <= STRIP_WIDTH


def test_numbers_never_round_an_interval_onto_its_threshold():
    view = view_row(ROW)
    assert view.numbers == "0.120 [0.015, 0.150]"
    assert view.asked == "asked: above 0.02"


def test_within_rows_have_two_thresholds_around_one():
    view = view_row(
        {**ROW, "direction": "within", "value": 1.001, "interval": [0.99, 1.01], "outcome": "pass"}
    )
    assert view.asked == "asked: within 1 ± 0.02"
    assert view.strip is not None
    assert view.strip.thresholds[0] < view.strip.low < view.strip.high < view.strip.thresholds[1]


def test_row_without_numbers_shows_its_reason_and_no_drawing():
    view = view_row(
        {**ROW, "value": None, "interval": None, "outcome": "invalid", "reason": "no surrogate"}
    )
    assert view.strip is None
    assert "no surrogate" in view.sentence
    assert view.mark == "void"


def test_informing_rows_show_a_null_and_ask_nothing():
    view = view_row({**ROW, "outcome": None, "threshold": 0.5})
    assert view.asked == "null: 0.5"
    assert view.mark == ""
