"""Settings of laws and of how they are scored: events, nulls, heads, evaluation."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engram_audio.kinds import Kind, Plugin
from engram_audio.quantities import (
    Amount,
    AmountOrZero,
    AmountsOrZero,
    Count,
    Counts,
    Frames,
    InnerShare,
    Lags,
    Listed,
    LogRange,
    NumComponents,
    NumLayers,
    Seed,
    Share,
    ShareBelowOne,
    Shares,
    Text,
    Width,
)
from engram_audio.section import Section
from engram_audio.views import ContextView, DivergenceView, SlicesView, Viewed

TargetName = Literal["delta", "position"]


class PredictionValues(Section):
    """The events that are predicted, the same for every head and null, views aside."""

    lags_frames: Lags = Field(min_length=1, description="Lags k, in frames.")
    targets: Listed[TargetName] = Field(
        min_length=1,
        description="Events: delta (x_t - x_{t-1}), position (x_t); the same event at lag 1.",
    )
    dequantization_fraction: ShareBelowOne = Field(
        description="SD of fixed noise on every frame, as a share of the smaller of the dimension's"
        " train SD and that of its steps. Also the floor of every predicted scale.",
    )
    resident_memory_gib: Amount = Field(
        description="Latents up to this size stay in memory; larger ones are memory-mapped."
    )
    block_frames: Count = Field(ge=1024, description="Frames read at a time; bounds memory.")
    noise_seed: Seed = Field(description="Seed of the dequantisation noise.")


class PredictionSection(PredictionValues, ContextView, Viewed):
    """The events that are predicted, as the steps read them."""


class PredictionNullsSection(Section):
    """The linear nulls."""

    orders: Lags = Field(
        min_length=1, description="Frames of context a linear null may use; chosen on select."
    )
    ridges: AmountsOrZero = Field(
        min_length=1, description="Ridge relative to each regressor's variance; chosen on select."
    )


class RidgeMixtureSection(Section):
    """The null with the ridge's mean and a static mixture of its residuals."""

    num_components: NumComponents = Field(description="Components of the first size; sizes double.")
    maximum_components: NumComponents = Field(
        description="Growth stops here at the latest: more than any listed head has."
    )
    minimum_gain_nats: AmountOrZero = Field(
        description="Gain on select that a doubling must bring."
    )
    maximum_frames: Count = Field(ge=1000, description="Train targets used, evenly thinned.")


class TrunkSettings(Section):
    """The network from context to the head's parameters."""

    kind: Literal["mlp", "shared_frames"] = Field(
        description="mlp: all frames flattened. shared_frames: one embedding of a frame, with "
        "products, shared by the window, then the mlp."
    )
    width: Width = Field(ge=8, description="Units per hidden layer.")
    num_layers: NumLayers = Field(description="Hidden layers (GELU).")
    frame_width: Width = Field(description="Embedding of a frame; shared_frames uses it.")
    dropout: ShareBelowOne = Field(description="Dropout after every hidden layer.")
    context: Literal["raw", "increments"] = Field(
        description="raw: all frames. increments: the newest frame and the steps between frames."
    )
    input_clip: Amount | None = Field(
        description="Inputs are squashed smoothly beyond this many SD; null leaves them."
    )
    output_scale: Share = Field(
        description="Scale of the last layer's first weights; near 0 training starts at the base.",
    )


class MarginalSettings(Section):
    """The same family without context, grown until select stops improving."""

    maximum_components: NumComponents = Field(description="Growth stops here at the latest.")
    minimum_gain_nats: AmountOrZero = Field(
        description="Gain on select that a doubling must bring."
    )
    maximum_frames: Count = Field(ge=1000, description="Train targets used, evenly thinned.")
    recipe: Text = Field(description="Name under recipes, where EM does not apply.")


class _Head(Kind):
    """What all heads share.

    Attributes:
        reads_trunk: Whether a wider trunk, or a memory in it, makes its laws richer. A flow has
            weights of its own and no hidden layers to widen or to add to.
    """

    reads_trunk: ClassVar[bool] = True

    recipe: Text = Field(description="Name under recipes.")
    is_linear_skip: bool = Field(
        description="Predict around the best linear null, whose mean and covariance are kept."
    )
    whitening: Literal["diagonal", "full", "chosen"] = Field(
        description="Units of the target: per-dimension SD, the residual covariance, or whichever"
        " a mixture of the same size without context fits better on select."
    )
    trunk: TrunkSettings
    marginal: MarginalSettings

    @property
    def components(self) -> int:
        """Components of the family; 1 where it has none."""
        return getattr(self, "num_components", None) or 1

    @property
    def maximum_components(self) -> int:
        """Components up to which the marginal grows by doubling."""
        return self.marginal.maximum_components if getattr(self, "num_components", None) else 1


class _ComponentsHead(_Head):
    num_components: NumComponents = Field(description="Components K.")


class _MixtureHead(_ComponentsHead):
    log_sigma_range: LogRange = Field(
        description="Clamp of log scales, in whitened units; the dequantisation floor comes on top."
    )


class GaussianMixtureHead(_MixtureHead):
    """Mixture of diagonal Gaussians."""

    MODULE: ClassVar[str] = "engram_audio.densities.gaussian_mixture"

    kind: Literal["gaussian_mixture"]


class StudentTMixtureHead(_MixtureHead):
    """Mixture of Student-t with learned degrees of freedom."""

    MODULE: ClassVar[str] = "engram_audio.densities.student_t_mixture"

    kind: Literal["student_t_mixture"]
    tail: Literal["shared", "per_dimension"] = Field(
        description="shared: one tail per frame (multivariate t). per_dimension: product of t."
    )


class LowRankMixtureHead(_MixtureHead):
    """Mixture of Gaussians with low-rank plus diagonal covariance."""

    MODULE: ClassVar[str] = "engram_audio.densities.low_rank_mixture"

    kind: Literal["low_rank_mixture"]
    rank: Count = Field(description="Rank of the covariance beyond its diagonal.")


class DirectionMagnitudeHead(_ComponentsHead):
    """von Mises-Fisher direction times log-normal magnitude, as a mixture."""

    MODULE: ClassVar[str] = "engram_audio.densities.direction"

    kind: Literal["direction_magnitude"]
    log_sigma_range: LogRange = Field(description="Clamp of the log-magnitude's log SD.")


class FlowHead(_Head):
    """Conditional normalising flow (autoregressive splines, zuko)."""

    MODULE: ClassVar[str] = "engram_audio.densities.flow"
    reads_trunk: ClassVar[bool] = False

    kind: Literal["flow"]
    num_transforms: NumLayers = Field(description="Autoregressive transforms.")
    hidden_features: Width = Field(ge=8, description="Units per hidden layer of a transform.")
    context_features: Width = Field(description="Width of the embedding of the context.")


class PluginHead(Plugin, _Head):
    """A head that another package brings (docs/extend.md)."""

    GROUP: ClassVar[str] = "engram_audio.heads"
    FUNCTIONS: ClassVar[tuple[str, ...]] = ("build",)

    num_components: NumComponents | None = Field(
        description="Components, which its marginal doubles while select gains; null: it has none."
    )


AnyHead = (
    GaussianMixtureHead
    | StudentTMixtureHead
    | LowRankMixtureHead
    | DirectionMagnitudeHead
    | FlowHead
    | PluginHead
)
HeadSection = Annotated[AnyHead, Field(discriminator="kind")]


class EvaluationValues(Section):
    """How predictions are scored, views aside."""

    maximum_train_frames: Count = Field(
        ge=1000, description="Train targets scored beside the other parts, in whole utterances."
    )
    batch_frames: Count = Field(description="Targets, or samples of targets, scored at a time.")
    num_samples: Count = Field(ge=4, description="Samples per target for sampled scores.")
    maximum_sampled_frames: Count = Field(
        ge=100, description="Targets per part with sampled scores, evenly thinned."
    )
    maximum_stored_frames: Count = Field(
        ge=1000, description="Targets per part whose score is stored for quantiles, evenly thinned."
    )
    num_negatives: Count = Field(description="Negatives of InfoNCE per target and kind.")
    num_worst_frames: Count = Field(description="Worst frames listed per part.")
    trimmed_fraction: InnerShare = Field(
        lt=0.5, description="Share cut from each end for the trimmed mean."
    )
    quantiles: Shares = Field(description="Quantiles of the score.")
    num_calibration_bins: Count = Field(ge=2, description="Bins of the PIT histograms.")
    rollout_horizon_frames: Frames = Field(ge=2, description="Steps of the simple mean rollout.")
    num_rollout_starts: Count = Field(description="Starting points of the rollout.")
    seed: Seed = Field(description="Seed of samples and negatives.")


class PredictionEvaluationSection(EvaluationValues, SlicesView, DivergenceView, Viewed):
    """How predictions are scored, as the steps read it."""

    VIEWS: ClassVar[Mapping[str, str]] = {"principal_subspaces": "event_subspaces"}

    principal_subspaces: Counts = Field(
        description="Edges q: explained variance of the first q principal directions and the rest."
    )
