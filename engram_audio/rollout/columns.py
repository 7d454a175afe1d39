"""The published tables of the rollout stage.

Every method starts from the same true states of eval utterances (W frames of history) and lives on
its own output.
"""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import CHOSEN_ON

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
STD_RATIO = Column("std_ratio", "SD of late frames (second half of the longest horizon) over the "
                   "data's, median over dimensions. 0 is frozen, 1 is right.",
                   title="SD ratio")  # fmt: skip
STEP_RATIO = Column("step_ratio", "RMS increment of late frames over the data's.",
                    title="Step ratio")  # fmt: skip
AUTOCORRELATION = Column("autocorrelation_error", "Absolute error of the autocorrelation at lag 1, "
                         "mean over dimensions.", title="Lag-1 error")  # fmt: skip
DIVERGED = Column("diverged_share", "Paths that have left the data (`divergence_factor`) at the "
                  "horizon.", "share", "Diverged")  # fmt: skip
FROZEN = Column("frozen_share", "Paths that have stopped moving (`frozen_fraction`) at the "
                "horizon.", "share", "Frozen")  # fmt: skip
EXCESS = Column("frozen_excess", "How much more often the method's paths stop than true paths do, "
                "beyond two standard errors of the true share.", "share")  # fmt: skip
KEPT_DELTA = Column("kept_delta", "dNLL of the increment over the best forecast's. Fieller's "
                    "interval.", KEPT, "Kept, delta", has_interval=True)  # fmt: skip
KEPT_POSITION = Column("kept_position", "dNLL of x over the best forecast's. Empty where the "
                       "attainable is not told from the marginal, or lies on its wrong side on "
                       "eval. Fieller's interval.", KEPT, "Kept, x", has_interval=True)  # fmt: skip
KEPT_SKILL = Column("kept_skill", "Energy skill over that of the best forecasts, chosen on "
                    "`chosen_on` by energy score. Empty where their skill is not told from 0.",
                    KEPT, "Kept skill", has_interval=True)  # fmt: skip
PARETO = (
    Column("num_points", "How many methods were looked at.", title="Points looked at"),
    Column("is_pareto", "Whether paths survive (no more diverge, or freeze more often than true "
           "ones, than `rollout.bars` allows) and no other such method of the representation has "
           "more gain and less excess distance. Choosing one by eval would be selection on eval.",
           title="On the front", is_text=True),
)  # fmt: skip


def _attainable(event: str) -> tuple[Column, Column]:
    value = Column(f"attainable_{event}", f"dnll_{event} of the best forecast of each horizon, "
                   "chosen on `chosen_on` among all methods and the `marginal`, whose gain is 0: a "
                   "lower bound of what is attainable.", NATS, has_interval=True)  # fmt: skip
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
        Column("dnll_delta", "dNLL of the diagonal Gaussian forecast of x_t - x_{t-1}: a "
               "forecaster's own, or the matched moments of the sampled paths (of the laws they "
               "were drawn with, where these are closed).", NATS, has_interval=True),
        *_attainable("delta"), KEPT_DELTA,
        Column("dnll_position", "The same of x_t.", NATS, has_interval=True),
        *_attainable("position"), KEPT_POSITION,
        Column("coverage_90", "Share of true values inside the central 90 % interval, mean over "
               "dimensions.", "of 90 %", "Coverage", has_interval=True),
        Column("energy_score", "Fair energy score of x_t, E|X - x| - E|X - X'| / 2.", "SD",
               has_interval=True),
        Column("energy_skill", "1 less the ratio of the energy score to that of train frames drawn "
               "at random (climatology). 0 knows nothing.", title="Energy skill",
               has_interval=True),
        KEPT_SKILL,
        Column("partner_method", "The method that differs by its base only. For a memory (or its "
               "`:shuffled_keys`) the same method on the memory's base, for a tuned base the base "
               "as it is, for a refit the head that it was fitted on. Empty where there is none.",
               is_text=True),
        Column("gain_delta", "What the method gains over that one about the increment, from the "
               "same starts.", NATS, has_interval=True),
        Column("gain_position", "The same about x: a memory's over the same method without it, a "
               "tuned base's over the base as it is.", NATS, "Over its base, x",
               has_interval=True),
        Column("gain_skill", "The same in energy skill.", has_interval=True),
        Column("dnll_median", "Median over starts of the mode's own score at the horizon: "
               "first_experiment_dnll of `mean`, else dnll_position.", NATS),
        Column("dnll_highest", "The largest of them.", NATS),
        Column("num_not_finite", "Starts whose score is not finite. They are in no mean.",
               "starts"),
        DIVERGED, FROZEN,
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
        STD_RATIO,
        Column("std_ratio_lowest", "The lowest of any dimension.", title="its lowest"),
        Column("std_ratio_highest", "The highest of any dimension."),
        STEP_RATIO, AUTOCORRELATION,
        Column("autocorrelation_error_all", "The same over all lags."),
        Column("autocorrelation_error_worst", "The largest of them."),
        Column("spectrum_error", "RMS of the log ratio of power spectra.", "nats",
               "Spectrum error"),
        Column("energy_distance", "Of late frames from true frames of the same utterances. "
               "Unbiased, so that one law from itself is near 0, also below.", "SD",
               "Energy distance"),
        Column("energy_distance_floor", "Of half of every speaker's utterances from the other "
               "half, mean of four draws of halves. Empty where no speaker has two utterances.",
               "SD", "its floor"),
        EXCESS,
    ),
    notes=(
        "dNLL is against the Gaussian marginal of the same event, below 0 where something is "
        "known. Ratios and differences are paired on the same starts. Distances and errors are in "
        "SD of the train frames.",
        "Where true frames are put in (inject_frames > 0), step_ratio, the autocorrelation errors "
        "and spectrum_error are empty: states beside each other are of no one path.",
        "A path that diverges stays where it was when it left: it spoils its forecast, is counted, "
        "and is in no measure of late frames. The numbers from std_ratio on are those of the whole "
        "run and repeat on every horizon's row.",
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
        Column("excess_distance", "Energy distance of free sampled runs less its floor.", "SD",
               "Excess distance"),
        STD_RATIO, STEP_RATIO, AUTOCORRELATION, DIVERGED, FROZEN, EXCESS, KEPT_DELTA,
        KEPT_POSITION, KEPT_SKILL._replace(has_interval=False), *PARETO,
    ),
    notes=("The columns kept_* sum horizons up to K.",),
)  # fmt: skip
