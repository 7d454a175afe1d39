"""The published tables of the factorizer stage.

Latents x_t are factorised into z_dyn, which the past predicts, and z_rec, what is new in a frame:
x_t ~ p(x_t | z_dyn,t, z_rec,t).
"""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import (
    CHOSEN_ON,
    LAG_FRAMES,
    MARGINAL,
    NUM_FRAMES,
    NUM_SPEAKERS,
    PART,
    REPRESENTATION,
    SEED,
    SLICE,
)

NATS, SHARE = "nats/frame", "of variance"
NAME = Column("factorizer", "Variant, or point of a sweep.", title="Factoriser",
              is_text=True)  # fmt: skip
SWEEP = Column(
    "sweep", "Sweep. Empty: a variant or method with a name.", title="Sweep", is_text=True
)
STATE_DIMS = Column("state_dims", "Dimensions of z_dyn.", "dims", "z_dyn")
TARGET_NATS = Column("target_nats", "Rate that the training aims at, in target mode only.", NATS,
                     "Rate aimed at")  # fmt: skip
CONTEXT_FRAMES = Column("context_frames", "Context of a transformer encoder.", "frames")
HORIZON = Column("rollout_horizon_frames", "Horizon of rollouts in training, 0 without.", "frames")
BOUND = Column("bound_nats", "Importance-weighted upper bound on -log p(x_t, given x_<t): "
               "docs/factorizer.md.", NATS, has_interval=True)  # fmt: skip
INFORMATION = Column("information_nats", "NLL of the marginal less the bound: what the past "
                     "tells about x_t.", NATS, "Information", has_interval=True)  # fmt: skip
RATE = Column("rate_nats", "KL of both parts.", NATS, "Rate", has_interval=True)  # fmt: skip
BITS = Column("innovation_bits_per_s", "rate_nats in bits.", "bits/s", "Innovation rate",
              has_interval=True)  # fmt: skip
ERROR = Column("error_posterior", "Error of the reconstruction as inferred.", SHARE, "Error",
               has_interval=True, quotient=("sse_posterior", "sst"))  # fmt: skip
MOVEMENT = Column("state_movement", "E|z_t - z_{t-1}|² / (2 E|z_t|²) on select. 1 is white "
                  "noise, 0 is frozen.", title="Movement")  # fmt: skip
COLLAPSE = (
    Column(
        "is_collapsed",
        "Limit of `factorizer.health` that was crossed, and whether one was.",
        is_text=True,
    ),
    Column(
        "collapse",
        "Limit of `factorizer.health` that was crossed, and whether one was.",
        title="Collapse",
        is_text=True,
    ),
)
HEALTH = (
    Column(
        "state_effective_rank", "Effective rank and RMS SD of z_dyn on select, before whitening."
    ),
    Column("state_sd", "Effective rank and RMS SD of z_dyn on select, before whitening."),
    MOVEMENT,
    Column(
        "state_use_nats",
        "Nats lost on select with z_dyn of another utterance. 0: nothing reads it.",
        NATS,
        "Use of z_dyn",
    ),
    Column("state_noise_share", "Share of posterior noise in the variance of z_dyn."),
    Column("dynamics_sd", "Predictive SD of z_dyn, Gaussian dynamics only."),
    Column("observation_sd", "SD of x given both parts, over the latents' RMS."),
    Column("active_innovation_dims", "Dimensions of z_rec above .01 nats."),
    Column("price", "Price of a nat at the end of training, target mode only."),
)

FACTORIZER = Table(
    "factorizer",
    "representation, factoriser, seed, part and slice",
    (
        REPRESENTATION, NAME, SWEEP, SEED,
        Column("rate_accounting", "How z_dyn pays: charged, strictly_past or free.",
               title="z_dyn is", is_text=True),
        Column("is_honest", "False where z_dyn is free: the rate leaves it out.", is_text=True),
        STATE_DIMS,
        Column("innovation_dims", "Dimensions of z_rec.", "dims"),
        Column("stride_frames", "Frames from one z_dyn to the next, and what fills those between.",
               "frames"),
        Column("upsampler", "Frames from one z_dyn to the next, and what fills those between.",
               is_text=True),
        Column("innovation", "Kinds of z_rec's prior, of the decoder, and of the KL's weight.",
               is_text=True),
        Column("decoder", "Kinds of z_rec's prior, of the decoder, and of the KL's weight.",
               is_text=True),
        Column("kl_mode", "Kinds of z_rec's prior, of the decoder, and of the KL's weight.",
               is_text=True),
        TARGET_NATS, CONTEXT_FRAMES, HORIZON,
        CHOSEN_ON, PART,
        SLICE,
        NUM_FRAMES,
        NUM_SPEAKERS,
        BOUND,
        Column("elbo_nats", "Plain bound of the same model: distortion plus rate_nats.", NATS,
               has_interval=True, quotient=("elbo_nll", "num_frames")),
        Column("best_direct", "Best head or null of the prediction stage on `chosen_on`, lag 1.",
               is_text=True),
        Column("bound_context", "What bound and best_direct see of the past. A gain may be that "
               "of a longer context.", title="The bound sees", is_text=True),
        Column("direct_context", "What bound and best_direct see of the past. A gain may be that "
               "of a longer context.", title="it sees", is_text=True),
        Column("direct_nats", "NLL of best_direct.", NATS, has_interval=True),
        Column("gain_over_direct_nats", "That NLL less the bound, paired. Below 0: the "
               "factoriser predicts worse.", NATS, "Beyond it", has_interval=True),
        MARGINAL,
        INFORMATION,
        Column("direct_information_nats", "NLL of the marginal less that of best_direct.", NATS,
               "Direct predictor's", has_interval=True),
        Column("state_nats", "KL of z_dyn (0 unless charged) and of z_rec.", NATS,
               has_interval=True, quotient=("state_nats", "num_frames")),
        Column("innovation_nats", "KL of z_dyn (0 unless charged) and of z_rec.", NATS,
               has_interval=True),
        RATE, BITS,
        Column("weighted_bits_per_s", "innovation_bits_per_s less what importance weights take "
               "off the bound.", "bits/s", "importance-weighted", has_interval=True),
        ERROR,
        Column("error_prior", "Error with z_rec drawn from its prior, or at its mean.", SHARE,
               has_interval=True, quotient=("sse_prior", "sst")),
        Column("error_shuffled_rec", "Error with z_rec, or z_dyn, of other frames.", SHARE,
               has_interval=True, quotient=("sse_shuffled_rec", "sst")),
        Column("error_shuffled_dyn", "Error with z_rec, or z_dyn, of other frames.", SHARE,
               has_interval=True, quotient=("sse_shuffled_dyn", "sst")),
        Column("error_state_only", "Error with z_rec drawn from its prior, or at its mean.", SHARE,
               has_interval=True, quotient=("sse_state_only", "sst")),
        Column("error_predicted", "Error from the past alone: z_rec at its prior's mean, z_dyn "
               "as expected.", SHARE, "from the past", has_interval=True,
               quotient=("sse_predicted", "sst")),
        Column("cost_shuffled_rec", "That error less error_posterior, paired. 0: the part is not "
               "used.", SHARE, "Cost of shuffling z_rec", has_interval=True),
        Column("cost_shuffled_dyn", "That error less error_posterior, paired. 0: the part is not "
               "used.", SHARE, "of shuffling z_dyn", has_interval=True),
        *HEALTH, *COLLAPSE,
    ),
    notes=(
        "Nats are in the units of the latents. Errors are shares of the latents' variance about "
        "the train mean.",
    ),
)  # fmt: skip
FACTORIZER_SWEEP = Table(
    "factorizer_sweep",
    "point of a sweep, eval, all frames",
    (
        REPRESENTATION, SWEEP, NAME, SEED, STATE_DIMS, TARGET_NATS, CONTEXT_FRAMES, HORIZON, RATE,
        BITS, ERROR, BOUND, INFORMATION, MOVEMENT, *COLLAPSE,
        Column("num_points", "Points of the sweep looked at.", title="Points looked at"),
        Column("is_pareto", "Whether no other point has both a lower rate and a lower error.",
               title="On the front", is_text=True),
    ),
)  # fmt: skip
FACTORIZER_STATES = Table(
    "factorizer_states",
    "exported z_dyn, metric, key or head, and lag",
    (
        Column("representation", "The z_dyn, in SD.", title="z_dyn", is_text=True),
        Column("source", "The latents that it came from.", title="of", is_text=True),
        Column("metric", "Metric of z_dyn, such as the explained fraction of a key.",
               title="Metric", is_text=True),
        Column("key", "Key or head.", title="Key or head", is_text=True),
        LAG_FRAMES,
        Column("value", "Score of z_dyn, of the source, and of the null on each.",
               title="z_dyn scores", has_interval=True),
        Column("null", "Score of z_dyn, of the source, and of the null on each.", title="its null"),
        Column("null_name", "`best surrogate`, `white noise`, or a null of the prediction stage.",
               title="Null", is_text=True),
        Column("source_value", "Score of z_dyn, of the source, and of the null on each.",
               title="raw latents score", has_interval=True),
        Column("source_null", "Score of z_dyn, of the source, and of the null on each.",
               title="their null"),
    ),
    notes=(
        "Nats are never set side by side across dimensions, only bits/s and ratios. Whiter is "
        "not better: with less autocorrelation the cosine of delta at lag 1 rises towards white "
        "noise's .707.",
    ),
)  # fmt: skip
