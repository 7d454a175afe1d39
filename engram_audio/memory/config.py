"""Settings of the memory stage: keys, memories, controls."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engram_audio.choices import chosen, require, require_listed
from engram_audio.densities.config import AnyHead, TargetName
from engram_audio.keys.config import KeyFamily, NamedKey, require_context_key
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
    Widths,
)
from engram_audio.section import Section
from engram_audio.training.config import TrainingRecipe

PseudoFrames = Annotated[float, Field(ge=1, le=MAXIMUM_AMOUNT)]
LINEAR = "linear"  # the base that every representation has: the best linear null


def require_equal_tuning(
    where: str, head: str, recipe: str, heads: Mapping[str, AnyHead],
    recipes: Mapping[str, TrainingRecipe],
) -> None:  # fmt: skip
    """Refuse a memory or control that is tuned otherwise than the head it is held against.

    Args:
        where: The dotted name of the section that names head and recipe.
        head: A head.
        recipe: The recipe beside it.
        heads: Heads that there are, by name.
        recipes: Training recipes.

    Raises:
        ValueError: A name does not exist, or the two recipes tune differently.
    """
    require(f"{where}.head", head, heads)
    require(f"{where}.recipe", recipe, recipes)
    other = heads[head].recipe
    if recipes[recipe].tuning != recipes[other].tuning:
        raise ValueError(
            f"{where}.recipe: recipes.{recipe}.tuning differs from recipes.{other}.tuning, which "
            f"its head {head} is tuned by; write the same points, or null, in both"
        )


class MemoryStageSection(Section):
    """What memories predict, and how the predictors under them are held out."""

    target: TargetName = Field(description="The event a memory predicts.")
    num_folds: Count = Field(
        ge=2, description="Speaker folds: a memory stores what a base that has not seen it misses."
    )


class _Memory(Kind):
    """What all memories share.

    Attributes:
        is_joint: Whether it is trained with a head, and not fitted beside a frozen base.
        KNOWS_SPEAKER: Whether it reads the mean of the speaker's frames so far beside a context.
    """

    is_joint: ClassVar[bool] = False
    KNOWS_SPEAKER: ClassVar[bool] = False
    key: Text = Field(description="Key in keys.library, for example pca.raw.kmeans_256.")

    def bases(self, listed: tuple[str, ...]) -> tuple[str, ...]:
        """Return the predictors that it stands on, of those that memory.bases lists."""
        return listed

    def orders_read(self) -> tuple[int, ...]:
        """Return the orders of the n-grams of codes that it reads."""
        return (1,)

    def frames_needed(self) -> dict[str, int]:
        """Return the train frames that it needs at least, by the field that asks for them."""
        return {}

    def check(
        self, where: str, heads: Mapping[str, AnyHead], recipes: Mapping[str, TrainingRecipe]
    ) -> None:
        """Refuse names that do not exist.

        Args:
            where: The dotted name of the section.
            heads: Heads that a memory can stand on, by name.
            recipes: Training recipes.

        Raises:
            ValueError: Names the key, the value and what is allowed.
        """
        self.require_installed(where)

    def check_key(self, where: str, key: NamedKey, window_frames: int) -> None:
        """Refuse a key that this memory cannot read.

        Args:
            where: The dotted name of the section.
            key: Its key.
            window_frames: W, frames of context.

        Raises:
            ValueError: Says why, and what can be read.
        """
        order = max(self.orders_read())
        needed = key.state_frames(window_frames) + order - 1
        if needed > window_frames:
            raise ValueError(
                f"{where}: its key and n-grams reach {needed} frames back, but the context has "
                f"views.window_frames {window_frames}; shorten them"
            )
        if (key.num_codes + 1) ** order >= 2**63:
            raise ValueError(
                f"{where}: ngram_orders {list(self.orders_read())} of {key.num_codes} codes do not "
                "fit into 63 bits: name a key of fewer codes or use a lower order"
            )


class _NgramMemory(_Memory):
    ngram_orders: Orders

    def orders_read(self) -> tuple[int, ...]:
        """See `_Memory.orders_read`."""
        return self.ngram_orders

    def frames_needed(self) -> dict[str, int]:
        """See `_Memory.frames_needed`."""
        least = getattr(self, "minimum_count", None)
        return {} if least is None else {"minimum_count": least}


class LookupMemory(_NgramMemory):
    """A table of values by key, fitted in closed form beside a frozen base."""

    MODULE: ClassVar[str] = "engram_audio.memory.lookup"
    KNOWS_SPEAKER: ClassVar[bool] = True

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
        if self.num_neighbors > 1 and self.ngram_orders != (1,):
            raise ValueError(
                "num_neighbors above 1 needs ngram_orders [1]: n-grams have no distance"
            )
        if list(self.ngram_orders) != sorted(set(self.ngram_orders), reverse=True):
            raise ValueError("ngram_orders: list each order once, the highest first")
        if self.value == "target" and self.weight != "one":
            raise ValueError("value `target` replaces the base's mean: its weight must be `one`")
        return self

    def check_key(self, where: str, key: NamedKey, window_frames: int) -> None:
        """See `_Memory.check_key`: several entries are read by their distance."""
        super().check_key(where, key, window_frames)
        if self.num_neighbors > 1 and not key.quantizer.has_distances:
            raise ValueError(
                f"{where}: num_neighbors above 1 needs a key with distances, such as kmeans; found "
                f"{self.key}"
            )
        if self.num_neighbors > key.num_codes:
            raise ValueError(
                f"{where}: num_neighbors {self.num_neighbors} must not exceed the {key.num_codes} "
                f"codes of {self.key}"
            )


class EngramMemory(_NgramMemory):
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

    def check(
        self, where: str, heads: Mapping[str, AnyHead], recipes: Mapping[str, TrainingRecipe]
    ) -> None:
        """See `_Memory.check`."""
        require_equal_tuning(where, self.head, self.recipe, heads, recipes)

    def check_key(self, where: str, key: NamedKey, window_frames: int) -> None:
        """See `_Memory.check_key`. Taps before the context read zeros: one must lie inside."""
        super().check_key(where, key, window_frames)
        if self.kernel_frames > 1 and self.dilation_frames >= window_frames:
            raise ValueError(
                f"{where}.dilation_frames: {self.dilation_frames} puts every older tap before the "
                f"context of views.window_frames {window_frames}; lower it, or take one tap"
            )


class PluginMemory(Plugin, _Memory):
    """A memory that another package brings, fitted beside a frozen base (docs/extend.md)."""

    GROUP: ClassVar[str] = "engram_audio.memories"
    FUNCTIONS: ClassVar[tuple[str, ...]] = ("fit", "pack", "unpack", "controls")


AnyMemory = LookupMemory | EngramMemory | PluginMemory
MemorySection = Annotated[AnyMemory, Field(discriminator="kind")]
SEEDS = "prediction.seeds or prediction.deciding_seeds"
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
    curve_widths: Widths = Field(
        description="Hidden units of the nets on the curve of nats against size; the smallest net "
        "of the family is added. Empty: no curve."
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
        narrow = [width for width in self.curve_widths if width < 8]
        if narrow:
            raise ValueError(f"curve_widths: found {narrow[0]}, but a net has at least 8 units")
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
    keys: Mapping[str, KeyFamily],
    window_frames: int,
    recipes: Mapping[str, TrainingRecipe],
) -> None:
    """Check what lies between the memory stage and the stages before it.

    Args:
        stage: The stage, used memories only.
        prediction: The prediction stage, used heads only.
        keys: Key families by name.
        window_frames: W, frames of context.
        recipes: All training recipes.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    for name, row in stage.library.items():
        where = f"memory.library.{name}"
        reader = None if row.KNOWS_SPEAKER else f"a memory of kind {row.kind}"
        key = require_context_key(f"{where}.key", row.key, keys, reader)
        row.check_key(where, key, window_frames)
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
        require_listed("memory.lags_frames", lag, "prediction.lags_frames", prediction.lags_frames)
    heads = {name: head for name, head in prediction.library.items() if head.reads_trunk}
    for name in stage.bases:
        require("memory.bases", name, [LINEAR, *heads])
    for seed in stage.seeds:
        require_listed("memory.seeds", seed, SEEDS, prediction.trained_seeds)
    require("memory.target", stage.target, prediction.targets)
    for name, row in stage.library.items():
        row.check(f"memory.library.{name}", heads, recipes)
    controls = stage.controls
    require_equal_tuning("memory.controls", controls.head, controls.recipe, heads, recipes)
