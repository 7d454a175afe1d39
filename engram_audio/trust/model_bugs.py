"""Planted bugs of the stages that stand on models, of each the most telling first."""

from engram_audio.trust import wrong, wrong_arms, wrong_models
from engram_audio.trust.bug import FACTORIZER, GENERATION, KEYS, MEMORY, ROLLOUT, Bug

BOUND, PATHS = "engram_audio.factorizer.bound", "engram_audio.rollout"
LAWS, ARMS = "engram_audio.keys", "engram_audio.generation"

MODEL_BUGS: dict[str, Bug] = {
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
        f"{ARMS}.model.Generator.trace", wrong_arms.one_ahead,
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
