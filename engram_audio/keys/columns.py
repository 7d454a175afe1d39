"""The published table of keys by their laws."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import (
    CHOSEN_ON,
    LAG_FRAMES,
    NUM_FRAMES,
    NUM_SPEAKERS,
    REPRESENTATION,
    SLICE,
    SPLIT_SEED,
)

NATS = "nats/frame"
KEYS = Table(
    "keys",
    "key, slice, lag, target and base of a representation",
    (
        REPRESENTATION,
        SPLIT_SEED,
        Column("target", "Law of x_t (`position`) or of the next step (`delta`).", title="Target",
               is_text=True),
        LAG_FRAMES,
        Column("base", "`none`: the key alone. `linear`: what it adds to ridge on the context.",
               title="Beside", is_text=True),
        SLICE,
        Column("key", "Context key, or `predictor`, `bank`, `target_oracle.K`, `permuted.K`.",
               title="Key", is_text=True),
        Column("kind", "`key`, `predictor`, `bank`, `oracle` or `permuted`.", is_text=True),
        Column("method", "Key without its size.", title="Method", is_text=True),
        Column("inputs", "What of the frames it reads.", is_text=True),
        Column("state_frames", "Frames W that a code is made of.", "frames"),
        Column("seed", "Seed of bank, networks and permuted codes."),
        Column("num_codes", "K.", "codes", "K"),
        Column("ln_num_codes", "ln K, the most that K codes can tell.", "nats"),
        Column("entropy_nats", "Entropy of the codes on eval, the most that it can tell.", "nats",
               "Entropy"),
        Column("codes_used", "Codes that occur on eval.", "codes", "Used"),
        Column("prior_strength", "Train frames of the law without a key in that of each code.",
               "frames"),
        CHOSEN_ON,
        Column("nats", "Mean log p(y given code) less log p(y) on eval. Of `predictor`: a law "
               "for each context. Of `bank`: log p(y) less that of one Gaussian.", NATS, "Nats",
               has_interval=True),
        Column("nats_choice", "Nats on `chosen_on`, val and train.", NATS),
        Column("nats_val", "Nats on `chosen_on`, val and train.", NATS),
        Column("nats_train", "Nats on `chosen_on`, val and train.", NATS),
        Column("transfer_loss", "1 less eval over val. Empty where val is not surely above 0.",
               title="Transfer loss", has_interval=True),
        Column("share_of_predictor", "Nats over those of the predictor, those of a k-means of "
               "the target, and the key's entropy.", title="of predictor"),
        Column("share_of_oracle", "Nats over those of the predictor, those of a k-means of the "
               "target, and the key's entropy."),
        Column("share_of_entropy", "Nats over those of the predictor, those of a k-means of the "
               "target, and the key's entropy."),
        Column("kept_nats", "Nats less the share of the predictor's that a small key must keep.",
               NATS, has_interval=True),
        Column("surrogate_nats", "Nats of the same key on the VAR surrogate, and nats less these.",
               NATS),
        Column("over_surrogate_nats", "Nats of the same key on the VAR surrogate, and nats less "
               "these.", NATS, has_interval=True),
        Column("speaker_information_nats", "Mutual information of code and speaker on val, less "
               "that of permuted codes.", "nats", "About the speaker"),
        Column("flip_rate", "Share of eval codes that change under `learned_keys.flip_noise`.",
               title="Flips"),
        Column("agreement", "Of a distilled key: share of `chosen_on` where it has its teacher's "
               "code.", title="Agreement"),
        Column("num_values", "Numbers and operations that a code takes.", title="Numbers"),
        Column("flops", "Numbers and operations that a code takes.", title="FLOPs"),
        NUM_FRAMES,
        NUM_SPEAKERS,
    ),
    notes=(
        "All laws are mixtures of one bank of Gaussians, whose weights alone a key changes. So "
        "codes without information score 0, and no key scores more than ln K.",
    ),
)  # fmt: skip
KEY_DIRECTIONS = Table(
    "key_directions",
    "state key and comparison of a representation at a lag",
    (
        KEYS["representation"], KEYS["split_seed"], KEYS["lag_frames"], KEYS["key"],
        KEYS["num_codes"],
        Column("case", "Steps under their own codes (`observed`), under `shuffled_codes`, under "
               "one code (`all_frames`), or beside `uniform` directions. `mean_reversion`: steps "
               "to a frame of another place.", title="Comparison", is_text=True),
        Column("num_directions", "Directions of each code, and of all frames.", title="Directions"),
        Column("angle_deg", "Mean angle from a step to the nearest direction of its code, on "
               "eval.", "degrees", "Angle", has_interval=True),
        Column("nats", "log p(direction given code) less log p(direction), on eval.", "nats/frame",
               "Nats", has_interval=True),
        Column("over_reversion_nats", "Nats less those of `mean_reversion`.", "nats/frame",
               "Beyond mean reversion", has_interval=True),
        KEYS["num_frames"], KEYS["num_speakers"],
    ),
    notes=(
        "Few directions, given the state, would show as an `observed` angle below those of "
        "`shuffled_codes`, `uniform` and `mean_reversion`, and as nats beyond `mean_reversion`.",
    ),
)  # fmt: skip
