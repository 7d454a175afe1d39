"""Settings of the prediction stage: events, nulls, heads, training recipes, evaluation."""

from typing import Annotated, Literal

from pydantic import Field

from engram_audio.section import Counts, Section, Seeds

TargetName = Literal["delta", "position"]
SliceName = Literal["all", "high_energy", "medial", "initial", "final"]


class PredictionSection(Section):
    """The events that are predicted, the same for every head and null."""

    window_frames: int = Field(ge=2, le=4096, description="W, frames of context.")
    lags_frames: Counts = Field(min_length=1, description="Lags k, in frames.")
    targets: tuple[TargetName, ...] = Field(
        min_length=1,
        description="Events: delta (x_t - x_{t-1}), position (x_t); the same event at lag 1.",
    )
    # The next three only say which artifacts exist: left out of the frozen section, so that one
    # more representation, seed or surrogate trains nothing again.
    representations: tuple[str, ...] = Field(
        default=(), exclude=True, description="Base representations to predict; surrogates follow."
    )
    seeds: Seeds = Field(default=(), exclude=True, description="Training seeds, one model each.")
    surrogate_heads: tuple[str, ...] = Field(
        default=(), exclude=True, description="Heads that are trained on surrogates as well."
    )
    dequantization_fraction: float = Field(
        ge=0,
        lt=1,
        description="SD of fixed noise on every frame, as a share of the dimension's train SD;"
        " also the floor of every predicted scale.",
    )
    resident_memory_gib: float = Field(
        gt=0, description="Latents up to this size stay in memory; larger ones are memory-mapped."
    )
    block_frames: int = Field(ge=1024, description="Frames read at a time; bounds memory.")
    noise_seed: int = Field(ge=0, description="Seed of the dequantisation noise.")


class PredictionNullsSection(Section):
    """The linear rungs of the null ladder."""

    orders: tuple[int, ...] = Field(
        min_length=1, description="Frames of context a linear null may use; chosen on val."
    )
    ridges: tuple[float, ...] = Field(
        min_length=1, description="Ridge relative to each regressor's variance; chosen on val."
    )


class TrunkSettings(Section):
    """The network from context to the head's parameters."""

    kind: Literal["mlp", "shared_frames"] = Field(
        description="mlp: all frames flattened. shared_frames: one embedding of a frame, with "
        "products, shared by the window, then the mlp."
    )
    width: int = Field(ge=8, description="Units per hidden layer.")
    num_layers: int = Field(ge=1, description="Hidden layers (GELU).")
    frame_width: int = Field(ge=4, description="Embedding of a frame; shared_frames uses it.")
    dropout: float = Field(ge=0, lt=1, description="Dropout after every hidden layer.")
    context: Literal["raw", "increments"] = Field(
        description="raw: all frames. increments: the newest frame and the steps between frames."
    )
    input_clip: float | None = Field(
        gt=0, description="Inputs are squashed smoothly beyond this many SD; null leaves them."
    )
    output_scale: float = Field(
        ge=0,
        le=1,
        description="Scale of the last layer's first weights; near 0 training starts at the base.",
    )


class MarginalSettings(Section):
    """The same family without context, grown until val stops improving."""

    maximum_components: int = Field(ge=1, description="Growth stops here at the latest.")
    minimum_gain_nats: float = Field(ge=0, description="Gain on val that a doubling must bring.")
    maximum_frames: int = Field(ge=1000, description="Train targets used, evenly thinned.")
    recipe: str = Field(description="Name under prediction_recipes, where EM does not apply.")


class _Head(Section):
    recipe: str = Field(description="Name under prediction_recipes.")
    is_linear_skip: bool = Field(
        description="Predict around the best linear null, whose mean and covariance are kept."
    )
    whitening: Literal["diagonal", "full", "chosen"] = Field(
        description="Units of the target: per-dimension SD, the residual covariance, or whichever"
        " a mixture of the same size without context fits better on val."
    )
    trunk: TrunkSettings
    marginal: MarginalSettings


class _MixtureHead(_Head):
    num_components: int = Field(ge=1, description="Components K.")
    log_sigma_range: tuple[float, float] = Field(
        description="Clamp of log scales, in whitened units; the dequantisation floor comes on top."
    )


class GaussianMixtureHead(_MixtureHead):
    """Mixture of diagonal Gaussians."""

    kind: Literal["gaussian_mixture"]


class StudentTMixtureHead(_MixtureHead):
    """Mixture of Student-t with learned degrees of freedom."""

    kind: Literal["student_t_mixture"]
    tail: Literal["shared", "per_dimension"] = Field(
        description="shared: one tail per frame (multivariate t). per_dimension: product of t."
    )


class LowRankMixtureHead(_MixtureHead):
    """Mixture of Gaussians with low-rank plus diagonal covariance."""

    kind: Literal["low_rank_mixture"]
    rank: int = Field(ge=1, description="Rank of the covariance beyond its diagonal.")


class DirectionMagnitudeHead(_Head):
    """von Mises-Fisher direction times log-normal magnitude, as a mixture."""

    kind: Literal["direction_magnitude"]
    num_components: int = Field(ge=1, description="Components K.")
    log_sigma_range: tuple[float, float] = Field(description="Clamp of the log-magnitude's log SD.")


class FlowHead(_Head):
    """Conditional normalising flow (autoregressive splines, zuko)."""

    kind: Literal["flow"]
    num_transforms: int = Field(ge=1, description="Autoregressive transforms.")
    hidden_features: int = Field(ge=8, description="Units per hidden layer of a transform.")
    context_features: int = Field(ge=1, description="Width of the embedding of the context.")


AnyHead = (
    GaussianMixtureHead
    | StudentTMixtureHead
    | LowRankMixtureHead
    | DirectionMagnitudeHead
    | FlowHead
)
HeadSection = Annotated[AnyHead, Field(discriminator="kind")]


class PredictionEvaluationSection(Section):
    """How predictions are scored."""

    slices: tuple[SliceName, ...] = Field(min_length=1, description="Slices, as in structure.")
    medial_range: tuple[float, float] = Field(
        description="Medial positions, fraction of utterance."
    )
    maximum_train_frames: int = Field(
        ge=1000, description="Train targets scored beside val and eval, in whole utterances."
    )
    batch_frames: int = Field(ge=1, description="Targets scored at a time.")
    num_samples: int = Field(ge=4, description="Samples per target for sampled scores.")
    maximum_sampled_frames: int = Field(
        ge=100, description="Targets per part with sampled scores, evenly thinned."
    )
    maximum_stored_frames: int = Field(
        ge=1000, description="Targets per part whose score is stored for quantiles, evenly thinned."
    )
    num_negatives: int = Field(ge=1, description="Negatives of InfoNCE per target and kind.")
    num_worst_frames: int = Field(ge=1, description="Worst frames listed per part.")
    trimmed_fraction: float = Field(
        gt=0, lt=0.5, description="Share cut from each end for the trimmed mean."
    )
    quantiles: tuple[float, ...] = Field(description="Quantiles of the score.")
    principal_subspaces: tuple[int, ...] = Field(
        description="Edges q: explained variance of the first q principal directions and the rest."
    )
    num_calibration_bins: int = Field(ge=2, description="Bins of the PIT histograms.")
    rollout_horizon_frames: int = Field(ge=2, description="Steps of the simple mean rollout.")
    num_rollout_starts: int = Field(ge=1, description="Starting points of the rollout.")
    divergence_factor: float = Field(
        gt=1, description="A rollout has diverged when its RMS exceeds the data's by this factor."
    )
    seed: int = Field(ge=0, description="Seed of samples and negatives.")
