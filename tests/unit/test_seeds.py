"""Seeds: published numbers were drawn with them, so every scheme keeps its values."""

from collections.abc import Callable

import pytest

from engram_audio.numerics import seeds


@pytest.mark.parametrize(
    ("found", "value"),
    [
        (seeds.named_generator(3, "eval", "F").integers(2**31), 241931214),
        (seeds.checksum_generator(3, "kmeans", 1, "all").integers(2**31), 396366541),
        (seeds.named_seed(3, "weights", 1, "delta"), 1477446316),
        (seeds.step_seed(3, 7, 1), 9001365845261833459),
        (seeds.checksum("speaker"), 2072370017),
    ],
    ids=["named_generator", "checksum_generator", "named_seed", "step_seed", "checksum"],
)
def test_seeds_have_the_values_that_results_were_drawn_with(found: int, value: int):
    """A changed value would move every number of every study, in silence."""
    assert found == value


@pytest.mark.parametrize(
    "draw",
    [
        lambda *names: int(seeds.named_generator(0, *names).integers(2**62)),
        lambda *names: int(seeds.checksum_generator(0, *names).integers(2**62)),
        lambda *names: seeds.named_seed(0, *names),
    ],
    ids=["named_generator", "checksum_generator", "named_seed"],
)
def test_names_are_apart_and_in_order(draw: Callable[..., int]):
    """Other names, another order and another cut between names are other random numbers."""
    assert len({draw("a", "b"), draw("b", "a"), draw("ab"), draw("a")}) == 4
    assert draw("a", "b") == draw("a", "b")
