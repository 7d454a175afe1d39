"""The published tables of the structure stage."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.structure.comparisons import CONTROLS, SURROGATES

REPRESENTATION = Column(
    "representation", "What was analysed. Surrogates are called `<name>--<surrogate>`.",
    title="Representation", is_text=True,
)  # fmt: skip
SPLIT_SEED = Column("split_seed", "Seed of the split. The first decides.", title="Split")
KEY = Column("key", "`<family>.<input>.<quantizer>`: what it sees, and how it is quantised.",
             title="Key", is_text=True)  # fmt: skip
CODEBOOK_SIZE = Column("codebook_size", "K.", "cells")
LAG_FRAMES = Column("lag_frames", "How stale the context is.", "frames", "Lag")
SLICE = Column("slice", "Frames that are scored: all, high_energy, medial, initial or final. "
               "Everything is refitted inside.", title="Slice", is_text=True)  # fmt: skip
SUBSPACE = Column("subspace", "`all`, or principal directions of the step, `pc_<first>_<last>`.",
                  title="Subspace", is_text=True)  # fmt: skip
PART = Column("part", "val: held-out utterances of train speakers. eval: speakers never seen.",
              title="Part", is_text=True)  # fmt: skip
NUM_FRAMES = Column("num_frames", "Scored frames: targets of the slice in this part.", "frames",
                    "Frames")  # fmt: skip
NUM_EXCLUDED = Column("num_excluded", "Targets in cells with too few train frames.", "frames")
NUM_SPEAKERS = Column("num_speakers", "Speakers with at least one target. A t interval has one "
                      "degree of freedom fewer.", "speakers", "Speakers")  # fmt: skip

STRUCTURE = Table(
    "structure",
    "representation, split, key, lag, slice, subspace and part",
    (
        REPRESENTATION, SPLIT_SEED, KEY, CODEBOOK_SIZE, LAG_FRAMES, SLICE,
        Column("status", "`ok`, or why the key was not attempted and has no number.",
               title="Status", is_text=True),
        SUBSPACE, PART, NUM_FRAMES, NUM_EXCLUDED, NUM_SPEAKERS,
        Column("excluded_mass", "num_excluded / num_frames: frames in cells too small.", "share",
               "Excluded"),
        Column("ratio", "Headline. Sum of squared errors about train cell means over that about "
               "the train grand mean. Kept frames, ratio of sums over speakers. Above 1: worse "
               "than no key.", title="Ratio", has_interval=True, has_standard_error=True),
        Column("ratio_all_frames", "The ratio with excluded frames scored by the grand mean in "
               "both sums.", has_interval=True, has_standard_error=True),
        Column("floor", "`ratio` of the target oracle with the same K at the same place: what K "
               "cells could reach. Empty where no such oracle was attempted.", title="Floor"),
        Column("explained_fraction", "(1 - ratio) / (1 - floor). The errors of both enter by the "
               "delta method on the same speakers. Empty where the floor is missing or not below "
               "1.", title="Explained fraction", has_interval=True, has_standard_error=True),
        Column("explained_variance_percent", "100 (1 - ratio).", "%", has_interval=True),
        Column("ratio_bootstrap_low", "Lower bootstrap percentile of the ratio, subspace `all` "
               "only."),
        Column("ratio_bootstrap_high", "Upper bootstrap percentile of the ratio."),
        Column("explained_fraction_bootstrap_low", "Lower bootstrap percentile of the explained "
               "fraction, subspace `all` only."),
        Column("explained_fraction_bootstrap_high", "Upper bootstrap percentile of the explained "
               "fraction."),
        Column("num_cells", "Cells of the key.", "cells"),
        Column("num_effective_cells", "Cells with enough train frames.", "cells"),
        Column("num_train_frames", "Train targets of the slice.", "frames"),
        Column("key_entropy_nats", "Entropy of the cells on eval.", "nats"),
        Column("ratio_df_corrected", "ratio / (1 + e). e is the sum over cells of (mass in the "
               "part) / (train frames of the cell): what a useless key would add."),
        Column("ratio_own_means", "Ratio with the part's own cell means, subspace `all` only. "
               "Optimistic, and blind to transfer."),
        Column("ratio_own_means_df_corrected", "Ratio with the part's own cell means, times "
               "(N - 1) / (N - K) for N frames in K occupied cells.", title="Own-means ratio"),
        Column("bits_used_fraction", "key_entropy_nats / ln K.", "of ln K", "Cells used"),
        *(Column(f"control_{name}", f"df-corrected ratio of the same key with {words}. 1 is "
                 "expected.", title=f"{name.capitalize()} control", has_interval=True,
                 has_standard_error=True)
          for name, words in zip(CONTROLS, ("labels drawn anew within a part", "labels of another "
                                 "utterance, shifted in a circle"), strict=True)),
        *(column
          for name in SURROGATES
          for column in (
              Column(f"ratio_{name}", f"`ratio` of the same key refitted on surrogate `{name}`."),
              Column(f"explained_fraction_{name}", f"Explained fraction on surrogate `{name}`, "
                     "over the surrogate's own floor."),
          )),
        Column("best_surrogate", "The surrogate with the largest explained fraction.",
               is_text=True),
        Column("ratio_best_surrogate", "`ratio` on that surrogate: the null of the ratio.",
               title="Surrogate ratio"),
        Column("advantage", "Explained fraction beyond that of the best surrogate, paired by "
               "speaker.", title="Advantage", has_interval=True, has_standard_error=True),
        Column("nats_per_frame", "Information: mean log N(d, cell) - log N(d, pooled), diagonal, "
               "fitted on train, shrunk. Kept frames, subspace `all` only.", "nats/frame",
               "Information", has_interval=True, has_standard_error=True),
        Column("nats_per_frame_mean_part", "Its share that is due to the means of the cells.",
               "nats/frame"),
        Column("nats_per_dim", "nats_per_frame over the number of dimensions.", "nats/dim",
               has_interval=True),
        Column("bits_per_s", "nats_per_frame times frame rate over ln 2.", "bits/s", "Information",
               has_interval=True),
        Column("transfer_loss", "1 - (1 - ratio_all_frames on eval) / (1 - ratio_all_frames on "
               "val), rows of eval only. The parts have different speakers: Fieller's interval "
               "with Welch-Satterthwaite degrees of freedom. Empty where val is not told from "
               "explaining nothing.", title="Transfer loss", has_interval=True),
        *(Column(f"{name}_r2", f"`r2` of {name} in linear.csv at the same lag, slice and part, "
                 "subspace `all` only.")
          for name in ("ridge", "ar1", "white_noise")),
    ),
    notes=("Keys that were not attempted keep a row.",),
)  # fmt: skip
LINEAR = Table(
    "linear",
    "representation, split, linear model, lag, slice and part",
    (
        REPRESENTATION, SPLIT_SEED,
        Column("model", "`ridge` on the whole context is measured. `ar1` per dimension and "
               "`white_noise` in closed form are nulls.", title="Model", is_text=True),
        LAG_FRAMES, SLICE, PART, NUM_FRAMES, NUM_SPEAKERS,
        Column("r2", "Share of the step's variance: 1 - SSE / SSE about the train mean of the "
               "step, ratio of sums over speakers.", title="R²", has_interval=True,
               has_standard_error=True),
        Column("cosine", "Mean cosine of prediction and step. White noise scores .707 at lag 1.",
               title="Cosine", has_interval=True, has_standard_error=True),
    ),
)  # fmt: skip
CURVES = Table(
    "curves",
    "representation, split, key, lag, slice, part, matching and share of frames",
    (
        REPRESENTATION, SPLIT_SEED, KEY, LAG_FRAMES, SLICE, PART,
        Column("matching", "`plain`: surest of all frames. `energy_matched`: the distribution of "
               "energies is kept.", is_text=True),
        Column("kept_fraction", "Share of frames kept, those whose cell is surest.", "share"),
        NUM_FRAMES, NUM_SPEAKERS,
        Column("ratio", "Ratio on the kept frames, both sums recomputed on them.",
               has_interval=True, has_standard_error=True),
    ),
)  # fmt: skip
NGRAMS = Table(
    "ngrams",
    "representation, split, key, order, least count and part",
    (
        REPRESENTATION, SPLIT_SEED, KEY,
        Column("order", "Length of the run of keys.", "keys", "Order"),
        Column("minimum_count", "How often train must have seen a run.", "times", "Seen at least"),
        PART,
        Column("num_ngrams", "Runs of keys within an utterance.", title="Runs"),
        Column("num_covered", "Runs seen at least minimum_count times in train."),
        Column("coverage", "num_covered / num_ngrams. A count, no interval.", title="Coverage"),
    ),
)  # fmt: skip
SPEAKERS = Table(
    "speakers",
    "representation, split, key, lag, part and speaker",
    (
        REPRESENTATION, SPLIT_SEED, KEY, CODEBOOK_SIZE, LAG_FRAMES, SLICE, SUBSPACE, PART,
        Column("speaker_id", "Name of the speaker.", is_text=True),
        NUM_FRAMES, NUM_EXCLUDED,
        Column("ratio", "The speaker's own ratio with train cell means."),
    ),
    notes=("Slice and subspace are `all`.",),
)  # fmt: skip
