"""Settings of the scorer of keys by their laws, and of the predictor that learned keys cluster."""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from engram_audio.choices import require
from engram_audio.keys.bank import BankSection
from engram_audio.keys.config import (
    BaseName,
    KeyFamily,
    LearnedKeys,
    TargetName,
    key_sizes,
)
from engram_audio.latents.config import RepresentationSection
from engram_audio.quantities import (
    Amount,
    Amounts,
    Count,
    Counts,
    InnerShare,
    Lags,
    Listed,
    Name,
    Names,
    NumLayers,
    Seed,
    ShareBelowOne,
    Width,
)
from engram_audio.section import Section
from engram_audio.training.config import TrainingRecipe
from engram_audio.views import ContextView, SlicesView, Viewed


class LawPredictorSection(Section):
    """The network q(g | context) over the bank: the ceiling of every key."""

    width: Width = Field(description="Units of a hidden layer.")
    num_layers: NumLayers = Field(description="Hidden layers.")
    dropout: ShareBelowOne = Field(description="After each hidden layer.")
    recipe: Name = Field(description="Training recipe, under recipes.")
    cluster_frames: Count = Field(ge=100, description="Train contexts whose laws are clustered.")
    cluster_restarts: Count = Field(description="Starts of the clustering.")
    cluster_iterations: Count = Field(description="Steps of each.")


class LawVerdictSection(Section):
    """What the curve of nats against ln K must show."""

    minimum_share: InnerShare = Field(
        description="Share of the predictor's nats that a small key must keep."
    )


class LawValues(Section):
    """How keys are scored by their laws, views aside."""

    lags_frames: Lags = Field(
        min_length=1, description="Lags k, frames; all are scored on the same targets."
    )
    prior_strengths: Amounts = Field(
        min_length=1, description="Frames of the law without a key in that of each code."
    )
    ridges: Amounts = Field(
        min_length=1, description="Ridges of the linear base to choose from, on select."
    )
    num_folds: Count = Field(
        ge=2, description="Folds of train speakers that residuals are held out in."
    )
    maximum_frames: Count = Field(
        ge=1000, description="Targets of each part at most, evenly thinned."
    )
    memory_gib: Amount = Field(description="Memory for densities that are asked for again.")
    maximum_codes: Count = Field(
        ge=2, le=65536, description="Keys of more codes are not scored by their laws."
    )
    oracle_sizes: Counts = Field(
        description="K of the k-means of the target itself, which sees the future."
    )
    direction_keys: Names = Field(
        description="Keys among those scored whose codes are asked for the direction of the step."
    )
    num_directions: Count = Field(
        ge=2, le=4096, description="Directions of each code, and of all frames together."
    )
    flip_noise: Amount = Field(
        description="SD of the noise under which codes may flip, in units of a frame's SD."
    )
    seed: Seed = Field(description="Of the bank, the networks and the permuted codes.")


class LawSection(LawValues, ContextView, SlicesView, Viewed):
    """How keys are scored by their laws, as the steps read it."""


class LawSettings(LawValues):
    """The stage: what is scored, where, and with what bank."""

    representations: Names = Field(description="Where keys are scored by their laws.")
    surrogates: Listed[Literal["var"]] = Field(
        description="[var]: the same curve where only the linear part is left, beside; or []."
    )
    keys: Names = Field(description="Context keys that are scored.")
    targets: Listed[TargetName] = Field(min_length=1, description="position, delta or both.")
    bases: Listed[BaseName] = Field(
        min_length=1, description="none: alone. linear: beside a ridge regression."
    )
    bank: BankSection
    predictor: LawPredictorSection
    verdict: LawVerdictSection

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        most = min(self.maximum_codes, self.maximum_frames)
        for size in self.oracle_sizes:
            if not 2 <= size <= most:
                raise ValueError(
                    f"oracle_sizes: found {size}; from 2 to {most} codes can be, by maximum_codes "
                    f"{self.maximum_codes} and maximum_frames {self.maximum_frames}; drop it"
                )
        return self

    @property
    def scored(self) -> tuple[str, ...]:
        """The keys that are scored: none where the stage runs on nothing."""
        return self.keys if self.representations else ()


def check_laws(
    stage: LawSettings, library: Mapping[str, KeyFamily], analysed: Collection[str],
    rows: Mapping[str, RepresentationSection],
) -> None:  # fmt: skip
    """Check the names that the stage gives.

    Args:
        stage: The stage.
        library: Key families.
        analysed: Representations that are analysed.
        rows: Their sections.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    for name in stage.representations:
        require("learned_keys.representations", name, analysed)
        for mark in stage.surrogates:
            require(f"learned_keys.surrogates: {name}", mark, rows[name].surrogates)
    if stage.representations and not stage.keys:
        raise ValueError("learned_keys.keys: name at least one, or no representations")
    sizes = key_sizes(library)
    for key in stage.scored:
        require("learned_keys.keys", key, sizes)
        if sizes[key].num_codes > stage.maximum_codes:
            raise ValueError(
                f"learned_keys.keys: {key} has {sizes[key].num_codes} codes, at most "
                f"maximum_codes {stage.maximum_codes} are scored by their laws; name a smaller key"
            )
    for key in stage.direction_keys if stage.representations else ():
        require("learned_keys.direction_keys", key, stage.keys)


def recipes_of_family(family: KeyFamily) -> list[str]:
    """Return the training recipes that a family names, each once."""
    names = [getattr(row, "recipe", None) for row in family.quantizers]
    return list(dict.fromkeys(name for name in names if name))


def recipes_of_laws(stage: LawSettings, library: Mapping[str, KeyFamily]) -> list[str]:
    """Return the training recipes of the stage and of the learned families in use."""
    learned = [row for row in library.values() if row.IS_LEARNED]
    own = [stage.predictor.recipe] if learned or stage.representations else []
    return [*own, *(name for family in learned for name in recipes_of_family(family))]


def learned_families(library: Mapping[str, KeyFamily]) -> dict[str, LearnedKeys]:
    """Return the families that networks are trained for."""
    return {name: row for name, row in library.items() if isinstance(row, LearnedKeys)}


def check_recipes(
    stage: LawSettings, families: Iterable[str], library: Mapping[str, KeyFamily],
    recipes: Mapping[str, TrainingRecipe],
) -> None:  # fmt: skip
    """Check that recipes exist.

    Raises:
        ValueError: Names the key and the recipes that there are.
    """
    learned = {name: row for name, row in learned_families(library).items() if name in families}
    if learned or stage.representations:
        require("learned_keys.predictor.recipe", stage.predictor.recipe, recipes)
    for name, family in learned.items():
        for recipe in recipes_of_family(family):
            require(f"keys.library.{name}.quantizers: recipe", recipe, recipes)
        for size in key_sizes({name: family}).values():
            if size.num_codes > stage.predictor.cluster_frames:
                raise ValueError(
                    f"learned_keys.predictor.cluster_frames: {stage.predictor.cluster_frames} "
                    f"contexts cannot make the {size.num_codes} cells of {name}.{size.name}; raise "
                    "it, or drop the quantiser"
                )
