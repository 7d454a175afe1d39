"""A line for each name with its interval, and rows of marks: what most figures are made of."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from engram_audio.artifacts.columns import choose

PLACE = "place"
DASHES = ("-", "--", ":", "-.")


class Look(NamedTuple):
    """How the line of one name looks.

    Attributes:
        color: Colour of line, marks and interval.
        label: Entry of the legend, None for none.
        style: Dashes of the line, empty for marks alone.
        marker: Mark at each point.
        is_hollow: Thin, with hollow marks: a reference beside what was measured.
        interval: How the columns `<y>_low` and `<y>_high` are drawn, if at all.
    """

    color: str
    label: str | None = None
    style: str = "-"
    marker: str = "o"
    is_hollow: bool = False
    interval: Literal["", "band", "bars"] = ""

    def line(self) -> dict[str, Any]:
        """Return matplotlib's properties of the line and its marks."""
        return {
            "color": self.color, "label": self.label, "linestyle": self.style,
            "marker": self.marker, "linewidth": 0.8 if self.is_hollow else 1.5,
            "markerfacecolor": "none" if self.is_hollow else self.color,
        }  # fmt: skip


def draw_line(axis: Axes, rows: pd.DataFrame, x: str, y: str, look: Look, **more: Any) -> None:
    """Draw one column against another in the order of x, with its interval."""
    rows = rows.sort_values(x, kind="stable")
    where = rows[x].to_numpy(float)
    axis.plot(where, rows[y].to_numpy(float), **look.line(), **more)
    if look.interval:
        low, high = rows[[f"{y}_low", f"{y}_high"]].to_numpy(float).T
        if look.interval == "band":
            axis.fill_between(where, low, high, color=look.color, alpha=0.15, linewidth=0)
        else:
            axis.vlines(where, low, high, color=look.color, linewidth=look.line()["linewidth"])


def handle(look: Look) -> Line2D:
    """Return the entry of a legend for a look."""
    return Line2D([], [], **look.line())


def draw_lines(
    axis: Axes, rows: pd.DataFrame, by: str | Sequence[str], x: str, y: str,
    looks: Mapping[Any, Look], **more: Any,
) -> None:  # fmt: skip
    """Draw a line for each name: the rows whose columns `by` hold that name or those names."""
    columns = [by] if isinstance(by, str) else list(by)
    for name, look in looks.items():
        values = [name] if columns == [by] else list(name)
        part = choose(rows, **dict(zip(columns, values, strict=True)))
        if not part.empty:
            draw_line(axis, part, x, y, look, **more)


def at_places(
    rows: pd.DataFrame, column: str, values: Sequence[int], offset: float = 0.0
) -> pd.DataFrame:
    """Return the rows with one of the values, and in `PLACE` where each stands on the axis.

    Values stand one apart, whatever they are. The offset keeps the marks of two lines apart.
    """
    rows = choose(rows, **{column: list(values)})
    return rows.assign(**{PLACE: [values.index(int(v)) + offset for v in rows[column]]})


def place_ticks(axis: Axes, values: Sequence[int]) -> None:
    """Label the places of `at_places`."""
    axis.set_xticks(range(len(values)), [str(value) for value in values])
    axis.set_xlim(-0.35, len(values) - 0.65)


def gaps(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Return how far the interval reaches below and above a value, [2, rows], never below 0."""
    value, low, high = (rows[f"{column}{end}"].to_numpy(float) for end in ("", "_low", "_high"))
    return np.maximum([value - low, high - value], 0)


def draw_marks(
    axis: Axes, rows: pd.DataFrame, column: str, places: np.ndarray, color: str,
    label: str | None = None,
) -> None:  # fmt: skip
    """Draw one mark with its interval from left to right in each row of a picture."""
    axis.errorbar(
        rows[column].to_numpy(float), places, xerr=gaps(rows, column), fmt="o", color=color,
        label=label, linewidth=1.5,
    )  # fmt: skip
