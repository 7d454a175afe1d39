"""The published tables of how generators sound."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import NUM_SEEDS, NUM_SPEAKERS, REPRESENTATION
from engram_audio.generation.columns import ARM, GENERATOR

# What a clip and a distance are, between the step that scores and the one that tabulates.
OF_SCORE = ("utterance_id", "speaker_id", "arm", "seed", "condition", "scope", "score",
            "numerator", "denominator")  # fmt: skip
OF_DISTANCE = ("arm", "seed", "condition", "scope", "score", "value")

CONDITION = Column("condition", "`original`, `round_trip`, drawn (`every_n`, `free`), or a floor "
                   "(`other`, `noise`): docs/generation.md.", title="Clip",
                   is_text=True)  # fmt: skip
SCOPE = Column("scope", "`whole` clip, or `continuation` after the prompt.", title="Part",
               is_text=True)  # fmt: skip
SCORE = Column("score", "Word, speaker and opinion scores, shares of frames, or distances from "
               "true speech: docs/generation.md.", title="Score", is_text=True)  # fmt: skip
NUM_UTTERANCES = Column("num_utterances", "Utterances behind it. Words count only where the "
                        "original is understood.", "utterances", "Utterances")  # fmt: skip
RESOLUTION = Column("resolution", "Farther end of the codec's own loss. Nothing smaller is "
                    "better or worse.", title="Codec's own loss")  # fmt: skip
CERTAIN_LOSS = Column(
    "certain_loss",
    "Nearer end of the codec's own loss, or 0. Only a difference within it is `not told apart`.",
    title="Least loss",
)

GENERATION_AUDIO = Table(
    "generation_audio",
    "representation, generator, arm, kind of clip, part and score",
    (
        REPRESENTATION, GENERATOR, ARM, CONDITION, SCOPE, SCORE,
        Column("value", "The score, mean over seeds, with an interval over speakers.",
               title="Value", has_interval=True),
        Column("original", "Score of true speech (a distance: from itself), of the round trip, "
               "and of `other` or `noise`.", title="Original"),
        Column("ceiling", "Score of true speech (a distance: from itself), of the round trip, "
               "and of `other` or `noise`.", title="Round trip"),
        Column("floor", "Score of true speech (a distance: from itself), of the round trip, and "
               "of `other` or `noise`.", title="Floor"),
        RESOLUTION,
        Column("normalised", "0 at the floor, 1 at the round trip. Empty where the floor is no "
               "worse.", title="Normalised"),
        NUM_UTTERANCES, NUM_SPEAKERS, NUM_SEEDS,
        Column("note", "Why a number is absent.", title="Note", is_text=True),
    ),
)  # fmt: skip
GENERATION_AUDIO_GAINS = Table(
    "generation_audio_gains",
    "representation, generator, pair of arms, kind of clip, part and score",
    (
        REPRESENTATION, GENERATOR, ARM,
        Column("against", "The arm that it is compared with.", title="Against", is_text=True),
        CONDITION, SCOPE, SCORE,
        Column("gain", "How much better `arm` is, in units of the score, or its value less that "
               "of `against` where neither direction is better.", title="Gain", has_interval=True),
        RESOLUTION, CERTAIN_LOSS, NUM_UTTERANCES, NUM_SPEAKERS, NUM_SEEDS,
        Column("word", "`better`, `worse`: the whole interval lies beyond `resolution`. `not "
               "told apart`: within `certain_loss`. `undecided`: neither. `not read`: the score "
               "says nothing here.", title="Word", is_text=True),
        Column("reason", "Why nothing is read.", title="Reason", is_text=True),
    ),
)  # fmt: skip
