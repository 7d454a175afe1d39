"""The published tables of codecs side by side."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import (
    CHOSEN_ON,
    FRAME_RATE_HZ,
    MARGINAL,
    MARGINAL_HAS_STOPPED,
    NUM_DIMS,
    NUM_FRAMES,
    REPRESENTATION,
)

CODEC = Column(
    "codec",
    "The codec at the root, and its kind (the name where there is no codec).",
    title="Codec",
    is_text=True,
)
FAMILY = Column("family", "The codec at the root, and its kind (the name where there is no "
                "codec).", is_text=True)  # fmt: skip
BITS = Column("bits_per_s", "Bits of a second of latents, see rate_kind.", "bits/s",
              "Bits")  # fmt: skip
RATE_KIND = Column("rate_kind", "`quantised`, `posterior_kl` (which bounds nothing) or "
                   "`capacity_bound`: docs/codecs.md.", title="which are",
                   is_text=True)  # fmt: skip
DISTANCE = Column("log_mel_l1", "Log-mel distance of decoded speech at 16 kHz, after the cold "
                  "start.", "nat", "Log-mel distance", has_interval=True)  # fmt: skip
STOI = Column("stoi", "Wideband PESQ and intelligibility of decoded speech, at most 4.64 and 1.",
              title="STOI", has_interval=True)  # fmt: skip
PESQ = Column("pesq", "Wideband PESQ and intelligibility of decoded speech, at most 4.64 and 1.",
              title="PESQ", has_interval=True)  # fmt: skip
PREDICTOR = Column("predictor", "Best head or null on `chosen_on`. Nulls know the past only.",
                   is_text=True)  # fmt: skip
NATS = Column("information_nats_per_s", "NLL of the marginal less the predictor's.", "nats/s",
              "Information", has_interval=True)  # fmt: skip
INFORMATION = Column("information_bits_per_s", "information_nats_per_s in bits.", "bits/s",
                     "Information",
                     has_interval=True)  # fmt: skip

CODECS = Table(
    "codecs",
    "compared representation",
    (
        REPRESENTATION, CODEC, FAMILY,
        Column("latent_space", "Where in the codec the vectors live.", is_text=True),
        FRAME_RATE_HZ, NUM_DIMS,
        Column("is_causal", "Whether a frame sees no later audio.", title="Causal", is_text=True),
        Column("resampled", "How frames were grouped (`stack`, `average`, `average_residual`), "
               "and how many.", is_text=True),
        Column("frames_per_group", "How frames were grouped (`stack`, `average`, "
               "`average_residual`), and how many.", "frames"),
        Column("within_group_share", "Share of the source's variance within groups, which "
               "`average` drops.", "of variance", "Within groups"),
        Column("noise_to_signal", "SD of the added noise over each dimension's train SD."),
        BITS, RATE_KIND,
        Column("num_self_tests", "Checks of the checkpoint before encoding, and those that "
               "passed."),
        Column("num_self_tests_passed", "Checks of the checkpoint before encoding, and those "
               "that passed."),
        Column("self_tests", "These checks of the root codec, with the worst value over shards.",
               is_text=True),
        Column("context_s", "What a predictor sees: `views.window_frames` over the rate.",
               "s", "Context"),
        Column("num_decoded", "Eval utterances decoded, and their speakers. 0 without a decoder.",
               "utterances"),
        Column("num_decoded_speakers", "Eval utterances decoded, and their speakers. 0 without a "
               "decoder.", "speakers"),
        DISTANCE, STOI, PESQ,
        Column("absent_metrics", "Metrics whose library was not installed (`pip install "
               ".[quality]`).", is_text=True),
        CHOSEN_ON, PREDICTOR, MARGINAL, MARGINAL_HAS_STOPPED,
        Column("head", "Best head on `chosen_on`.", is_text=True),
        Column("best_null", "Best of these nulls on `chosen_on`.", is_text=True),
        NUM_FRAMES,
        NATS, INFORMATION,
        Column("gain_nats_per_s", "NLL of the best null less the best head's.", "nats/s",
               has_interval=True),
        Column("gain_bits_per_s", "gain_nats_per_s in bits.", "bits/s", "Beyond the best null",
               has_interval=True),
        Column("added_key", "The chosen key, and the registered lag in seconds.", is_text=True),
        Column("added_lag_s", "The chosen key, and the registered lag in seconds.", "s", "at lag"),
        Column("added_excluded_mass", "Share of eval frames in cells that train hardly fills.",
               "share"),
        Column("added_invalid_reason", "Why the key's numbers would mean nothing. Empty: the "
               "gate would judge them.", title="not judged", is_text=True),
        Column("added_fraction", "`added_fraction` of that key in structure.csv, eval, first "
               "split.", title="Chosen key adds", has_interval=True),
        Column("permuted_block_frames", "Blocks of the permuted twin, in frames of its codec.",
               "frames"),
        Column("overlap_share", "Information of the twin on audio of permuted blocks over the "
               "own: what encoder overlap, speaker and level predict. Only for blocks of one "
               "frame.", title="Overlap share", has_interval=True),
        Column("truncation_loss", "1 less the information of the twin that sees the last "
               "`context_s` seconds, over the own.", title="Lost by truncation", has_interval=True),
        Column("static_share", "Information of the frame-shuffled surrogate over the own: "
               "speaker and level without order.", title="Without order", has_interval=True),
    ),
    notes=(
        "Prediction is at lag 1, target position, eval frames, all slices, first training seed, "
        "and per second. Rows of other rates are not comparable. `docs/codecs.md` says how to "
        "read the shares, which are paired by speaker with Fieller's interval.",
    ),
)  # fmt: skip
LADDER = (REPRESENTATION, CODEC, FAMILY, FRAME_RATE_HZ, NUM_DIMS, BITS, RATE_KIND, DISTANCE, STOI,
          PESQ, NATS, INFORMATION, PREDICTOR, MARGINAL, MARGINAL_HAS_STOPPED)  # fmt: skip
FRONTIER = Table(
    "frontier",
    "point of a ladder",
    (
        Column("ladder", "Name of the ladder.", title="Ladder", is_text=True),
        Column("step", "Place of the point, from coarse to fine."),
        *LADDER,
        Column("information_share_of_bits", "Information over the bits, where they bound it. "
               "Above 1 the density model has broken down.", title="of its bits",
               has_interval=True),
        Column("is_pareto", "Whether no other point of the ladder has less distortion and more "
               "information.", title="On the front", is_text=True),
    ),
)  # fmt: skip
