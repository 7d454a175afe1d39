"""Settings of the factoriser: networks, rate accounting, losses, health and evaluation."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from engram_audio.choices import require, require_listed
from engram_audio.latents.config import RepresentationSection
from engram_audio.prediction.config import PredictionSettings
from engram_audio.quantities import (
    Amount,
    AmountOrZero,
    Amounts,
    Count,
    CountOrZero,
    Frames,
    FramesOrZero,
    Horizons,
    Lags,
    Name,
    Names,
    NumComponents,
    NumLayers,
    Seed,
    Seeds,
    Share,
    Text,
    Width,
    Widths,
)
from engram_audio.section import Section, require_grid
from engram_audio.training.config import TrainingRecipe


class NetworkSettings(Section):
    """A causal network over a sequence."""

    kind: Literal["gru", "transformer"] = Field(description="Recurrent, or attention on the past.")
    width: Width = Field(ge=4, description="Units, or the model width of the transformer.")
    num_layers: NumLayers = Field(description="Layers.")
    num_heads: Count = Field(description="Attention heads; the transformer uses it.")
    context_frames: Frames = Field(
        description="Frames that the transformer attends to; a GRU remembers without limit."
    )

    @model_validator(mode="after")
    def _check_heads(self) -> "NetworkSettings":
        if self.kind == "transformer" and self.width % self.num_heads:
            raise ValueError(f"width {self.width} is not a multiple of num_heads {self.num_heads}")
        return self


class StateSettings(Section):
    """z_dyn: what it may see, what that costs, how often it changes."""

    rate: Literal["charged", "strictly_past", "free"] = Field(
        description="charged: z_t sees x_t and pays KL[q(z_t | x_<=t) || p(z_t | z_<t)]. "
        "strictly_past: z_t is made of x_<t. free: sees x_t for nothing (the first experiment)."
    )
    num_dims: Width = Field(description="Dimensions of z_dyn.")
    is_whitened: bool = Field(
        description="Whether z_dyn has unit covariance by construction, so that its scale carries"
        " no advantage."
    )
    stride_frames: Frames = Field(description="Frames per step of z_dyn; 1 is single-rate.")
    upsampler: Literal["piecewise_constant", "learned", "cross_attention"] = Field(
        description="How z_dyn reaches the frames between its steps."
    )
    linear_context_frames: FramesOrZero = Field(
        description="Newest frames that also reach z_dyn linearly; 0 for none."
    )


class DynamicsSettings(Section):
    """p(z_t | z_<t)."""

    network: NetworkSettings
    density: Literal["gaussian", "mixture", "student_t"] = Field(description="Family.")
    num_components: NumComponents = Field(
        description="Components of a mixture or Student-t mixture."
    )
    fixed_sigma: Amount | None = Field(
        description="SD in units of z_dyn, not learned (the first experiment); null learns."
    )


class InnovationSettings(Section):
    """z_rec: q(z_rec | x_t, z_t) and its prior."""

    prior: Literal["gaussian", "mixture", "flow", "marginal", "deterministic"] = Field(
        description="p(z_rec | z_t): Gaussian, mixture, flow; marginal: without z_t; "
        "deterministic: z_rec is a function of (x_t, z_t), its rate is not bounded."
    )
    num_dims: Width = Field(description="Dimensions of z_rec.")
    num_components: NumComponents = Field(description="Components of the mixture.")


class DecoderSettings(Section):
    """p(x_t | z_t, z_rec,t)."""

    kind: Literal["plain", "additive"] = Field(
        description="plain: f(z, r). additive: g(z) + h(z, r)."
    )
    width: Width = Field(ge=4, description="Hidden units of decoder, posterior and prior networks.")
    noise: Literal["shared", "per_dimension"] = Field(description="Observation SD.")
    fixed_noise_sd: Amount | None = Field(
        description="Observation SD as a share of the latents' RMS; null learns it."
    )


class KlSettings(Section):
    """How the rate is priced."""

    mode: Literal["beta", "free_bits", "target"] = Field(
        description="beta: fixed price. free_bits: no price below free_nats per group. target: "
        "the price follows until the rate is target_nats."
    )
    beta: AmountOrZero = Field(description="Price of a nat.")
    free_nats: AmountOrZero = Field(description="Free nats per frame of each group.")
    num_groups: Count = Field(
        description="Groups of dimensions of z_rec for free bits; z_dyn is one more."
    )
    target_nats: AmountOrZero = Field(description="Rate aimed at, nats per frame.")
    posterior_weight: Share | None = Field(
        description="Share of the KL's gradient that the posterior gets, the rest trains the prior;"
        " null leaves the KL whole.",
    )
    warmup_steps: CountOrZero = Field(description="Steps until the price is full.")


class LossSettings(Section):
    """Weights of the terms; 0 switches a term off."""

    kl: KlSettings
    dynamics_weight: AmountOrZero = Field(description="-log p(z_t | z_<t), nats per step of z_dyn.")
    utility_weight: AmountOrZero = Field(description="Squared error of x_{t+h} predicted from z_t.")
    utility_horizons_frames: Horizons = Field(description="Horizons h of the utility.")
    rollout_weight: AmountOrZero = Field(description="Reconstruction along free-running z_dyn.")
    rollout_horizon_frames: Frames = Field(description="Longest rollout, in steps of z_dyn.")
    rollout_curriculum_steps: CountOrZero = Field(
        description="Steps from 1 to the longest rollout."
    )
    teacher_fraction: Share = Field(
        description="Share of rollout steps fed with the encoder's z_dyn."
    )
    prior_sampled_fraction: Share = Field(
        description="Share of frames decoded from z_rec of the prior while training."
    )
    feature_weight: AmountOrZero = Field(
        description="Log-mel error of rollouts through a differentiable decoder."
    )

    @model_validator(mode="after")
    def _check_utility(self) -> "LossSettings":
        if self.utility_weight and not self.utility_horizons_frames:
            raise ValueError(
                f"utility_horizons_frames: utility_weight is {self.utility_weight:g}, so name at "
                "least one horizon, or set the weight to 0"
            )
        return self


class FactorizerSection(Section):
    """One variant."""

    recipe: Text = Field(description="Name under recipes.")
    chunk_frames: Count = Field(ge=4, description="Frames of a training sequence.")
    burn_in_frames: FramesOrZero = Field(description="Frames at its head that carry no loss.")
    encoder: NetworkSettings
    state: StateSettings
    dynamics: DynamicsSettings
    innovation: InnovationSettings
    decoder: DecoderSettings
    loss: LossSettings

    @model_validator(mode="after")
    def _check_lengths(self) -> "FactorizerSection":
        if self.burn_in_frames >= self.chunk_frames:
            raise ValueError(
                f"burn_in_frames {self.burn_in_frames} leaves nothing of chunk_frames "
                f"{self.chunk_frames}"
            )
        stride = self.state.stride_frames
        if self.chunk_frames % stride or self.burn_in_frames % stride:
            raise ValueError(
                f"chunk_frames and burn_in_frames must be multiples of stride_frames {stride}"
            )
        reach = self.burn_in_frames + self.loss.rollout_horizon_frames * stride
        if self.loss.rollout_weight and reach >= self.chunk_frames:
            raise ValueError(
                f"rollout_horizon_frames {self.loss.rollout_horizon_frames} does not fit into "
                f"chunk_frames {self.chunk_frames} after the burn-in"
            )
        longest = max((0, *self.loss.utility_horizons_frames))
        if self.burn_in_frames + longest >= self.chunk_frames:
            raise ValueError(
                f"utility_horizons_frames {longest} does not fit into chunk_frames "
                f"{self.chunk_frames} after the burn-in"
            )
        is_stochastic = self.innovation.prior != "deterministic"
        if self.state.rate != "charged" and not is_stochastic and self.loss.kl.mode == "target":
            raise ValueError("kl.mode target needs a rate, and nothing of this variant has one")
        return self

    @model_validator(mode="after")
    def _check_groups(self) -> "FactorizerSection":
        innovation, kl = self.innovation, self.loss.kl
        if kl.mode != "free_bits" or kl.num_groups == 1:
            return self
        if kl.num_groups > innovation.num_dims:
            raise ValueError(
                f"loss.kl.num_groups {kl.num_groups} is more than the {innovation.num_dims} "
                "dimensions of innovation.num_dims; ask for fewer groups"
            )
        if innovation.prior in ("flow", "deterministic"):
            raise ValueError(
                f"loss.kl.num_groups {kl.num_groups}: the rate under innovation.prior "
                f"{innovation.prior} has no parts to free one by one; write 1, or choose a "
                "gaussian, marginal or mixture prior"
            )
        return self


class FactorizerSweepSection(Section):
    """A grid around a variant: every combination is trained; its rate is aimed at (`target`)."""

    variant: Text = Field(description="Name under factorizer.library.")
    state_dims: Widths = Field(min_length=1, description="Values of state.num_dims.")
    target_nats: Amounts = Field(
        min_length=1, description="Values of loss.kl.target_nats; kl.mode becomes `target`."
    )
    context_frames: Lags = Field(
        description="Values of encoder.context_frames (a transformer's); [] keeps the variant's."
    )
    rollout_horizons_frames: Horizons = Field(
        description="Values of loss.rollout_horizon_frames; [] keeps the variant's."
    )

    @model_validator(mode="after")
    def _check_points(self) -> "FactorizerSweepSection":
        names = ("state_dims", "target_nats", "context_frames", "rollout_horizons_frames")
        require_grid({name: getattr(self, name) for name in names})
        return self


class FactorizerHealthSection(Section):
    """When a trained run counts as collapsed."""

    minimum_effective_rank: Share = Field(
        description="Effective rank of z_dyn before whitening, as a share of its dimensions."
    )
    minimum_state_sd: AmountOrZero = Field(
        description="RMS of z_dyn's SD, in its own units, where it is not whitened."
    )
    minimum_movement: AmountOrZero = Field(
        le=2, description="E |z_t - z_{t-1}|^2 / (2 E |z_t|^2): 1 is white, 0 is frozen."
    )
    minimum_state_use_nats: AmountOrZero = Field(
        description="Nats per frame lost when z_dyn is swapped between utterances, below which it"
        " counts as unused, whatever its variance."
    )
    minimum_active_nats: AmountOrZero = Field(
        description="Rate of z_rec below which it counts as unused, nats per frame."
    )
    minimum_prior_cost: AmountOrZero = Field(
        description="Error with z_rec of the prior over that of the posterior, less 1: below, z_rec"
        " is redundant, as where z_dyn sees x_t for nothing.",
    )
    action: Literal["fail", "report"] = Field(
        description="fail: a collapsed run fails its rule with the reason. report: it is flagged."
    )


class FactorizerEvaluationSection(Section):
    """How variants are scored."""

    num_importance_samples: Count = Field(description="Samples or particles of the bound.")
    batch_utterances: Count = Field(description="Utterances scored at a time.")
    seed: Seed = Field(description="Seed of samples and shuffles.")


class FactorizerSettings(Section):
    """The stage: its variants and grids, and which of them run on what."""

    representations: Names = Field(description="Base representations that variants are trained on.")
    variants: Names = Field(description="Variants that are trained.")
    sweeps: Names = Field(description="Grids whose points are trained.")
    seeds: Seeds = Field(description="Training seeds.")
    library: dict[Name, FactorizerSection] = Field(description="Variants by name.")
    grids: dict[Name, FactorizerSweepSection] = Field(description="Grids around a variant.")
    health: FactorizerHealthSection
    evaluation: FactorizerEvaluationSection


def check_factorizer(
    stage: FactorizerSettings,
    prediction: PredictionSettings,
    recipes: Mapping[str, TrainingRecipe],
) -> None:
    """Check what is factorised against what is predicted, and recipes by name.

    Args:
        stage: The stage, with what is trained only (`sweep.used_factorizers`).
        prediction: The prediction stage.
        recipes: All training recipes.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    if not stage.representations:
        return
    for name, variant in stage.library.items():
        key = f"factorizer.library.{name}"
        require(f"{key}.recipe", variant.recipe, recipes)
        if variant.loss.kl.mode == "target" and not variant.loss.kl.target_nats:
            raise ValueError(
                f"{key}.loss.kl.target_nats: mode is `target`, and 0 nats is no rate; aim above 0"
            )
    for field, found in (("seeds", stage.seeds), ("variants", stage.library)):
        if not found:
            raise ValueError(f"factorizer.{field}: name at least one, or no representations")
    for name in stage.representations:
        # its frames, nulls and direct predictors are what a factoriser is held against
        key, listed = "factorizer.representations", "prediction.representations"
        require_listed(key, name, listed, prediction.representations)
    require("prediction.lags_frames", 1, prediction.lags_frames)
    require("prediction.targets", "position", prediction.targets)


def check_states(rows: Mapping[str, RepresentationSection], stage: FactorizerSettings) -> None:
    """Check that every used z_dyn is that of a factoriser that is trained.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    for name, row in rows.items():
        if row.kind == "state":
            key = f"representations.library.{name}"
            listed = "factorizer.representations"
            require_listed(f"{key}.source", row.source, listed, stage.representations)
            require(f"{key}.factorizer", row.factorizer, stage.library)
            require(f"{key}.seed", row.seed, stage.seeds)
