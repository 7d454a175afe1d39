"""Inline drawings: deterministic, described, themed, inert, and with ids of their own."""

import re

import pytest

from engram_audio.report import svg


def draw(name: str = "fig-a", label: str = "plain") -> str:
    with svg.canvas() as canvas:
        axis = canvas.panel(width_in=2.0, height_in=1.5)
        axis.plot([1, 2], [1, 2], "o-", color=svg.BLUE, label=label)
        axis.set_title(label)
        axis.legend()
        return svg.inline_svg(canvas.figure, name, "A title", "What is <seen>")


@pytest.fixture(scope="module")
def drawing() -> str:
    return draw()


def test_same_figure_same_bytes(drawing):
    assert draw() == drawing


def test_ids_and_references_carry_the_name(drawing):
    ids = re.findall(r'\bid="([^"]+)"', drawing)
    assert ids
    assert all(item.startswith("fig-a-") for item in ids)
    assert len(ids) == len(set(ids))
    references = re.findall(r'(?:href="#|url\(#)([^")]+)', drawing)
    assert set(references) <= set(ids)


def test_drawing_is_an_image_with_title_and_description(drawing):
    assert 'role="img"' in drawing
    assert 'aria-labelledby="fig-a-title fig-a-desc"' in drawing
    assert ">A title</title>" in drawing
    assert "What is &lt;seen&gt;" in drawing


def test_colours_follow_the_theme_and_no_inline_style_remains(drawing):
    assert "style" not in drawing
    assert svg.INK not in drawing
    assert f"var(--series-blue, {svg.BLUE})" in drawing
    assert "currentColor" in drawing


def test_labels_are_text_and_never_markup_or_mathematics():
    drawing = draw(label="<script>$x^2$")
    assert "&lt;script&gt;$x^2$" in drawing
