"""Matplotlib figures as inline SVG that follows the page: its colours, its font, its theme.

Sources: Okabe and Ito's palette, safe for colour-blind readers. Each series colour is a CSS
variable with the palette's colour as fallback, so that the page may lighten it on a dark ground
and a saved file still stands alone. Style attributes become presentation attributes: a content
security policy can then forbid inline styles.
"""

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from engram_audio.verdicts import number

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"

WIDE_IN, HALF_IN = 9.5, 4.6  # the whole row of the page and a half, at the same size of text
INK = "#010203"  # stands for the page's text colour
FAINT = "#040506"  # stands for grid lines
BLUE, VERMILION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
SKY, ORANGE, GREY = "#56b4e9", "#e69f00", "#767676"
REFERENCE: dict[str, Any] = {"color": INK, "linewidth": 0.6}
THRESHOLD: dict[str, Any] = {"color": INK, "linewidth": 1.0, "linestyle": "--"}
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
VARIABLES = {
    INK: "currentColor",
    FAINT: "var(--grid, #dddddd)",
    BLUE: f"var(--series-blue, {BLUE})",
    VERMILION: f"var(--series-vermilion, {VERMILION})",
    GREEN: f"var(--series-green, {GREEN})",
    PURPLE: f"var(--series-purple, {PURPLE})",
    ORANGE: f"var(--series-orange, {ORANGE})",
    SKY: f"var(--series-sky, {SKY})",
    GREY: f"var(--series-grey, {GREY})",
}

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "engram_audio",
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "savefig.transparent": True,
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 6.0,
    "axes.labelsize": 8.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.0,
    "path.simplify": True,
}


class Canvas:
    """A figure in the page's style. It has no panels until a drawing knows how many it needs."""

    def __init__(self) -> None:
        self.figure = Figure(layout="constrained")

    def panels(
        self, num: int = 1, *, width_in: float = HALF_IN, height_in: float = 3.0,
        share_y: bool = True,
    ) -> list[Axes]:  # fmt: skip
        """Return panels side by side."""
        self.figure.set_size_inches(width_in, height_in)
        return list(self.figure.subplots(1, num, squeeze=False, sharey=share_y)[0])

    def panel(self, **size: Any) -> Axes:
        """Return the only panel."""
        return self.panels(**size)[0]

    def legend(self, handles: Sequence[Artist] | None = None, columns: int = 1) -> None:
        """Name below the panels what is drawn: the handles, or what the first panel labels."""
        if handles is None:
            handles = self.figure.axes[0].get_legend_handles_labels()[0]
        self.figure.legend(handles=list(handles), loc="outside lower center", ncols=columns)


@contextmanager
def canvas() -> Iterator[Canvas]:
    """Yield an empty canvas. Everything drawn on it inside the block takes the page's style."""
    with matplotlib.rc_context(STYLE):
        yield Canvas()


def series(names: Iterable[str]) -> dict[str, str]:
    """Give each name a colour of the palette, in turn."""
    return {name: SERIES[place % len(SERIES)] for place, name in enumerate(names)}


def value_ticks(axis: XAxis | YAxis, values: Iterable[float]) -> None:
    """Label an axis at the values that were measured, whole numbers, and nowhere else."""
    found = sorted({int(value) for value in values})
    axis.set_ticks(found, labels=[str(value) for value in found])
    axis.set_minor_locator(NullLocator())


def plain_ticks(axis: XAxis | YAxis) -> None:
    """Label a logarithmic axis with plain numbers at 1, 2 and 5."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: number.count(value)))


def inline_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Return the figure as an SVG element.

    Args:
        figure: A figure drawn inside `canvas`.
        name: Unique name; prefixes every id, so that figures on one page do not collide.
        title: Short name for assistive technology.
        description: What a reader would see, in words.
    """
    buffer = io.StringIO()
    figure.savefig(
        buffer,
        format="svg",
        metadata={"Date": None, "Creator": None, "Type": None, "Format": None},
    )
    text = re.sub(r"<!DOCTYPE[^>]*>", "", buffer.getvalue())
    root = ElementTree.fromstring(text)
    _drop_global_style(root)
    for element in root.iter():
        _spread_style(element)
        _prefix_ids(element, name)
        _round_path(element)
    _describe(root, name, title, description)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return re.sub(r">\s+<", "><", ElementTree.tostring(root, encoding="unicode"))


def _drop_global_style(root: ElementTree.Element) -> None:
    """Matplotlib styles `*`, which inside a page would be the whole page."""
    for definitions in root.findall(f"{{{SVG}}}defs"):
        for style in definitions.findall(f"{{{SVG}}}style"):
            definitions.remove(style)
    root.set("stroke-linejoin", "round")
    root.set("stroke-linecap", "butt")


def _spread_style(element: ElementTree.Element) -> None:
    style = element.attrib.pop("style", "")
    for declaration in filter(None, (part.strip() for part in style.split(";"))):
        key, _, value = declaration.partition(":")
        key, value = key.strip(), value.strip()
        if key == "font":  # older matplotlib: `font: 8px 'DejaVu Sans'`
            size = re.search(r"[\d.]+px", value)
            key, value = "font-size", size[0] if size else "8px"
        if key != "font-family":
            element.set(key, VARIABLES.get(value.lower(), value))
    if element.tag == f"{{{SVG}}}text" and "fill" not in element.attrib:
        element.set("fill", "currentColor")


def _prefix_ids(element: ElementTree.Element, name: str) -> None:
    for key, value in element.attrib.items():
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key == f"{{{XLINK}}}href" and value.startswith("#"):
            element.set(key, f"#{name}-{value[1:]}")
        elif value.startswith("url(#"):
            element.set(key, f"url(#{name}-{value[5:]}")


def _round_path(element: ElementTree.Element) -> None:
    """Two decimals of a point are finer than any screen; matplotlib writes six."""
    for key in ("d", "x", "y", "transform"):
        if key in element.attrib:
            text = re.sub(
                r"\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}", element.attrib[key]
            )
            element.set(key, re.sub(r"\s+", " ", text).strip())


def _describe(root: ElementTree.Element, name: str, title: str, description: str) -> None:
    for key in ("width", "height"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    root.set("font-family", "inherit")
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(position, element)
