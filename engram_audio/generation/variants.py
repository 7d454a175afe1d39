"""More sizes of the same generators: models of the ladder, shares of rows, one wider S.

Every size is made as F and P are: the smallest member of the family that costs no less than asked.
A dense number is held once and works twice per frame. So numbers and work cannot both stay while
rows take the place of width: each sweep holds one of them, and both are published.
"""

from collections.abc import Mapping
from typing import NamedTuple

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.budget import Budget
from engram_audio.generation.cost_config import Held, LadderSection, SizesSection
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.matching import (
    match_arms,
    planned_budget,
    planned_model,
    smallest,
)
from engram_audio.generation.model_config import AnyInsertion, ArmName, RowInsertion
from engram_audio.generation.names import LADDER, SHARE, WIDER
from engram_audio.generation.sources import tables_of
from engram_audio.keys.fitted import FittedKey
from engram_audio.section import with_changes

WIDER_ARMS: tuple[ArmName, ...] = ("S", "SM", "F")
LEAST_ROWS = 16  # of a hash head
ROUNDS = 4  # in which rows and backbone settle


class Variant(NamedTuple):
    """One more size of an arm.

    Attributes:
        kind: `ladder`, `share` or `wider`.
        held: Of a share, the budget that is held; "" for others.
        value: Factor of the work, share of the numbers, or factor of the width.
        arm: What is trained.
    """

    kind: str
    held: str
    value: float
    arm: ArmName

    @property
    def label(self) -> str:
        """A name that no other variant of the job has."""
        held = f"-{self.held}" if self.held else ""
        return f"{self.kind}{held}-{self.value:g}"


class Sized(NamedTuple):
    """Sizes of a variant."""

    settings: GeneratorSettings
    insertion: AnyInsertion


class Family(NamedTuple):
    """What all sizes of a generator have in common: see `matching.match_arms`."""

    settings: GeneratorSettings
    insertion: AnyInsertion
    key: FittedKey
    dimensions: Dimensions
    base: BaseArrays

    def budget(self, arm: ArmName, own: Sized) -> Budget:
        """Return the budget of an arm of some size."""
        return planned_budget(arm, *own, self.key, self.dimensions, self.base)

    def rows(self, own: Sized) -> int:
        """Return the numbers of all rows of SM of some size."""
        model = planned_model("SM", *own, self.key, self.dimensions, self.base)
        return sum(table.num_rows * table.row_width for table in tables_of(model))

    @property
    def sized(self) -> Sized:
        """The size of the settings."""
        return Sized(self.settings, self.insertion)


def variants_of(family: Family, asked: SizesSection) -> dict[Variant, Sized]:
    """Return all sizes that a study asks for beside its arms.

    Raises:
        ValueError: A share leaves no numbers for the smallest model.
    """
    found: dict[Variant, Sized] = {}
    if asked.ladder is not None:
        found |= _ladder(family, asked.ladder)
    if asked.share_sweep is not None:
        for held in asked.share_sweep.held:
            found |= _sweep(family, held, asked.share_sweep.shares)
    if asked.wider is not None:
        found |= _wider(family, asked.wider.width_factor)
    return found


def _ladder(family: Family, ladder: LadderSection) -> Mapping[Variant, Sized]:
    """Return models without memory of factors of SM's work."""
    work = family.budget("SM", family.sized).flops_generated

    def cost(own: GeneratorSettings) -> int:
        return family.budget("S", Sized(own, family.insertion)).flops_generated

    return {
        Variant(LADDER, "", factor, "S"): Sized(
            smallest(family.settings, round(factor * work), cost), family.insertion
        )
        for factor in ladder.work_factors
    }


def _sweep(family: Family, held: Held, shares: tuple[float, ...]) -> dict[Variant, Sized]:
    """Return models that hold SM's numbers, or do its work, with shares of rows."""
    wanted = getattr(family.budget("SM", family.sized), held)
    found = {Variant(SHARE, held, 0.0, "S"): _without_rows(family, held, wanted)}
    for share in shares:
        found[Variant(SHARE, held, share, "SM")] = _with_share(family, held, wanted, share)
    return found


def _without_rows(family: Family, held: Held, wanted: int) -> Sized:
    def cost(own: GeneratorSettings) -> int:
        return getattr(family.budget("S", Sized(own, family.insertion)), held)

    return Sized(smallest(_least(family.settings), wanted, cost), family.insertion)


def _with_share(family: Family, held: Held, wanted: int, share: float) -> Sized:
    """Return a memory whose rows are a share of all numbers, in a backbone of what is left.

    Where the work is held, rows and backbone decide each other and are found in turn.
    """
    own, found = family.sized, None
    for _ in range(ROUNDS):
        rows = family.rows(own)
        dense = family.budget("SM", own).num_resident - rows
        goal = share * wanted if held == "num_resident" else dense * share / (1 - share)
        insertion = _resized(own.insertion, goal / rows)
        if found is not None and insertion == own.insertion:
            break

        def cost(settings: GeneratorSettings, insertion: AnyInsertion = insertion) -> int:
            return getattr(family.budget("SM", Sized(settings, insertion)), held)

        least = _least(family.settings)
        if cost(least) > wanted:
            raise ValueError(
                f"generation.share_sweep.shares: {share:g} leaves too little for the smallest "
                f"backbone, of width {least.width}; name smaller shares"
            )
        own = found = Sized(smallest(least, wanted, cost), insertion)
    assert found is not None
    return found


def _least(settings: GeneratorSettings) -> GeneratorSettings:
    """Return the narrowest model of the family."""
    width = settings.width_step
    units = -(-settings.mlp_units * width // settings.width)
    return with_changes(settings, "share_sweep", {"width": width, "mlp_units": units})


def _resized(insertion: AnyInsertion, factor: float) -> AnyInsertion:
    """Return a memory with more or fewer numbers in its rows: in their count, or their width."""
    assert isinstance(insertion, RowInsertion), "checked with the configuration"
    if insertion.table_rows is not None:
        rows = max(LEAST_ROWS, round(insertion.table_rows * factor))
        return with_changes(insertion, "share_sweep", {"table_rows": rows})
    width = insertion.own_row_width
    assert width is not None, "likewise"
    return with_changes(insertion, "share_sweep", {"row_width": max(1, round(width * factor))})


def _wider(family: Family, factor: float) -> dict[Variant, Sized]:
    """Return S with and without its memory, and F of it, in a wider backbone."""
    own, step = family.settings, family.settings.width_step
    width = max(round(factor * own.width / step), 1) * step
    units = -(-own.mlp_units * width // own.width)
    settings = with_changes(own, "wider", {"width": width, "mlp_units": units})
    sizes = match_arms(settings, family.insertion, family.key, family.dimensions, family.base)
    return {
        Variant(WIDER, "", factor, arm): Sized(sizes[arm], family.insertion) for arm in WIDER_ARMS
    }
