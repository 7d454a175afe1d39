"""The published tables of the structure stage."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import (
    LAG_FRAMES,
    NUM_FRAMES,
    NUM_SPEAKERS,
    PART,
    REPRESENTATION,
    SLICE,
    SPLIT_SEED,
)
from engram_audio.structure.comparisons import CONTROLS, SURROGATES

KEY = Column("key", "`<family>.<input>.<quantizer>`.", title="Key", is_text=True)  # fmt: skip
CODEBOOK_SIZE = Column("codebook_size", "K.", "cells")
SUBSPACE = Column("subspace", "`all`, or principal directions of the step, `pc_<first>_<last>`.",
                  title="Subspace", is_text=True)  # fmt: skip
NUM_EXCLUDED = Column("num_excluded", "Targets in cells with too few train frames.", "frames")


def _judged(name: str, meaning: str, unit: str = "", title: str = "") -> Column:
    """Return a column that is judged: interval, standard error and its degrees of freedom."""
    return Column(name, meaning, unit, title, True, has_standard_error=True, has_df=True)


STRUCTURE = Table(
    "structure",
    "representation, split, key, lag, slice, subspace and part",
    (
        REPRESENTATION, SPLIT_SEED, KEY, CODEBOOK_SIZE, LAG_FRAMES, SLICE,
        Column("status", "`ok`, or why the key was not attempted.", title="Status", is_text=True),
        SUBSPACE, PART, NUM_FRAMES, NUM_EXCLUDED, NUM_SPEAKERS,
        Column("num_effective_speakers", "As many equal speakers would be as uneven.", "speakers",
               "Effective speakers"),
        Column("largest_speaker_share", "The largest speaker's.", "share", "Largest speaker"),
        Column("excluded_mass", "num_excluded / num_frames, of the key and of the oracle.", "share",
               "Excluded"),
        Column("oracle_excluded_mass", "num_excluded / num_frames, of the key and of the oracle.",
               "share", "Oracle excluded"),
        Column("ratio", "Squared error about train cell means over that about the train grand "
               "mean. Not corrected.", title="Ratio", has_interval=True, has_standard_error=True),
        _judged("explained", "1 - ratio, less the cost of fitting.", title="Explained"),
        _judged("linear_r2", "What ridge explains of the step.", title="Linear R²"),
        _judged("added", "Headline. What the key adds to ridge: squared error of ridge less that "
                "of ridge and cells fitted together, over that about the grand mean, less the "
                "cost of fitting. At most 0 on any linear Gaussian process.", title="Added"),
        _judged("attainable", "`added` of the oracle: K-means of what ridge leaves of the "
                "target, means from other speakers of the part.", title="Attainable"),
        _judged("added_fraction", "added / attainable.", title="Added fraction"),
        _judged("added_nats_per_frame", "1/2 sum over dimensions of log(error of ridge / error "
                "of both), less the cost of fitting.", "nats/frame", "Added nats"),
        Column("added_bits_per_s", "added_nats_per_frame in bits.", "bits/s",
               "Added bits", has_interval=True),
        _judged("key_information_nats_per_frame", "log p(z given cell) less that of the mixture "
                "of all cells. At most the entropy of the cells.", "nats/frame", "Key information"),
        Column("cost_of_fitting", "The correction of `added` and `attainable`: squared error due "
               "to fitting the cells.", "share", "Cost of fitting"),
        Column("oracle_cost_of_fitting", "The correction of `added` and `attainable`: squared "
               "error due to fitting the cells.", "share"),
        Column("is_lower_bound", "Whether `added` is a lower bound: ridge's predictions stand "
               "for the context in the joint fit."),
        Column("num_cells", "Cells of the key, and those with enough train frames.", "cells"),
        Column("num_effective_cells", "Cells of the key, and those with enough train frames.",
               "cells"),
        Column("num_train_frames", "Train targets of the slice.", "frames"),
        Column("key_entropy_nats", "Entropy of the cells on eval.", "nats"),
        Column("bits_used_fraction", "key_entropy_nats / ln K.", "of ln K", "Cells used"),
        *(_judged(f"control_{name}", f"`added_fraction` of the same key with {words}. 0 is "
                  "expected.", title=f"{name.capitalize()} control")
          for name, words in zip(CONTROLS, ("labels drawn anew within a part", "labels of another "
                                 "utterance, shifted in a circle"), strict=True)),
        *(_judged(f"added_{name}", "`added` of the same key refitted on that surrogate: a known "
                  "0.") for name in SURROGATES),
        Column("transfer_loss", "1 - added on eval / added on val. Fieller's interval. Empty "
               "where added on val is not surely above 0.", title="Transfer loss",
               has_interval=True),
        *(Column(f"{name}_r2", "`r2` of that null in linear.csv.")
          for name in ("ar1", "white_noise")),
    ),
    notes=(
        "Keys that were not attempted keep a row. Everything is refitted inside of a slice. "
        "Numbers in nats, in bits and of linear.csv stand at subspace `all` only.",
    ),
)  # fmt: skip
LINEAR = Table(
    "linear",
    "representation, split, linear model, lag, slice and part",
    (
        REPRESENTATION, SPLIT_SEED,
        Column("model", "`ridge` on the whole context, or a null: `ar1` per dimension, "
               "`white_noise` in closed form.", title="Model", is_text=True),
        LAG_FRAMES, SLICE, PART, NUM_FRAMES, NUM_SPEAKERS,
        Column("r2", "1 - SSE / SSE about the train mean of the step, ratio of sums over "
               "speakers.", title="R²", has_interval=True, has_standard_error=True),
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
               "energies is kept, where there are energies.", is_text=True),
        Column("kept_fraction", "Frames kept, those whose cell is surest.", "share"),
        NUM_FRAMES, NUM_SPEAKERS,
        Column("ratio", "`ratio` of structure.csv on these frames.", has_interval=True,
               has_standard_error=True),
    ),
)  # fmt: skip
NGRAMS = Table(
    "ngrams",
    "representation, split, key, order, least count and part",
    (
        REPRESENTATION, SPLIT_SEED, KEY,
        Column("order", "Length of a run of keys.", "keys", "Order"),
        Column("minimum_count", "How often train has seen it at least.", "times", "Seen at least"),
        PART,
        Column("num_ngrams", "Runs of keys within an utterance, and those that train has seen so "
               "often.", title="Runs"),
        Column("num_covered", "Runs of keys within an utterance, and those that train has seen "
               "so often."),
        Column("coverage", "num_covered / num_ngrams, without an interval.", title="Coverage"),
    ),
)  # fmt: skip
SPEAKERS = Table(
    "speakers",
    "representation, split, key, lag, part and speaker",
    (
        REPRESENTATION, SPLIT_SEED, KEY, CODEBOOK_SIZE, LAG_FRAMES, SLICE, SUBSPACE, PART,
        Column("speaker_id", "Names in the corpus.", is_text=True),
        NUM_FRAMES, NUM_EXCLUDED,
        Column("ratio", "`ratio` of structure.csv for this speaker."),
    ),
    notes=("Slice and subspace are `all`.",),
)  # fmt: skip
