"""Settings of the rollout stage: how methods run free, what they must reach, grids of them."""

from typing import Self

from pydantic import Field, model_validator

from engram_audio.quantities import (
    Amount,
    AmountsOrZero,
    Count,
    Frames,
    Horizons,
    InnerShare,
    Lags,
    Name,
    Names,
    PositiveShare,
    Seed,
    Seeds,
    Text,
)
from engram_audio.rollout.method_config import MethodSection
from engram_audio.section import Section, require_grid
from engram_audio.views import DivergenceView, Viewed


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
    support_frames: Count = Field(
        ge=100,
        description="Train frames, drawn evenly, the nearest of which says how far a frame is from"
        " the data.",
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
        if self.frozen_frames > self.horizon_frames:
            raise ValueError(
                f"frozen_frames: {self.frozen_frames} is larger than horizon_frames "
                f"{self.horizon_frames}"
            )
        late = self.horizon_frames - self.horizon_frames // 2
        if self.autocovariance_lags_frames >= late:
            raise ValueError(
                f"autocovariance_lags_frames: {self.autocovariance_lags_frames} must be below "
                f"{late}, the second half of horizon_frames {self.horizon_frames}, where it is read"
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
    maximum_lost_nats: Amount = Field(
        description="Nats about x_t, mean over horizons up to K, that are too few to count: where"
        " no more is attainable, no more may be lost."
    )
    maximum_lost_skill: PositiveShare = Field(
        description="The same of the best forecasts' energy-score skill."
    )
    maximum_excess_ratio: Amount = Field(
        description="Ratios to the data's spread and step length, above or below that of true"
        " stretches."
    )
    maximum_excess_distance: Amount = Field(
        description="Energy distance of late frames per root of D, above that of true stretches."
    )
    maximum_excess_autocorrelation: Amount = Field(
        description="Error of the autocorrelation at lag 1, above that of true stretches."
    )
    maximum_excess_spectrum: Amount = Field(
        description="Error of the log power spectrum, nats, above that of true stretches."
    )
    maximum_excess_diverged: PositiveShare = Field(
        description="Late frames after leaving the data, above the share of true stretches."
    )
    maximum_excess_frozen: PositiveShare = Field(
        description="Late frames of paths that stand still, above the share of true stretches."
    )
    maximum_excess_off_support: PositiveShare = Field(
        description="Late frames off the support, above the share of true stretches."
    )
    maximum_excess_tail: PositiveShare = Field(
        description="Truths outside either end of the central 90 % of paths, off .05."
    )


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
