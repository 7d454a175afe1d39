"""A figure with what a reader needs beside it: data, caption, alternative text."""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Concatenate, NamedTuple, ParamSpec

import pandas as pd

from engram_audio.artifacts.columns import safe_csv
from engram_audio.report import svg

MAXIMUM_FIGURE_BYTES = 800_000  # of a section; a page with all its sections stays below 6 MB


class FigureView(NamedTuple):
    """One figure of the page.

    Attributes:
        name: Stable id made of content names.
        title: Heading.
        svg: Inline SVG element, made by `svg.inline_svg` and trusted.
        csv: The plotted numbers.
        caption: What is drawn and how to read it.
        estimator: How the numbers were formed.
        num_samples: What n is, in words.
        resampling: Unit of resampling behind the intervals.
        assumption: What must hold for the picture to mean what it seems to.
        is_wide: Whether it takes the whole row.
    """

    name: str
    title: str
    svg: str
    csv: str
    caption: str
    estimator: str
    num_samples: str
    resampling: str
    assumption: str
    is_wide: bool = False


class Drawing(NamedTuple):
    """What a function that draws returns beside the lines on its canvas.

    Attributes:
        table: The plotted numbers.
        num_samples: What n is, in words.
        title: Replaces the figure's title where the data decide about it.
        estimator: Replaces the figure's estimator likewise.
    """

    table: pd.DataFrame
    num_samples: str
    title: str = ""
    estimator: str = ""


Subject = ParamSpec("Subject")


def figure(
    name: str, title: str, *, shows: str, caption: str, resampling: str, assumption: str,
    estimator: str = "", is_wide: bool = False,
) -> Callable[
    [Callable[Concatenate[svg.Canvas, Subject], Drawing | None]],
    Callable[Subject, FigureView | None],
]:  # fmt: skip
    """Make a figure of a function that draws on a canvas.

    The function takes the canvas, then its data, then what the figure is about: as a rule the
    representation. It returns None where there is nothing to show. The figure's id is made of the
    name and of all that the figure is about.

    Args:
        name: What is drawn. It tells the figures of one representation apart.
        title: Heading.
        shows: What a reader would see, in words: the alternative text.
        caption: As in `FigureView`, like all that follow.
        resampling: Unit of resampling.
        assumption: What must hold.
        estimator: How the numbers were formed.
        is_wide: Whether the figure takes the whole row.
    """

    def decorate(
        draw: Callable[Concatenate[svg.Canvas, Subject], Drawing | None],
    ) -> Callable[Subject, FigureView | None]:
        @functools.wraps(draw)
        def view(*args: Subject.args, **kwargs: Subject.kwargs) -> FigureView | None:
            about = args[1:]
            with svg.canvas() as canvas:
                drawing = draw(canvas, *args, **kwargs)
                if drawing is None:
                    return None
                identity = content_id("fig", *about[:1], name, *about[1:])
                heading = drawing.title or title
                spoken = ", ".join(map(str, (heading, *about[:1])))
                element = svg.inline_svg(canvas.figure, identity, spoken, shows)
            return FigureView(
                identity, heading, element, csv_text(drawing.table), caption,
                drawing.estimator or estimator, drawing.num_samples, resampling, assumption,
                is_wide,
            )  # fmt: skip

        return view

    return decorate


def draw_within_share(
    names: Sequence[str], draw: Callable[[str], Iterable[FigureView | None]]
) -> tuple[dict[str, list[FigureView]], list[str]]:
    """Draw the figures of representations in turn until a section's share of the page is spent.

    Args:
        names: The deciding one first; its figures are always drawn.
        draw: Gives the figures of a representation; None where one has nothing to show.

    Returns:
        Figures by representation, and the names whose figures would make the page too large.
    """
    groups: dict[str, list[FigureView]] = {}
    left_out, spent = [], 0
    for name in names:
        is_first = not groups
        groups[name] = []
        if spent >= MAXIMUM_FIGURE_BYTES:
            left_out.append(name)
            continue
        figures = [figure for figure in draw(name) if figure is not None]
        size = sum(len(figure.svg) + len(figure.csv) for figure in figures)
        if is_first or spent + size <= MAXIMUM_FIGURE_BYTES:
            groups[name], spent = figures, spent + size
        else:
            left_out.append(name)
    return groups, left_out


def content_id(*parts: object) -> str:
    """Return a stable id from content names: lower case, dots and dashes kept."""
    joined = "-".join(str(part) for part in parts).lower()
    return re.sub(r"[^a-z0-9_.-]+", "-", joined).strip("-")


def csv_text(frame: pd.DataFrame) -> str:
    """Return the plotted numbers as CSV, six significant digits."""
    return safe_csv(frame, digits=6)
