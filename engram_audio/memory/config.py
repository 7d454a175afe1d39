"""Settings of the memory stage: keys, memories, controls."""

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engram_audio.choices import chosen, require, require_listed
from engram_audio.densities.config import TargetName
from engram_audio.kinds import Kind, Plugin
from engram_audio.prediction.config import PredictionSettings
from engram_audio.quantities import (
    MAXIMUM_AMOUNT,
    Amount,
    AmountOrZero,
    Amounts,
    AmountsOrZero,
    Count,
    Frames,
    Lags,
    Listed,
    Name,
    Names,
    Orders,
    Seed,
    Seeds,
    Text,
    Width,
)
from engram_audio.section import Section
from engram_audio.training.config import TrainingRecipe

PseudoFrames = Annotated[float, Field(ge=1, le=MAXIMUM_AMOUNT)]
LINEAR = "linear"  # the base that every representation has: the best linear null


class MemoryStageSection(Section):
    """What memories predict, and how the predictors under them are held out."""

    target: TargetName = Field(description="The event a memory predicts.")
    num_folds: Count = Field(
        ge=2, description="Speaker folds: a memory stores what a base that has not seen it misses."
    )


class _Key(Section):
    maximum_frames: Count = Field(ge=256, description="Train frames the codes are fitted on.")

    def count_codes(self) -> int:
        """How many codes a state may have."""
        return getattr(self, "num_codes", 0)

    @model_validator(mode="after")
    def _check_codes(self) -> Self:
        num_codes = getattr(self, "num_codes", 0)
        if num_codes > self.maximum_frames:
            raise ValueError(
                f"num_codes {num_codes} cannot be fitted on maximum_frames {self.maximum_frames}; "
                "use fewer codes or more frames"
            )
        return self


class KMeansKey(_Key):
    """k-means of the newest frames, per-dimension SD taken out."""

    kind: Literal["kmeans"]
    window_frames: Frames = Field(description="Frames of a state.")
    num_codes: Count = Field(ge=2, description="Codes.")


class PcaKey(_Key):
    """The structure stage's key: PCA of a flattened window, then k-means."""

    kind: Literal["pca"]
    window_frames: Frames = Field(description="Frames of a state.")
    num_components: Count = Field(description="Principal components.")
    num_codes: Count = Field(ge=2, description="Codes.")


class ProductKey(_Key):
    """Product quantisation: groups of principal components, each with its own k-means."""

    kind: Literal["product"]
    window_frames: Frames = Field(description="Frames of a state.")
    num_components: Count = Field(ge=2, description="Principal components, split over the groups.")
    num_groups: Count = Field(ge=2, le=8, description="Groups.")
    num_codes: Count = Field(ge=2, le=4096, description="Codes per group.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.num_components % self.num_groups:
            raise ValueError("num_components must be a multiple of num_groups")
        if self.num_codes**self.num_groups >= 2**31:
            raise ValueError("num_codes ** num_groups must stay below 2 ** 31")
        return self

    def count_codes(self) -> int:
        """See `_Key.count_codes`."""
        return self.num_codes**self.num_groups


class LshKey(_Key):
    """Signs of random projections of whitened principal components."""

    kind: Literal["lsh"]
    window_frames: Frames = Field(description="Frames of a state.")
    num_components: Count = Field(description="Principal components.")
    num_bits: Count = Field(le=30, description="Random hyperplanes.")

    def count_codes(self) -> int:
        """See `_Key.count_codes`."""
        return 2**self.num_bits


KeySettings = Annotated[KMeansKey | PcaKey | ProductKey | LshKey, Field(discriminator="kind")]


def check_ngrams(key: _Key, orders: tuple[int, ...]) -> None:
    """Refuse n-grams that no 63-bit number can name.

    Raises:
        ValueError: Says so.
    """
    if (key.count_codes() + 1) ** max(orders) >= 2**63:
        raise ValueError(
            f"ngram_orders {list(orders)} of {key.count_codes()} codes do not fit into 63 bits: "
            "use fewer codes or a lower order"
        )


class _Memory(Kind):
    """What all memories share.

    Attributes:
        is_joint: Whether it is trained with a head, and not fitted beside a frozen base.
    """

    is_joint: ClassVar[bool] = False

    def bases(self, listed: tuple[str, ...]) -> tuple[str, ...]:
        """Return the predictors that it stands on, of those that memory.bases lists."""
        return listed

    def frames_read(self) -> int:
        """Return how many of the newest frames of a context it reads at least."""
        return 1

    def frames_needed(self) -> dict[str, int]:
        """Return the train frames that it needs at least, by the field that asks for them."""
        return {}

    def check(self, key: str, heads: Collection[str], recipes: Collection[str]) -> None:
        """Refuse names that do not exist.

        Args:
            key: The dotted name of the section.
            heads: Heads that a memory can stand on.
            recipes: Training recipes.

        Raises:
            ValueError: Names the key, the value and what is allowed.
        """
        self.require_installed(key)


class _KeyedMemory(_Memory):
    key: KeySettings
    ngram_orders: Orders

    def frames_read(self) -> int:
        """See `_Memory.frames_read`."""
        return self.key.window_frames + max(self.ngram_orders) - 1

    def frames_needed(self) -> dict[str, int]:
        """See `_Memory.frames_needed`."""
        needs = {"key.num_codes": getattr(self.key, "num_codes", 1)}
        least = getattr(self, "minimum_count", None)
        return needs if least is None else {**needs, "minimum_count": least}


class LookupMemory(_KeyedMemory):
    """A table of values by key, fitted in closed form beside a frozen base."""

    MODULE: ClassVar[str] = "engram_audio.memory.lookup"

    kind: Literal["lookup"]
    ngram_orders: Orders = Field(
        min_length=1,
        description="Orders of code n-grams, first found first; [1] is the code of the newest "
        "state alone, [2, 1] backs off to it.",
    )
    minimum_count: Count = Field(description="Train frames an entry needs; else it is a miss.")
    maximum_slots: Count = Field(
        description="Entries of an order at most: the most frequent keys have one."
    )
    frames_per_slot: Count = Field(ge=4, description="Train frames an entry is fitted on at most.")
    value: Literal["residual", "target"] = Field(
        description="What is stored: what the base misses, or the target itself."
    )
    location: Literal["mean", "robust"] = Field(
        description="mean: plain. robust: median and MAD, then EM with an inlier weight."
    )
    spread: Literal["shared", "slot"] = Field(description="One diagonal spread, or one per entry.")
    weight: Literal["one", "shared", "slot"] = Field(
        description="Weight against the base's density: 1 (replace it), one for all, one per entry."
    )
    strengths: AmountsOrZero = Field(
        min_length=1, description="Scalar gates on the stored mean; chosen on select."
    )
    shrinkages_frames: AmountsOrZero = Field(
        min_length=1, description="Pseudo-frames of a stored mean of 0; chosen on select."
    )
    spread_shrinkages_frames: Listed[PseudoFrames] = Field(
        min_length=1,
        description="Pseudo-frames of the common spread and weight, at least 1; chosen on select.",
    )
    num_neighbors: Count = Field(description="Entries read at once (soft top-m).")
    temperatures: Amounts = Field(
        min_length=1,
        description="Softmax over squared distances, in mean squared nearest distances; chosen on "
        "select. Used with num_neighbors above 1.",
    )
    may_switch_off: bool = Field(
        description="Whether select may choose no memory at all; the gain is then exactly 0."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.num_neighbors > 1 and (
            self.key.kind not in ("kmeans", "pca") or self.ngram_orders != (1,)
        ):
            raise ValueError(
                "num_neighbors above 1 needs a key of kind kmeans or pca and ngram_orders [1]: "
                "other keys have no distance between entries"
            )
        if self.num_neighbors > getattr(self.key, "num_codes", self.num_neighbors):
            raise ValueError("num_neighbors must not exceed the key's num_codes")
        if list(self.ngram_orders) != sorted(set(self.ngram_orders), reverse=True):
            raise ValueError("ngram_orders: list each order once, the highest first")
        check_ngrams(self.key, self.ngram_orders)
        if self.minimum_count > self.key.maximum_frames:
            raise ValueError(
                f"minimum_count {self.minimum_count} is more than the key's maximum_frames "
                f"{self.key.maximum_frames}: every frame would be a miss"
            )
        if self.value == "target" and self.weight != "one":
            raise ValueError("value `target` replaces the base's mean: its weight must be `one`")
        return self


class EngramMemory(_KeyedMemory):
    """Hashed suffix n-grams with a learned table, trained jointly with a head (Engram form)."""

    MODULE: ClassVar[str] = "engram_audio.memory.joint"
    is_joint: ClassVar[bool] = True

    kind: Literal["engram"]
    head: Text = Field(description="Head in prediction.heads: family, trunk and linear skip.")
    recipe: Text = Field(description="Name under recipes.")
    ngram_orders: Orders = Field(min_length=1, description="Suffix n-gram orders.")
    num_hashes: Count = Field(description="Hash heads per order, each with its own prime.")
    table_rows: Count = Field(ge=16, description="Rows per hash head; the next free prime above.")
    row_dims: Width = Field(description="Width of a row.")
    gate: Literal["paper", "signed_sqrt"] = Field(
        description="Logit: the paper's dot product, or the released code's signed root of it."
    )
    kernel_frames: Frames = Field(description="Taps of the causal convolution.")
    dilation_frames: Frames = Field(description="Distance of its taps.")
    table_learning_rate_factor: Amount = Field(
        description="Learning rate of the table over that of the network; no weight decay."
    )

    def bases(self, listed: tuple[str, ...]) -> tuple[str, ...]:
        """See `_Memory.bases`: the head of its training."""
        return (self.head,)

    def check(self, key: str, heads: Collection[str], recipes: Collection[str]) -> None:
        """See `_Memory.check`."""
        require(f"{key}.head", self.head, heads)
        require(f"{key}.recipe", self.recipe, recipes)

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_ngrams(self.key, self.ngram_orders)
        return self


class PluginMemory(Plugin, _Memory):
    """A memory that another package brings, fitted beside a frozen base (docs/extend.md)."""

    GROUP: ClassVar[str] = "engram_audio.memories"
    FUNCTIONS: ClassVar[tuple[str, ...]] = ("fit", "pack", "unpack", "controls")


AnyMemory = LookupMemory | EngramMemory | PluginMemory
MemorySection = Annotated[AnyMemory, Field(discriminator="kind")]
JOINT_KINDS = ("engram",)  # kinds whose memories are trained with a head


class MemoryControlsSection(Section):
    """What stands beside every memory."""

    head: Text = Field(
        description="Head in prediction.heads: the family of the matched parametric models."
    )
    recipe: Text = Field(description="Name under recipes, for the matched models.")
    maximum_width: Width = Field(
        ge=8, description="Widest matched model; a wider one is not trained."
    )
    datastore_frames: Count = Field(ge=100, description="Train frames of the k-NN datastore.")
    datastore_neighbors: Count = Field(ge=2, description="Neighbours k.")
    datastore_queries: Count = Field(ge=100, description="Targets per part that k-NN is scored on.")
    batch_frames: Count = Field(ge=2, description="Targets scored at a time.")
    seed: Seed = Field(description="Seed of permutations.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.datastore_neighbors > self.datastore_frames:
            raise ValueError("datastore_neighbors must not exceed datastore_frames")
        return self


class MemoryVerdictSection(Section):
    """When lookup is said to help."""

    minimum_gain_nats: AmountOrZero = Field(
        description="Gain over each required control that counts, nats per frame."
    )


class MemorySettings(MemoryStageSection):
    """The stage: its memories, and which of them run on what."""

    representations: Names = Field(description="Predicted representations that get memories.")
    memories: Names = Field(description="Memories that are fitted or trained.")
    lags_frames: Lags = Field(description="Lags k.")
    bases: Names = Field(
        description="Predictors under the memories: `linear` (the best linear null) or heads."
    )
    seeds: Seeds = Field(description="Training seeds.")
    library: dict[Name, MemorySection] = Field(description="Memories by name.")
    controls: MemoryControlsSection
    verdict: MemoryVerdictSection

    def used(self) -> Self:
        """Return the stage with the listed memories only, none where it runs on nothing.

        Raises:
            ValueError: A listed memory is not defined.
        """
        names = self.memories if self.representations else ()
        key, where = "memory.memories", "memory.library"
        return self.model_copy(update={"library": chosen(key, names, self.library, where)})


def check_memory(
    stage: MemorySettings,
    prediction: PredictionSettings,
    window_frames: int,
    recipes: Mapping[str, TrainingRecipe],
) -> None:
    """Check what lies between the memory stage and the prediction stage.

    Args:
        stage: The stage, used memories only.
        prediction: The prediction stage, used heads only.
        window_frames: W, frames of context.
        recipes: All training recipes.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    for name, row in stage.library.items():
        needed = row.frames_read()
        if needed > window_frames:
            raise ValueError(
                f"memory.library.{name}: its key and n-grams reach {needed} frames back, but the "
                f"context has views.window_frames {window_frames}; shorten them"
            )
    if stage.representations:
        _check_run(stage, prediction, recipes)


def _check_run(
    stage: MemorySettings,
    prediction: PredictionSettings,
    recipes: Mapping[str, TrainingRecipe],
) -> None:
    for field in ("memories", "lags_frames", "bases", "seeds"):
        if not getattr(stage, field):
            raise ValueError(f"memory.{field}: name at least one, or no representations")
    for name in stage.representations:
        key, listed = "memory.representations", "prediction.representations"
        require_listed(key, name, listed, prediction.representations)
    for lag in stage.lags_frames:
        require("memory.lags_frames", lag, prediction.lags_frames)
    heads = [name for name, head in prediction.library.items() if head.reads_trunk]
    for name in stage.bases:
        require("memory.bases", name, [LINEAR, *heads])
    for seed in stage.seeds:
        require("memory.seeds", seed, prediction.seeds)
    require("memory.target", stage.target, prediction.targets)
    require("memory.controls.head", stage.controls.head, heads)
    require("memory.controls.recipe", stage.controls.recipe, recipes)
    for name, row in stage.library.items():
        row.check(f"memory.library.{name}", heads, recipes)
