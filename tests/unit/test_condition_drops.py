"""What train chunks are not told: nothing at all, or no prompt; and transcripts of all parts."""

from typing import Any

import pytest
import torch

from engram_audio.generation.condition import Condition
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.task import GeneratorTask
from tests.unit.condition_material import (
    CONDITION,
    TEXT,
    block,
    condition,
    texts,
    told_data,
    told_settings,
)
from tests.unit.generator_material import arm

CPU = torch.device("cpu")
SHARE = CONDITION["drop_share"]


def drawn(name: ArmName, **changes: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Which train chunks are told a text, and which a prompt."""
    own, of = told_settings({**CONDITION, **changes}), block(12)
    data = told_data(own, of, texts(of))
    task = GeneratorTask(arm(name, own).train(), data, data, CPU)
    batch = data.batch(torch.arange(len(data)).repeat(20), CPU)
    torch.manual_seed(0)
    told = task._drawn_condition(batch)
    assert told is not None
    count = told.symbols.shape[1]
    return told.is_seen[:, :count].any(1), told.is_seen[:, count:].any(1)


def near(found: torch.Tensor, share: float) -> bool:
    """Within four standard errors."""
    return abs(float(found.float().mean()) - share) < 4 * (share * (1 - share) / len(found)) ** 0.5


def test_some_train_chunks_are_told_nothing_and_some_the_text_alone():
    """Continuations are told the text alone. Other arms drop the same ones."""
    has_text, has_prompt = drawn("S")
    assert near(~has_text & ~has_prompt, SHARE)
    assert near(has_text & ~has_prompt, SHARE * (1 - SHARE))
    assert not (has_prompt & ~has_text).any()
    for one, other in zip((has_text, has_prompt), drawn("SM"), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("absent", ["text", "prompt_frames"])
def test_one_part_alone_is_dropped_by_its_share(absent: str):
    """Without a text no prompt is dropped twice."""
    has_text, has_prompt = drawn("S", **{absent: None})
    assert near(~(has_text | has_prompt), SHARE)


def test_a_dropped_prompt_leaves_the_text():
    """Bit for bit, and the other sequences whole."""
    told: Condition = condition((TEXT["maximum_characters"], 4))
    count, found = told.symbols.shape[1], told.unprompted(torch.tensor([True, False]))
    assert torch.equal(found.is_seen[:, :count], told.is_seen[:, :count])
    assert not found.is_seen[0, count:].any() and torch.equal(found.is_seen[1], told.is_seen[1])
