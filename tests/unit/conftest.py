"""Fixtures that test modules of one stage share; a module's own of the same name goes before."""

import pytest
from torch import nn

from tests.unit.prediction_material import World
from tests.unit.rollout_material import small_head, small_world


@pytest.fixture(scope="module")
def world() -> World:
    """The rollout stage's small world: an AR(1) in each dimension."""
    return small_world()


@pytest.fixture(scope="module")
def head(world: World) -> nn.Module:
    """A head of one step on it, trained for a moment."""
    return small_head(world).eval()
