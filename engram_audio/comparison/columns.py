"""The published tables of codecs side by side."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import CHOSEN_ON

NAME = Column("representation", "Name of the representation.", title="Representation",
              is_text=True)  # fmt: skip
CODEC = Column("codec", "The codec at its root.", title="Codec", is_text=True)
FAMILY = Column("family", "Kind of that codec. The root's name where there is no codec.",
                is_text=True)  # fmt: skip
RATE = Column("frame_rate_hz", "Frames per second.", "Hz", "Rate")
DIMS = Column("num_dims", "Dimensions of a frame, D.", "dims", "D")
BITS = Column("bits_per_s", "Bits of the latents of a second, see rate_kind. Empty: continuous.",
              "bits/s", "Bits")  # fmt: skip
RATE_KIND = Column(
    "rate_kind", "`quantised`: bits that name the latents, stated by the codec. `posterior_kl`: "
    "the KL of a trained codec on select, what latents drawn from its posterior cost. The "
    "posterior means that are compared hold more, so it bounds nothing. `capacity_bound`: the most "
    "that the noisy channel passes, rate · ½ log2 det(I + C / n²), with C the correlations of the "
    "train frames. Where the source has fewer bits, it is those. Resampling and noise keep the "
    "source's where it is a bound. Permuted and truncated audio has no KL.",
    title="which are", is_text=True,
)  # fmt: skip
DISTANCE = Column("log_mel_l1", "Log-mel distance (natural log) of decoded speech at 16 kHz, after "
                  "the codec's cold start, mean over utterances.", "nat", "Log-mel distance",
                  has_interval=True)  # fmt: skip
STOI = Column("stoi", "Intelligibility of decoded speech, at most 1.", title="STOI",
              has_interval=True)  # fmt: skip
PESQ = Column("pesq", "Wideband PESQ of decoded speech, at most 4.64.", title="PESQ",
              has_interval=True)  # fmt: skip
PREDICTOR = Column("predictor", "Best predictor on `chosen_on`: heads, and nulls that know "
                   "the past only.", is_text=True)  # fmt: skip
MARGINAL = Column("marginal", "Best law without context on `chosen_on`.", is_text=True)
STOPPED = Column("marginal_has_stopped", "Whether that law was doubled in size until select gained "
                 "no more. Where its limit or a fixed size ended it, a richer law may be better, "
                 "and information is overstated by as much.", title="its growth stopped",
                 is_text=True)  # fmt: skip
NATS = Column("information_nats_per_s", "Mean NLL of the marginal less the "
              "predictor's. It is what the past tells of a frame, less what the predictor misses "
              "of it, plus what the marginal misses of the frame's own law.", "nats/s",
              "Information", has_interval=True)  # fmt: skip
INFORMATION = Column("information_bits_per_s", "What the past tells of a frame over the best law "
                     "without context, per second, in bits.", "bits/s", "Information",
                     has_interval=True)  # fmt: skip

CODECS = Table(
    "codecs",
    "compared representation",
    (
        NAME, CODEC, FAMILY,
        Column("latent_space", "Where in the codec the vectors live.", is_text=True),
        RATE, DIMS,
        Column("is_causal", "Whether a frame sees no later audio.", title="Causal", is_text=True),
        Column("resampled", "How frames were grouped: `stack`, `average` or `average_residual`.",
               is_text=True),
        Column("frames_per_group", "Frames of the source in a group.", "frames"),
        Column("within_group_share", "Share of the source's variance that lies within groups. "
               "`average` drops it, the other modes keep it.", "of variance", "Within groups"),
        Column("noise_to_signal", "SD of the added noise as a share of each dimension's train "
               "SD."),
        BITS, RATE_KIND,
        Column("num_self_tests", "Checks on the checkpoint before encoding."),
        Column("num_self_tests_passed", "How many of them passed."),
        Column("self_tests", "The checks, with the worst value over shards. Those of the codec at "
               "the root.", is_text=True),
        Column("context_s", "What a predictor sees: `views.window_frames` over the rate.",
               "s", "Context"),
        Column("num_decoded", "Eval utterances decoded, dealt evenly over the speakers. 0 without "
               "a decoder.", "utterances"),
        Column("num_decoded_speakers", "Their speakers.", "speakers"),
        DISTANCE, STOI, PESQ,
        Column("absent_metrics", "Metrics whose library was not installed "
               "(`pip install .[quality]`). They are left empty.", is_text=True),
        CHOSEN_ON, PREDICTOR, MARGINAL, STOPPED,
        Column("head", "Best head on `chosen_on`.", is_text=True),
        Column("best_null", "Best null on `chosen_on`, of those that know the past only.",
               is_text=True),
        Column("num_frames", "Frames scored.", "frames"),
        NATS, INFORMATION,
        Column("gain_nats_per_s", "Mean NLL of the best null less the best head's.", "nats/s",
               has_interval=True),
        Column("gain_bits_per_s", "Best head less the best null, both of `chosen_on`.", "bits/s",
               "Beyond the best null", has_interval=True),
        Column("added_key", "The key that was chosen for this representation.", is_text=True),
        Column("added_lag_s", "The registered lag in seconds. It is registered in frames.",
               "s", "at lag"),
        Column("added_excluded_mass", "Share of eval frames in cells that train hardly fills.",
               "share"),
        Column("added_invalid_reason", "Why the key's numbers would mean nothing here: too many "
               "excluded frames, too few frames for its cells, too few speakers, or a control that "
               "is off. Empty where the gate would judge them.", title="not judged", is_text=True),
        Column("added_fraction", "What the chosen key adds to a linear model of the same past, as "
               "a share of what as many cells could add. Eval, first split.",
               title="Chosen key adds", has_interval=True),
        Column("permuted_block_frames", "Blocks of the permuted twin, in frames of its codec.",
               "frames"),
        Column("overlap_share", "Information of the twin on audio of permuted blocks over the own: "
               "what encoder overlap, speaker and level still predict. Only where the blocks are "
               "one frame, because longer ones leave dynamics inside.", title="Overlap share",
               has_interval=True),
        Column("truncation_loss", "1 less the information of the twin that sees the last "
               "`context_s` seconds only over the own.", title="Lost by truncation",
               has_interval=True),
        Column("static_share", "Information of the frame-shuffled surrogate over the own, both by "
               "the heads that the surrogate has: speaker and level without any order.",
               title="Without order", has_interval=True),
    ),
    notes=(
        "Everything about prediction is at lag 1, target position, eval frames, all slices, first "
        "training seed, and per second. What the past tells depends on what a frame is: frames "
        "stacked into one tell each other nothing any more. Rows of other rates are not "
        "comparable, per second or not.",
        "The three shares are paired by speaker with Fieller's interval. It is empty where the own "
        "information is not surely above 0. Overlap beyond speaker and level is about "
        "overlap_share less static_share.",
        "A twin differs from its original in `permute_blocks_s` or `context_s` alone. The "
        "configuration is refused otherwise. With a short `context_s` each frame also starts the "
        "encoder afresh: where that start takes longer than the context, truncation_loss contains "
        "it.",
    ),
)  # fmt: skip
LADDER = (NAME, CODEC, FAMILY, RATE, DIMS, BITS, RATE_KIND, DISTANCE, STOI, PESQ, NATS, INFORMATION,
          PREDICTOR, MARGINAL, STOPPED)  # fmt: skip
FRONTIER = Table(
    "frontier",
    "point of a ladder",
    (
        Column("ladder", "Name of the ladder.", title="Ladder", is_text=True),
        Column("step", "Place of the point, coarse to fine as configured."),
        *LADDER,
        Column("information_share_of_bits", "Information over the stated bits, where they bound it "
               "(not `posterior_kl`). Above 1 the density model has broken down: quantised latents "
               "lie on points.", title="of its bits", has_interval=True),
        Column("is_pareto", "Whether no other point of the ladder has both less distortion and "
               "more information. Empty where one of them is missing or the frame rates of the "
               "ladder differ. Choosing a point by it would be selection on eval.",
               title="On the front", is_text=True),
    ),
)  # fmt: skip
