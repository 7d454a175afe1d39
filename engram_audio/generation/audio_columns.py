"""The published tables of how generators sound."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.generation.columns import ARM, GENERATOR, REPRESENTATION

# What a clip and a distance are, between the step that scores and the one that tabulates.
OF_SCORE = ("utterance_id", "speaker_id", "arm", "seed", "condition", "scope", "score",
            "numerator", "denominator")  # fmt: skip
OF_DISTANCE = ("arm", "seed", "condition", "scope", "score", "value")

CONDITION = Column(
    "condition", "`original`: true speech. `round_trip`: encoded and decoded. `every_n`: drawn, "
    "and after every n draws the next ones go on from the true frame. `free`: drawn after a true "
    "prompt. `other`: the round trip of another speaker's utterance. `noise`: that of noise with "
    "the utterance's spectrum.", title="Clip", is_text=True,
)  # fmt: skip
SCOPE = Column(
    "scope", "`whole`: the whole clip. `continuation`: what follows the prompt.",
    title="Part", is_text=True,
)  # fmt: skip
SCORE = Column(
    "score", "`wer`, `cer`: word and character errors beside what was read. `consistency`: word "
    "errors beside what is heard in the original. `words_per_s`. `speaker_cosine`: of embeddings, "
    "with the original's. `quality_*`: DNSMOS opinion scores, an alarm and no ranking. "
    "`silence_share`: frames in quiet stretches of .64 s or more. `replaced_share`: draws that lay "
    "too far from the data, in whose place the frame before is heard. `*_distance`: energy "
    "or Frechet distance of log-mel frames or speaker embeddings from true ones.",
    title="Score", is_text=True,
)  # fmt: skip
NUM_UTTERANCES = Column("num_utterances", "Utterances behind it. Words count only where the "
                        "original is understood.", "utterances", "Utterances")  # fmt: skip
NUM_SPEAKERS = Column("num_speakers", "Their speakers.", "speakers", "Speakers")
RESOLUTION = Column("resolution", "How large the codec's own loss may be: the farther end of the "
                    "interval of round trip less original, on the same clips. Nothing smaller is "
                    "better or worse. Empty for distances, which have no interval.",
                    title="Codec's own loss")  # fmt: skip
CERTAIN_LOSS = Column(
    "certain_loss",
    "How large that loss surely is: the nearer end of the same "
    "interval, 0 where it holds 0. Only a difference within it is `not told "
    "apart`.",
    title="Least loss",
)
NUM_SEEDS = Column("num_seeds", "Training seeds that are heard.", "seeds", "Seeds")

GENERATION_AUDIO = Table(
    "generation_audio",
    "representation, generator, arm, kind of clip, part and score",
    (
        REPRESENTATION, GENERATOR, ARM, CONDITION, SCOPE, SCORE,
        Column("value", "The score. Rates count words, means count clips. It is the mean over "
               "training seeds, and its interval is over speakers alone. Empty where its "
               "evaluator is not installed.", title="Value", has_interval=True),
        Column("original", "The same of true speech. For a distance: of true speech from itself, "
               "other half seconds.", title="Original"),
        Column("ceiling", "The same of the round trip.", title="Round trip"),
        Column("floor", "The same of `other`, or of `noise` where quality or a distribution is "
               "asked.", title="Floor"),
        RESOLUTION,
        Column("normalised", "0 at the floor, 1 at the round trip. Empty where the floor is no "
               "worse than the round trip.", title="Normalised"),
        NUM_UTTERANCES, NUM_SPEAKERS, NUM_SEEDS,
        Column("note", "Why a number is absent.", title="Note", is_text=True),
    ),
    notes=(
        "Every training seed of an arm is heard. All draw with the same random numbers.",
        "A free continuation has no words to be right about: it has no `wer`, `cer`.",
    ),
)  # fmt: skip
GENERATION_AUDIO_GAINS = Table(
    "generation_audio_gains",
    "representation, generator, pair of arms, kind of clip, part and score",
    (
        REPRESENTATION, GENERATOR, ARM,
        Column("against", "The arm that it is compared with, on the same clips.", title="Against",
               is_text=True),
        CONDITION, SCOPE, SCORE,
        Column("gain", "How much better `arm` is, in units of the score. Where neither direction "
               "is better: its value less that of `against`. The interval is over "
               "training seeds and speakers. Empty with fewer than 3 seeds.",
               title="Gain", has_interval=True),
        RESOLUTION, CERTAIN_LOSS, NUM_UTTERANCES, NUM_SPEAKERS, NUM_SEEDS,
        Column("word", "`better`, `worse`: the whole interval lies beyond the codec's own loss. "
               "`not told apart`: the whole interval lies within what that loss surely is. "
               "`undecided`: neither, or fewer than 3 training seeds. `not "
               "read`: the score says nothing here.", title="Word", is_text=True),
        Column("reason", "Why nothing is read.", title="Reason", is_text=True),
    ),
)  # fmt: skip
