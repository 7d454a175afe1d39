"""How many speakers a split holds out, and how few of them cannot be judged."""

import math

MINIMUM_SPEAKERS = 2  # of train, and of eval: one speaker is no sample of speakers
# SCIENCE 1: choices on fewer than four speakers are noise, and a study of fewer than 16 train
# speakers cannot spare four.
MINIMUM_SELECT_SPEAKERS = 4
TRAIN_SPEAKERS_TO_SELECT = 16


def round_half_up(value: float) -> int:
    """Round to the nearest integer, halves up."""
    return math.floor(value + 0.5)


def count_eval_speakers(num_speakers: int, eval_fraction: float) -> int:
    """Return how many of some speakers are held out for eval.

    Raises:
        ValueError: Too few would be left in train or in eval.
    """
    num_eval = round_half_up(eval_fraction * num_speakers)
    if min(num_eval, num_speakers - num_eval) < MINIMUM_SPEAKERS:
        if num_speakers < 2 * MINIMUM_SPEAKERS:
            remedy = f"bring at least {2 * MINIMUM_SPEAKERS} speakers"
        else:
            remedy = "raise it" if num_eval < MINIMUM_SPEAKERS else "lower it"
        raise ValueError(
            f"splits.eval_fraction: {eval_fraction:g} of {num_speakers} speaker(s) leaves "
            f"{num_speakers - num_eval} to train and {num_eval} to eval; each needs at least "
            f"{MINIMUM_SPEAKERS}; {remedy}"
        )
    return num_eval


def count_select_speakers(num_train: int, select_fraction: float) -> int:
    """Return how many of the train speakers are kept for choices: 0 where they are too few."""
    if num_train < TRAIN_SPEAKERS_TO_SELECT:
        return 0
    return max(MINIMUM_SELECT_SPEAKERS, round_half_up(select_fraction * num_train))
