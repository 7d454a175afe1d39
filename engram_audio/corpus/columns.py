"""The published tables of what went in and what was left out."""

from engram_audio.artifacts.columns import Column, Table

REPRESENTATION = Column("representation", "The latents that the row is about. Surrogates are "
                        "`<name>--<surrogate>`.", title="Representation",
                        is_text=True)  # fmt: skip
SPLIT_SEED = Column("split_seed", "Seed of the speaker-disjoint split. The first decides.",
                    title="Split")  # fmt: skip
SEED = Column("seed", "Seed of the training. -1: fitted without one.", title="Seed")
LAG_FRAMES = Column("lag_frames", "How stale the context is. 0: a marginal, for all lags.",
                    "frames", "Lag")  # fmt: skip
SLICE = Column("slice", "Frames that are scored: all, speech, medial, initial or final.",
               title="Slice", is_text=True)  # fmt: skip
NUM_FRAMES = Column("num_frames", "Scored frames.", "frames", "Frames")
NUM_SPEAKERS = Column("num_speakers", "Speakers with a scored frame.", "speakers", "Speakers")
NUM_SEEDS = Column("num_seeds", "Training seeds behind a mean over seeds.", "seeds", "Seeds")
INTERVAL_OVER = Column("interval_over", "What an interval of a mean over seeds counts: `seeds "
                       "and speakers` from three seeds on.", is_text=True)  # fmt: skip
FRAME_RATE_HZ = Column("frame_rate_hz", "Frames per second.", "Hz", "Rate")
NUM_DIMS = Column("num_dims", "Dimensions of a frame, D.", "dims", "D")
MARGINAL = Column("marginal", "Best law without context on `chosen_on`, in the target's own space.",
                  is_text=True)  # fmt: skip
MARGINAL_HAS_STOPPED = Column("marginal_has_stopped", "Whether the marginal grew until select "
                              "gained no more. Else a richer law may be better, and information "
                              "is overstated by as much.", title="its growth stopped",
                              is_text=True)  # fmt: skip
CHOSEN_ON = Column("chosen_on", "Part that choices were made on: select, or val with fewer than "
                   "16 train speakers.", title="Chosen on", is_text=True)  # fmt: skip
PART = Column("part", "val: fitted speakers, other utterances. select: unfitted speakers, for "
              "choices. eval: unseen. train: a thinned share.", title="Part",
              is_text=True)  # fmt: skip
CORPUS = Table(
    "corpus",
    "corpus (split `all`), part of one of its splits, or representation of it",
    (
        Column("corpus", "Names in the corpus.", title="Corpus", is_text=True),
        REPRESENTATION,
        SPLIT_SEED,
        Column("split", "train, val (the same speakers), select or eval (unfitted speakers).",
               title="Part", is_text=True),
        Column("num_speakers", "Speakers of the part.", title="Speakers"),
        Column("num_female_speakers", "Speakers of either sex, as given.", "speakers", "Female"),
        Column("num_male_speakers", "Speakers of either sex, as given.", "speakers", "Male"),
        Column("num_utterances", "Utterances of the part.", title="Utterances"),
        Column("duration_s", "Duration of its speech, in seconds and hours.", "s"),
        Column("hours", "Duration of its speech, in seconds and hours.", "h", "Duration"),
        Column("num_frames", "Frames of the part.", "frames", "Frames"),
        FRAME_RATE_HZ,
        NUM_DIMS,
        Column("repeated_frame_share", "Frames equal to the frame before. They stay in contexts "
               "and are no targets.", "share"),
        Column("silent_frame_share", "Frames with an RMS of at most one step of 16-bit audio.",
               "share"),
        Column("near_copy_share", "Utterances that another speaker has too, but for noise, gain "
               "or some frames.", "share"),
        Column("num_excluded", "Files, or utterances of the representation, that were left out.",
               "files", "Excluded"),
    ),
)  # fmt: skip
EXCLUSIONS = Table(
    "exclusions",
    "file or utterance that was left out, or note about one that stays",
    (
        Column("corpus", "Names in the corpus.", title="Corpus", is_text=True),
        REPRESENTATION,
        Column("path", "The file, as found on disk.", title="File", is_text=True),
        Column("utterance_id", "Names in the corpus.", title="Utterance", is_text=True),
        Column("speaker_id", "Names in the corpus.", title="Speaker", is_text=True),
        Column("reason", "Why, as a fixed word and in words.", title="Reason", is_text=True),
        Column("detail", "Why, as a fixed word and in words.", title="Detail", is_text=True),
        Column("is_kept", "True for a note about an utterance that stays.", title="Kept",
               is_text=True),
    ),
)  # fmt: skip
NATS_PER_FRAME = "nats/frame"
# Of a tuning, in every stage that tunes networks.
TUNED_POINT = (
    CHOSEN_ON,
    Column("point", "Number of the point, in the order of trial.", title="Point"),
    Column("dropout", "Settings of the point.", title="Dropout"),
    Column("weight_decay", "Settings of the point.", title="Weight decay"),
    Column("learning_rate", "Settings of the point.", title="Learning rate"),
    Column("select_nll_nats", "NLL on that part. Nothing is chosen by eval.", NATS_PER_FRAME,
           "On select"),
    Column("val_nll_nats", "NLL on that part. Nothing is chosen by eval.", NATS_PER_FRAME,
           "On val"),
    Column("select_less_val", "select_nll_nats less val_nll_nats: what a score on known "
           "speakers hides.",
           NATS_PER_FRAME, "Select less val"),
    Column("eval_nll_nats", "NLL on that part. Nothing is chosen by eval.", NATS_PER_FRAME,
           "On eval"),
    Column("lost_nats", "What the point loses to the chosen one on `chosen_on`.", NATS_PER_FRAME,
           "Lost", has_standard_error=True),
    Column("is_chosen", "Whether it is the best on `chosen_on`, used for every lag, seed and "
           "fold.", title="Chosen", is_text=True),
    Column("is_near_best", "Whether it loses at most one standard error. Where such points "
           "differ in sign, a verdict is undecided.", title="As good", is_text=True),
)  # fmt: skip
TUNING_NOTE = (
    "Every network of a comparison tries the same points (`docs/memory.md`). No rows: nothing was "
    "tuned."
)
