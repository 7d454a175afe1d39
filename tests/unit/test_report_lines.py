"""A figure draws what its CSV holds: every name, every point, both ends of each interval."""

import io
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from engram_audio.report import (
    figures_instrument,
    figures_prediction,
    figures_rollout,
    figures_structure,
    svg,
)
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.lines import PLACE, Look, at_places, draw_lines, draw_marks, gaps
from tests.report_prediction_tables import with_prediction
from tests.report_rollout_tables import with_rollout
from tests.report_tables import BASES, report_data

NAMES = [f"key{place}" for place in range(len(svg.SERIES) + 2)]  # more than the palette has colours


@pytest.fixture(scope="module")
def data() -> ReportData:
    return with_rollout(with_prediction(report_data(), surrogate=False))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """Figures as they are when the SVG would be written."""
    found: list[Figure] = []
    monkeypatch.setattr(svg, "inline_svg", lambda figure, *_: found.append(figure) or "")
    yield found


def rows_of(names: list[str]) -> pd.DataFrame:
    """Three points of each name, not in the order of x, with intervals that are not symmetric."""
    frame = pd.DataFrame([(name, x) for name in names for x in (4, 1, 2)], columns=["key", "x"])
    frame["y"] = np.repeat(np.arange(len(names)), 3) + 0.1 * frame["x"]
    return frame.assign(y_low=frame["y"] - 0.01, y_high=frame["y"] + 0.02)


def vertices(shape: Collection) -> np.ndarray:
    """Return the corners of all paths of a shape, [points, 2]."""
    return np.concatenate([np.asarray(path.vertices) for path in shape.get_paths()])


def points(line: Line2D) -> np.ndarray:
    """Return the points of a line, [points, 2]."""
    return np.asarray(line.get_xydata(), float)


@pytest.mark.parametrize("interval", ["", "band", "bars"])
def test_each_name_has_its_line_in_order_of_x(interval):
    rows = rows_of(NAMES)
    looks = {
        name: Look(color, name, interval=interval) for name, color in svg.series(NAMES).items()
    }
    with svg.canvas() as canvas:
        axis = canvas.panel()
        draw_lines(axis, rows, "key", "x", "y", looks)
        assert [line.get_label() for line in axis.lines] == NAMES
        for name, line in zip(NAMES, axis.lines, strict=True):
            own = rows.loc[rows["key"] == name].sort_values("x")
            assert np.array_equal(points(line), own[["x", "y"]].to_numpy())
        ends = [vertices(shape) for shape in axis.collections]
        if interval:
            assert set(np.concatenate(ends)[:, 1]) == set(rows[["y_low", "y_high"]].to_numpy().flat)
        else:
            assert not ends


def test_names_of_several_columns_and_absent_ones():
    rows = rows_of(["a"]).assign(part=["val", "eval", "val"])
    looks = {("a", "val"): Look(svg.BLUE), ("a", "eval"): Look(svg.BLUE), ("b", "val"): Look("red")}
    with svg.canvas() as canvas:
        axis = canvas.panel()
        draw_lines(axis, rows, ("key", "part"), "x", "y", looks)
        assert [np.size(line.get_xdata()) for line in axis.lines] == [2, 1]


def test_marks_stand_in_their_rows_with_both_ends():
    """An end on the wrong side of its value, a rounding matter, is no negative length."""
    rows = rows_of(["a"]).assign(y=[1.0, 2.0, 3.0], y_low=[0.5, 2.1, 3.0], y_high=[1.25, 2.5, 2.9])
    assert np.allclose(gaps(rows, "y"), [[0.5, 0, 0], [0.25, 0.5, 0]])
    with svg.canvas() as canvas:
        axis = canvas.panel()
        draw_marks(axis, rows, "y", np.array([2.0, 1.0, 0.0]), svg.BLUE)
        assert np.array_equal(points(axis.lines[0]), [[1, 2], [2, 1], [3, 0]])
        bars = vertices(axis.collections[0])[:, 0]
    assert np.allclose(bars, [0.5, 1.25, 2, 2.5, 3, 3])


def test_values_stand_one_apart_and_others_are_left_away():
    placed = at_places(rows_of(["a"]), "x", [1, 4], offset=0.1)
    assert placed[["x", PLACE]].to_numpy().tolist() == [[4, 1.1], [1, 0.1]]


@figure(
    "sweep", "A title", shows="What is seen", caption="c", resampling="r", assumption="a",
    estimator="fixed",
)  # fmt: skip
def plain(canvas: svg.Canvas, rows: pd.DataFrame, representation: str, lag: int) -> Drawing | None:
    if rows.empty:
        return None
    canvas.panel().plot(rows["x"], rows["y"])
    special = {"title": f"Lag {lag}", "estimator": "chosen"} if lag > 1 else {}
    return Drawing(rows.loc[:, ["x", "y"]], "n words", **special)


def test_a_figure_is_named_by_what_it_is_about():
    views = [plain(rows_of(["a"]), name, lag) for name in ("mel", "Mimi x") for lag in (1, 2)]
    assert [view.name for view in views if view] == [
        "fig-mel-sweep-1", "fig-mel-sweep-2", "fig-mimi-x-sweep-1", "fig-mimi-x-sweep-2",
    ]  # fmt: skip
    assert [(view.title, view.estimator) for view in views[:2] if view] == [
        ("A title", "fixed"), ("Lag 2", "chosen"),
    ]  # fmt: skip


def test_a_figure_brings_its_numbers_and_its_words():
    view = plain(rows_of(["a"]), "mel", 2)
    assert view and pd.read_csv(io.StringIO(view.csv)).equals(rows_of(["a"])[["x", "y"]])
    assert ">Lag 2, mel</title>" in view.svg and ">What is seen</desc>" in view.svg
    assert view[4:] == ("c", "chosen", "n words", "r", "a", False)


def test_nothing_to_show_is_no_figure(drawn):
    assert plain(rows_of([]), "mel", 1) is None and not drawn


@pytest.mark.parametrize(
    ("draw", "column", "axis", "sign"),
    [
        (figures_structure.curve_figure, "ratio", 1, 1),
        (figures_structure.ngram_figure, "coverage", 1, 1),
        (figures_structure.speaker_figure, "ratio", 0, 1),
        (figures_structure.sweep_figure, "added", 1, 1),
        (figures_instrument.variance_baseline, "r2", 1, 1),
        (figures_instrument.direction_baseline, "cosine", 1, 1),
        (figures_instrument.control_figure, "control_swapped", 0, 1),
        (figures_prediction.gain_figure, "gain_nats", 1, 1),
        (figures_rollout.kept_figure, "dnll_position", 1, -1),
        (figures_rollout.survival_figure, "surviving_share", 1, 100),
    ],
)
def test_every_number_of_the_csv_is_drawn(data, drawn, draw, column, axis, sign):
    """The CSV has six digits: a drawn number lies within 1e-5 of its own relative size."""
    view = draw(data, BASES[0])
    assert view is not None
    written = sign * pd.read_csv(io.StringIO(view.csv))[column].dropna().to_numpy()
    lines = [points(line)[:, axis] for panel in drawn[0].axes for line in panel.lines]
    shown = np.sort(np.concatenate([line[np.isfinite(line)] for line in lines]))
    nearest = np.abs(written[:, None] - shown[None, :]).min(axis=1)
    assert len(written) and (nearest <= 1e-5 * np.abs(written) + 1e-12).all()


def test_half_of_a_speaker_lies_below_itself(data, drawn):
    """The i-th of n sorted speakers stands at the share (i + 1/2) / n."""
    figures_structure.speaker_figure(data, BASES[0])
    for line in drawn[0].axes[0].lines[:-1]:  # the last one marks a ratio of 1
        values, shares = points(line).T
        assert (np.diff(values) >= 0).all()
        assert np.allclose(shares, (np.arange(len(shares)) + 0.5) / len(shares))
