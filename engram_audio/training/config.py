"""Settings of the one training loop."""

from typing import Literal, Self

from pydantic import Field, model_validator

from engram_audio.quantities import (
    Amount,
    AmountOrZero,
    Amounts,
    Count,
    CountOrZero,
    InnerShare,
    Listed,
    Share,
    ShareBelowOne,
)
from engram_audio.section import Section


class TuningPoint(Section):
    """One point of the grid."""

    dropout: ShareBelowOne = Field(description="Dropout after every hidden layer.")
    weight_decay: AmountOrZero = Field(description="Decoupled weight decay.")


class TuningGrid(Section):
    """What every network of a comparison tries, at full length, before it is held against others.

    The best point on select is tried again with other learning rates. What wins is frozen for all
    lags, seeds and folds.
    """

    points: Listed[TuningPoint] = Field(min_length=1, description="Points, tried in this order.")
    last_learning_rate_factors: Amounts = Field(
        description="Factors on the learning rate, tried last at the best point; 1 was tried."
    )

    @model_validator(mode="after")
    def _check_factors(self) -> Self:
        if 1.0 in self.last_learning_rate_factors:
            raise ValueError(
                "last_learning_rate_factors: 1.0 tries the best point a second time; drop it"
            )
        return self


class TrainingRecipe(Section):
    """How a density is trained."""

    num_steps: Count = Field(description="Most optimiser steps.")
    batch_frames: Count = Field(description="Targets per step.")
    learning_rate: Amount = Field(description="Peak learning rate of AdamW.")
    weight_decay: AmountOrZero = Field(description="Decoupled weight decay.")
    second_moment_decay: InnerShare = Field(
        default=0.999,
        description="Decay of AdamW's mean of squared gradients; that of gradients is .9.",
    )
    warmup_steps: CountOrZero = Field(description="Steps of linear warm-up.")
    schedule: Literal["cosine", "constant"] = Field(description="After the warm-up.")
    final_learning_rate_fraction: Share = Field(
        description="Where the cosine ends, as a share of the peak."
    )
    gradient_clip: Amount = Field(description="Largest gradient norm.")
    precision: Literal["float32", "bfloat16"] = Field(
        description="bfloat16 autocasts on devices that have it in hardware, never on a CPU."
    )
    validation_interval_steps: Count = Field(description="Steps between scores on select.")
    patience_validations: Count | None = Field(
        description="Stop after this many scores without a new best; null trains to the end."
    )
    maximum_validation_frames: Count = Field(
        ge=256, description="Select targets scored, thinned evenly."
    )
    checkpoint_interval_steps: Count = Field(description="Steps between resumable checkpoints.")
    is_tensorboard_logged: bool = Field(description="Whether TensorBoard event files are written.")
    tuning: TuningGrid | None = Field(
        default=None,
        description="What heads, memories and matched nets of this recipe try on select before "
        "they are held against each other; null takes the recipe and the head as written, untuned.",
    )


def require_warmup(key: str, num_warmup_steps: int, recipe: TrainingRecipe) -> None:
    """Refuse a warm-up that never ends.

    Raises:
        ValueError: It is no shorter than the training.
    """
    if num_warmup_steps >= recipe.num_steps and num_warmup_steps:
        raise ValueError(
            f"{key}: {num_warmup_steps} steps do not end within the num_steps {recipe.num_steps} "
            "of the training; shorten the warm-up or train longer"
        )


def check_recipe(key: str, recipe: TrainingRecipe) -> None:
    """Check a recipe that is used.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    require_warmup(f"{key}.warmup_steps", recipe.warmup_steps, recipe)
