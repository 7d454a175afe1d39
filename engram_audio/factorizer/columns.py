"""The published tables of the factorizer stage.

Latents x_t are factorised into z_dyn, which the past predicts, and z_rec, what is new in a frame:
x_t ~ p(x_t | z_dyn,t, z_rec,t).
"""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import CHOSEN_ON, PART

NATS, SHARE = "nats/frame", "of variance"
REPRESENTATION = Column("representation", "What was factorised.", title="Representation",
                        is_text=True)  # fmt: skip
NAME = Column("factorizer", "Name of the variant, or of a point of a sweep.", title="Factoriser",
              is_text=True)  # fmt: skip
SWEEP = Column("sweep", "Name of the sweep. Empty for a variant.", title="Sweep", is_text=True)
SEED = Column("seed", "Of the training.", title="Seed")
STATE_DIMS = Column("state_dims", "Dimensions of z_dyn.", "dims", "z_dyn")
TARGET_NATS = Column("target_nats", "Rate that the training aims at, in target mode only.", NATS,
                     "Rate aimed at")  # fmt: skip
CONTEXT_FRAMES = Column("context_frames", "Context of a transformer encoder.", "frames")
HORIZON = Column("rollout_horizon_frames", "Horizon of rollouts in training, 0 without.", "frames")
BOUND = Column("bound_nats", "Importance-weighted upper bound on -log p(x_t, given x_<t), in x "
               "space: IWAE where z_dyn is known from the past, a particle filter (FIVO) where it "
               "is charged, a mixture over p(z_t, given z_<t) where it is free.", NATS,
               has_interval=True)  # fmt: skip
INFORMATION = Column("information_nats", "NLL of the best law without context less the bound: what "
                     "the past tells about x_t.", NATS, "Information",
                     has_interval=True)  # fmt: skip
RATE = Column("rate_nats", "KL of both parts: state_nats and innovation_nats. Empty for a "
              "deterministic z_rec, whose rate has no bound.", NATS, "Rate",
              has_interval=True)  # fmt: skip
BITS = Column("innovation_bits_per_s", "KL of z_dyn and z_rec: rate_nats times frame rate over "
              "ln 2.", "bits/s", "Innovation rate", has_interval=True)  # fmt: skip
ERROR = Column("error_posterior", "Reconstruction as inferred.", SHARE, "Error", has_interval=True,
               quotient=("sse_posterior", "sst"))  # fmt: skip
MOVEMENT = Column("state_movement", "Movement of z_dyn on select: E|z_t - z_{t-1}|² / (2 E|z_t|²). "
                  "1 is white noise, 0 is frozen.", title="Movement")  # fmt: skip
COLLAPSE = (
    Column("is_collapsed", "Whether a limit of `factorizer.health` was crossed.", is_text=True),
    Column("collapse", "Which limit was crossed.", title="Collapse", is_text=True),
)
HEALTH = (
    Column("state_effective_rank", "Effective rank of z_dyn on select, before whitening."),
    Column("state_sd", "RMS SD of z_dyn on select, before whitening."),
    MOVEMENT,
    Column(
        "state_use_nats",
        "Nats lost on select when z_dyn comes from another utterance. 0: nothing reads it.",
        NATS,
        "Use of z_dyn",
    ),
    Column("state_noise_share", "Share of posterior noise in the variance of z_dyn."),
    Column("dynamics_sd", "Predictive SD of z_dyn, Gaussian dynamics only."),
    Column("observation_sd", "SD of x given both parts, as a share of the latents' RMS."),
    Column(
        "active_innovation_dims",
        "Dimensions of z_rec above .01 nats. Empty for a flow, whose rate has no parts.",
    ),
    Column("price", "Price of a nat at the end of training, in target mode."),
)

FACTORIZER = Table(
    "factorizer",
    "representation, factoriser, seed, part and slice",
    (
        REPRESENTATION, NAME, SWEEP, SEED,
        Column("rate_accounting", "charged: z_dyn sees x_t and pays KL[q(z_t) | p(z_t, z_<t)]. "
               "strictly_past: made of the past. free: sees x_t for nothing, its rate is not "
               "honest.", title="z_dyn is", is_text=True),
        Column("is_honest", "False where z_dyn is `free`: its rate leaves out what z_dyn carries.",
               is_text=True),
        STATE_DIMS,
        Column("innovation_dims", "Dimensions of z_rec.", "dims"),
        Column("stride_frames", "Frames from one z_dyn to the next.", "frames"),
        Column("upsampler", "What fills the frames between, where the stride is above 1.",
               is_text=True),
        Column("innovation", "Prior of z_rec.", is_text=True),
        Column("decoder", "Kind of the decoder.", is_text=True),
        Column("kl_mode", "How the loss weighs the KL.", is_text=True),
        TARGET_NATS, CONTEXT_FRAMES, HORIZON,
        CHOSEN_ON, PART,
        Column("slice", "Frames that are scored.", title="Slice", is_text=True),
        Column("num_frames", "Scored frames: those of the prediction stage.", "frames"),
        Column("num_speakers", "Speakers behind the row.", "speakers"),
        BOUND,
        Column("elbo_nats", "The plain bound of the same model: distortion plus rate_nats. Empty "
               "where it has none.", NATS, has_interval=True, quotient=("elbo_nll", "num_frames")),
        Column("best_direct", "The direct predictor that `chosen_on` prefers: heads and nulls of "
               "the prediction stage at lag 1, first training seed. Nulls know the past only.",
               is_text=True),
        Column("bound_context", "What the bound sees of the past: so many frames, or all of it.",
               title="The bound sees", is_text=True),
        Column("direct_context", "What that direct predictor sees of it. Where the bound sees "
               "more, a gain over it may be that of a longer context.", title="it sees",
               is_text=True),
        Column("direct_nats", "NLL of that direct predictor.", NATS, has_interval=True),
        Column("gain_over_direct_nats", "NLL of that predictor less the bound, paired on the same "
               "frames. Below 0: the factoriser predicts worse.", NATS, "Beyond it",
               has_interval=True),
        Column("marginal", "The best law without context.", is_text=True),
        INFORMATION,
        Column("direct_information_nats", "The same of the best direct predictor.",
               NATS, "Direct predictor's", has_interval=True),
        Column("state_nats", "KL of z_dyn, 0 unless charged.", NATS, has_interval=True,
               quotient=("state_nats", "num_frames")),
        Column("innovation_nats", "KL of z_rec. Empty for a deterministic z_rec.", NATS,
               has_interval=True),
        RATE, BITS,
        Column("weighted_bits_per_s", "The same rate less what the importance-weighted bound takes "
               "off the plain one.", "bits/s", "importance-weighted", has_interval=True),
        ERROR,
        Column("error_prior", "Error with z_rec drawn from its prior.", SHARE, has_interval=True,
               quotient=("sse_prior", "sst")),
        Column("error_shuffled_rec", "Error with z_rec of other frames.", SHARE, has_interval=True,
               quotient=("sse_shuffled_rec", "sst")),
        Column("error_shuffled_dyn", "Error with z_dyn of other frames.", SHARE, has_interval=True,
               quotient=("sse_shuffled_dyn", "sst")),
        Column("error_state_only", "Error with z_rec at its prior's mean.", SHARE,
               has_interval=True, quotient=("sse_state_only", "sst")),
        Column("error_predicted", "Error from the past: z_rec at its prior's mean and z_dyn as its "
               "past expects it.", SHARE, "from the past", has_interval=True,
               quotient=("sse_predicted", "sst")),
        Column("cost_shuffled_rec", "error_shuffled_rec less error_posterior, paired. 0: z_rec is "
               "not used.", SHARE, "Cost of shuffling z_rec", has_interval=True),
        Column("cost_shuffled_dyn", "error_shuffled_dyn less error_posterior, paired. 0: z_dyn is "
               "not used.", SHARE, "of shuffling z_dyn", has_interval=True),
        *HEALTH, *COLLAPSE,
    ),
    notes=(
        "Nats are in the units of the latents. Errors are shares of the latents' variance about "
        "the train mean. Differences are paired on the same frames.",
    ),
)  # fmt: skip
FACTORIZER_SWEEP = Table(
    "factorizer_sweep",
    "point of a sweep, eval, all frames",
    (
        REPRESENTATION, SWEEP, NAME, SEED, STATE_DIMS, TARGET_NATS, CONTEXT_FRAMES, HORIZON, RATE,
        BITS, ERROR, BOUND, INFORMATION, MOVEMENT, *COLLAPSE,
        Column("num_points", "How many points of the sweep were looked at.",
               title="Points looked at"),
        Column("is_pareto", "Whether no other point of the sweep has both a lower rate and a lower "
               "error. Choosing a point by eval would be selection on eval.",
               title="On the front", is_text=True),
    ),
)  # fmt: skip
FACTORIZER_STATES = Table(
    "factorizer_states",
    "exported z_dyn, metric, key or head, and lag",
    (
        Column("representation", "The z_dyn, in units of its SD.", title="z_dyn", is_text=True),
        Column("source", "The latents that it came from.", title="of", is_text=True),
        Column("metric", "Autocorrelation, effective rank, explained fraction of a key, ridge R² "
               "and cosine of delta, gain in bits/s and cosine of a head.", title="Metric",
               is_text=True),
        Column("key", "Key or head that is scored.", title="Key or head", is_text=True),
        Column("lag_frames", "How stale the context is.", "frames", "Lag"),
        Column("value", "What z_dyn scores.", title="z_dyn scores", has_interval=True),
        Column("null", "What the named null scores on z_dyn.", title="its null"),
        Column("null_name", "`best surrogate`, `white noise`, or a null of the prediction stage.",
               title="Null", is_text=True),
        Column("source_value", "The same metric on the source.", title="raw latents score",
               has_interval=True),
        Column("source_null", "What the null scores on the source.", title="their null"),
    ),
    notes=(
        "Nats are never set side by side across dimensions, only bits/s and ratios.",
        "Whiter is not better: with less autocorrelation the cosine of delta at lag 1 rises "
        "towards white noise's .707.",
    ),
)  # fmt: skip
