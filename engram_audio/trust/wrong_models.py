"""Wrong versions of right functions of the factoriser, the memory and the rollout, for `bugs`.

No network library is imported here: a table that names bugs must stay light.
"""

import math
from typing import Any

import numpy as np

from engram_audio.trust.wrong import Function


def innovation_not_paid(right: Function) -> Function:
    """Score a frame by its innovation as if that came for nothing."""
    del right

    def wrong(model: Any, frames: Any, dyn: Any, generator: Any) -> Any:
        value = model.innovation.infer(model.normalized(frames), dyn).sample(generator)
        return model.log_observation(frames, model.decoder(dyn, value))

    return wrong


def state_of_the_frame(right: Function) -> Function:
    """Take the state that saw the frame for one that the past tells."""
    del right
    return lambda model, states, num_frames, generator: states.frames


def without_count(right: Function) -> Function:
    """Sum the weights of the samples and do not divide by their number."""

    def wrong(model: Any, frames: Any, is_real: Any, num_samples: int, generator: Any) -> Any:
        return right(model, frames, is_real, num_samples, generator) - math.log(num_samples)

    return wrong


def without_units(right: Function) -> Function:
    """Leave out the scale of the latents."""
    return lambda model, frames, mean: right(model, frames, mean) + model.log_scale


def state_for_nothing(right: Function) -> Function:
    """Charge the innovation only."""
    return lambda price, state, innovation: right(price, 0 * state, innovation)


def always_honest(right: Function) -> Function:
    """Believe that no state sees its frame for nothing."""
    return lambda row: right({**row, "is_honest": "True"})


def never_shuffled(right: Function) -> Function:
    """Fit and read the control with its own keys."""

    def wrong(*given: Any, is_shuffled: bool = False) -> Any:
        del is_shuffled
        return right(*given)

    return wrong


def next_fold(right: Function) -> Function:
    """Give each utterance the fold after its own; -1 stays."""

    def wrong(material: Any, num_folds: int) -> Any:
        fold = right(material, num_folds)
        return np.where(fold < 0, fold, (fold + 1) % num_folds)

    return wrong


def base_budget(right: Function) -> Function:
    """Count the base only."""
    del right
    return lambda memory: memory.base.budget()


def half_budget(right: Function) -> Function:
    """Match half of the budget."""

    def wrong(head: Any, size: Any, budget: int, *others: Any) -> Any:
        return right(head, size, budget // 2, *others)

    return wrong


def next_entry(right: Function) -> Function:
    """Read the entry after one's own."""
    return lambda slots, codes, num_codes: (right(slots, codes, num_codes) + 1) % slots.num_slots


def without_between(right: Function) -> Function:
    """Let all paths have the mean of the first one."""

    def wrong(run: Any, horizon_frames: int, marginals: Any) -> Any:
        means, variances = run.laws
        same = means.mean(0, keepdim=True).expand_as(means)
        return right(run._replace(laws=(same, variances)), horizon_frames, marginals)

    return wrong


def value_as_frame(right: Function) -> Function:
    """Take a value of the model's own target for a frame."""
    del right
    return lambda model, batch, values: values


def one_late(right: Function) -> Function:
    """Forecast every step by the one after."""

    def wrong(run: Any, horizon_frames: int, marginals: Any) -> Any:
        laws = tuple(part.roll(-1, 2) for part in run.laws)
        moved = run._replace(laws=laws, states=run.states.roll(-1, 2))
        return right(moved, horizon_frames, marginals)

    return wrong


def half_distance(right: Function) -> Function:
    """Count half the distance between draws."""
    return lambda samples, scale: 0.5 * right(samples, scale)


def without_sign(right: Function) -> Function:
    """Publish the size of a share."""

    def wrong(*given: Any) -> Any:
        return {name: abs(value) for name, value in right(*given).items()}

    return wrong
