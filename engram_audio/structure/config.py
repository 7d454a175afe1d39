"""Settings of the structure stage: key families, gates, and what they must agree on."""

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from engram_audio.choices import require, require_listed
from engram_audio.keys.config import (
    KeyFamily,
    KeysSettings,
    LastFrameKeys,
    MeanPoolKeys,
    PcaKeys,
    PredictiveKeys,
    key_sizes,
    registered_part,
)
from engram_audio.keys.quantizers import KeySize, NumCodes
from engram_audio.quantities import (
    Amount,
    AmountOrZero,
    Amounts,
    Count,
    Counts,
    Frames,
    InnerShare,
    Lags,
    Listed,
    Name,
    Names,
    Orders,
    PositiveShare,
    PositiveShares,
    Seed,
    Share,
    ShareBelowOne,
    Text,
)
from engram_audio.section import Section
from engram_audio.views import (
    ContextView,
    Slices,
    SlicesView,
    Viewed,
    ViewsSection,
    compose,
)


class StructureValues(Section):
    """What all key families share, views aside."""

    lags_frames: Lags = Field(min_length=1, description="Lags k, in frames.")
    minimum_cell_frames: Count = Field(description="A cell with fewer train frames is excluded.")
    std_floor: InnerShare = Field(
        description="Smallest SD of delta, as a share of the dimension's own RMS value."
    )
    variance_shrinkage_frames: AmountOrZero = Field(
        description="Frames of pooled variance added to each cell's variance."
    )
    linear_ridges: Amounts = Field(
        min_length=1,
        description="Ridges of the linear model that keys must add to, relative to the mean"
        " variance; one is chosen on select.",
    )
    block_frames: Count = Field(ge=1024, description="Frames read at a time; bounds memory.")
    fit_memory_gib: Amount = Field(description="Memory for the features that k-means fits on.")
    confidence_quantiles: PositiveShares = Field(
        min_length=1, description="Kept fractions of the curve."
    )
    ngram_orders: Orders = Field(min_length=1, description="Orders of key n-grams.")
    ngram_minimum_counts: Counts = Field(
        min_length=1, description="Train counts c of the coverage."
    )
    seed: Seed = Field(description="Seed of subsamples, k-means and controls.")


class StructureSection(StructureValues, ContextView, SlicesView, Viewed):
    """What all key families share, as the steps read it."""

    VIEWS: ClassVar[Mapping[str, str]] = {"principal_subspaces": "delta_subspaces"}

    principal_subspaces: Counts = Field(
        description="Edges q: rows for the first q principal directions of delta and the rest."
    )


class TargetOracleKeys(Section):
    """k-means on the target itself: the attainable floor, never a usable key."""

    kind: Literal["target_oracle"]
    codebook_sizes: Listed[NumCodes] = Field(min_length=1, description="K of every key to bound.")


ScoredFamily = Annotated[
    MeanPoolKeys | PcaKeys | LastFrameKeys | PredictiveKeys | TargetOracleKeys,
    Field(discriminator="kind"),
]  # what worlds are scored with


def registered_oracle(section: TargetOracleKeys, keys: tuple[str, ...]) -> TargetOracleKeys | None:
    """Return the oracle cut to the sizes of registered keys, for their floors; None if none is."""
    names = {key.split(".")[-1] for key in keys}
    kept = tuple(size for size in section.codebook_sizes if f"kmeans_{size}" in names)
    return section.model_copy(update={"codebook_sizes": kept}) if kept else None


class LiteralGate(Section):
    """The brief's gate, printed in full; it cannot be reached in high dimension (SCIENCE 0.3)."""

    keys: Names = Field(
        description="The brief's own keys. None of them: a study of other data, whose page leaves "
        "out the brief's gate, its expectations and the first experiment's scores."
    )
    maximum_ratio: PositiveShare = Field(description="Variance ratio to fall below.")
    maximum_transfer_loss: Share = Field(description="Largest relative loss train-val to eval.")


class OperativeGate(Section):
    """The gate that decides."""

    minimum_added_fraction: InnerShare = Field(
        description="Share of what K cells could add to a linear model: the lower bound must exceed"
        " this."
    )
    minimum_added_nats: Amount = Field(
        description="Nats per frame that a key adds: the lower bound must exceed this, the floor of"
        " delta."
    )
    minimum_share_of_information: ShareBelowOne = Field(
        description="delta is at least this share of the best head's gain over its context-free"
        " family."
    )
    maximum_transfer_loss: Share = Field(description="Upper bound must stay below this.")
    maximum_excluded_mass: Share = Field(description="Excluded share of frames, key and oracle.")
    control_tolerance: InnerShare = Field(
        description="Equivalence margin of the permuted and swapped controls around 0."
    )


class StructureSettings(StructureValues):
    """The stage: its values, its oracles, and which families of keys it scores."""

    families: Names = Field(
        min_length=1,
        description="Families of keys.library and oracles that are scored, one job for each "
        "representation and split.",
    )
    library: dict[Name, TargetOracleKeys] = Field(description="Target oracles by name.")

    def used(self, keys: KeysSettings) -> Self:
        """Return the stage with the listed oracles only.

        Raises:
            ValueError: A listed family is not defined, or a name is both a family and an oracle.
        """
        for name in self.library:
            if name in keys.library:
                raise ValueError(
                    f"structure.library.{name}: keys.library has a family of that name; rename one"
                )
        for name in self.families:
            require("structure.families", name, {**keys.library, **self.library})
        listed = {name: row for name, row in self.library.items() if name in self.families}
        return self.model_copy(update={"library": listed})


class DecisionValues(Section):
    """What is decided, fixed before looking, views aside."""

    representation: Text = Field(description="The representation whose verdict is the study's.")
    lag_frames: Frames = Field(description="Pre-registered lag.")
    literal_gate: LiteralGate
    operative_gate: OperativeGate


class DecisionSection(DecisionValues, Viewed):
    """What is decided, as the steps read it."""

    VIEWS: ClassVar[Mapping[str, str]] = {"slices": "judged_slices"}

    slices: Slices = Field(description="Pre-registered slices: the gate must hold on every one.")


def check_decision(
    decision: DecisionValues,
    structure: StructureSettings,
    keys: KeysSettings,
    analysed: Collection[str],
) -> None:
    """Check what is decided against what is run.

    Args:
        decision: What is decided.
        structure: The stage, used oracles only.
        keys: Keys.
        analysed: Representations that are analysed.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    key = "decision.representation"
    require_listed(key, decision.representation, "representations.analysed", analysed)
    require("decision.lag_frames", decision.lag_frames, structure.lags_frames)
    oracles = list(structure.library.values())
    if len(oracles) != 1:
        raise ValueError(
            "structure.families: exactly one family of kind `target_oracle` gives the floor, "
            f"found {len(oracles)}"
        )
    sizes = {size.num_codes for size in context_keys(structure, keys).values()}
    if not sizes & set(oracles[0].codebook_sizes):
        raise ValueError(
            "structure.families: no key has as many cells as a target oracle, so none can be "
            f"judged: keys have {sorted(sizes)} cells, oracles "
            f"{sorted(oracles[0].codebook_sizes)}; add a size to its codebook_sizes"
        )


def check_keys(
    where: str, names: Collection[str], structure: StructureSettings, keys: KeysSettings
) -> None:
    """Check that keys are scored, each beside an oracle of its size.

    Args:
        where: Setting that names them.
        names: The keys.
        structure: The stage, used oracles only.
        keys: Keys.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    sizes = context_keys(structure, keys)
    oracles = {size for oracle in structure.library.values() for size in oracle.codebook_sizes}
    for name in names:
        require(where, name, sizes)
        num_codes = sizes[name].num_codes
        if num_codes not in oracles:
            raise ValueError(
                f"{where}: {name} has {num_codes} cells, but no target oracle of that size is "
                f"configured; add {num_codes} to its codebook_sizes"
            )


def context_keys(structure: StructureSettings, keys: KeysSettings) -> dict[str, KeySize]:
    """Return the size of every key of the scored families: the candidates."""
    return key_sizes({n: keys.library[n] for n in structure.families if n in keys.library})


def calibration_structure(
    structure: StructureSettings, decision: DecisionSection, views: ViewsSection
) -> StructureSection:
    """Return the structure section as far as the registered gate needs it: worlds run with this."""
    changes = {
        "lags_frames": tuple(sorted({1, decision.lag_frames})),
        "slices": tuple(dict.fromkeys(["all", *decision.slices])),
        "principal_subspaces": (),
    }
    return compose(StructureSection, structure, views).model_copy(update=changes)


def calibration_families(
    structure: StructureSettings, keys: KeysSettings, judged: tuple[str, ...]
) -> dict[str, KeyFamily | TargetOracleKeys]:
    """Return the families of some keys, cut to these, and the oracle that gives the attainable."""
    found: dict[str, KeyFamily | TargetOracleKeys | None] = {}
    for name in structure.families:
        if name in keys.library:
            found[name] = registered_part(name, keys.library[name], judged)
        else:
            found[name] = registered_oracle(structure.library[name], judged)
    return {name: family for name, family in found.items() if family is not None}
