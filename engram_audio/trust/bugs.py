"""Planted bugs: each replaces one function of the real code while a probe looks.

Shapes: M targets, S speakers.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from engram_audio.structure.targets import EVAL, TRAIN, VAL

Function = Callable[..., Any]
NO_BUG = "none"
STRUCTURE = "engram_audio.structure"


class Bug(NamedTuple):
    """One planted bug.

    Attributes:
        target: Dotted path of the function (or `module.Class.method`) that is replaced.
        replace: Makes the wrong function from the right one.
        words: What is wrong, in words.
        probes: Which probes look for it.
    """

    target: str
    replace: Callable[[Function], Function]
    words: str
    probes: tuple[str, ...]


def _off_by_one_lag(right: Function) -> Function:
    def wrong(targets: np.ndarray, lag_frames: int, window_frames: int) -> np.ndarray:
        return right(targets, lag_frames - 1, window_frames)

    return wrong


def _target_leaked(right: Function) -> Function:
    def wrong(
        frames: np.ndarray, targets: np.ndarray, lag_frames: int, components: np.ndarray
    ) -> np.ndarray:
        own = right(frames, targets, lag_frames, components)
        return own + (right(frames, targets, 0, components) - right(frames, targets, 1, components))

    return wrong


def _fitted_on(parts: Sequence[int]) -> Callable[[Function], Function]:
    """Return a bug that fits cells on some parts instead of on train."""
    return lambda right: lambda part: np.isin(part, parts)


def _shuffled_labels(right: Function) -> Function:
    def wrong(cells: np.ndarray, part: np.ndarray, *others: Any) -> Any:
        return right(np.random.default_rng(0).permutation(cells), part, *others)

    return wrong


def _float16_sums(right: Function) -> Function:
    """Every sum is kept in half precision, frame by frame."""
    del right

    def wrong(total: np.ndarray, values: np.ndarray, codes: np.ndarray) -> None:
        half = total.astype(np.float16)
        with np.errstate(over="ignore"):
            np.add.at(half, codes, values.astype(np.float16))
        total[:] = half

    return wrong


def _instead_of_train(targets: Any, part: int) -> Any:
    """Return targets in which a part takes the place of train."""
    new = targets.part.copy()
    new[targets.part == TRAIN], new[targets.part == part] = part, TRAIN
    return targets._replace(part=new)


def _normalised_on_eval(right: Function) -> Function:
    def wrong(source: Any, slices: list[Any], std_floor: float) -> Any:
        return right(source, [_instead_of_train(one, EVAL) for one in slices], std_floor)

    return wrong


def _normalised_by_all(right: Function) -> Function:
    def wrong(source: Any, slices: list[Any], std_floor: float) -> Any:
        fitted = right(source, slices, std_floor)
        return [fitted[0]] * len(fitted)

    return wrong


def _moments_on(part: int) -> Callable[[Function], Function]:
    def replace(right: Function) -> Function:
        def wrong(context: Any, with_targets: bool) -> Any:
            return right(
                context._replace(targets=_instead_of_train(context.targets, part)), with_targets
            )

        return wrong

    return replace


def _sampled_on_eval(right: Function) -> Function:
    def wrong(stream: Any) -> np.ndarray:
        honest = stream._targets
        stream._targets = _instead_of_train(honest, EVAL)
        try:
            return right(stream)
        finally:
            stream._targets = honest

    return wrong


def _counted_on_eval(right: Function) -> Function:
    def wrong(cells: np.ndarray, part: np.ndarray, *others: Any) -> Any:
        new = part.copy()
        new[part == TRAIN], new[part == EVAL] = EVAL, TRAIN
        return right(cells, new, *others)

    return wrong


def _scaled(factor: float) -> Callable[[Function], Function]:
    """Return a bug that multiplies what the function returns."""
    return lambda right: lambda *given: factor * right(*given)


def _not_centred(right: Function) -> Function:
    def wrong(moments: Any, sums: Any) -> Any:
        return right(moments, sums._replace(context=np.zeros_like(sums.context)))

    return wrong


def _cells_on_residuals(right: Function) -> Function:
    def wrong(moments: Any, sums: Any) -> Any:
        from engram_audio.structure.joint import ridge_slope

        slope = ridge_slope(moments)
        counts = np.maximum(sums.counts, 1)[:, None]
        fitted = right(moments, sums)
        return fitted._replace(slope=slope, intercept=(sums.target - sums.context @ slope) / counts)

    return wrong


def _small_errors(right: Function) -> Function:
    def wrong(estimate: Any) -> Any:
        found = right(estimate)
        return found._replace(se=found.se / 3)

    return wrong


def _no_leverage(right: Function) -> Function:
    del right
    return lambda estimate: estimate.influence


def _many_degrees(right: Function) -> Function:
    return lambda squares, num_units: np.full_like(right(squares, num_units), 1e9)


def _effective_by_count(right: Function) -> Function:
    del right
    return lambda weight: (weight > 0).sum(axis=-1).astype(np.float64)


def _sign_of_transfer(right: Function) -> Function:
    def wrong(*given: Any) -> Any:
        found = right(*given)
        return found._replace(value=-found.value, low=-found.high, high=-found.low)

    return wrong


def _parts_swapped(right: Function) -> Function:
    return lambda on_eval, on_val, confidence: right(on_val, on_eval, confidence)


def _independent(right: Function) -> Function:
    """The error of a difference as if both were measured on other speakers."""

    def wrong(first: Any, second: Any) -> Any:
        found = right(first, second)
        return found._replace(influence=np.hypot(first.influence, second.influence))

    return wrong


def _energy_at(shift: int) -> Callable[[Function], Function]:
    """Return a bug that judges speech by a frame that many frames later than it should."""

    def replace(right: Function) -> Function:
        def wrong(offsets: Any, energy: Any, targets: Any, lag_frames: int, levels: Any) -> Any:
            return right(offsets, energy, targets, max(lag_frames - shift, 0), levels)

        return wrong

    return replace


def _one_level(right: Function) -> Function:
    """All speakers have the level of the loudest."""

    def wrong(loud: Any, speaker_ids: Any, range_db: float) -> np.ndarray:
        found = right(loud, speaker_ids, range_db)
        return np.full_like(found, max(loud.values()) * 10 ** (-range_db / 20))

    return wrong


def _folds_of_one(right: Function) -> Function:
    """Every speaker's own frames make the means that it is scored with."""

    def wrong(plan: Any, labeling: Any, folds: Any) -> Any:
        # every fold holds all frames, so that leaving one out leaves the same means
        found = right(plan, labeling, folds)
        return tuple(
            np.broadcast_to(one.sum(axis=1, keepdims=True), one.shape).copy() for one in found
        )

    return wrong


def _white_twin(right: Function) -> Function:
    def wrong(*given: Any) -> Any:
        model = right(*given)
        return model._replace(coefficients=np.zeros_like(model.coefficients))

    return wrong


def _low_order(right: Function) -> Function:
    def wrong(blocks: Any, order: int) -> Any:
        model = right(blocks, order)
        kept = model.coefficients.copy()
        kept[kept.shape[1] :] = 0
        return model._replace(coefficients=kept)

    return wrong


def _without_target(right: Function) -> Function:
    """A target outside the context: the newest frames are dropped from every window."""

    def wrong(targets: np.ndarray, lag_frames: int, window_frames: int) -> np.ndarray:
        return right(targets, lag_frames + 1, window_frames)

    return wrong


SCORING, FEATURES = f"{STRUCTURE}.scoring", f"{STRUCTURE}.features"
ESTIMATE = "engram_audio.stats.estimate"
WORLD, STILL, KEY = "worlds", "other eval speakers", "hidden key"
SLICE, NUMBER, TWIN = "slices", "statistics", "twins"

BUGS: dict[str, Bug] = {
    "off_by_one_lag": Bug(
        "engram_audio.windows.context_start", _off_by_one_lag, "contexts end one frame too late",
        (WORLD,),
    ),
    "late_context": Bug(
        "engram_audio.windows.context_start", _without_target, "contexts end one frame too early",
        (WORLD,),
    ),
    "eval_means": Bug(
        f"{SCORING}.is_fitted", _fitted_on([EVAL]), "eval is scored with its own cell means",
        (STILL,),
    ),
    "fit_on_all_speakers": Bug(
        f"{SCORING}.is_fitted", _fitted_on([TRAIN, EVAL]),
        "cell means are fitted on train and eval speakers together", (STILL,),
    ),
    "target_in_context": Bug(
        "engram_audio.windows.project_contexts", _target_leaked,
        "the target's own step is added to the context", (WORLD,),
    ),
    "shuffled_labels": Bug(
        f"{STRUCTURE}.cells.make_labeling", _shuffled_labels, "labels lose their frames", (KEY,),
    ),
    "float16_sums": Bug(
        f"{STRUCTURE}.speaker_sums.add_grouped", _float16_sums,
        "squared errors are summed in half precision", (KEY,),
    ),
    "normalised_on_eval": Bug(
        f"{STRUCTURE}.material.fit_normalizations", _normalised_on_eval,
        "targets are normalised by eval speakers", (STILL,),
    ),
    "slices_normalised_by_all": Bug(
        f"{STRUCTURE}.material.fit_normalizations", _normalised_by_all,
        "slices are normalised by all frames", (SLICE,),
    ),
    "ridge_on_eval": Bug(
        f"{STRUCTURE}.linear_model.window_moments", _moments_on(EVAL),
        "ridge is fitted on eval speakers", (STILL,),
    ),
    "components_on_eval": Bug(
        f"{FEATURES}.window_moments", _moments_on(EVAL),
        "principal components are fitted on eval speakers", (STILL,),
    ),
    "ridge_on_val": Bug(
        f"{STRUCTURE}.linear_model.window_moments", _moments_on(VAL),
        "ridge is fitted on val utterances", (STILL,),
    ),
    "kmeans_on_eval": Bug(
        f"{FEATURES}.FeatureStream.train_sample", _sampled_on_eval,
        "cells are fitted on eval speakers", (STILL,),
    ),
    "cells_counted_on_eval": Bug(
        f"{STRUCTURE}.key_scores.make_labeling", _counted_on_eval,
        "cells are kept or dropped by what they hold of eval", (STILL,),
    ),
    "no_cost_correction": Bug(
        f"{SCORING}.fitting_cost", _scaled(0.0), "what fitting cells costs is not taken off",
        (KEY,),
    ),
    "double_cost_correction": Bug(
        f"{SCORING}.fitting_cost", _scaled(2.0), "what fitting cells costs is taken off twice",
        (KEY,),
    ),
    "joint_not_centred": Bug(
        f"{SCORING}.fit_joint", _not_centred,
        "contexts are not centred within cells in the joint fit", (KEY,),
    ),
    "cells_on_residuals": Bug(
        f"{SCORING}.fit_joint", _cells_on_residuals,
        "cells are fitted on what ridge leaves instead of together with it", (KEY,),
    ),
    "standard_error_third": Bug(
        f"{ESTIMATE}.uncertain", _small_errors, "standard errors are a third of what they are",
        (NUMBER,),
    ),
    "no_leverage": Bug(
        f"{ESTIMATE}.deleted", _no_leverage, "a large speaker's influence is not corrected",
        (NUMBER,),
    ),
    "normal_quantiles": Bug(
        f"{ESTIMATE}.satterthwaite_df", _many_degrees, "few speakers count as infinitely many",
        (NUMBER,),
    ),
    "speakers_counted": Bug(
        f"{ESTIMATE}.effective_number", _effective_by_count,
        "the effective number of speakers is their number", (NUMBER,),
    ),
    "unpaired_difference": Bug(
        f"{ESTIMATE}.paired_difference", _independent,
        "differences on the same speakers are treated as independent", (NUMBER,),
    ),
    "sign_of_transfer": Bug(
        f"{STRUCTURE}.estimates.transfer_loss", _sign_of_transfer,
        "the transfer loss has the wrong sign", (NUMBER,),
    ),
    "transfer_of_swapped_parts": Bug(
        f"{STRUCTURE}.estimates.transfer_loss", _parts_swapped,
        "the transfer loss is that of val against eval", (NUMBER,),
    ),
    "speech_of_the_target": Bug(
        f"{STRUCTURE}.targets.speech_mask", _energy_at(2),
        "speech is judged by the target's energy", (SLICE,),
    ),
    "speech_one_frame_late": Bug(
        f"{STRUCTURE}.targets.speech_mask", _energy_at(1),
        "speech is judged one frame after the newest context frame", (SLICE,),
    ),
    "one_level_of_speech": Bug(
        f"{STRUCTURE}.targets.speech_levels", _one_level,
        "speech is judged by the loudest speaker", (SLICE,),
    ),
    "oracle_not_cross_fitted": Bug(
        f"{STRUCTURE}.oracle._sums_by_fold", _folds_of_one,
        "a speaker's own frames make the attainable", (KEY,),
    ),
    "white_twin": Bug(
        "engram_audio.latents.var.fit_var", _white_twin, "the VAR twin is white noise", (TWIN,),
    ),
    "twin_of_low_order": Bug(
        "engram_audio.latents.var.fit_var", _low_order, "the VAR twin has order 1", (TWIN,),
    ),
}  # fmt: skip


@contextlib.contextmanager
def planted_bug(name: str) -> Iterator[None]:
    """Replace one function of the real code while the block runs; `none` replaces nothing."""
    if name == NO_BUG:
        yield
        return
    bug = BUGS[name]
    owner, attribute = owner_of(bug.target)
    right = getattr(owner, attribute)
    setattr(owner, attribute, bug.replace(right))
    try:
        yield
    finally:
        setattr(owner, attribute, right)


def owner_of(target: str) -> tuple[Any, str]:
    """Return the module or class that holds a function, and the function's name there."""
    path, _, attribute = target.rpartition(".")
    try:
        return importlib.import_module(path), attribute
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name), attribute
