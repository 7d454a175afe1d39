"""In both themes, text reaches a contrast of 4.5 on every ground and drawn colours reach 3."""

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).parents[2] / "report_templates" / "page.css").read_text(encoding="utf-8")
PAIRS = dict(
    (name, (light, dark))
    for name, light, dark in re.findall(
        r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", CSS
    )
)
TEXT = ("ink", "muted", "accent", "good", "bad", "open", "void")
DRAWN = sorted(name for name in PAIRS if name.startswith("series-"))
GROUNDS = ("ground", "raised")


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast ratio (WCAG 2.2)."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_on_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("name", TEXT)
def test_text_is_readable(name, ground, theme):
    assert contrast(PAIRS[name][theme], PAIRS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("name", DRAWN)
def test_drawn_colours_are_visible(name, theme):
    """Graphical objects need 3 (WCAG 1.4.11)."""
    assert contrast(PAIRS[name][theme], PAIRS["ground"][theme]) >= 3


def test_every_series_colour_of_the_figures_has_a_pair():
    from engram_audio.report.svg import VARIABLES

    used = set(re.findall(r"--([a-z-]+)", " ".join(VARIABLES.values())))
    assert used <= set(PAIRS)
    assert DRAWN, "the page defines series colours"
