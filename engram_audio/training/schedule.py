"""Learning rates as a pure function of the step, so that a resumed run needs no scheduler state."""

import math

from engram_audio.training.config import TrainingRecipe


def learning_rate(recipe: TrainingRecipe, step: int) -> float:
    """Return the learning rate of a step (0-based): linear warm-up, then cosine or constant."""
    peak = recipe.learning_rate
    if step < recipe.warmup_steps:
        return peak * (step + 1) / recipe.warmup_steps
    if recipe.schedule == "constant":
        return peak
    length = max(recipe.num_steps - recipe.warmup_steps, 1)
    progress = min((step - recipe.warmup_steps) / length, 1.0)
    low = peak * recipe.final_learning_rate_fraction
    return low + 0.5 * (peak - low) * (1 + math.cos(math.pi * progress))
