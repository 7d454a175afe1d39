"""Settings of the methods that run free or forecast, and of what guards their draws."""

from collections.abc import Collection
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engram_audio.choices import require
from engram_audio.kinds import Kind, Plugin
from engram_audio.quantities import (
    Amount,
    AmountOrZero,
    Count,
    CountOrZero,
    Frames,
    Horizons,
    InnerShare,
    PositiveShare,
    Share,
    Text,
    Width,
)
from engram_audio.section import Section

LINEAR_BASE = "linear"
MEMORY_BASE = "memory:"  # memory:<base>:<memory>, as the memory stage names them
MEMORY, SHUFFLED_KEYS = "memory", "shuffled_keys"  # memory:<base>:<memory>:shuffled_keys


class NearestGuard(Section):
    """A frame is on the support when its k-th nearest train frame is near enough."""

    kind: Literal["nearest"]
    num_frames: Count = Field(ge=16, description="Train frames kept, spread evenly.")
    num_neighbours: Count = Field(description="k.")
    quantile: InnerShare = Field(
        description="Share of held-out train frames inside; sets the radius."
    )
    num_attempts: CountOrZero = Field(
        description="Draws made again for a frame outside before it is moved inside."
    )

    @model_validator(mode="after")
    def _check(self) -> "NearestGuard":
        if self.num_neighbours > self.num_frames:
            raise ValueError(
                f"num_neighbours {self.num_neighbours} must not exceed num_frames {self.num_frames}"
            )
        return self


class CodebookGuard(Section):
    """A frame is on the support when the Gaussian of some code's frames holds it."""

    kind: Literal["codebook"]
    key: Text = Field(
        description="Key in keys.library whose codes are the cells, for example "
        "last_frame.raw.kmeans_256."
    )
    shrinkage: PositiveShare = Field(
        description="Share of the pooled covariance in each cell's own."
    )
    quantile: InnerShare = Field(
        description="Share of held-out train frames inside; sets the radius."
    )
    num_attempts: CountOrZero = Field(
        description="Draws made again for a frame outside before it is moved inside."
    )


class ContrastGuard(Section):
    """A network tells train frames from free-running ones; draws are kept by its odds."""

    kind: Literal["contrast"]
    num_frames: Count = Field(ge=64, description="Frames of each kind it is trained on.")
    width: Width = Field(ge=8, description="Units of its two hidden layers.")
    num_steps: Count = Field(description="Optimiser steps of each round.")
    num_rounds: Count = Field(description="Rounds of running free and telling apart again.")
    horizon_frames: Frames = Field(description="Steps of the runs it learns from.")
    num_attempts: Count = Field(description="Draws offered for each frame.")


class CorrectorGuard(Section):
    """A network that takes noise off frames moves those that lie off the support."""

    kind: Literal["corrector"]
    width: Width = Field(ge=8, description="Units of its two hidden layers.")
    num_steps: Count = Field(description="Optimiser steps on noised train frames.")
    maximum_level: Amount = Field(description="Largest SD of the noise, in SD of train frames.")
    num_passes: Count = Field(description="How often a frame that never gets in is moved.")
    quantile: InnerShare = Field(
        description="Share of held-out train frames inside; sets the radius."
    )
    num_attempts: CountOrZero = Field(
        description="Draws made again for a frame outside before it is moved inside."
    )


GuardSection = Annotated[
    NearestGuard | CodebookGuard | ContrastGuard | CorrectorGuard, Field(discriminator="kind")
]


class _Method(Kind):
    """What all methods share. The fields of a method say whether it has a base, a guard, a recipe.

    Attributes:
        trains_base: Whether training changes the density that takes the steps.
        takes_memories: Whether that density may have a memory.
        is_tuned: Whether what it leaves of a head is a head again, on which a lookup can be fitted.
    """

    trains_base: ClassVar[bool] = True
    takes_memories: ClassVar[bool] = True
    is_tuned: ClassVar[bool] = False

    @property
    def base_name(self) -> str:
        """The density that takes the steps; "" where none does."""
        return getattr(self, "base", None) or ""

    @property
    def guard_key(self) -> str | None:
        """The key that its guard reads; None where it reads none."""
        return getattr(self.guard_section, "key", None)

    @property
    def guard_section(self) -> GuardSection | None:
        """What keeps sampled paths on the support; None where nothing does."""
        return getattr(self, "guard", None)

    @property
    def recipe_name(self) -> str | None:
        """The training recipe; None where nothing of its own is trained."""
        return getattr(self, "recipe", None)

    @property
    def refit_of(self) -> str | None:
        """The method whose tuned head a lookup is fitted on; None for others."""
        return getattr(self, "method", None)

    @property
    def is_forecaster(self) -> bool:
        """Whether it gives the laws of all horizons at once, and takes no steps."""
        return not self.base_name and self.refit_of is None

    @property
    def training_frames(self) -> int:
        """How many true frames a training path needs after its history."""
        return getattr(self, "horizon_frames", 1)

    def partner(self) -> "AnyMethod | None":
        """Return the method whose steps differ by one thing only, if there is one.

        It is the memory's base alone, or the base as it was before training.
        """
        on = memory_base(self.base_name)
        if on is not None:
            return self.model_copy(update={"base": on[0]})  # type: ignore[return-value]
        if not self.base_name or not self.trains_base:
            return None
        return OneStepMethod(kind="one_step", base=self.base_name, guard=self.guard_section)

    def check(
        self, key: str, window_frames: int, horizon_frames: int, recipes: Collection[str]
    ) -> None:
        """Refuse what does not fit the stage.

        Args:
            key: The dotted name of the section.
            window_frames: W, frames of context.
            horizon_frames: Longest free run.
            recipes: All training recipes.

        Raises:
            ValueError: Names the key, the value and what is allowed.
        """
        self.require_installed(key)
        if self.recipe_name is not None:
            require(f"{key}.recipe", self.recipe_name, recipes)


class _Trained(_Method):
    recipe: Text = Field(description="Name under recipes.")


class _Stepwise(_Method):
    base: Text = Field(
        description="Density that takes the steps: a head in prediction.heads, `linear`, or "
        "`memory:<base>:<memory>`, a lag-1 memory on its base; `:shuffled_keys` after it is its "
        "control with the keys of other frames."
    )
    guard: GuardSection | None = Field(description="Keeps sampled paths on the support, or null.")


class OneStepMethod(_Stepwise):
    """The base as it is."""

    MODULE: ClassVar[str] = "engram_audio.rollout.stepwise"
    trains_base: ClassVar[bool] = False

    kind: Literal["one_step"]


class KStepMethod(_Stepwise, _Trained):
    """The base tuned on the NLL of true steps along its own mean path (the first experiment's)."""

    MODULE: ClassVar[str] = "engram_audio.rollout.k_step"
    is_tuned: ClassVar[bool] = True

    kind: Literal["k_step"]
    horizon_frames: Frames = Field(ge=2, description="K.")
    teacher_weight: AmountOrZero = Field(description="Weight of the one-step NLL on true contexts.")
    state_weight: AmountOrZero = Field(
        description="Weight of the squared distance to the true path, in variances."
    )
    scheduled_fraction: Share = Field(description="Share of steps that go on from the true frame.")


class EnergyMethod(_Stepwise, _Trained):
    """The base tuned on the almost fair energy score of sampled paths."""

    MODULE: ClassVar[str] = "engram_audio.rollout.energy"
    is_tuned: ClassVar[bool] = True

    kind: Literal["energy"]
    horizon_frames: Frames = Field(ge=2, description="K.")
    num_samples: Count = Field(ge=2, description="Paths drawn from each start.")
    fairness: PositiveShare = Field(
        description="1 is the fair score; a little less keeps paths from degenerating."
    )
    teacher_weight: AmountOrZero = Field(description="Weight of the one-step NLL on true contexts.")


class NoiseMethod(_Stepwise, _Trained):
    """The base told how noisy its context is, and trained to step back onto the data."""

    MODULE: ClassVar[str] = "engram_audio.rollout.leveled"
    takes_memories: ClassVar[bool] = False

    kind: Literal["noise"]
    maximum_level: Amount = Field(description="Largest noise on a context, in SD.")
    running_level: AmountOrZero = Field(description="Level it is told while it runs free, in SD.")
    width: Width = Field(ge=8, description="Units of the network that reads the level.")

    @model_validator(mode="after")
    def _check_level(self) -> Self:
        if self.running_level > self.maximum_level:
            raise ValueError(
                f"running_level {self.running_level:g} is above maximum_level "
                f"{self.maximum_level:g}, up to which it is trained"
            )
        return self


class BeliefMethod(_Trained):
    """A recurrent forecaster whose state is a mean and a spread: nothing is sampled."""

    MODULE: ClassVar[str] = "engram_audio.rollout.belief"

    kind: Literal["belief"]
    horizon_frames: Frames = Field(ge=2, description="K of training; it runs on beyond it.")
    width: Width = Field(ge=8, description="Units.")


class DirectMethod(_Trained):
    """One head per horizon, each around a linear forecast of its own."""

    MODULE: ClassVar[str] = "engram_audio.rollout.direct"

    kind: Literal["direct"]
    horizons_frames: Horizons = Field(
        min_length=1,
        description="Horizons with a head; trained on utterances that hold window and longest.",
    )
    width: Width = Field(ge=8, description="Units of the hidden layers that all heads share.")
    order_frames: Frames = Field(description="Frames of the linear forecast.")
    ridge: AmountOrZero = Field(description="Its ridge, relative to each regressor's variance.")

    @property
    def training_frames(self) -> int:
        """See `_Method.training_frames`."""
        return max(self.horizons_frames)

    def check(
        self, key: str, window_frames: int, horizon_frames: int, recipes: Collection[str]
    ) -> None:
        """See `_Method.check`."""
        if self.order_frames > window_frames:
            raise ValueError(
                f"{key}.order_frames: {self.order_frames} frames are more than the context of "
                f"views.window_frames {window_frames}; shorten it"
            )
        super().check(key, window_frames, horizon_frames, recipes)
        if self.horizons_frames[-1] > horizon_frames:
            raise ValueError(
                f"{key}.horizons_frames: {self.horizons_frames[-1]} lies beyond "
                f"rollout.horizon_frames {horizon_frames}"
            )


class RefitMethod(_Method):
    """A lookup fitted anew on a head that a rollout method has tuned, folds of speakers held out.

    Each fold's head is tuned as the method was, so that no stored residual comes from a base that
    has seen the frame.
    """

    MODULE: ClassVar[str] = "engram_audio.rollout.refit"

    kind: Literal["refit"]
    method: Text = Field(description="Method in rollout.methods, of kind k_step or energy.")
    memory: Text = Field(description="Memory in memory.memories, not of kind engram.")


class PluginMethod(Plugin, _Trained):
    """A method that another package brings (docs/extend.md)."""

    GROUP: ClassVar[str] = "engram_audio.rollout_methods"
    FUNCTIONS: ClassVar[tuple[str, ...]] = ("build", "task")

    base: Text | None = Field(
        description="Density that takes the steps, as of other methods; null for a forecaster."
    )
    guard: GuardSection | None = Field(description="Keeps sampled paths on the support, or null.")
    horizon_frames: Frames = Field(description="True frames that a training path needs.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.guard is not None and self.base is None:
            raise ValueError("guard: a forecaster takes no steps to guard; write null, or a base")
        return self


AnyMethod = (
    OneStepMethod
    | KStepMethod
    | EnergyMethod
    | NoiseMethod
    | BeliefMethod
    | DirectMethod
    | RefitMethod
    | PluginMethod
)
MethodSection = Annotated[AnyMethod, Field(discriminator="kind")]


def memory_base(base: str) -> tuple[str, str] | None:
    """Return (base, memory) of a base that is a memory, or its control; None for any other."""
    parts = base.removeprefix(MEMORY_BASE).removesuffix(f":{SHUFFLED_KEYS}").split(":")
    is_memory = base.startswith(MEMORY_BASE) and len(parts) == 2
    return (parts[0], parts[1]) if is_memory else None


def reads_memory(kind: str, base: str) -> bool:
    """Whether what takes the steps of a method of this kind, on this base, reads a memory."""
    return kind == "refit" or memory_base(base) is not None


def memory_label(base: str) -> str:
    """Return which model of a memory's file a base is: the memory, or its control."""
    return SHUFFLED_KEYS if base.endswith(f":{SHUFFLED_KEYS}") else MEMORY
