"""The published tables of the generation stage."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import CHOSEN_ON, PART

NATS = "nats/frame"
REPRESENTATION = Column("representation", "What is generated.", title="Representation",
                        is_text=True)  # fmt: skip
GENERATOR = Column("generator", "Name under `generation.library`.", title="Generator",
                   is_text=True)  # fmt: skip
ARM = Column("arm", "S: small. SM: S with a lookup memory. F: as much work per generated frame as "
             "SM, no memory. P: as many numbers, no memory. SMx: SM under the keys of another "
             "utterance. SM1: a table of one row. SMm, SMf: a small network of the state, or of "
             "the frames that the key reads, in place of the table. SMn, SMnx: rows frozen at "
             "random, under true and under foreign keys. SMc: one gate for all frames. SMa, SMv: "
             "rows added before every block, or to attention values. SMo: a law of the next frame "
             "by key, mixed with the head's. SMd: rows that are means of residuals of other "
             "speakers. SMl: SM under the code of the frame before. SMr: bits of the state under a "
             "random router. SMu: the newest code alone, without n-grams. `linear_mixture`: the "
             "linear null with a context-free mixture of its residuals. `marginal`: such a mixture "
             "of frames, without context. `SM:previous`, `SM:constant`, `SM:permuted`: SM scored "
             "with wrong codes. `SM@name`: SM over the z_dyn that `name` is, decoded frame by "
             "frame.",
             title="Arm", is_text=True)  # fmt: skip
SEED = Column("seed", "Of the training. -1: fitted without one.", title="Seed")
NUM_STEPS = Column("num_steps", "Training steps. -1: fitted without steps.", "steps", "Steps")

GENERATION = Table(
    "generation",
    "representation, generator, arm, seed and number of steps",
    (
        REPRESENTATION, GENERATOR, ARM, SEED, NUM_STEPS, CHOSEN_ON,
        Column("key", "Key that the memory reads, or `state` where bits of the hidden state find "
               "its rows. Empty without a memory.", title="Key",
               is_text=True),
        Column("places", "Where the memory is added. Empty without a memory.", is_text=True),
        Column("noise", "Noise on what the backbone and the key read in training: `none`, `fixed` "
               "with its share, or `uniform`.", title="Noise", is_text=True),
        Column("short_context_frames", "Clean frames of the short context. 0: there is none.",
               "frames"),
        Column("width", "Width of the backbone.", "units", "Width"),
        Column("learning_rate", "Peak rate, chosen for the arm on `chosen_on` with the first "
               "seed.", title="Rate"),
        Column("dropout", "Chosen likewise.", title="Dropout"),
        Column("num_points", "Points of rate and dropout that were tried for the arm. 1: untuned.",
               title="Points tried"),
        Column("best_step", "Step whose weights are kept: the best on `chosen_on`.", "steps"),
        Column("nll_nats", "Mean NLL of the next frame on eval speakers. Of an arm over z_dyn an "
               "upper bound on it, by a particle filter.", NATS, "NLL",
               has_interval=True),
        Column("nll_train_nats", "The same on train frames, thinned by utterances. SMd has "
               "none: its rows hold them.", NATS, "on train"),
        Column("nll_chosen_nats", "The same on `chosen_on`.", NATS),
        Column("energy_score", "Mean energy score of the next frame on eval speakers, of a head "
               "without an exact density, which has no NLL. Empty for others.", "SD",
               "Energy score", has_interval=True),
        Column("nll_untold_nats", "Mean NLL of the same eval frames without text and speaker "
               "prompt, of a generator that is trained with them. Empty for others.", NATS,
               "Untold", has_interval=True),
        Column("energy_untold", "The same in energy score, of a head without an exact density.",
               "SD", has_interval=True),
        Column("plain_bound_nats", "Of an arm over z_dyn, the bound from one sample of the "
               "posterior: what it loses on nll_nats is the gap of the sample.", NATS,
               has_interval=True),
        Column("innovation_bits_per_s", "Of an arm over z_dyn, KL of z_dyn under the arm and of "
               "z_rec under its prior: what is new in a frame. Empty for an arm over frames, whose "
               "draws have no finite rate, and where z_dyn or z_rec is a point.", "bits/s",
               "Innovation rate", has_interval=True),
        Column("state_bits_per_s", "The part of z_dyn.", "bits/s", "of z_dyn",
               has_interval=True),
        Column("num_frames", "Eval frames behind the mean.", "frames"),
        Column("num_speakers", "Their speakers.", "speakers"),
        Column("f_gen_flops", "Operations of one generated frame, key and rows included.",
               title="Work per frame"),
        Column("f_train_flops", "Operations of one train frame, forward and backward. Of an "
               "arm over z_dyn, of the arm and of its factoriser, one pass each. Rollouts and the "
               "number of passes are not counted."),
        Column("num_resident", "Trained numbers, codebooks and all rows.", title="Numbers"),
        Column("num_touched", "Of the rows' numbers, those that a train frame reads."),
        Column("num_read", "Numbers read per generated frame."),
        Column("bytes_per_frame", "Four for each number read, and the cache.", "bytes"),
        Column("repeat_difference_nats", "Largest difference of this NLL when the same training is "
               "run again with the same seed, in absolute value: the floor of reproducibility. "
               "Empty where it was not run again.", NATS, "Repeat differs by"),
    ),
    notes=(
        "All arms of a representation score the same frames. NLL is of the frame itself, in units "
        "of the latents.",
        "With two or more seeds each row still stands for one training. Its interval is over "
        "speakers alone. `generation_gains.csv` joins the seeds.",
        "An arm over z_dyn works at most as much as the direct SM: z_rec's prior and the decoder "
        "are counted. Its key, places and width are those over z_dyn.",
    ),
)  # fmt: skip
GENERATION_GAINS = Table(
    "generation_gains",
    "representation, generator, pair of arms, part and number of steps",
    (
        REPRESENTATION, GENERATOR, ARM,
        Column("against", "The arm that it is compared with, on the same frames and under the same "
               "seeds.", title="Against", is_text=True),
        PART, NUM_STEPS,
        Column("gain_nats", "NLL of `against` less that of `arm`, mean over seeds. Positive: `arm` "
               "is better. The interval is over seeds and speakers. Empty with fewer than three "
               "seeds.", NATS, "Gain", has_interval=True),
        Column("gain_energy", "The same in energy score, of heads without an exact density. "
               "Nothing is in nats then. Empty for others.", "SD", "Gain in energy score",
               has_interval=True),
        Column("df", "Degrees of freedom of its error."),
        Column("sd_seed", "SD of the gain from seed to seed.", NATS, "SD seed"),
        Column("sd_speaker", "SD of the gain from speaker to speaker.", NATS, "SD speaker"),
        Column("sd_rest", "SD of what is left of a seed and a speaker.", NATS, "SD rest"),
        Column("num_seeds", "Seeds.", "seeds", "Seeds"),
        Column("num_speakers", "Speakers.", "speakers", "Speakers"),
        Column("seeds_needed", "Seeds on the same speakers that would tell the gain from the "
               "margin. Empty where a hundred would not, or where fewer than three seeds leave "
               "that unknown.", "seeds", "Seeds needed"),
        Column("delta_nats", "The margin: .02, or 1 % of what F knows about the frame where that "
               "is more.", NATS, "Margin"),
        Column("information_nats", "What F knows about the frame: its gain over `marginal`.", NATS),
        Column("work_share", "Work of a generated frame of `arm` over that of `against`.",
               title="Work share"),
    ),
)  # fmt: skip


def _and_true(name: str, meaning: str, unit: str, title: str) -> tuple[Column, Column]:
    of_true = Column(f"{name}_true", "The same of true stretches.", unit, f"{title}, true")
    return Column(name, meaning, unit, title), of_true


GENERATION_HEALTH = Table(
    "generation_health",
    "representation, generator, arm, seed and horizon of free runs",
    (
        REPRESENTATION, GENERATOR, ARM, SEED,
        Column("horizon_frames", "Steps that the run has gone.", "frames", "h"),
        Column("num_starts", "True eval contexts that runs start from.", "starts"),
        Column("energy_score", "Fair energy score of the frame at the horizon.", "SD"),
        Column("energy_skill", "1 less its ratio to that of train frames drawn at random.",
               title="Energy skill"),
        Column("diverged_share", "Paths that have left the data.", "share", "Diverged"),
        Column("frozen_share", "Paths that have stopped moving.", "share", "Frozen"),
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
        Column("std_ratio_lowest", "The lowest SD ratio of any dimension."),
        Column("std_ratio_highest", "The highest."),
        Column("excess_over_f", "Energy distance less that of true stretches, less the same of F "
               "under the same seed. Above 0: the arm's runs are less like data.", "SD",
               "Over F's"),
    ),
    notes=(
        "Runs start from the same true contexts in every arm. The numbers from off_support_share "
        "on are those of the second half of the whole run, beside the same of true stretches of "
        "the same utterances from other starts.",
        "`SM:nearest`, `SM:dealt` and `SM:previous` are runs of SM by other codes: that of the "
        "nearest train frame, codes dealt at random among all runs, that of the frame before. They "
        "are diagnostics and decide nothing.",
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
        Column("sigma", "SD of the noise, in SD of the train frames.", "SD", "Noise"),
        Column("gate_q05", "Gate, 5 % quantile over contexts and places."),
        Column("gate_q25", "Its 25 % quantile."),
        Column("gate_q50", "Its median. An open gate is no evidence: read it beside that of SMx, "
               "which learns to close.", title="Gate"),
        Column("gate_q75", "Its 75 % quantile."),
        Column("gate_q95", "Its 95 % quantile."),
        Column("write_ratio", "Size of what the memory adds over that of the state, mean over "
               "contexts. A gate of 1 on a small value is nothing.", title="Write"),
        Column("flip_rate", "Share of codes that the noise changes.", "share", "Codes changed"),
        Column("nll_own_nats", "NLL of the clean next frame, keys of the noisy context.", NATS,
               "Own keys"),
        Column("nll_oracle_nats", "The same with keys of the clean context.", NATS, "Clean keys"),
        Column("nll_foreign_nats", "The same with keys of another utterance.", NATS,
               "Foreign keys"),
    ),
)  # fmt: skip
GENERATION_LATENCY = Table(
    "generation_latency",
    "representation, generator and arm",
    (
        REPRESENTATION, GENERATOR, ARM,
        Column("latency_ms", "Median time of a generated frame: one sequence, one thread, with the "
               "cache.", "ms", "Latency"),
        Column("latency_ms_p10", "Its 10 % quantile over frames.", "ms", "10 %"),
        Column("latency_ms_p90", "Its 90 % quantile.", "ms", "90 %"),
        Column("num_frames", "Frames that were timed, after some that were not.", "frames"),
        Column("machine", "Processor or GPU.", title="Machine", is_text=True),
    ),
    notes=(
        "Measured with the first seed, never matched on. It is the one table that differs from run "
        "to run. Arms that read the keys of another utterance work as much as SM and are left out.",
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
        Column("nll_train_nats", "Mean NLL on train frames, thinned by utterances.", NATS,
               "NLL on train"),
        Column("nll_eval_nats", "Mean NLL on eval speakers.", NATS, "on eval", has_interval=True),
    ),
    notes=(
        "A memory memorises where more passes lower the NLL on train and raise it on eval. What "
        "dealing codes anew or masking rare rows takes off the loss on eval was replay.",
    ),
)  # fmt: skip
