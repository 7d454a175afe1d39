"""Settings of the structure stage: key families, gates, and what they must agree on."""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engram_audio.choices import chosen, require, require_listed
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
    distinct,
)
from engram_audio.section import Section, require_power_below
from engram_audio.views import (
    ContextView,
    Slices,
    SlicesView,
    Viewed,
    ViewsSection,
    compose,
)

KeyInput = Literal["raw", "speaker_centred", "increments"]
NUM_CELLS_LIMIT = 2**31 - 1  # cells are numbered in 32 bits
NumCells = Annotated[int, Field(ge=1, le=NUM_CELLS_LIMIT)]
CodebookSizes = Listed[NumCells]


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
    ridge: Amount = Field(description="Ridge of predictive keys, relative to the mean variance.")
    linear_ridges: Amounts = Field(
        min_length=1,
        description="Ridges of the linear model that keys must add to, relative to the mean"
        " variance; one is chosen on select.",
    )
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


class _KeyFamily(Section):
    inputs: Listed[KeyInput] = Field(
        min_length=1, description="What the key sees: raw, speaker_centred, increments."
    )


class KMeansQuantizer(Section):
    """Nearest of K centroids."""

    kind: Literal["kmeans"]
    codebook_sizes: CodebookSizes = Field(min_length=1, description="K, one key for each.")


class QuantileBins(Section):
    """Bins at train quantiles per component; K = num_bins ** components."""

    kind: Literal["quantile_bins"]
    num_bins: Count = Field(ge=2, le=NUM_CELLS_LIMIT, description="Bins per component.")


Quantizer = Annotated[KMeansQuantizer | QuantileBins, Field(discriminator="kind")]


def _require_distinct_sizes(quantizers: Iterable[Quantizer]) -> None:
    kinds = [row for row in quantizers if isinstance(row, KMeansQuantizer)]
    try:
        distinct(tuple(size for row in kinds for size in row.codebook_sizes))
    except ValueError as error:
        raise ValueError(f"quantizers: codebook_sizes: {error}") from None


class _VectorKeys(_KeyFamily):
    quantizers: Listed[Quantizer] = Field(min_length=1, description="At least one.")

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        _require_distinct_sizes(self.quantizers)
        return self


class MeanPoolKeys(_VectorKeys):
    """Mean of the context."""

    kind: Literal["mean_pool"]


class _ComponentKeys(_KeyFamily):
    num_components: Count = Field(description="Components kept.")
    quantizers: Listed[Quantizer] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_cells(self) -> Self:
        _require_distinct_sizes(self.quantizers)
        for quantizer in self.quantizers:
            if isinstance(quantizer, QuantileBins):
                sizes = "cells, num_bins ** num_components"
                limit = NUM_CELLS_LIMIT + 1
                require_power_below(quantizer.num_bins, self.num_components, limit, sizes)
        return self


class PcaKeys(_ComponentKeys):
    """Leading principal components of the flattened context."""

    kind: Literal["pca"]


class LastFrameKeys(_VectorKeys):
    """The newest frame of the context."""

    kind: Literal["last_frame"]


class PredictiveKeys(_ComponentKeys):
    """Reduced-rank regression of the target on the context, fitted on train."""

    kind: Literal["predictive"]
    num_components: Count = Field(description="Rank.")


class TargetOracleKeys(Section):
    """k-means on the target itself: the attainable floor, never a usable key."""

    kind: Literal["target_oracle"]
    codebook_sizes: CodebookSizes = Field(min_length=1, description="K of every key to bound.")


KeyFamilySection = Annotated[
    MeanPoolKeys | PcaKeys | LastFrameKeys | PredictiveKeys | TargetOracleKeys,
    Field(discriminator="kind"),
]


def codebook_sizes(family: str, section: KeyFamilySection) -> dict[str, int]:
    """Return the codebook size K of every key of a family, by key name, in configuration order.

    A key is called `<family>.<input>.<quantizer>`, the target oracle's `<family>.kmeans_<K>`.
    """
    if isinstance(section, TargetOracleKeys):
        return {f"{family}.kmeans_{size}": size for size in section.codebook_sizes}
    sizes: dict[str, int] = {}
    for key_input in section.inputs:
        for quantizer in section.quantizers:
            if isinstance(quantizer, KMeansQuantizer):
                for size in quantizer.codebook_sizes:
                    sizes[f"{family}.{key_input}.kmeans_{size}"] = size
            elif isinstance(section, PcaKeys | PredictiveKeys):
                name = f"{family}.{key_input}.quantile_bins_{quantizer.num_bins}"
                sizes[name] = quantizer.num_bins**section.num_components
    return sizes


def registered_part(
    name: str, section: KeyFamilySection, keys: tuple[str, ...]
) -> KeyFamilySection | None:
    """Return a family cut to the inputs and quantisers of registered keys; None if it has none.

    The target oracle keeps the sizes of the registered keys, for their floors.
    """
    sizes = {key.removeprefix("kmeans_") for key in (key.split(".")[-1] for key in keys)}
    if isinstance(section, TargetOracleKeys):
        kept = tuple(size for size in section.codebook_sizes if str(size) in sizes)
        return section.model_copy(update={"codebook_sizes": kept}) if kept else None
    own = [key.split(".") for key in keys if key.split(".")[0] == name]
    names = {part[2] for part in own}
    quantizers: list[Quantizer] = []
    for quantizer in section.quantizers:
        if isinstance(quantizer, KMeansQuantizer):
            kept = tuple(k for k in quantizer.codebook_sizes if f"kmeans_{k}" in names)
            if kept:
                quantizers.append(quantizer.model_copy(update={"codebook_sizes": kept}))
        elif f"quantile_bins_{quantizer.num_bins}" in names:
            quantizers.append(quantizer)
    inputs = tuple(one for one in section.inputs if one in {part[1] for part in own})
    changes = {"inputs": inputs, "quantizers": tuple(quantizers)}
    return section.model_copy(update=changes) if own else None


class LiteralGate(Section):
    """The brief's gate, printed in full; it cannot be reached in high dimension (SCIENCE 0.3)."""

    keys: Names = Field(min_length=1, description="The brief's own keys.")
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
    """The stage: its values, its key families, and which of them run."""

    families: Names = Field(
        min_length=1,
        description="Key families that run, one job for each representation and split.",
    )
    library: dict[Name, KeyFamilySection] = Field(description="Key families by name.")

    def used(self) -> Self:
        """Return the stage with the listed families only.

        Raises:
            ValueError: A listed family is not defined.
        """
        key, where = "structure.families", "structure.library"
        return self.model_copy(update={"library": chosen(key, self.families, self.library, where)})


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
    decision: DecisionValues, structure: StructureSettings, analysed: Collection[str]
) -> None:
    """Check what is decided against what is run.

    Args:
        decision: What is decided.
        structure: The stage, used families only.
        analysed: Representations that are analysed.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    key = "decision.representation"
    require_listed(key, decision.representation, "representations.analysed", analysed)
    require("decision.lag_frames", decision.lag_frames, structure.lags_frames)
    families = structure.library
    oracles = [row for row in families.values() if isinstance(row, TargetOracleKeys)]
    if len(oracles) != 1:
        raise ValueError(
            "structure.families: exactly one family of kind `target_oracle` gives the floor, "
            f"found {len(oracles)}"
        )
    sizes = set(context_keys(structure).values())
    if not sizes & set(oracles[0].codebook_sizes):
        raise ValueError(
            "structure.families: no key has as many cells as a target oracle, so none can be "
            f"judged: keys have {sorted(sizes)} cells, oracles "
            f"{sorted(oracles[0].codebook_sizes)}; add a size to its codebook_sizes"
        )


def check_keys(where: str, keys: Collection[str], structure: StructureSettings) -> None:
    """Check that keys are scored, each beside an oracle of its size.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    sizes = context_keys(structure)
    oracles = {
        size
        for family in structure.library.values()
        if isinstance(family, TargetOracleKeys)
        for size in family.codebook_sizes
    }
    for name in keys:
        require(where, name, sizes)
        if sizes[name] not in oracles:
            raise ValueError(
                f"{where}: {name} has {sizes[name]} cells, but no target oracle of that size is "
                f"configured; add {sizes[name]} to its codebook_sizes"
            )


def context_keys(structure: StructureSettings) -> dict[str, int]:
    """Return the number of cells of every context key of the used families: the candidates."""
    sizes: dict[str, int] = {}
    for name, family in structure.library.items():
        if not isinstance(family, TargetOracleKeys):
            sizes |= codebook_sizes(name, family)
    return sizes


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
    structure: StructureSettings, keys: tuple[str, ...]
) -> dict[str, KeyFamilySection]:
    """Return the families of some keys, cut to these, and the oracle that gives the attainable."""
    cut = {name: registered_part(name, family, keys) for name, family in structure.library.items()}
    return {name: family for name, family in cut.items() if family is not None}
