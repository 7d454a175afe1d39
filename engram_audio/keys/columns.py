"""The published table of keys by their laws."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import CHOSEN_ON

NATS = "nats/frame"
KEYS = Table(
    "keys",
    "key, slice, lag, target and base of a representation",
    (
        Column("representation", "Whose frames.", title="Representation", is_text=True),
        Column("split_seed", "Seed of the speaker-disjoint split.", title="Split"),
        Column("target", "What the law is about: `position` or `delta`, the next step.",
               title="Target", is_text=True),
        Column("lag_frames", "How stale the context is.", "frames", "Lag"),
        Column("base", "`none`: the key alone. `linear`: what it adds to a ridge regression on "
               "the context.", title="Beside", is_text=True),
        Column("slice", "Frames that are scored.", title="Slice", is_text=True),
        Column("key", "A context key, or `predictor`, `bank`, `target_oracle.K`, `permuted.K`.",
               title="Key", is_text=True),
        Column("kind", "`key`, `predictor`, `bank`, `oracle` or `permuted`.", is_text=True),
        Column("method", "The key without its size.", title="Method", is_text=True),
        Column("inputs", "What of the frames the key reads. Empty where it reads none.",
               is_text=True),
        Column("state_frames", "Frames W that a code is made of.", "frames"),
        Column("seed", "Of the bank, the networks and the permuted codes."),
        Column("num_codes", "K.", "codes", "K"),
        Column("ln_num_codes", "ln K, the most that a key of K codes can tell.", "nats"),
        Column("entropy_nats", "Entropy of the codes on eval, the most that this key can tell.",
               "nats", "Entropy"),
        Column("codes_used", "Codes that occur on eval.", "codes", "Used"),
        Column("prior_strength", "Train frames of the law without a key in that of each code.",
               "frames"),
        CHOSEN_ON,
        Column("nats", "Mean log p(y | code) less log p(y) on eval speakers, both mixtures of one "
               "bank. Of `predictor`: the same of a law for each context. Of `bank`: log p(y) "
               "less that of one Gaussian.", NATS, "Nats", has_interval=True),
        Column("nats_choice", "The same on `chosen_on`.", NATS),
        Column("nats_val", "The same on other utterances of fitted speakers.", NATS),
        Column("nats_train", "The same on train.", NATS),
        Column("transfer_loss", "1 less eval over val. Empty where val is not surely above 0.",
               title="Transfer loss", has_interval=True),
        Column("share_of_predictor", "Of the predictor's nats.", title="of predictor"),
        Column("share_of_oracle", "Of the nats of a k-means of the target with as many codes."),
        Column("share_of_entropy", "Nats per nat of the key's entropy."),
        Column("kept_nats", "Nats less the share of the predictor's that a small key must keep, "
               "paired by speaker.", NATS, has_interval=True),
        Column("surrogate_nats", "Nats of the same key on the VAR surrogate, if there is one.",
               NATS),
        Column("over_surrogate_nats", "Nats less the surrogate's, paired by speaker.", NATS,
               has_interval=True),
        Column("speaker_information_nats", "Mutual information of code and speaker on val, less "
               "that of permuted codes.", "nats", "About the speaker"),
        Column("flip_rate", "Share of eval codes that change under the noise of "
               "`learned_keys.flip_noise`. Empty for centred keys.", title="Flips"),
        Column("agreement", "Of a distilled key: share of `chosen_on` on which it has its "
               "teacher's code.", title="Agreement"),
        Column("num_values", "Numbers that a code is computed with, the network's among them.",
               title="Numbers"),
        Column("flops", "Operations of one code.", title="FLOPs"),
        Column("num_frames", "Eval frames behind the mean.", "frames"),
        Column("num_speakers", "Eval speakers behind the mean.", "speakers"),
    ),
    notes=(
        "All laws are mixtures of one bank of Gaussians that was fitted on train targets. A key "
        "changes their weights alone, so codes without information score 0 and no key scores "
        "more than ln K. CPU seconds stand in the benchmarks, because a table is the same after "
        "every run. The share of the best head's gain stands on the page: heads belong to a later "
        "question, for which this table does not wait.",
    ),
)  # fmt: skip
KEY_DIRECTIONS = Table(
    "key_directions",
    "state key and comparison of a representation at a lag",
    (
        KEYS["representation"], KEYS["split_seed"], KEYS["lag_frames"], KEYS["key"],
        KEYS["num_codes"],
        Column("case", "`observed`: steps under their own codes. `shuffled_codes`: under codes of "
               "other frames. `all_frames`: one code for all. `uniform`: uniform directions. "
               "`mean_reversion`: steps to a frame of another place, which is all that mean "
               "reversion gives.", title="Comparison", is_text=True),
        Column("num_directions", "Directions of each code, and of all frames together.",
               title="Directions"),
        Column("angle_deg", "Mean angle from a step to the nearest direction of its code, on eval "
               "speakers.", "degrees", "Angle", has_interval=True),
        Column("nats", "log p(direction | code) less log p(direction), over the directions of all "
               "frames, on eval speakers.", "nats/frame", "Nats", has_interval=True),
        Column("over_reversion_nats", "Nats less those of `mean_reversion`, paired by speaker.",
               "nats/frame", "Beyond mean reversion", has_interval=True),
        KEYS["num_frames"], KEYS["num_speakers"],
    ),
    notes=(
        "Few directions, given the state, would show as an `observed` angle below those of "
        "`shuffled_codes`, `uniform` and `mean_reversion`, and as nats beyond `mean_reversion`.",
    ),
)  # fmt: skip
