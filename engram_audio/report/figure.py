"""A figure with what a reader needs beside it: data, caption, alternative text."""

import re
from typing import NamedTuple

import pandas as pd


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


def content_id(*parts: object) -> str:
    """Return a stable id from content names: lower case, dots and dashes kept."""
    joined = "-".join(str(part) for part in parts).lower()
    return re.sub(r"[^a-z0-9_.-]+", "-", joined).strip("-")


def csv_text(frame: pd.DataFrame) -> str:
    """Return the plotted numbers as CSV, six significant digits."""
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
