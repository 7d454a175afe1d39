"""The published tables of what went in and what was left out."""

from engram_audio.artifacts.columns import Column, Table

CHOSEN_ON = Column("chosen_on", "Part that the row's choices were made on: select, whole speakers "
                   "that nothing was fitted on, or val where a study of fewer than 16 train "
                   "speakers has no select.", title="Chosen on", is_text=True)  # fmt: skip
PART = Column("part", "val: other utterances of fitted speakers. select: speakers that choices are "
              "made on. eval: speakers never seen. train, where it stands: a thinned share, in "
              "whole utterances.", title="Part", is_text=True)  # fmt: skip
CORPUS = Table(
    "corpus",
    "corpus (split `all`), part of one of its splits, or representation of it",
    (
        Column("corpus", "Name of the corpus.", title="Corpus", is_text=True),
        Column("representation", "Name of the representation. Empty in rows of a corpus.",
               title="Representation", is_text=True),
        Column("split_seed", "Seed of the speaker-disjoint split.", title="Split"),
        Column("split", "Part of the split. select and eval hold speakers that nothing was "
               "fitted on, speakers of val are those of train. Choices are made on select, or on "
               "val where select has no speaker.", title="Part", is_text=True),
        Column("num_speakers", "Speakers.", title="Speakers"),
        Column("num_female_speakers", "Speakers whose sex is given as F.", "speakers", "Female"),
        Column("num_male_speakers", "Speakers whose sex is given as M.", "speakers", "Male"),
        Column("num_utterances", "Utterances.", title="Utterances"),
        Column("duration_s", "Duration of the speech.", "s"),
        Column("hours", "The same duration in hours.", "h", "Duration"),
        Column("num_frames", "Frames of the representation.", "frames", "Frames"),
        Column("frame_rate_hz", "Frames per second.", "Hz"),
        Column("num_dims", "Dimensions of a frame, D."),
        Column("repeated_frame_share", "Frames equal to the frame before them in every dimension, "
               "of all frames. They stay inside contexts and are no targets.", "share"),
        Column("silent_frame_share", "Frames of digital silence, of all frames: the RMS of the "
               "waveform is at most 2^-15, one step of 16-bit audio. Empty where the energy is not "
               "the waveform's RMS (worlds, arrays).", "share"),
        Column("near_copy_share", "Utterances that have a near copy under another speaker, of all "
               "utterances: the same recording with noise, another gain or some frames less.",
               "share"),
        Column("num_excluded", "Files of the corpus, or utterances of the representation, that "
               "were left out. Notes about files that stay do not count.", "files", "Excluded"),
    ),
)  # fmt: skip
EXCLUSIONS = Table(
    "exclusions",
    "file or utterance that was left out, or note about one that stays",
    (
        Column("corpus", "Name of the corpus.", title="Corpus", is_text=True),
        Column("representation", "Name of the representation. Empty: left out of the corpus.",
               title="Representation", is_text=True),
        Column("path", "The file, as found on disk: untrusted text.", title="File", is_text=True),
        Column("utterance_id", "Name of the utterance.", title="Utterance", is_text=True),
        Column("speaker_id", "Name of the speaker.", title="Speaker", is_text=True),
        Column("reason", "A fixed word.", title="Reason", is_text=True),
        Column("detail", "What was found, in words.", title="Detail", is_text=True),
        Column("is_kept", "True for a note about an utterance that stays.", title="Kept",
               is_text=True),
    ),
)  # fmt: skip
NATS_PER_FRAME = "nats/frame"
# Of a tuning, in every stage that tunes networks.
TUNED_POINT = (
    CHOSEN_ON,
    Column("point", "Number of the point, in the order in which points are tried.", title="Point"),
    Column("dropout", "Dropout after every hidden layer.", title="Dropout"),
    Column("weight_decay", "Decoupled weight decay.", title="Weight decay"),
    Column("learning_rate", "Peak learning rate.", title="Learning rate"),
    Column("select_nll_nats", "Mean NLL on select, speakers that nothing was fitted on. Empty "
           "without select.", NATS_PER_FRAME, "On select"),
    Column("val_nll_nats", "Mean NLL on val, other utterances of fitted speakers.", NATS_PER_FRAME,
           "On val"),
    Column("select_less_val", "The first less the second: what a score on known speakers hides.",
           NATS_PER_FRAME, "Select less val"),
    Column("eval_nll_nats", "Mean NLL on eval. Nothing is chosen by it.", NATS_PER_FRAME,
           "On eval"),
    Column("lost_nats", "What the point loses to the chosen one on `chosen_on`, paired by speaker.",
           NATS_PER_FRAME, "Lost", has_standard_error=True),
    Column("is_chosen", "Whether it is the best on `chosen_on`: every lag, seed and fold is "
           "trained with it.", title="Chosen", is_text=True),
    Column("is_near_best", "Whether it loses at most one standard error. A verdict whose sign "
           "differs among such points is undecided.", title="As good", is_text=True),
)  # fmt: skip
TUNING_NOTE = (
    "Every network of a comparison tries the same points at full length, once, at the first lag "
    "and with the first seed (`recipes.<name>.tuning`). No rows: nothing was tuned."
)
