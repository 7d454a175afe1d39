"""Planted bugs: each replaces one function of the real code while a probe looks."""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from engram_audio.corpus.split_parts import EVAL as EVAL_PART
from engram_audio.corpus.split_parts import TRAIN as TRAIN_PART
from engram_audio.structure.targets import EVAL, TRAIN, VAL
from engram_audio.trust import wrong, wrong_arms, wrong_models
from engram_audio.trust.wrong import Function

NO_BUG = "none"
STRUCTURE = "engram_audio.structure"


STAGES = ("factorizer", "memory", "rollout", "keys", "generation")  # each has a probe of its name


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

    @property
    def stage(self) -> str:
        """Which stage it is planted in."""
        return self.probes[0] if self.probes[0] in STAGES else "structure and prediction"


SCORING = f"{STRUCTURE}.scoring"
ESTIMATE = "engram_audio.stats.estimate"
WORLD, STILL, KEY = "worlds", "other eval speakers", "hidden key"
SLICE, NUMBER, TWIN = "slices", "statistics", "twins"
GATE, GATES, CANDIDATES = "gate", f"{STRUCTURE}.gates", f"{STRUCTURE}.candidates"
FACTORIZER, MEMORY, ROLLOUT, KEYS, GENERATION = STAGES
BOUND, PATHS = "engram_audio.factorizer.bound", "engram_audio.rollout"
LAWS, ARMS = "engram_audio.keys", "engram_audio.generation"

BUGS: dict[str, Bug] = {
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


# Bugs of the stages that stand on models, of each the most telling first.
BUGS |= {
    "innovation_not_paid": Bug(
        f"{BOUND}._frame_weights", wrong_models.innovation_not_paid,
        "the bound does not pay for the innovation", (FACTORIZER,),
    ),
    "free_state_sees_the_frame": Bug(
        f"{BOUND}._known_from_the_past", wrong_models.state_of_the_frame,
        "a free z_dyn sees the frame that it is a density of", (FACTORIZER,),
    ),
    "bound_without_count": Bug(
        f"{BOUND}.frame_bounds", wrong_models.without_count,
        "the bound forgets how many samples it took", (FACTORIZER,),
    ),
    "units_left_out": Bug(
        "engram_audio.factorizer.model.Factorizer.log_observation", wrong_models.without_units,
        "nats are of scaled latents and not of latents", (FACTORIZER,),
    ),
    "state_rate_not_charged": Bug(
        "engram_audio.factorizer.price.RatePrice.charge", wrong_models.state_for_nothing,
        "the rate of z_dyn is not charged", (FACTORIZER,),
    ),
    "dishonest_is_honest": Bug(
        "engram_audio.factorizer.verdicts.judge_usage", wrong_models.always_honest,
        "a z_dyn that sees the frame counts as honest", (FACTORIZER,),
    ),
    "shuffled_reads_true_keys": Bug(
        "engram_audio.memory.fit.fit_lookup", wrong_models.never_shuffled,
        "the control with shuffled keys has the true ones", (MEMORY,),
    ),
    "residuals_not_cross_fitted": Bug(
        "engram_audio.memory.fit.fold_of_utterances", wrong_models.next_fold,
        "residuals come from a base that has seen them", (MEMORY,),
    ),
    "table_not_counted": Bug(
        "engram_audio.memory.density.MemoryDensity.budget", wrong_models.base_budget,
        "the table is not counted in the budget", (MEMORY,),
    ),
    "matched_budget_halved": Bug(
        "engram_audio.memory.matching.match", wrong_models.half_budget,
        "the matched net has half the budget", (MEMORY,),
    ),
    "memory_chosen_on_eval": Bug(
        "engram_audio.memory.tables.choice_part", wrong.always("eval"),
        "the memory of the verdict is chosen on eval", (MEMORY,),
    ),
    "entries_off_by_one": Bug(
        "engram_audio.memory.slots.SlotMap.slots", wrong_models.next_entry,
        "a context reads the entry after its own", (MEMORY,),
    ),
    "between_paths_left_out": Bug(
        f"{PATHS}.forecasts.moment_matched", wrong_models.without_between,
        "a forecast has the variance within paths only", (ROLLOUT,),
    ),
    "steps_taken_for_frames": Bug(
        f"{PATHS}.simulate.to_frames", wrong_models.value_as_frame,
        "a drawn step is taken for a frame", (ROLLOUT,),
    ),
    "forecast_one_late": Bug(
        f"{PATHS}.forecasts.moment_matched", wrong_models.one_late,
        "a forecast is that of the step after", (ROLLOUT,),
    ),
    "energy_score_unfair": Bug(
        f"{PATHS}.scores.pair_distance", wrong_models.half_distance,
        "distances between draws count half", (ROLLOUT,),
    ),
    "kept_without_sign": Bug(
        f"{PATHS}.tables._share", wrong_models.without_sign,
        "what is worse than nothing keeps a share", (ROLLOUT,),
    ),
    "weights_from_all_parts": Bug(
        f"{LAWS}.law_weights.score_codes", wrong_arms.fitted_on_all,
        "the law of a code is fitted on eval frames too", (KEYS,),
    ),
    "law_without_a_key_left_out": Bug(
        f"{LAWS}.law_weights.TargetLaws.log_marginal", wrong_arms.nothing_without_key,
        "nats of a key are not less those without a key", (KEYS,),
    ),
    "base_has_seen_its_targets": Bug(
        f"{LAWS}.law_targets.folds_of", wrong_arms.one_fit,
        "the base beside a key was fitted on the speakers that it serves", (KEYS,),
    ),
    "cells_by_the_reverse": Bug(
        f"{LAWS}.clustering.nearest_laws", wrong_arms.reversed_divergence,
        "laws fall into cells by the reverse divergence", (KEYS,),
    ),
    "entropy_in_bits": Bug(
        f"{LAWS}.law_scores.entropy", wrong_arms.in_bits, "what a key can tell at most is in bits",
        (KEYS,),
    ),
    "density_without_width": Bug(
        f"{LAWS}.bank.Bank.log_densities", wrong_arms.without_width,
        "the density of a component forgets its width", (KEYS,),
    ),
    "features_one_ahead": Bug(
        f"{ARMS}.model.Generator.features", wrong_arms.one_ahead,
        "a generator has heard the frame that it tells", (GENERATION,),
    ),
    "foreign_keys_are_own": Bug(
        f"{ARMS}.data.GeneratorData.foreign_rows", wrong_arms.own_rows,
        "the arm with foreign keys reads its own", (GENERATION,),
    ),
    "wrong_codes_are_right": Bug(
        f"{ARMS}.evaluation.swapped", wrong_arms.never_swapped,
        "what is called wrong codes are the right ones", (GENERATION,),
    ),
    "gain_turned_round": Bug(
        f"{ARMS}.gains.gain_of", wrong_arms.turned_round, "gains have the wrong sign",
        (GENERATION,),
    ),
    "one_seed_for_all": Bug(
        f"{ARMS}.gains.two_way", wrong_arms.without_seeds,
        "the interval of a gain does not count what seeds differ by", (GENERATION,),
    ),
    "equal_work_not_asked": Bug(
        f"{ARMS}.word.controls_of", wrong_arms.without_first,
        "the plain arm of equal work has no say", (GENERATION,),
    ),
    "no_margin": Bug(
        f"{ARMS}.word.margin", wrong.always(0.0), "any gain above 0 is one", (GENERATION,),
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
