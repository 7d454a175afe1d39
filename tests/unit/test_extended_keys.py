"""The examples of a quantiser and an input in docs/extend.md work as they stand there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from engram_audio import windows
from engram_audio.keys import config, fitted, inputs
from engram_audio.keys.fitted import coded
from engram_audio.keys.quantizers import Fitting, KeySize, Quantizer
from tests.unit.key_material import blocks_of, cycle

PAGE = (Path(__file__).parents[2] / "docs/extend.md").read_text(encoding="utf-8")
NAMES = {
    "ClassVar": ClassVar, "Literal": Literal, "KeySize": KeySize, "Quantizer": Quantizer,
    "np": np, "windows": windows,
}  # fmt: skip


def example(name: str) -> Any:
    """The class of a name, from the page."""
    (code,) = re.findall(rf"```python\n(class {name}\b.*?)```", PAGE, re.S)
    found = dict(NAMES)
    exec(code, found)
    return found[name]


def test_the_quantiser_of_the_page_tells_signs():
    quantizer = example("Signs")(kind="signs")
    features = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    (size,) = quantizer.sizes(3)
    arrays = quantizer.fit(size, features, Fitting(1, 1, np.random.default_rng(0)))
    codes = coded(quantizer, arrays, features).cells
    assert size.num_codes == 8 and set(codes) == set(range(8))
    assert np.array_equal(codes & 1, features[:, 0] > np.median(features[:, 0]))


@pytest.fixture
def second_differences(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setitem(inputs.INPUTS, "second_differences", example("SecondDifferences")())
    assert config.INPUTS is fitted.INPUTS is inputs.INPUTS
    yield inputs.INPUTS["second_differences"]


def test_the_input_of_the_page_shows_a_stream_what_it_shows_a_context(second_differences: Any):
    blocks, _ = blocks_of(cycle)
    rows = windows.target_rows(blocks[0].offsets, 4, 1) - 1
    contexts = blocks[0].frames[rows[:, None] + np.arange(-3, 1)]
    shown = second_differences.of_contexts(contexts, None)
    assert shown.shape[1] == second_differences.window_frames(4) == 2
    stream = second_differences.of_block(blocks[0], None)
    np.testing.assert_allclose(stream[rows], shown[:, -1], atol=1e-5)
    np.testing.assert_allclose(stream[rows - 1], shown[:, -2], atol=1e-5)
