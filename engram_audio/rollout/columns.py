"""The published tables of the rollout stage.

Every method starts from the same true states of eval utterances (W frames of history) and lives on
its own output.
"""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import (
    CHOSEN_ON,
    INTERVAL_OVER,
    NUM_SEEDS,
    NUM_SPEAKERS,
    REPRESENTATION,
    SEED,
)
from engram_audio.rollout.measures import SURVIVAL, excess_name, true_name

NATS, KEPT = "nats/frame", "of attainable"
METHOD = Column("method", "Method, or point of a sweep.", title="Method", is_text=True)  # fmt: skip
KIND = Column("kind", "Kind of the method.", is_text=True)
BASE = Column("base", "What takes the steps: a head, or `linear`.", title="Base", is_text=True)
GUARD = Column("guard", "What keeps samples on the support.", title="Guard",
               is_text=True)  # fmt: skip
SWEEP = Column("sweep", "Sweep. Empty: a variant or method with a name.", title="Sweep",
               is_text=True)  # fmt: skip
STD_RATIO = Column("std_ratio", "SD of late frames over the data's, median over dimensions. 0 is "
                   "frozen, 1 is right.", title="SD ratio")  # fmt: skip
SPREAD_RATIO = Column("spread_ratio", "Central 90 % range of late frames over the data's, "
                      "geometric mean over dimensions.", title="Spread ratio")  # fmt: skip
STEP_RATIO = Column("step_ratio", "Mean length of late increments over the data's.",
                    title="Step ratio")  # fmt: skip
AUTOCORRELATION = Column("autocorrelation_error", "Absolute error of the autocorrelation at lag 1, "
                         "mean over dimensions.", title="Lag-1 error")  # fmt: skip
OFF_SUPPORT = Column("off_support_share", "Late frames farther from train than .99 of true ones "
                     "(`support_frames`), less .01.", "share", "Off support")  # fmt: skip
DISTANCE = Column("energy_distance", "Energy distance per root of D of late frames, pairs of "
                  "different speakers. Unbiased.", "SD", "Energy distance")  # fmt: skip
DIVERGED = Column("diverged_share", "Paths that have left the data (`divergence_factor`), or "
                  "stopped moving (`frozen_fraction`), at the horizon.", "share",
                  "Diverged")  # fmt: skip
FROZEN = Column("frozen_share", "Paths that have left the data (`divergence_factor`), or stopped "
                "moving (`frozen_fraction`), at the horizon.", "share", "Frozen")  # fmt: skip
DIVERGED_LATE = Column("diverged_late", "Late frames of paths that have left the data, or stand "
                       "still.", "share", "Diverged, late")  # fmt: skip
FROZEN_LATE = Column("frozen_late", "Late frames of paths that have left the data, or stand "
                     "still.", "share", "Frozen, late")  # fmt: skip
KEPT_DELTA = Column("kept_delta", "dNLL of the increment over the best forecast's. Fieller's "
                    "interval.", KEPT, "Kept, delta", has_interval=True)  # fmt: skip
KEPT_POSITION = Column("kept_position", "dNLL of x over the best forecast's. Empty where that is "
                       "not surely above the marginal. Fieller's interval.", KEPT, "Kept, x",
                       has_interval=True)  # fmt: skip
KEPT_SKILL = Column("kept_skill", "Energy skill over that of the best forecasts. Empty where "
                    "theirs is not surely above 0.", KEPT, "Kept skill",
                    has_interval=True)  # fmt: skip
LOST_POSITION = Column("lost_position", "What is lost of the attainable, where little is "
                       "attainable.", NATS, "Lost, x", has_interval=True)  # fmt: skip
ATTAINABLE_SKILL = Column(
    "attainable_skill", "Energy skill of those best forecasts.", has_interval=True
)
LOST_SKILL = Column("lost_skill", "What is lost of the attainable, where little is attainable.",
                    title="Lost skill", has_interval=True)  # fmt: skip
PARETO = (
    Column("num_points", "Methods looked at.", title="Points looked at"),
    Column("is_pareto", "Whether no method whose paths survive (`rollout.bars`) has more gain "
           "and less excess distance.", title="On the front", is_text=True),
)  # fmt: skip


def _and_true(column: Column) -> tuple[Column, Column, Column]:
    """Return a statistic of late frames, the same of true stretches, and the difference."""
    name, unit = column.name, column.unit
    title = f"{column.title}: excess"
    true = Column(true_name(name), "Of true stretches.", unit, "of true ones")
    words = "Run less true stretches."
    return column, true, Column(excess_name(name), words, unit, title, has_interval=True)


def _attainable(event: str) -> tuple[Column, Column]:
    value = Column(f"attainable_{event}", "dNLL of the best forecast on `chosen_on`, of all "
                   "methods and the `marginal`: a lower bound of what is attainable.", NATS,
                   has_interval=True)  # fmt: skip
    words = "Methods of those best forecasts."
    return value, Column(f"attainable_{event}_of", words, is_text=True)


ROLLOUT = Table(
    "rollout",
    "representation, method, seed, mode, injection and horizon",
    (
        REPRESENTATION, METHOD, KIND, BASE, GUARD, SWEEP, SEED,
        Column("mode", "sampled: steps drawn. mean: the conditional mean followed. forecast: all "
               "horizons at once.", title="Mode", is_text=True),
        Column("inject_frames", "Steps after which the true frame is put in. 0: the run is free.",
               "frames", "True frame every"),
        Column("span", "`at` this horizon, or `up_to`: horizons 1 to it summed.", title="Horizons",
               is_text=True),
        Column("horizon_frames", "The horizon.", "frames", "h"),
        Column("num_starts", "Starting states with a true frame at the horizon.", "starts"),
        NUM_SPEAKERS,
        CHOSEN_ON,
        Column("first_experiment_dnll", "The first experiment's score, of the mean path. An "
               "exact VAR(1) scores +15.", NATS, "Earlier score", has_interval=True),
        Column("dnll_delta", "dNLL of the Gaussian forecast: a forecaster's own, or with the "
               "moments of sampled paths.", NATS, has_interval=True),
        *_attainable("delta"), KEPT_DELTA,
        Column("dnll_position", "dNLL of the Gaussian forecast: a forecaster's own, or with the "
               "moments of sampled paths.", NATS, has_interval=True),
        *_attainable("position"), KEPT_POSITION, LOST_POSITION,
        Column("coverage_90", "Share of true values in the central 90 % of sampled paths, or of "
               "a forecaster's law.", "share", "Coverage", has_interval=True),
        Column("below_range", "Share below and above that range. .05 is right. More at both ends "
               "is too little spread.", "share", "Below 5 %", has_interval=True),
        Column("above_range", "Share below and above that range. .05 is right. More at both ends "
               "is too little spread.", "share", "Above 95 %", has_interval=True),
        Column("energy_score", "Fair energy score of x_t, E|X - x| - E|X - X'| / 2.", "SD",
               has_interval=True),
        Column("energy_skill", "1 less its ratio to that of train frames drawn at random.",
               title="Energy skill", has_interval=True),
        ATTAINABLE_SKILL, KEPT_SKILL, LOST_SKILL,
        Column("partner_method", "The method that differs by its base only.", is_text=True),
        Column("gain_delta", "Gain over partner_method, from the same starts.", NATS,
               has_interval=True),
        Column("gain_position", "Gain over partner_method, from the same starts.", NATS,
               "Over its base, x, one seed", has_interval=True),
        Column("gain_skill", "Gain over partner_method, from the same starts.", has_interval=True),
        Column("gain_seeds_delta", "Mean of that gain over training seeds. The verdict names "
               "that of x.", NATS, has_interval=True),
        Column("gain_seeds_position", "Mean of that gain over training seeds. The verdict names "
               "that of x.", NATS, "Over its base, x", has_interval=True),
        Column("gain_seeds_skill", "Mean of that gain over training seeds. The verdict names "
               "that of x.", has_interval=True),
        NUM_SEEDS,
        INTERVAL_OVER,
        Column("dnll_median", "Median and largest over starts of the mode's own score.", NATS),
        Column("dnll_highest", "Median and largest over starts of the mode's own score.", NATS),
        Column("num_not_finite", "Starts whose score is not finite. Each counts as the worst "
               "finite score.", "starts", "Not finite"),
        DIVERGED,
        Column("diverged_share_true", "True paths that the same rules call so: heavy tails, "
               "pauses.", "share", "of true ones"),
        FROZEN,
        Column("frozen_share_true", "True paths that the same rules call so: heavy tails, pauses.",
               "share", "of true ones"),
        Column("surviving_share", "Paths that did neither.", "share"),
        Column("num_paths", "Paths, and those that diverged.", "paths"),
        Column("num_diverged", "Paths, and those that diverged.", "paths"),
        Column("guard_redrawn", "Steps that a guard had drawn again, or moved.", "share"),
        Column("guard_moved", "Steps that a guard had drawn again, or moved.", "share"),
        Column("gate", "Mean weight of what a memory reads along runs, and on true contexts.",
               title="Gate"),
        Column("hit_rate", "The same of contexts whose key train has seen.", "share", "Known keys"),
        Column("gate_true", "Mean weight of what a memory reads along runs, and on true contexts."),
        Column("hit_rate_true", "The same of contexts whose key train has seen.", "share"),
        Column("num_stretches", "True stretches that late frames stand beside.", "stretches"),
        *_and_true(DIVERGED_LATE), *_and_true(FROZEN_LATE), *_and_true(OFF_SUPPORT),
        *_and_true(SPREAD_RATIO), *_and_true(STD_RATIO),
        Column("std_ratio_lowest", "SD ratio of the extreme dimensions.", title="its lowest"),
        Column("std_ratio_highest", "SD ratio of the extreme dimensions."),
        *_and_true(STEP_RATIO), *_and_true(AUTOCORRELATION),
        Column("autocorrelation_error_all", "Its mean and its largest over all lags."),
        Column("autocorrelation_error_worst", "Its mean and its largest over all lags."),
        *_and_true(Column("spectrum_error", "RMS difference of mean log power over frequencies "
                          "and dimensions.", "nats", "Spectrum error")),
        *_and_true(DISTANCE),
    ),
    notes=(
        "dNLL is against the Gaussian marginal of the same event, below 0 where something is "
        "known. Ratios and differences are paired on the same starts. Distances and errors are "
        "in SD of the train frames.",
        "Late frames are those of the second half of the longest horizon. From num_stretches on "
        "the numbers are those of the whole run and repeat on every row. `<name>_true` is of "
        "true stretches from other starts, `<name>_excess` the run less these, about 0 for the "
        "law of the data (`docs/rollout.md`). Where true frames are put in, step_ratio, "
        "autocorrelation and spectrum are empty.",
    ),
)  # fmt: skip
ROLLOUT_SWEEP = Table(
    "rollout_sweep",
    "method that takes steps, its free sampled runs",
    (
        REPRESENTATION, SWEEP, METHOD, KIND, BASE, SEED,
        Column("horizon_frames", "K of a k_step method, also of energy.", "frames", "K"),
        Column("teacher_weight", "Of k_step: weights of the losses, share of scheduled sampling.",
               title="Teacher weight"),
        Column("state_weight", "Of k_step: weights of the losses, share of scheduled sampling.",
               title="State weight"),
        Column("scheduled_fraction", "Of k_step: weights of the losses, share of scheduled "
               "sampling."),
        GUARD,
        Column("one_step_gain", "dNLL of the first step, whose context is true, sign turned.", NATS,
               "One-step gain", has_interval=True),
        Column("excess_distance", "energy_distance_excess of rollout.csv.", "SD",
               "Excess distance"),
        SPREAD_RATIO, STD_RATIO, STEP_RATIO, AUTOCORRELATION, OFF_SUPPORT, DIVERGED, FROZEN,
        *(Column(excess_name(name), "Run less true stretches.", "share")
          for name in SURVIVAL), KEPT_DELTA,
        KEPT_POSITION, KEPT_SKILL._replace(has_interval=False), *PARETO,
    ),
    notes=("The columns kept_* sum horizons up to K.",),
)  # fmt: skip
