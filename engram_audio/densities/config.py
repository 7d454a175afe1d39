"""Settings of the prediction stage: events, nulls, heads, training recipes, evaluation."""

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from engram_audio.choices import chosen, require, require_listed
from engram_audio.section import Counts, Name, Names, Section, Seeds
from engram_audio.training.config import TrainingRecipe
from engram_audio.views import ContextView, DivergenceView, SlicesView, Viewed

TargetName = Literal["delta", "position"]


class PredictionValues(Section):
    """The events that are predicted, the same for every head and null, views aside."""

    lags_frames: Counts = Field(min_length=1, description="Lags k, in frames.")
    targets: tuple[TargetName, ...] = Field(
        min_length=1,
        description="Events: delta (x_t - x_{t-1}), position (x_t); the same event at lag 1.",
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


class PredictionSection(PredictionValues, ContextView, Viewed):
    """The events that are predicted, as the steps read them."""


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
    recipe: str = Field(description="Name under recipes, where EM does not apply.")


class _Head(Section):
    recipe: str = Field(description="Name under recipes.")
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


class EvaluationValues(Section):
    """How predictions are scored, views aside."""

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
    num_calibration_bins: int = Field(ge=2, description="Bins of the PIT histograms.")
    rollout_horizon_frames: int = Field(ge=2, description="Steps of the simple mean rollout.")
    num_rollout_starts: int = Field(ge=1, description="Starting points of the rollout.")
    seed: int = Field(ge=0, description="Seed of samples and negatives.")


class PredictionEvaluationSection(EvaluationValues, SlicesView, DivergenceView, Viewed):
    """How predictions are scored, as the steps read it."""

    VIEWS: ClassVar[Mapping[str, str]] = {"principal_subspaces": "event_subspaces"}

    principal_subspaces: Counts = Field(
        description="Edges q: explained variance of the first q principal directions and the rest."
    )


class PredictionSettings(PredictionValues):
    """The stage: its events, its heads, and which of them run on what."""

    representations: Names = Field(
        description="Base representations to predict; their surrogates follow."
    )
    heads: Names = Field(description="Heads that are trained, at every lag.")
    surrogate_heads: Names = Field(description="Those of them that surrogates get as well.")
    seeds: Seeds = Field(min_length=1, description="Training seeds, one model each.")
    nulls: PredictionNullsSection
    library: dict[Name, HeadSection] = Field(description="Density heads by name.")
    evaluation: EvaluationValues

    def used(self) -> Self:
        """Return the stage with the listed heads only, none where it runs on nothing.

        Raises:
            ValueError: A listed head is not defined.
        """
        names = self.heads if self.representations else ()
        key, where = "prediction.heads", "prediction.library"
        return self.model_copy(update={"library": chosen(key, names, self.library, where)})


def check_prediction(
    stage: PredictionSettings, analysed: Collection[str], recipes: Mapping[str, TrainingRecipe]
) -> None:
    """Check what is predicted against what is analysed, and recipes by name.

    Args:
        stage: The stage, used heads only.
        analysed: Representations that are analysed.
        recipes: All training recipes.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    for name in stage.representations:
        key = "prediction.representations"
        require_listed(key, name, "representations.analysed", analysed)
    if stage.representations and not stage.heads:
        raise ValueError("prediction.heads: name at least one head, or no representations")
    for name in stage.surrogate_heads if stage.representations else ():
        require_listed("prediction.surrogate_heads", name, "prediction.heads", stage.heads)
    for name, head in stage.library.items():
        require(f"prediction.library.{name}.recipe", head.recipe, recipes)
        require(f"prediction.library.{name}.marginal.recipe", head.marginal.recipe, recipes)
