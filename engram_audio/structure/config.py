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
from engram_audio.keys.quantizers import NumCodes
from engram_audio.quantities import (
    Amount,
    AmountOrZero,
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
    ridge: Amount = Field(description="Ridge of linear fits, relative to the mean variance.")
    block_frames: Count = Field(ge=1024, description="Frames read at a time; bounds memory.")
    fit_memory_gib: Amount = Field(description="Memory for the features that k-means fits on.")
    kmeans_restarts: Count = Field(description="k-means++ restarts on the subsample.")
    kmeans_iterations: Count = Field(description="Most Lloyd iterations.")
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
    """The brief's gate, printed as a row; it cannot be reached in high dimension (SCIENCE 0.3)."""

    maximum_ratio: PositiveShare = Field(description="Variance ratio to fall below.")
    maximum_transfer_loss: Share = Field(description="Largest relative loss train-val to eval.")


class OperativeGate(Section):
    """The gate that decides."""

    minimum_explained_fraction: ShareBelowOne = Field(description="Lower bound must exceed this.")
    minimum_advantage: ShareBelowOne = Field(
        description="Explained fraction beyond the best surrogate; lower bound must exceed this."
    )
    maximum_transfer_loss: Share = Field(description="Upper bound must stay below this.")
    minimum_explained_for_transfer: ShareBelowOne = Field(
        description="The transfer loss is defined where val's explained fraction exceeds this."
    )
    maximum_excluded_mass: Share = Field(description="Excluded share of frames on val and eval.")
    control_tolerance: InnerShare = Field(
        description="Equivalence margin of the permuted and swapped controls around 1."
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
    keys: Names = Field(
        min_length=1,
        description="Pre-registered keys; intervals are Bonferroni-corrected for them.",
    )
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
    scored = {n: keys.library[n] for n in structure.families if n in keys.library}
    sizes = {name: size.num_codes for name, size in key_sizes(scored).items()}
    for name in decision.keys:
        require("decision.keys", name, sizes)
    oracles = list(structure.library.values())
    if len(oracles) != 1:
        raise ValueError(
            "structure.families: exactly one family of kind `target_oracle` gives the floor, "
            f"found {len(oracles)}"
        )
    for name in decision.keys:
        if sizes[name] not in oracles[0].codebook_sizes:
            raise ValueError(
                f"decision.keys: {name} has {sizes[name]} cells, but no target oracle of that "
                f"size is configured; add {sizes[name]} to its codebook_sizes"
            )


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
    structure: StructureSettings, keys: KeysSettings, decision: DecisionValues
) -> dict[str, KeyFamily | TargetOracleKeys]:
    """Return the families of registered keys, cut to these, and the oracle that gives the floor."""
    found: dict[str, KeyFamily | TargetOracleKeys | None] = {}
    for name in structure.families:
        if name in keys.library:
            found[name] = registered_part(name, keys.library[name], decision.keys)
        else:
            found[name] = registered_oracle(structure.library[name], decision.keys)
    return {name: family for name, family in found.items() if family is not None}
