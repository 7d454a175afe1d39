"""Bases that have not seen the frames a memory stores: one per fold of train speakers.

What a base misses on frames it was trained on is too small; a memory of such residuals would look
useful where it is not (SCIENCE 7). So residuals of a fold come from a base trained without it.

Shapes: D dimensions.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from engram_audio.corpus.split_parts import TRAIN, VAL
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.events import SPEAKER_NULL
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.fit import Material
from engram_audio.densities.linear import (
    LinearFit,
    autoregression,
    marginal,
    ridge_regression,
)
from engram_audio.densities.nulls import LinearNull, NullMoments, base_for, linear_nulls_for
from engram_audio.latents.block import LatentBlock, split_block
from engram_audio.numerics.seeds import checksum

HELD = "held"
DIAGONAL_STEPS = "gaussian_marginal_delta"  # at lag 1 a law of the position too
PIECE_FRAMES = 65536  # moments are added up in pieces: their float64 copies stay small


def fold_of_speakers(
    block: LatentBlock, part_of: Mapping[str, str], num_folds: int
) -> dict[str, int]:
    """Give each train speaker a fold, in turn over speakers in the order of a hash of the name.

    Raises:
        ValueError: Fewer train speakers than folds.
    """
    pairs = zip(block.utterance_ids, block.speaker_ids, strict=True)
    names = {str(speaker) for name, speaker in pairs if part_of[str(name)] == TRAIN}
    if len(names) < num_folds:
        raise ValueError(
            f"{len(names)} train speakers cannot be held out in {num_folds} folds; lower "
            "memory.num_folds"
        )
    ordered = sorted(names, key=lambda name: (checksum(name), name))
    return {name: place % num_folds for place, name in enumerate(ordered)}


def without_fold(material: Material, fold: int, num_folds: int) -> Material:
    """Return the material with one fold's speakers held out, of train and of val.

    Select speakers are in no fold: nothing is fitted on them.
    """
    folds = fold_of_speakers(material.block, material.part_of, num_folds)
    part_of = dict(material.part_of)
    for name, speaker in zip(material.block.utterance_ids, material.block.speaker_ids, strict=True):
        if part_of[str(name)] in (TRAIN, VAL) and folds.get(str(speaker)) == fold:
            part_of[str(name)] = HELD
    return material._replace(part_of=part_of)


def fold_of_utterances(material: Material, num_folds: int) -> np.ndarray:
    """Return the fold of each utterance of the block, shape [U]; -1 outside train."""
    folds = fold_of_speakers(material.block, material.part_of, num_folds)
    pairs = zip(material.block.utterance_ids, material.block.speaker_ids, strict=True)
    return np.array(
        [
            folds[str(speaker)] if material.part_of[str(name)] == TRAIN else -1
            for name, speaker in pairs
        ]
    )


class Candidate(NamedTuple):
    """A base a memory may stand on.

    Attributes:
        name: Null or head.
        model: Trained on all of train.
        fold_models: Trained without each fold of speakers.
    """

    name: str
    model: ConditionalDensity
    fold_models: list[ConditionalDensity]


def nulls_at_lag(
    linear_nulls: Sequence[LinearNull], lag_frames: int, event: str
) -> list[LinearNull]:
    """Return the linear nulls a memory may stand on: simplest first, the best one last.

    A rich base makes what it misses vary within a cell of the key, so that a table of it is noise
    (worlds.md A2): the marginal and the AR(1) stand beside the best null; the choice part chooses.
    A full covariance whitens: noise that was white then correlates within a cell, and the diagonal
    spread of an entry pays for it. So the diagonal Gaussian of steps is a base too.
    """
    bests = [base_for(linear_nulls, lag_frames, event, True, is_full) for is_full in (False, True)]
    best = min(bests, key=lambda null: null.fit.choice_nll)
    simple = (f"gaussian_marginal_full_{event}", DIAGONAL_STEPS, "ar1_full")
    named = {null.name: null for null in linear_nulls_for(linear_nulls, lag_frames, event)}
    chosen = [named[name] for name in simple if name in named and name != best.name]
    return [*chosen, best]


def linear_candidates(
    material: Material, lag_frames: int, event: str, num_folds: int
) -> list[Candidate]:
    """Fit the linear nulls anew without each fold: same kind, order and ridge."""
    linear_nulls = nulls_at_lag(material.linear_nulls, lag_frames, event)
    held = [without_fold(material, fold, num_folds) for fold in range(num_folds)]
    fits = [_refit(linear_nulls, part, lag_frames) for part in held]
    return [
        Candidate(
            null.name,
            build_gaussian(null.fit.arrays),
            [build_gaussian(fit[number].fit.arrays) for fit in fits],
        )
        for number, null in enumerate(linear_nulls)
    ]


def fold_material(
    material: Material, fold: int, num_folds: int, lag_frames: int, event: str
) -> Material:
    """Return the material without a fold, with the linear nulls of one event fitted anew on it."""
    held = without_fold(material, fold, num_folds)
    linear_nulls = [
        null
        for null in linear_nulls_for(material.linear_nulls, lag_frames, event)
        if null.name != SPEAKER_NULL  # never a base
    ]
    return held._replace(linear_nulls=_refit(linear_nulls, held, lag_frames))


def _refit(
    linear_nulls: Sequence[LinearNull], material: Material, lag_frames: int
) -> list[LinearNull]:
    """Fit nulls on the train part of a material: same kind, order and ridge."""
    moments = NullMoments(
        material.reference, material.window_frames, (lag_frames,), material.choice_part,
        with_speakers=False,
    )  # fmt: skip
    pieces = partial(split_block, material.block, PIECE_FRAMES)
    moments.accumulate(pieces, material.part_of, material.window_frames)
    return [null._replace(fit=_fit_again(null, moments, lag_frames)) for null in linear_nulls]


def _fit_again(null: LinearNull, moments: NullMoments, lag_frames: int) -> LinearFit:
    space, is_diagonal = null.fit.arrays.target, "_full" not in null.name
    if "marginal" in null.name:
        return marginal(moments.pair, space, is_diagonal)
    if null.name.startswith("ar1"):
        return autoregression(moments.pair, lag_frames, space, is_diagonal)
    return ridge_regression(
        moments.pair, lag_frames, (space,), (null.fit.order,), (null.fit.ridge,), is_diagonal
    )
