"""Figures take their section's share of the page and no more; what is left out is named."""

from engram_audio.report.figure import MAXIMUM_FIGURE_BYTES, FigureView, draw_within_share


def figure(name: str, num_bytes: int) -> FigureView:
    return FigureView(name, "", "x" * num_bytes, "", "", "", "", "", "")


def test_the_first_is_always_drawn_and_the_others_while_there_is_room():
    """The deciding representation may be larger than the share; a smaller one may still fit."""
    third = MAXIMUM_FIGURE_BYTES // 3
    sizes = {"decides": third, "large": MAXIMUM_FIGURE_BYTES, "small": third, "last": third + 9}
    asked = []

    def draw(name: str):
        asked.append(name)
        return [figure(name, sizes[name] // 2), None, figure(name, sizes[name] // 2)]

    groups, left_out = draw_within_share(list(sizes), draw)
    assert {name: len(drawn) for name, drawn in groups.items()} == {
        "decides": 2, "large": 0, "small": 2, "last": 0,
    }  # fmt: skip
    assert left_out == ["large", "last"]
    sizes["decides"] = 2 * MAXIMUM_FIGURE_BYTES
    groups, left_out = draw_within_share(list(sizes), draw)
    assert len(groups["decides"]) == 2 and left_out == ["large", "small", "last"]
    assert asked.count("small") == 1  # nothing is drawn once the share is spent


def test_a_representation_without_figures_is_not_left_out():
    groups, left_out = draw_within_share(["arrays"], lambda name: [None])
    assert groups == {"arrays": []} and left_out == []
