"""The published tables of the rollout stage.

Every method starts from the same true states of eval utterances (W frames of history) and lives on
its own output.
"""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import CHOSEN_ON
from engram_audio.rollout.measures import SURVIVAL, excess_name, true_name

NATS, KEPT = "nats/frame", "of attainable"
REPRESENTATION = Column("representation", "What runs free.", title="Representation", is_text=True)
METHOD = Column("method", "Name of the method, or of a point of a sweep.", title="Method",
                is_text=True)  # fmt: skip
KIND = Column("kind", "Kind of the method.", is_text=True)
BASE = Column("base", "What takes the steps: a head, or `linear`.", title="Base", is_text=True)
GUARD = Column("guard", "What keeps sampled frames on the support. Empty: nothing.", title="Guard",
               is_text=True)  # fmt: skip
SWEEP = Column("sweep", "Name of the sweep. Empty for a named method.", title="Sweep",
               is_text=True)  # fmt: skip
SEED = Column("seed", "Of the training.", title="Seed")
STD_RATIO = Column("std_ratio", "SD of late frames over the data's, median over dimensions. 0 is "
                   "frozen, 1 is right.", title="SD ratio")  # fmt: skip
SPREAD_RATIO = Column("spread_ratio", "Range that holds the central 90 % of late frames over the "
                      "data's, geometric mean over dimensions. Few extreme frames move it little.",
                      title="Spread ratio")  # fmt: skip
STEP_RATIO = Column("step_ratio", "Mean length of late increments over the data's.",
                    title="Step ratio")  # fmt: skip
AUTOCORRELATION = Column("autocorrelation_error", "Absolute error of the autocorrelation at lag 1, "
                         "mean over dimensions.", title="Lag-1 error")  # fmt: skip
OFF_SUPPORT = Column("off_support_share", "Late frames farther from the nearest train frame "
                     "(`support_frames`) than .99 of true ones are, less .01.", "share",
                     "Off support")  # fmt: skip
DISTANCE = Column("energy_distance", "Energy distance per root of D of late frames, from pairs of "
                  "different speakers. Unbiased, so that one law from itself is near 0, also "
                  "below.", "SD", "Energy distance")  # fmt: skip
DIVERGED = Column("diverged_share", "Paths that have left the data (`divergence_factor`) at the "
                  "horizon.", "share", "Diverged")  # fmt: skip
FROZEN = Column("frozen_share", "Paths that have stopped moving (`frozen_fraction`) at the "
                "horizon.", "share", "Frozen")  # fmt: skip
DIVERGED_LATE = Column("diverged_late", "Late frames after the path has left the data.",
                       "share", "Diverged, late")  # fmt: skip
FROZEN_LATE = Column("frozen_late", "Late frames of paths that stand still.", "share",
                     "Frozen, late")  # fmt: skip
KEPT_DELTA = Column("kept_delta", "dNLL of the increment over the best forecast's. Fieller's "
                    "interval.", KEPT, "Kept, delta", has_interval=True)  # fmt: skip
KEPT_POSITION = Column("kept_position", "dNLL of x over the best forecast's. Empty where the "
                       "attainable is not surely above the marginal, or lies on its wrong side on "
                       "eval. Fieller's interval.", KEPT, "Kept, x", has_interval=True)  # fmt: skip
KEPT_SKILL = Column("kept_skill", "Energy skill over that of the best forecasts, chosen on "
                    "`chosen_on` by energy score. Empty where their skill is not surely above 0.",
                    KEPT, "Kept skill", has_interval=True)  # fmt: skip
LOST_POSITION = Column("lost_position", "dnll_position less attainable_position: judged where too "
                       "little is attainable to keep a share of.", NATS, "Lost, x",
                       has_interval=True)  # fmt: skip
ATTAINABLE_SKILL = Column(
    "attainable_skill", "Energy skill of those best forecasts.", has_interval=True
)
LOST_SKILL = Column("lost_skill", "The same less the method's own: judged where too little is "
                    "attainable to keep a share of.", title="Lost skill",
                    has_interval=True)  # fmt: skip
PARETO = (
    Column("num_points", "How many methods were looked at.", title="Points looked at"),
    Column("is_pareto", "Whether paths survive and no other such method of the "
           "representation has more gain and less excess distance. They survive where they "
           "diverge, "
           "freeze or leave the support no more often than true ones, as far as `rollout.bars` "
           "allows. Choosing one by eval would be "
           "selection on eval.",
           title="On the front", is_text=True),
)  # fmt: skip


def _and_true(column: Column) -> tuple[Column, Column, Column]:
    """Return a statistic of late frames, the same of true stretches, and the difference."""
    name, unit = column.name, column.unit
    title = f"{column.title}: excess"
    true = Column(true_name(name), "The same of true stretches.", unit, "of true ones")
    words = "The first less the second."
    return column, true, Column(excess_name(name), words, unit, title, has_interval=True)


def _attainable(event: str) -> tuple[Column, Column]:
    value = Column(f"attainable_{event}", f"dnll_{event} of the best forecast of each horizon, "
                   "chosen on `chosen_on` among all methods and the `marginal`. That of the "
                   "marginal is 0. So it is a lower bound of what is attainable.", NATS,
                   has_interval=True)  # fmt: skip
    words = "Which methods those best forecasts are of."
    return value, Column(f"attainable_{event}_of", words, is_text=True)


ROLLOUT = Table(
    "rollout",
    "representation, method, seed, mode, injection and horizon",
    (
        REPRESENTATION, METHOD, KIND, BASE, GUARD, SWEEP, SEED,
        Column("mode", "sampled: steps drawn. mean: the conditional mean followed. forecast: all "
               "horizons at once.", title="Mode", is_text=True),
        Column("inject_frames", "After every so many steps the true frame is put in. 0: never, the "
               "run is free.", "frames", "True frame every"),
        Column("span", "`at`: this horizon. `up_to`: horizons 1 to this one summed.",
               title="Horizons", is_text=True),
        Column("horizon_frames", "The horizon.", "frames", "h"),
        Column("num_starts", "Starting states with a true frame at the horizon.", "starts"),
        Column("num_speakers", "Their speakers.", "speakers"),
        CHOSEN_ON,
        Column("first_experiment_dnll", "The first experiment's score: -log p of the true step "
               "under the dreamt state of the mean path, less the marginal's. It calls exact "
               "models bad: an exact VAR(1) scores +15.", NATS, "Earlier score", has_interval=True),
        Column("dnll_delta", "dNLL of the diagonal Gaussian forecast of x_t - x_{t-1}. It is a "
               "forecaster's own, or has the matched moments of the sampled paths. Where the laws "
               "they were drawn with are closed, it has the moments of these.", NATS,
               has_interval=True),
        *_attainable("delta"), KEPT_DELTA,
        Column("dnll_position", "The same of x_t.", NATS, has_interval=True),
        *_attainable("position"), KEPT_POSITION, LOST_POSITION,
        Column("coverage_90", "Share of true values inside the central 90 % of the sampled paths, "
               "or of a forecaster's law, mean over dimensions. An exact law reads .9 at any "
               "number of paths.", "share", "Coverage", has_interval=True),
        Column("below_range", "Of those outside, the share below: one-sided, .05 is right. Above "
               ".05 at both ends is too little spread, below .05 too much.", "share", "Below 5 %",
               has_interval=True),
        Column("above_range", "The share above.", "share", "Above 95 %", has_interval=True),
        Column("energy_score", "Fair energy score of x_t, E|X - x| - E|X - X'| / 2.", "SD",
               has_interval=True),
        Column("energy_skill", "1 less the ratio of the energy score to that of train frames drawn "
               "at random (climatology). 0 knows nothing.", title="Energy skill",
               has_interval=True),
        ATTAINABLE_SKILL, KEPT_SKILL, LOST_SKILL,
        Column("partner_method", "The method that differs by its base only. For a memory (or its "
               "`:shuffled_keys`) it is the same method on the memory's base. For a tuned base it "
               "is the base as it is, for a refit the head that it was fitted on. Empty where "
               "there is none.",
               is_text=True),
        Column("gain_delta", "What the method gains over that one about the increment, from the "
               "same starts.", NATS, has_interval=True),
        Column("gain_position", "The same about x: a memory's over the same method without it, a "
               "tuned base's over the base as it is.", NATS, "Over its base, x, one seed",
               has_interval=True),
        Column("gain_skill", "The same in energy skill.", has_interval=True),
        Column("gain_seeds_delta", "Mean of gain_delta over the training seeds, each beside the "
               "partner of its own seed.", NATS, has_interval=True),
        Column("gain_seeds_position", "The same mean of gain_position. The verdict names it.", NATS,
               "Over its base, x", has_interval=True),
        Column("gain_seeds_skill", "The same mean of gain_skill.", has_interval=True),
        Column("num_seeds", "Training seeds behind these means. 0 without a partner.",
               title="Seeds"),
        Column("interval_over", "What the intervals of gain_seeds_* count: `seeds and speakers` "
               "from three seeds on, else `speakers`.", is_text=True),
        Column("dnll_median", "Median over starts of the mode's own score at the horizon: "
               "first_experiment_dnll of `mean`, else dnll_position.", NATS),
        Column("dnll_highest", "The largest of them.", NATS),
        Column("num_not_finite", "Starts whose score is not finite, here or at an earlier horizon. "
               "Each counts as the worst finite score of the horizon, and no better than knowing "
               "nothing.", "starts", "Not finite"),
        DIVERGED,
        Column("diverged_share_true", "True paths that the same rule calls gone: heavy tails.",
               "share", "of true ones"),
        FROZEN,
        Column("frozen_share_true", "True paths that the same rule calls stopped: pauses.",
               "share", "of true ones"),
        Column("surviving_share", "Paths that have done neither.", "share"),
        Column("num_paths", "Paths.", "paths"),
        Column("num_diverged", "Paths that have diverged.", "paths"),
        Column("guard_redrawn", "Share of steps that a guard had drawn again.", "share"),
        Column("guard_moved", "Share of steps that a guard moved.", "share"),
        Column("gate", "Mean weight of what a memory reads along sampled runs. Empty without a "
               "memory.", title="Gate"),
        Column("hit_rate", "Contexts of the run whose key train has seen.", "share",
               "Known keys"),
        Column("gate_true", "The gate on the true contexts of the same starts and steps."),
        Column("hit_rate_true", "The hit rate on the same true contexts.", "share"),
        Column("num_stretches", "True stretches that reach the second half of the longest horizon "
               "and lie in an utterance with another start.", "stretches"),
        *_and_true(DIVERGED_LATE), *_and_true(FROZEN_LATE), *_and_true(OFF_SUPPORT),
        *_and_true(SPREAD_RATIO), *_and_true(STD_RATIO),
        Column("std_ratio_lowest", "SD ratio of the dimension where it is lowest.",
               title="its lowest"),
        Column("std_ratio_highest", "SD ratio of the dimension where it is highest."),
        *_and_true(STEP_RATIO), *_and_true(AUTOCORRELATION),
        Column("autocorrelation_error_all", "Mean absolute error over all lags."),
        Column("autocorrelation_error_worst", "The largest of them."),
        *_and_true(Column("spectrum_error", "RMS over frequencies and dimensions of the "
                              "difference of mean log power.", "nats", "Spectrum error")),
        *_and_true(DISTANCE),
    ),
    notes=(
        "dNLL is against the Gaussian marginal of the same event, below 0 where something is "
        "known. Ratios and differences are paired on the same starts. Distances and errors are in "
        "SD of the train frames.",
        "Where true frames are put in (inject_frames > 0), step_ratio, the autocorrelation errors "
        "and spectrum_error are empty: states beside each other are of no one path.",
        "A path that diverges stays where it was when it left. It spoils its forecast, is counted, "
        "and is in no further measure of late frames. True stretches are cut by the same rule. The "
        "numbers from num_stretches on are those of the whole run and repeat on every horizon's "
        "row. Late: the second half of the longest horizon, where a true frame followed.",
        "Each statistic of late frames compares the run with what followed its starts (`<name>`). "
        "True stretches of the same utterances from other starts, as many and as long, are "
        "compared "
        "with the same (`<name>_true`). `<name>_excess` is the difference, with an interval over "
        "speakers: about 0 for the law of the data.",
    ),
)  # fmt: skip
ROLLOUT_SWEEP = Table(
    "rollout_sweep",
    "method that takes steps, its free sampled runs",
    (
        REPRESENTATION, SWEEP, METHOD, KIND, BASE, SEED,
        Column("horizon_frames", "K of a k_step method, also of energy.", "frames", "K"),
        Column("teacher_weight", "Weight of the teacher-forced loss, k_step only.",
               title="Teacher weight"),
        Column("state_weight", "Weight of the loss of states, k_step only.",
               title="State weight"),
        Column("scheduled_fraction", "Share of scheduled sampling, k_step only."),
        GUARD,
        Column("one_step_gain", "dNLL of the first step, whose context is true, sign turned.",
               NATS, "One-step gain", has_interval=True),
        Column("excess_distance", "Energy distance per root of D of free sampled runs less that of "
               "true stretches.", "SD", "Excess distance"),
        SPREAD_RATIO, STD_RATIO, STEP_RATIO, AUTOCORRELATION, OFF_SUPPORT, DIVERGED, FROZEN,
        *(Column(excess_name(name), f"{name} less that of true stretches.", "share")
          for name in SURVIVAL), KEPT_DELTA,
        KEPT_POSITION, KEPT_SKILL._replace(has_interval=False), *PARETO,
    ),
    notes=("The columns kept_* sum horizons up to K.",),
)  # fmt: skip
