"""Settings of the prediction stage: its events, its heads, and which of them run on what."""

from collections.abc import Collection, Mapping
from typing import Self

from pydantic import Field

from engram_audio.choices import chosen, require, require_listed
from engram_audio.densities.config import (
    AnyHead,
    EvaluationValues,
    HeadSection,
    PredictionNullsSection,
    PredictionValues,
    RidgeMixtureSection,
)
from engram_audio.quantities import (
    Name,
    Names,
    Seeds,
)
from engram_audio.training.config import TrainingRecipe


class PredictionSettings(PredictionValues):
    """The stage: its events, its heads, and which of them run on what."""

    representations: Names = Field(
        description="Base representations to predict; their surrogates follow."
    )
    heads: Names = Field(description="Heads that are trained, at every lag.")
    surrogate_heads: Names = Field(description="Those of them that surrogates get as well.")
    seeds: Seeds = Field(min_length=1, description="Training seeds, one model each.")
    deciding_seeds: Seeds = Field(
        description="Further training seeds of the heads that decide: on "
        "`decision.representation`, and on what has memories or rollouts. From three in all on, "
        "intervals count seeds as well."
    )
    nulls: PredictionNullsSection
    ridge_mixture: RidgeMixtureSection
    library: dict[Name, HeadSection] = Field(description="Density heads by name.")
    evaluation: EvaluationValues

    @property
    def trained_seeds(self) -> tuple[int, ...]:
        """Training seeds of the heads that decide."""
        return tuple(dict.fromkeys((*self.seeds, *self.deciding_seeds)))

    def used(self) -> Self:
        """Return the stage with the listed heads only, none where it runs on nothing.

        Raises:
            ValueError: A listed head is not defined.
        """
        names = self.heads if self.representations else ()
        key, where = "prediction.heads", "prediction.library"
        return self.model_copy(update={"library": chosen(key, names, self.library, where)})


def check_prediction(
    stage: PredictionSettings,
    analysed: Collection[str],
    window_frames: int,
    recipes: Mapping[str, TrainingRecipe],
) -> None:
    """Check what is predicted against what is analysed, and recipes by name.

    Args:
        stage: The stage, used heads only.
        analysed: Representations that are analysed.
        window_frames: W, frames of context.
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
    for order in stage.nulls.orders if stage.representations else ():
        if order > window_frames:
            raise ValueError(
                f"prediction.nulls.orders: {order} frames are more than the context of "
                f"views.window_frames {window_frames}; leave it out"
            )
    for name, head in stage.library.items():
        _check_shape(name, head, stage.ridge_mixture)
        head.require_installed(f"prediction.library.{name}")
        require(f"prediction.library.{name}.recipe", head.recipe, recipes)
        require(f"prediction.library.{name}.marginal.recipe", head.marginal.recipe, recipes)


def _check_shape(name: str, head: AnyHead, null: RidgeMixtureSection) -> None:
    """Refuse a null that may not grow past a head: the head's shape would read as context."""
    most, own = null.maximum_components, head.components
    if most <= own:
        raise ValueError(
            f"prediction.ridge_mixture.maximum_components: {most} are not more than the {own} "
            f"components of the head {name}; raise it to {2 * own}"
        )
