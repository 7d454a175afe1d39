"""Settings of a generator's head: what draws the next frame from the features."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engram_audio.kinds import Kind, Plugin
from engram_audio.quantities import (
    Amount,
    Count,
    LogRange,
    NumComponents,
    NumLayers,
    Share,
    ShareBelowOne,
    Width,
)

SINUSOIDS = 256  # of a time of the flow head
LEAST_FLOW_STEPS = 16  # of a flow that was not distilled


class GeneratorHead(Kind):
    """What every head says of itself without being built.

    Shapes: H width of the features, D dimensions.

    Attributes:
        HAS_DENSITY: Whether it has an exact density, whose NLL is in nats.
        HAS_GUIDANCE: Whether features between two conditions, and beyond, have a law of its kind.
    """

    HAS_DENSITY: ClassVar[bool] = True
    HAS_GUIDANCE: ClassVar[bool] = True

    @property
    def draws(self) -> int:
        """Draws of a frame in training."""
        return 1

    @property
    def runs_trained(self) -> float:
        """Forward passes of its maps for a train frame."""
        return self.draws

    def num_weights(self, width: int, num_dims: int) -> int:
        """Return the weights of its maps for features [H] and frames [D]."""
        raise NotImplementedError

    def num_saved(self, width: int, num_dims: int) -> int:
        """Return the numbers that a train frame keeps for the backward pass, about."""
        raise NotImplementedError


class MixtureHeadSettings(GeneratorHead):
    """Mixture of diagonal Gaussians of the whitened residual of the linear base."""

    MODULE: ClassVar[str] = "engram_audio.generation.head"

    kind: Literal["gaussian_mixture"]
    num_components: NumComponents = Field(description="Components K.")
    log_sigma_range: LogRange = Field(
        description="Clamp of log scales, in whitened units; the dequantisation floor comes on top."
    )
    output_scale: ShareBelowOne = Field(
        description="Scale of the last layer's first weights; near 0 training starts at the base."
    )

    def num_weights(self, width: int, num_dims: int) -> int:
        """See `GeneratorHead`: weights, means, scales and releases."""
        return width * self.num_components * (2 * num_dims + 2)

    def num_saved(self, width: int, num_dims: int) -> int:
        """See `GeneratorHead`."""
        return width + 2 * self.num_components * (2 * num_dims + 2)


class EnergyHeadSettings(GeneratorHead):
    """A network of features and noise, trained on the energy score of its draws; no density."""

    MODULE: ClassVar[str] = "engram_audio.generation.energy_head"
    HAS_DENSITY: ClassVar[bool] = False

    kind: Literal["energy"]
    num_draws: Count = Field(ge=2, le=256, description="Draws n per frame in training; 8 in CALM.")
    width: Width = Field(description="Units of the network.")
    num_layers: NumLayers = Field(description="Gated residual layers; 4 in CALM.")
    noise_dims: Width = Field(description="Numbers of noise, uniform; 64 in CALM.")

    @property
    def draws(self) -> int:
        """See `GeneratorHead`."""
        return self.num_draws

    def num_weights(self, width: int, num_dims: int) -> int:
        """See `GeneratorHead`: what tells, layers, noise and output."""
        told = (width + num_dims) * self.width
        ends = self.noise_dims * (self.width + num_dims) + self.width * num_dims
        return told + 3 * self.num_layers * self.width**2 + ends

    def num_saved(self, width: int, num_dims: int) -> int:
        """See `GeneratorHead`."""
        layers = 6 * self.num_layers + 1.5
        own = layers * self.width + self.noise_dims + 4 * num_dims
        return round(self.num_draws * own) + width + num_dims


class FlowHeadSettings(GeneratorHead):
    """A flow from noise to the frame, distilled into few steps; no density.

    The defaults of the released training: 4 draws, .75 of the loss on matching, a quarter of the
    steps with distillation, times of mean .4 and SD 1 before the sigmoid, 1 step.
    """

    MODULE: ClassVar[str] = "engram_audio.generation.flow_head"
    HAS_DENSITY: ClassVar[bool] = False

    kind: Literal["flow"]
    num_draws: Count = Field(le=256, description="Draws of noise and time per frame in training.")
    width: Width = Field(description="Units of the network; 512 in CALM.")
    num_layers: NumLayers = Field(description="Residual layers; 6 in CALM.")
    distilled_share: ShareBelowOne = Field(
        description="Share of the steps with the term that distils; 0: plain flow matching."
    )
    matching_weight: Share = Field(description="Weight of matching; the rest is distillation's.")
    time_mean: float = Field(ge=-10, le=10, description="Mean of the times before the sigmoid.")
    time_sd: Amount = Field(description="Their SD.")
    num_steps: Count = Field(le=1024, description="Steps from noise to frame in generation.")

    @property
    def draws(self) -> int:
        """See `GeneratorHead`."""
        return self.num_draws

    @property
    def runs_trained(self) -> float:
        """See `GeneratorHead`: distillation runs the network twice more."""
        return self.draws * (1 + 2 * self.distilled_share)

    def num_weights(self, width: int, num_dims: int) -> int:
        """See `GeneratorHead`: what enters and tells, times, layers and output."""
        ends = (width + 3 * num_dims + 2 * SINUSOIDS) * self.width
        return ends + (4 + 5 * self.num_layers) * self.width**2

    def num_saved(self, width: int, num_dims: int) -> int:
        """See `GeneratorHead`; where it distils, velocity, slope and target are held too."""
        del width, num_dims
        own = (10 * self.num_layers + 13) * self.width + 11 * SINUSOIDS // 4
        return self.num_draws * own * (4 if self.distilled_share else 1)

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if not self.distilled_share and self.num_steps < LEAST_FLOW_STEPS:
            raise ValueError(
                f"num_steps: {self.num_steps} steps of a flow that is not distilled are too few; "
                f"take at least {LEAST_FLOW_STEPS}, or a distilled_share above 0"
            )
        if not self.distilled_share and self.matching_weight != 1:
            raise ValueError(
                f"matching_weight: {self.matching_weight} leaves weight to distillation, which "
                "distilled_share 0 never trains; set it to 1"
            )
        return self


class PluginGeneratorHead(Plugin, GeneratorHead):
    """A head that another package brings (docs/extend.md); its size counts as nothing."""

    GROUP: ClassVar[str] = "engram_audio.generator_heads"
    HAS_GUIDANCE: ClassVar[bool] = False  # nobody knows what it does with features
    FUNCTIONS: ClassVar[tuple[str, ...]] = ("build",)

    def num_weights(self, width: int, num_dims: int) -> int:
        """See `GeneratorHead`: its settings do not say."""
        del width, num_dims
        return 0

    def num_saved(self, width: int, num_dims: int) -> int:
        """See `GeneratorHead`."""
        del width, num_dims
        return 0


AnyGeneratorHead = MixtureHeadSettings | EnergyHeadSettings | FlowHeadSettings | PluginGeneratorHead
GeneratorHeadSection = Annotated[AnyGeneratorHead, Field(discriminator="kind")]
