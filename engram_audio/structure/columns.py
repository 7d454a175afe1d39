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
SLICE = Column("slice", "Frames that are scored: all, speech, medial, initial or final. "
               "Everything is refitted inside.", title="Slice", is_text=True)  # fmt: skip
SUBSPACE = Column("subspace", "`all`, or principal directions of the step, `pc_<first>_<last>`.",
                  title="Subspace", is_text=True)  # fmt: skip
PART = Column("part", "val: held-out utterances of train speakers. select: train speakers held out "
              "for choices. eval: speakers never seen.",
              title="Part", is_text=True)  # fmt: skip
NUM_FRAMES = Column("num_frames", "Scored frames: targets of the slice in this part.", "frames",
                    "Frames")  # fmt: skip
NUM_EXCLUDED = Column("num_excluded", "Targets in cells with too few train frames.", "frames")
NUM_SPEAKERS = Column("num_speakers", "Speakers with at least one target. A t interval has one "
                      "degree of freedom fewer.", "speakers", "Speakers")  # fmt: skip


def _judged(name: str, meaning: str, unit: str = "", title: str = "") -> Column:
    """Return a column that is judged: interval, standard error and its degrees of freedom."""
    return Column(name, meaning, unit, title, True, has_standard_error=True, has_df=True)


STRUCTURE = Table(
    "structure",
    "representation, split, key, lag, slice, subspace and part",
    (
        REPRESENTATION, SPLIT_SEED, KEY, CODEBOOK_SIZE, LAG_FRAMES, SLICE,
        Column("status", "`ok`, or why the key was not attempted and has no number.",
               title="Status", is_text=True),
        SUBSPACE, PART, NUM_FRAMES, NUM_EXCLUDED, NUM_SPEAKERS,
        Column("num_effective_speakers", "1 / sum of squared shares of the speakers: as many equal "
               "speakers would be as uneven.", "speakers", "Effective speakers"),
        Column("largest_speaker_share", "Share of the largest speaker.", "share",
               "Largest speaker"),
        Column("excluded_mass", "num_excluded / num_frames: frames in cells too small.", "share",
               "Excluded"),
        Column("oracle_excluded_mass", "The same of the oracle's cells.", "share",
               "Oracle excluded"),
        Column("ratio", "Sum of squared errors about train cell means over that about the train "
               "grand mean, ratio of sums over speakers. Excluded frames have the grand mean. "
               "Above 1: worse than no key. Not corrected.", title="Ratio", has_interval=True,
               has_standard_error=True),
        _judged("explained", "1 - ratio, less the cost of fitting the cell means.",
                title="Explained"),
        _judged("linear_r2", "What ridge on the context explains of the step, on the same frames.",
                title="Linear R²"),
        _judged("added", "Headline. What the key adds to ridge: squared error of ridge less that "
                "of ridge and cells fitted together, over that about the grand mean. Paired by "
                "speaker, less the cost of fitting. At most 0 on any linear Gaussian process.",
                title="Added"),
        _judged("attainable", "`added` of the oracle: K-means of what ridge leaves of the target "
                "itself, means from other speakers of the same part. Empty where no oracle of "
                "that size was attempted.", title="Attainable"),
        _judged("added_fraction", "added / attainable. Empty where nothing is attainable.",
                title="Added fraction"),
        _judged("added_nats_per_frame", "1/2 sum over dimensions of log(error of ridge / error of "
                "both), errors less the cost of fitting. Subspace `all` only.", "nats/frame",
                "Added nats"),
        Column("added_bits_per_s", "added_nats_per_frame times frame rate over ln 2.", "bits/s",
               "Added bits", has_interval=True),
        _judged("key_information_nats_per_frame", "log p(z given cell) less that of the mixture of "
                "all cells, diagonal Gaussians of train. At most the entropy of the cells, so at "
                "most ln K. Up to 4096 frames of a part, subspace `all` only.", "nats/frame",
                "Key information"),
        Column("cost_of_fitting", "What the correction of `added` is: squared error that is due to "
               "fitting the cells, over that about the grand mean.", "share", "Cost of fitting"),
        Column("oracle_cost_of_fitting", "The same of the oracle.", "share"),
        Column("is_lower_bound", "Whether ridge's predictions stand for the context in the joint "
               "fit, above 2^25 sums by cell and context entry. `added` is then a lower bound."),
        Column("num_cells", "Cells of the key.", "cells"),
        Column("num_effective_cells", "Cells with enough train frames.", "cells"),
        Column("num_train_frames", "Train targets of the slice.", "frames"),
        Column("key_entropy_nats", "Entropy of the cells on eval.", "nats"),
        Column("bits_used_fraction", "key_entropy_nats / ln K.", "of ln K", "Cells used"),
        *(_judged(f"control_{name}", f"`added_fraction` of the same key with {words}. 0 is "
                  "expected.", title=f"{name.capitalize()} control")
          for name, words in zip(CONTROLS, ("labels drawn anew within a part", "labels of another "
                                 "utterance, shifted in a circle"), strict=True)),
        *(_judged(f"added_{name}", f"`added` of the same key refitted on surrogate `{name}`: a "
                  "known 0.") for name in SURROGATES),
        Column("transfer_loss", "1 - added on eval / added on val, rows of eval only. The parts "
               "have different speakers: Fieller's interval with Welch-Satterthwaite degrees of "
               "freedom. Empty where added on val is not surely above 0.", title="Transfer loss",
               has_interval=True),
        *(Column(f"{name}_r2", f"`r2` of {name} in linear.csv at the same lag, slice and part, "
                 "subspace `all` only.")
          for name in ("ar1", "white_noise")),
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
               "energies is kept. Absent where there are no energies.", is_text=True),
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
