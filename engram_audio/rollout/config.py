"""Settings of the rollout stage: evaluation, methods, guards and sweeps."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from engram_audio.quantities import (
    Amount,
    AmountOrZero,
    AmountsOrZero,
    Amplitudes,
    Count,
    CountOrZero,
    Frames,
    Horizons,
    InnerShare,
    Lags,
    Name,
    Names,
    PositiveShare,
    Seed,
    Seeds,
    Share,
    ShareBelowOne,
    Text,
    Width,
)
from engram_audio.section import Section, require_grid
from engram_audio.views import DivergenceView, Viewed

LINEAR_BASE = "linear"
MEMORY_BASE = "memory:"  # memory:<base>:<memory>, as the memory stage names them
MEMORY, SHUFFLED_KEYS = "memory", "shuffled_keys"  # memory:<base>:<memory>:shuffled_keys


class RolloutValues(Section):
    """From where, how far and how often a method runs free, views aside."""

    horizon_frames: Frames = Field(ge=2, description="Longest free run.")
    forecast_horizon_frames: Frames = Field(
        description="K: horizons 1..K are summed in the kept share of the attainable."
    )
    scored_horizons_frames: Horizons = Field(
        min_length=1, description="Horizons with rows of their own."
    )
    num_starts: Count = Field(ge=8, description="Starting states on eval, spread over utterances.")
    num_samples: Count = Field(
        ge=8, description="M sampled paths from each start, up to the forecast horizon."
    )
    num_long_samples: Count = Field(description="Of these, how many run on to the longest horizon.")
    injections_frames: Lags = Field(
        description="Besides free running: the true frame is put in after every n steps."
    )
    frozen_fraction: InnerShare = Field(
        description="A path is frozen when the RMS of its last steps is below this share of the"
        " data's.",
    )
    frozen_frames: Frames = Field(ge=2, description="How many last steps that looks at.")
    autocovariance_lags_frames: Frames = Field(description="Lags of the autocovariance error.")
    maximum_energy_frames: Count = Field(
        ge=100, description="Frames on each side of an energy distance."
    )
    batch_paths: Count = Field(description="Paths simulated at a time.")
    seed: Seed = Field(description="Seed of starts and samples.")

    @model_validator(mode="after")
    def _check_horizons(self) -> Self:
        if self.forecast_horizon_frames > self.horizon_frames:
            raise ValueError(
                f"forecast_horizon_frames {self.forecast_horizon_frames} lies beyond "
                f"horizon_frames {self.horizon_frames}"
            )
        for name in ("scored_horizons_frames", "injections_frames"):
            for frames in getattr(self, name):
                if frames > self.horizon_frames:
                    raise ValueError(
                        f"{name}: {frames} must lie in 1..{self.horizon_frames} (horizon_frames)"
                    )
        if self.num_long_samples > self.num_samples:
            raise ValueError(f"num_long_samples is larger than num_samples {self.num_samples}")
        for name in ("frozen_frames", "autocovariance_lags_frames"):
            if getattr(self, name) > self.horizon_frames:
                raise ValueError(
                    f"{name}: {getattr(self, name)} is larger than horizon_frames "
                    f"{self.horizon_frames}"
                )
        return self


class RolloutSection(RolloutValues, DivergenceView, Viewed):
    """How methods run free, and when one counts as gone, as the steps read it."""


class RolloutBarsSection(Section):
    """What a method must reach for its verdict to say that it survives (rollout.md B3)."""

    minimum_kept: PositiveShare = Field(
        description="Share of the attainable about x_t, horizons up to K."
    )
    minimum_skill: PositiveShare = Field(
        description="Share of the best forecasts' energy-score skill, horizons up to K."
    )
    maximum_excess_distance: Amount = Field(
        description="Energy distance of late frames above its real-versus-real floor, SD."
    )
    std_ratio_range: Amplitudes = Field(
        description="SD of late frames over the data's, median over dimensions."
    )
    maximum_blown_share: ShareBelowOne = Field(description="Paths that leave the data.")
    maximum_frozen_share: ShareBelowOne = Field(
        description="Paths that stop moving, beyond the share of true paths that do and its "
        "two standard errors.",
    )

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        low, high = self.std_ratio_range
        if not low <= 1 <= high:
            raise ValueError(
                f"std_ratio_range: {[low, high]} leaves out 1, the ratio of the data to itself"
            )
        return self


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


GuardSection = Annotated[NearestGuard | CodebookGuard | ContrastGuard, Field(discriminator="kind")]


class _Stepwise(Section):
    base: Text = Field(
        description="Density that takes the steps: a head in prediction.heads, `linear`, or "
        "`memory:<base>:<memory>`, a lag-1 memory on its base; `:shuffled_keys` after it is its "
        "control with the keys of other frames."
    )
    guard: GuardSection | None = Field(description="Keeps sampled paths on the support, or null.")


class OneStepMethod(_Stepwise):
    """The base as it is."""

    kind: Literal["one_step"]


class KStepMethod(_Stepwise):
    """The base tuned on the NLL of true steps along its own mean path (the first experiment's)."""

    kind: Literal["k_step"]
    recipe: Text = Field(description="Name under recipes.")
    horizon_frames: Frames = Field(ge=2, description="K.")
    teacher_weight: AmountOrZero = Field(description="Weight of the one-step NLL on true contexts.")
    state_weight: AmountOrZero = Field(
        description="Weight of the squared distance to the true path, in variances."
    )
    scheduled_fraction: Share = Field(description="Share of steps that go on from the true frame.")


class EnergyMethod(_Stepwise):
    """The base tuned on the almost fair energy score of sampled paths."""

    kind: Literal["energy"]
    recipe: Text = Field(description="Name under recipes.")
    horizon_frames: Frames = Field(ge=2, description="K.")
    num_samples: Count = Field(ge=2, description="Paths drawn from each start.")
    fairness: PositiveShare = Field(
        description="1 is the fair score; a little less keeps paths from degenerating."
    )
    teacher_weight: AmountOrZero = Field(description="Weight of the one-step NLL on true contexts.")


class NoiseMethod(_Stepwise):
    """The base told how noisy its context is, and trained to step back onto the data."""

    kind: Literal["noise"]
    recipe: Text = Field(description="Name under recipes.")
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


class BeliefMethod(Section):
    """A recurrent forecaster whose state is a mean and a spread: nothing is sampled."""

    kind: Literal["belief"]
    recipe: Text = Field(description="Name under recipes.")
    horizon_frames: Frames = Field(ge=2, description="K of training; it runs on beyond it.")
    width: Width = Field(ge=8, description="Units.")


class DirectMethod(Section):
    """One head per horizon, each around a linear forecast of its own."""

    kind: Literal["direct"]
    recipe: Text = Field(description="Name under recipes.")
    horizons_frames: Horizons = Field(
        min_length=1,
        description="Horizons with a head; trained on utterances that hold window and longest.",
    )
    width: Width = Field(ge=8, description="Units of the hidden layers that all heads share.")
    order_frames: Frames = Field(description="Frames of the linear forecast.")
    ridge: AmountOrZero = Field(description="Its ridge, relative to each regressor's variance.")


class RefitMethod(Section):
    """A lookup fitted anew on a head that a rollout method has tuned, folds of speakers held out.

    Each fold's head is tuned as the method was, so that no stored residual comes from a base that
    has seen the frame.
    """

    kind: Literal["refit"]
    method: Text = Field(description="Method in rollout.methods, of kind k_step or energy.")
    memory: Text = Field(description="Memory in memory.memories, of kind lookup.")


AnyMethod = (
    OneStepMethod
    | KStepMethod
    | EnergyMethod
    | NoiseMethod
    | BeliefMethod
    | DirectMethod
    | RefitMethod
)
MethodSection = Annotated[AnyMethod, Field(discriminator="kind")]
FORECASTERS = ("belief", "direct")
TUNED = ("k_step", "energy")


def memory_base(base: str) -> tuple[str, str] | None:
    """Return (base, memory) of a base that is a memory, or its control; None for any other."""
    parts = base.removeprefix(MEMORY_BASE).removesuffix(f":{SHUFFLED_KEYS}").split(":")
    is_memory = base.startswith(MEMORY_BASE) and len(parts) == 2
    return (parts[0], parts[1]) if is_memory else None


def memory_label(base: str) -> str:
    """Return which model of a memory's file a base is: the memory, or its control."""
    return SHUFFLED_KEYS if base.endswith(f":{SHUFFLED_KEYS}") else MEMORY


class RolloutSweepSection(Section):
    """A grid around a k_step method: every combination is trained."""

    method: Text = Field(description="Name under rollout.library, of kind k_step.")
    horizons_frames: Horizons = Field(min_length=1, description="Values of K.")
    teacher_weights: AmountsOrZero = Field(min_length=1, description="Values of teacher_weight.")
    state_weights: AmountsOrZero = Field(min_length=1, description="Values of state_weight.")
    bases: Names = Field(description="Values of base (heads, memories); [] keeps the method's.")

    @model_validator(mode="after")
    def _check_points(self) -> "RolloutSweepSection":
        names = ("horizons_frames", "teacher_weights", "state_weights", "bases")
        require_grid({name: getattr(self, name) for name in names})
        return self


class RolloutSettings(RolloutValues):
    """The stage: its methods and grids, and which of them run on what."""

    representations: Names = Field(description="Base representations that methods are trained on.")
    methods: Names = Field(description="Methods that run free or forecast.")
    sweeps: Names = Field(description="Grids whose points are trained.")
    seeds: Seeds = Field(description="Training seeds.")
    player_methods: Names = Field(description="Stepwise methods that people can listen to.")
    library: dict[Name, MethodSection] = Field(description="Methods by name.")
    grids: dict[Name, RolloutSweepSection] = Field(description="Grids around a k_step method.")
    bars: RolloutBarsSection
