"""A figure with what a reader needs beside it: data, caption, alternative text."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from engram_audio.artifacts.columns import safe_csv

MAXIMUM_FIGURE_BYTES = 800_000  # of a section; a page with all its sections stays below 10 MB


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
