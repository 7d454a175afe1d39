"""Models without memory of at least the memory's budget: the smallest of a family that has it.

The family grows in width, its MLP along with it, and is made exact by MLP units. So the baseline is
never the smaller one, and hardly larger.
"""

from collections.abc import Callable

import torch

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.generation.arms import build_arm
from engram_audio.generation.backbone_config import WIDTH_STEP, GeneratorSettings
from engram_audio.generation.budget import Budget, budget_of
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ARMS, AnyInsertion, ArmName
from engram_audio.keys.fitted import FittedKey
from engram_audio.section import with_changes


def match_arms(
    settings: GeneratorSettings,
    insertion: AnyInsertion,
    key: FittedKey,
    dimensions: Dimensions,
    base: BaseArrays,
) -> dict[ArmName, GeneratorSettings]:
    """Return the sizes of every arm: those of the settings, or matched to arm SM.

    Args:
        settings: The small generator.
        insertion: The memory of arm SM.
        key: Its key.
        dimensions: Train statistics.
        base: The linear null under the head.
    """

    def budget(arm: ArmName, own: GeneratorSettings) -> Budget:
        return planned_budget(arm, own, insertion, key, dimensions, base)

    memory = budget("SM", settings)
    found: dict[ArmName, GeneratorSettings] = {}
    for name, arm in ARMS.items():
        found[name] = settings
        if arm.matched is not None:
            measure = arm.matched

            def cost(own: GeneratorSettings, name: ArmName = name, measure: str = measure) -> int:
                return getattr(budget(name, own), measure)

            found[name] = smallest(settings, getattr(memory, measure), cost)
    return found


def planned_budget(
    arm: ArmName,
    settings: GeneratorSettings,
    insertion: AnyInsertion,
    key: FittedKey,
    dimensions: Dimensions,
    base: BaseArrays,
) -> Budget:
    """Return the budget of an arm without making its weights; no row is touched yet."""
    return budget_of(planned_model(arm, settings, insertion, key, dimensions, base))


def planned_model(
    arm: ArmName,
    settings: GeneratorSettings,
    insertion: AnyInsertion,
    key: FittedKey,
    dimensions: Dimensions,
    base: BaseArrays,
) -> Generator:
    """Return an arm whose weights have sizes and no values."""
    with torch.device("meta"):
        return build_arm(
            arm, settings, insertion, base, key, dimensions, torch.Generator(device="cpu")
        )


def smallest(
    settings: GeneratorSettings, wanted: int, cost: Callable[[GeneratorSettings], int]
) -> GeneratorSettings:
    """Return the widest member that costs at most `wanted`, its MLP widened to cost as much."""

    def wider(steps: int) -> GeneratorSettings:
        width = settings.width + steps * settings.width_step
        units = -(-settings.mlp_units * width // settings.width)
        return with_changes(settings, "matching", {"width": width, "mlp_units": units})

    if cost(settings) >= wanted:
        return settings
    steps = _last(lambda steps: cost(wider(steps)) <= wanted)
    best = wider(steps)

    def more(units: int) -> GeneratorSettings:
        return with_changes(best, "matching", {"mlp_units": best.mlp_units + units})

    if cost(best) >= wanted:
        return best
    return more(_last(lambda units: cost(more(units)) < wanted) + 1)


def largest(
    settings: GeneratorSettings, most: float, cost: Callable[[GeneratorSettings], int]
) -> GeneratorSettings | None:
    """Return the largest member that costs at most `most`, be it narrower; None if none does."""
    step = settings.width_step
    narrowest = settings.width - (settings.width - WIDTH_STEP) // step * step

    def sized(steps: int) -> GeneratorSettings:
        width = narrowest + steps * step
        units = -(-settings.mlp_units * width // settings.width)
        return with_changes(settings, "matching", {"width": width, "mlp_units": units})

    if cost(sized(0)) > most:
        return None
    best = sized(_last(lambda steps: cost(sized(steps)) <= most))

    def more(units: int) -> GeneratorSettings:
        return with_changes(best, "matching", {"mlp_units": best.mlp_units + units})

    return more(_last(lambda units: cost(more(units)) <= most))


def _last(holds: Callable[[int], bool]) -> int:
    """Return the last number from 0 on for which a statement holds that ends to hold once."""
    high = 1
    while holds(high):
        high *= 2
    low = high // 2  # holds, or is 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
