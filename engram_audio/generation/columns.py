"""The published tables of the generation stage."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import (
    CHOSEN_ON,
    NUM_FRAMES,
    NUM_SEEDS,
    NUM_SPEAKERS,
    PART,
    REPRESENTATION,
    SEED,
)

NATS = "nats/frame"
GENERATOR = Column("generator", "Name under `generation.library`.", title="Generator",
                   is_text=True)  # fmt: skip
ARM = Column("arm", "S: small. SM: S with a memory. F, P: SM's work, SM's numbers, without "
             "memory. SMx: foreign keys. SM1: one row. SMm, SMf: a network in place of the "
             "table. docs/generation.md has the others.", title="Arm", is_text=True)  # fmt: skip
NUM_STEPS = Column("num_steps", "Training steps. -1: fitted without steps.", "steps", "Steps")

GENERATION = Table(
    "generation",
    "representation, generator, arm, seed and number of steps",
    (
        REPRESENTATION, GENERATOR, ARM, SEED, NUM_STEPS, CHOSEN_ON,
        Column("key", "Key of the memory, or `state` for bits of the hidden state.", title="Key",
               is_text=True),
        Column("places", "Where the memory is added.", is_text=True),
        Column("noise", "Noise on what is read in training: `none`, `fixed` with its share, or "
               "`uniform`.", title="Noise", is_text=True),
        Column("short_context_frames", "Clean frames of the short context.", "frames"),
        Column("width", "Width of the backbone.", "units", "Width"),
        Column("learning_rate", "Peak rate and dropout, chosen for the arm on `chosen_on` with "
               "the first seed.", title="Rate"),
        Column("dropout", "Peak rate and dropout, chosen for the arm on `chosen_on` with the "
               "first seed.", title="Dropout"),
        Column("num_points", "Points of both that were tried.", title="Points tried"),
        Column("best_step", "Step whose weights are kept, the best on `chosen_on`.", "steps"),
        Column("nll_nats", "NLL of the next frame on eval. Over z_dyn an upper bound, by a "
               "particle filter.", NATS, "NLL", has_interval=True),
        Column("nll_train_nats", "NLL on train, thinned. SMd has none: its rows hold these "
               "frames.", NATS, "on train"),
        Column("nll_chosen_nats", "NLL on `chosen_on`.", NATS),
        Column("energy_score", "Energy score of the next frame on eval, of a head without NLL.",
               "SD", "Energy score", has_interval=True),
        Column("plain_bound_nats", "Over z_dyn, the bound from one sample of the posterior.", NATS,
               has_interval=True),
        Column("nll_untold_nats", "NLL of the same frames without text and speaker prompt. This "
               "law learns from the share `drop_share` of the train chunks alone.", NATS,
               "Untold", has_interval=True),
        Column("energy_untold", "Energy score of the same frames without text and speaker prompt.",
               "SD", has_interval=True),
        Column("innovation_bits_per_s", "Over z_dyn, KL of z_dyn and z_rec under arm and prior: "
               "what is new in a frame.", "bits/s", "Innovation rate", has_interval=True),
        Column("state_bits_per_s", "The part of z_dyn.", "bits/s", "of z_dyn", has_interval=True),
        NUM_FRAMES,
        NUM_SPEAKERS,
        Column("f_gen_flops", "Operations of one generated frame, key and rows included.",
               title="Work per frame"),
        Column("f_train_flops", "Operations of one train frame, forward and backward. Over "
               "z_dyn, of the arm and of its factoriser, one pass each. Rollouts and the number "
               "of passes are not counted."),
        Column("num_resident", "Trained numbers, with codebooks and all rows.", title="Numbers"),
        Column("num_touched", "Numbers of rows that a train frame reads."),
        Column("num_read", "Numbers read per generated frame, and four bytes for each with the "
               "cache."),
        Column("bytes_per_frame", "Numbers read per generated frame, and four bytes for each "
               "with the cache.", "bytes"),
        Column("repeat_difference_nats", "Largest difference of this NLL when the same training "
               "is run again.", NATS, "Repeat differs by"),
    ),
    notes=(
        "NLL is of the frame itself, in units of the latents, on the same frames in every arm. "
        "Each row stands for one training, with an interval over speakers alone. An arm over "
        "z_dyn has the key, places and width of that state.",
    ),
)  # fmt: skip
GENERATION_GAINS = Table(
    "generation_gains",
    "representation, generator, pair of arms, part and number of steps",
    (
        REPRESENTATION, GENERATOR, ARM,
        Column("against", "The arm that it is compared with.", title="Against", is_text=True),
        PART, NUM_STEPS,
        Column("gain_nats", "NLL of `against` less that of `arm`, mean over seeds.", NATS, "Gain",
               has_interval=True),
        Column("gain_energy", "The same in energy score, of heads without an exact density.", "SD",
               "Gain in energy score", has_interval=True),
        Column("df", "Degrees of freedom of its error."),
        Column("sd_seed", "SD of the gain over seeds, over speakers, and of the rest.", NATS,
               "SD seed"),
        Column("sd_speaker", "SD of the gain over seeds, over speakers, and of the rest.", NATS,
               "SD speaker"),
        Column("sd_rest", "SD of the gain over seeds, over speakers, and of the rest.", NATS,
               "SD rest"),
        NUM_SEEDS,
        NUM_SPEAKERS,
        Column("seeds_needed", "Seeds that would tell the gain from the margin. Empty: more than "
               "a hundred, or unknown.", "seeds", "Seeds needed"),
        Column("delta_nats", "The margin: .02, or 1 % of information_nats where that is more.",
               NATS, "Margin"),
        Column("information_nats", "What F knows about the frame: its gain over `marginal`.", NATS),
        Column("work_share", "Work of a generated frame of `arm` over that of `against`.",
               title="Work share"),
    ),
    notes=(
        "The interval of a gain over seeds and speakers is empty with fewer than three seeds, "
        "here and in the tables below.",
    ),
)  # fmt: skip


def _and_true(name: str, meaning: str, unit: str, title: str) -> tuple[Column, Column]:
    of_true = Column(f"{name}_true", "Of true stretches.", unit, f"{title}, true")
    return Column(name, meaning, unit, title), of_true


GENERATION_HEALTH = Table(
    "generation_health",
    "representation, generator, arm, seed and horizon of free runs",
    (
        REPRESENTATION, GENERATOR, ARM, SEED,
        Column("horizon_frames", "Steps of the run so far.", "frames", "h"),
        Column("num_starts", "True eval contexts that runs start from.", "starts"),
        Column("energy_score", "Fair energy score at the horizon.", "SD"),
        Column("energy_skill", "1 less its ratio to that of train frames drawn at random.",
               title="Energy skill"),
        Column("diverged_share", "Paths that have left the data (`divergence_factor`), or "
               "stopped moving (`frozen_fraction`), at the horizon.", "share", "Diverged"),
        Column("frozen_share", "Paths that have left the data (`divergence_factor`), or stopped "
               "moving (`frozen_fraction`), at the horizon.", "share", "Frozen"),
        *_and_true("off_support_share", "Late frames farther from every train frame than .99 of "
                      "true ones are.", "share", "Off support"),
        *_and_true("std_ratio", "SD of late frames over the data's, median over dimensions.",
                      "", "SD ratio"),
        *_and_true("step_ratio", "RMS increment of late frames over the data's.", "",
                      "Step ratio"),
        *_and_true("autocorrelation_error", "Absolute error of the autocorrelation at lag 1, "
                      "mean over dimensions.", "", "Lag-1 error"),
        *_and_true("spectrum_error", "RMS of the log ratio of power spectra.", "nats",
                      "Spectrum error"),
        *_and_true("energy_distance", "Of late frames from true frames of the same utterances, "
                      "per root of D.", "SD", "Energy distance"),
        Column("std_ratio_lowest", "SD ratio of the extreme dimensions."),
        Column("std_ratio_highest", "SD ratio of the extreme dimensions."),
        Column("excess_over_f", "Energy distance beyond that of true stretches, less the same of "
               "F. Above 0: less like data.", "SD", "Over F's"),
    ),
    notes=(
        "Runs start from the same true contexts in every arm. From off_support_share on the "
        "numbers are those of the second half of the whole run. `SM:nearest`, `SM:dealt` and "
        "`SM:previous` are runs of SM by other codes.",
    ),
)  # fmt: skip
GENERATION_KEYS = Table(
    "generation_keys",
    "representation, generator, arm, seed and step of a free run, or noise on the context",
    (
        REPRESENTATION, GENERATOR, ARM, SEED,
        Column("probe", "`run`: contexts of free runs. `true`: true contexts of the same starts "
               "and steps. `corrupt`: true contexts with noise.", title="Contexts", is_text=True),
        Column("step_frames", "Step of the run that goes on from them. -1: none.", "frames",
               "Step"),
        Column("sigma", "SD of the noise, in SD of train frames.", "SD", "Noise"),
        Column("gate_q05", "Quantiles of the gate. An open gate is no evidence: SMx learns to "
               "close it."),
        Column("gate_q25", "Quantiles of the gate. An open gate is no evidence: SMx learns to "
               "close it."),
        Column("gate_q50", "Quantiles of the gate. An open gate is no evidence: SMx learns to "
               "close it.", title="Gate"),
        Column("gate_q75", "Quantiles of the gate. An open gate is no evidence: SMx learns to "
               "close it."),
        Column("gate_q95", "Quantiles of the gate. An open gate is no evidence: SMx learns to "
               "close it."),
        Column("write_ratio", "Size of what the memory adds over that of the state.",
               title="Write"),
        Column("flip_rate", "Share of codes that the noise changes.", "share", "Codes changed"),
        Column("nll_own_nats", "NLL of the clean next frame with noisy, clean and foreign keys.",
               NATS, "Own keys"),
        Column("nll_oracle_nats", "NLL of the clean next frame with noisy, clean and foreign "
               "keys.", NATS, "Clean keys"),
        Column("nll_foreign_nats", "NLL of the clean next frame with noisy, clean and foreign "
               "keys.", NATS, "Foreign keys"),
    ),
)  # fmt: skip
GENERATION_LATENCY = Table(
    "generation_latency",
    "representation, generator and arm",
    (
        REPRESENTATION, GENERATOR, ARM,
        Column("latency_ms", "Median, 10 % and 90 % quantile of the time of a generated frame, "
               "on one thread.", "ms", "Latency"),
        Column("latency_ms_p10", "Median, 10 % and 90 % quantile of the time of a generated "
               "frame, on one thread.", "ms", "10 %"),
        Column("latency_ms_p90", "Median, 10 % and 90 % quantile of the time of a generated "
               "frame, on one thread.", "ms", "90 %"),
        Column("num_frames", "Frames that were timed.", "frames"),
        Column("machine", "Processor or GPU.", title="Machine", is_text=True),
    ),
    notes=(
        "Measured with the first seed, never matched on. It is the one table that differs from "
        "run to run.",
    ),
)  # fmt: skip
GENERATION_REPLAY = Table(
    "generation_replay",
    "representation, generator, arm, seed, number of passes, dealing and mask",
    (
        REPRESENTATION, GENERATOR, ARM, SEED,
        Column("num_passes", "Passes over train. The last weights are kept.", "passes", "Passes"),
        Column("is_permuted", "Whether codes were dealt to the rows anew before each pass.",
               title="Dealt anew", is_text=True),
        Column("minimum_visits", "Rows that train visited less often read as 0.", "visits",
               "Masked below"),
        Column("nll_train_nats", "NLL on train, thinned by utterances.", NATS, "NLL on train"),
        Column("nll_eval_nats", "NLL on eval.", NATS, "on eval", has_interval=True),
    ),
)  # fmt: skip
