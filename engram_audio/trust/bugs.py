"""Planted bugs: each replaces one function of the real code while a probe looks."""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from engram_audio.corpus.split_parts import EVAL as EVAL_PART
from engram_audio.corpus.split_parts import TRAIN as TRAIN_PART
from engram_audio.structure.targets import EVAL, TRAIN, VAL
from engram_audio.trust import wrong
from engram_audio.trust.bug import NO_BUG, Bug
from engram_audio.trust.model_bugs import MODEL_BUGS

STRUCTURE = "engram_audio.structure"
SCORING = f"{STRUCTURE}.scoring"
ESTIMATE = "engram_audio.stats.estimate"
WORLD, STILL, KEY = "worlds", "other eval speakers", "hidden key"
SLICE, NUMBER, TWIN = "slices", "statistics", "twins"
GATE, GATES, CANDIDATES = "gate", f"{STRUCTURE}.gates", f"{STRUCTURE}.candidates"


GATE_BUGS: dict[str, Bug] = {
    "off_by_one_lag": Bug(
        "engram_audio.windows.context_start", wrong.off_by_one_lag,
        "contexts end one frame too late", (WORLD,),
    ),
    "late_context": Bug(
        "engram_audio.windows.context_start", wrong.without_target,
        "contexts end one frame too early", (WORLD,),
    ),
    "eval_means": Bug(
        f"{SCORING}.is_fitted", wrong.fitted_on([EVAL]), "eval is scored with its own cell means",
        (STILL,),
    ),
    "fit_on_all_speakers": Bug(
        f"{SCORING}.is_fitted", wrong.fitted_on([TRAIN, EVAL]),
        "cell means are fitted on train and eval speakers together", (STILL,),
    ),
    "target_in_context": Bug(
        "engram_audio.windows.project_contexts", wrong.target_leaked,
        "the target's own step is added to the context", (WORLD,),
    ),
    "shuffled_labels": Bug(
        f"{STRUCTURE}.cells.make_labeling", wrong.shuffled_labels, "labels lose their frames",
        (KEY,),
    ),
    "float16_sums": Bug(
        f"{STRUCTURE}.speaker_sums.add_grouped", wrong.float16_sums,
        "squared errors are summed in half precision", (KEY,),
    ),
    "normalised_on_eval": Bug(
        f"{STRUCTURE}.material.fit_normalizations", wrong.normalised_on_eval,
        "targets are normalised by eval speakers", (STILL,),
    ),
    "slices_normalised_by_all": Bug(
        f"{STRUCTURE}.material.fit_normalizations", wrong.normalised_by_all,
        "slices are normalised by all frames", (SLICE,),
    ),
    "ridge_on_eval": Bug(
        f"{STRUCTURE}.linear_model.window_moments", wrong.moments_on(EVAL),
        "ridge is fitted on eval speakers", (STILL,),
    ),
    "keys_on_eval": Bug(
        "engram_audio.keys.fit.train_rows", wrong.keys_fitted_on(["eval"]),
        "keys are fitted on eval speakers", (STILL,),
    ),
    "ridge_on_val": Bug(
        f"{STRUCTURE}.linear_model.window_moments", wrong.moments_on(VAL),
        "ridge is fitted on val utterances", (STILL,),
    ),
    "keys_on_all_speakers": Bug(
        "engram_audio.keys.fit.train_rows", wrong.keys_fitted_on(["train", "eval"]),
        "keys are fitted on train and eval speakers together", (STILL,),
    ),
    "cells_counted_on_eval": Bug(
        f"{STRUCTURE}.key_scores.make_labeling", wrong.counted_on_eval,
        "cells are kept or dropped by what they hold of eval", (STILL,),
    ),
    "no_cost_correction": Bug(
        f"{SCORING}.fitting_cost", wrong.scaled(0.0), "what fitting cells costs is not taken off",
        (KEY,),
    ),
    "double_cost_correction": Bug(
        f"{SCORING}.fitting_cost", wrong.scaled(2.0), "what fitting cells costs is taken off twice",
        (KEY,),
    ),
    "joint_not_centred": Bug(
        f"{SCORING}.fit_joint", wrong.not_centred,
        "contexts are not centred within cells in the joint fit", (KEY,),
    ),
    "cells_on_residuals": Bug(
        f"{SCORING}.fit_joint", wrong.cells_on_residuals,
        "cells are fitted on what ridge leaves instead of together with it", (KEY,),
    ),
    "standard_error_third": Bug(
        f"{ESTIMATE}.uncertain", wrong.small_errors, "standard errors are a third of what they are",
        (NUMBER,),
    ),
    "no_leverage": Bug(
        f"{ESTIMATE}.deleted", wrong.no_leverage, "a large speaker's influence is not corrected",
        (NUMBER,),
    ),
    "normal_quantiles": Bug(
        f"{ESTIMATE}.satterthwaite_df", wrong.many_degrees, "few speakers count as infinitely many",
        (NUMBER,),
    ),
    "speakers_counted": Bug(
        f"{ESTIMATE}.effective_number", wrong.effective_by_count,
        "the effective number of speakers is their number", (NUMBER,),
    ),
    "unpaired_difference": Bug(
        f"{ESTIMATE}.paired_difference", wrong.independent,
        "differences on the same speakers are treated as independent", (NUMBER,),
    ),
    "sign_of_transfer": Bug(
        f"{STRUCTURE}.estimates.transfer_loss", wrong.sign_of_transfer,
        "the transfer loss has the wrong sign", (NUMBER,),
    ),
    "transfer_of_swapped_parts": Bug(
        f"{STRUCTURE}.estimates.transfer_loss", wrong.parts_swapped,
        "the transfer loss is that of val against eval", (NUMBER,),
    ),
    "speech_of_the_target": Bug(
        f"{STRUCTURE}.targets.speech_mask", wrong.energy_at(2),
        "speech is judged by the target's energy", (SLICE,),
    ),
    "speech_one_frame_late": Bug(
        f"{STRUCTURE}.targets.speech_mask", wrong.energy_at(1),
        "speech is judged one frame after the newest context frame", (SLICE,),
    ),
    "one_level_of_speech": Bug(
        f"{STRUCTURE}.targets.speech_levels", wrong.one_level,
        "speech is judged by the loudest speaker", (SLICE,),
    ),
    "oracle_not_cross_fitted": Bug(
        f"{STRUCTURE}.oracle._sums_by_fold", wrong.folds_of_one,
        "a speaker's own frames make the attainable", (KEY,),
    ),
    "white_twin": Bug(
        "engram_audio.latents.var.fit_var", wrong.white_twin, "the VAR twin is white noise",
        (TWIN,),
    ),
    "twin_of_low_order": Bug(
        "engram_audio.latents.var.fit_var", wrong.low_order, "the VAR twin has order 1", (TWIN,),
    ),
    "twin_on_eval": Bug(
        "engram_audio.latents.var.fit_on_train", wrong.twin_fitted_on(EVAL_PART),
        "the VAR twin is fitted on eval speakers", (TWIN,),
    ),
    "twin_on_all_speakers": Bug(
        "engram_audio.latents.var.fit_on_train", wrong.twin_fitted_on(TRAIN_PART, EVAL_PART),
        "the VAR twin is fitted on train and eval speakers together", (TWIN,),
    ),
    "surrogate_of_another_split": Bug(
        f"{STRUCTURE}.comparisons.surrogates_of", wrong.surrogate_of_another_split,
        "the surrogates of another split stand beside a key", (TWIN,),
    ),
    "excluded_mass_ignored": Bug(
        f"{GATES}.fitting_rows", wrong.ignoring("excluded_mass"),
        "frames that a key leaves out do not count", (GATE,),
    ),
    "oracle_excluded_mass_ignored": Bug(
        f"{GATES}.fitting_rows", wrong.ignoring("oracle_excluded_mass"),
        "frames that the oracle leaves out do not count", (GATE,),
    ),
    "cost_of_fitting_ignored": Bug(
        f"{GATES}.fitting_rows", wrong.ignoring("cost_of_fitting", "oracle_cost_of_fitting"),
        "too few frames for so many cells do not count", (GATE,),
    ),
    "effective_speakers_ignored": Bug(
        f"{GATES}.fitting_rows", wrong.ignoring("num_effective_speakers"),
        "dominated speakers do not count", (GATE,),
    ),
    "controls_ignored": Bug(
        f"{GATES}.control_rows", wrong.always([]), "controls do not count", (GATE,),
    ),
    "controls_ignored_by_stop": Bug(
        f"{CANDIDATES}.control_rows", wrong.always([]), "a STOP does not ask controls", (GATE,),
    ),
    "nats_ignored": Bug(
        f"{STRUCTURE}.decision.gate_rows", wrong.ignoring("added_nats"),
        "the added fraction alone decides", (GATE,),
    ),
    "transfer_ignored": Bug(
        f"{STRUCTURE}.decision.gate_rows", wrong.ignoring("transfer_loss"),
        "what is lost between speakers does not count", (GATE,),
    ),
    "near_copies_ignored": Bug(
        f"{STRUCTURE}.decision.source_rows", wrong.ignoring("near_copies"),
        "recordings that stand under two speakers count as transfer", (GATE,),
    ),
    "causality_ignored": Bug(
        f"{STRUCTURE}.decision.source_rows", wrong.ignoring("causality"),
        "frames may see what follows", (GATE,),
    ),
    "overlap_ignored": Bug(
        f"{STRUCTURE}.decision.source_rows", wrong.ignoring("overlap"),
        "frames may share samples", (GATE,),
    ),
    "level_not_shared": Bug(
        f"{STRUCTURE}.decision.ruled_out_slices", wrong.plain_level,
        "a STOP by one of several slices is judged at the plain level", (GATE,),
    ),
    "heads_level_not_shared": Bug(
        f"{STRUCTURE}.decision.heads_row", wrong.one_slice,
        "the heads' gain on one of several slices is judged at the plain level", (GATE,),
    ),
    "chosen_on_eval": Bug(
        f"{CANDIDATES}._part_of_choice", wrong.chosen_on_eval,
        "the key is chosen on the speakers that test it", (GATE,),
    ),
    "worst_key_chosen": Bug(
        f"{STRUCTURE}.decision.chosen", wrong.worst_chosen,
        "the key that adds least is chosen", (GATE,),
    ),
    "stop_by_one_candidate": Bug(
        f"{STRUCTURE}.decision.ruled_out_slices", wrong.first_candidate,
        "one key that adds nothing is enough for a STOP", (GATE,),
    ),
    "points_judged": Bug(
        f"{GATES}.measure", wrong.point_estimates, "values are judged without their intervals",
        (GATE,),
    ),
    "heads_reversed": Bug(
        f"{STRUCTURE}.decision.heads_row", wrong.heads_reversed,
        "the heads' gain has the wrong sign", (GATE,),
    ),
    "splits_ignored": Bug(
        f"{STRUCTURE}.decision.opposing", wrong.always(""),
        "other split seeds have no say", (GATE,),
    ),
    "never_invalid": Bug(
        f"{CANDIDATES}.invalid_reason", wrong.always(""),
        "invalid keys are candidates", (GATE,),
    ),
}  # fmt: skip

BUGS = GATE_BUGS | MODEL_BUGS


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
