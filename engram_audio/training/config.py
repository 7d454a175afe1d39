"""Settings of the one training loop."""

from typing import Literal

from pydantic import Field

from engram_audio.section import Section


class TrainingRecipe(Section):
    """How a density is trained."""

    num_steps: int = Field(ge=1, description="Most optimiser steps.")
    batch_frames: int = Field(ge=1, description="Targets per step.")
    learning_rate: float = Field(gt=0, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(ge=0, description="Decoupled weight decay.")
    warmup_steps: int = Field(ge=0, description="Steps of linear warm-up.")
    schedule: Literal["cosine", "constant"] = Field(description="After the warm-up.")
    final_learning_rate_fraction: float = Field(
        ge=0, le=1, description="Where the cosine ends, as a share of the peak."
    )
    gradient_clip: float = Field(gt=0, description="Largest gradient norm.")
    precision: Literal["float32", "bfloat16"] = Field(
        description="bfloat16 autocasts on devices that have it in hardware, never on a CPU."
    )
    validation_interval_steps: int = Field(ge=1, description="Steps between scores on val.")
    patience_validations: int | None = Field(
        ge=1, description="Stop after this many scores without a new best; null trains to the end."
    )
    maximum_validation_frames: int = Field(
        ge=256, description="Val targets scored, thinned evenly."
    )
    checkpoint_interval_steps: int = Field(ge=1, description="Steps between resumable checkpoints.")
    is_tensorboard_logged: bool = Field(description="Whether TensorBoard event files are written.")
