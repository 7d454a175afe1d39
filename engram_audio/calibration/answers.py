"""The one right answer of the gate on every planted world, derived before any run.

They hold at W = 8 and lag 2, with the keys of the base study. They rest on the exact *added* values
of `added.py` (`docs/worlds-truths.csv` lists them), on the attainable part that K-means of the
ridge residual finds (60 + 20 speakers), and on the gain of the best predictor over the nulls of the
linear kind. Where laws carry what no mean carries, the word is WRONG KEY (mean only) as long as no
scorer of laws exists.
"""

from typing import Literal, NamedTuple

Word = Literal["PROCEED", "STOP", "WRONG KEY (mean only)", "UNDECIDED", "INVALID"]
Gain = Literal["law", "stated"]

WRONG_KEY: Word = "WRONG KEY (mean only)"


class Answer(NamedTuple):
    """What a correct gate says.

    Attributes:
        word: With all context keys of the base study.
        raw_word: With `pca.raw` keys alone.
        gain: How the gain of the best predictor is known that knows the equations and what train
            speakers share: from the exact `law`, or `stated` because no such law is at hand.
        why: What decides, and for a stated gain the reason.
    """

    word: Word
    raw_word: Word
    gain: Gain
    why: str


def _same(word: Word, why: str, gain: Gain = "law") -> Answer:
    return Answer(word, word, gain, why)


_LINEAR = _same("STOP", "E[x | context] is linear: added 0, and no law beyond the linear one")
_SHARED = "the phase adds .040 of .089 attainable"

ANSWERS: dict[str, Answer] = {
    **dict.fromkeys(("iid", "iid_d4", "iid_d32", "iid_d512", "rw"), _LINEAR),
    "rw_shape": _same("STOP", "steps are independent: shape without context"),
    **dict.fromkeys(("ar1_r03", "ar1_r05", "ar1_r07", "ar1_r09", "var1", "ssm"), _LINEAR),
    "overlap": _same("STOP", "a moving average of white noise is linear and Gaussian"),
    "type2": _same("PROCEED", _SHARED),
    "type2_edge": _same("PROCEED", "the phase adds .070 of .133; PCA keys .021, last frame .069"),
    "type1": _same("STOP", "prototypes of eval speakers are in no train table: gain 0", "stated"),
    "offset": Answer(
        "PROCEED", WRONG_KEY, "stated",
        "type2 under offsets of 3: centred keys see it, raw keys see the speaker. The gain is that "
        "of type2 less what the offset costs: differences of frames do not hold it",
    ),
    "partly_shared": _same(
        "UNDECIDED", "keys add .030 of .164, but lose .45 or more of it between speakers"
    ),
    "key_corruption": _same("PROCEED", _SHARED),
    "drift": Answer("PROCEED", WRONG_KEY, "law", "increments add .051 of .351, positions .000"),
    "bimodal": _same(WRONG_KEY, "signs are fair: added 0, the law gains"),
    "dir": Answer("PROCEED", WRONG_KEY, "law", "increments add .072 of .516, positions .000"),
    "mag": _same(WRONG_KEY, "steps have mean 0: added 0, the law gains"),
    "spikes": _same("STOP", "linear; a mixture of residuals holds the rare large innovations"),
    "heavy_spikes": _same("STOP", "linear; a mixture of residuals holds the spikes"),
    "silence": _same("STOP", "speech is a random walk: gain and added 0 in that slice", "stated"),
    "boundary": _same("STOP", "the middle is a random walk: gain and added 0 there", "stated"),
    "table": _same(
        "PROCEED", "256 cells of PCA add .11 of .78; the law knows the symbol", "stated"
    ),
    "table_second_order": _same(
        "PROCEED", "as the table; a key of one frame leaves four successors", "stated"
    ),
    "ring": _same(WRONG_KEY, "linear R^2 .988, attainable .007, added .00005; the spread turns"),
    "logistic": Answer("PROCEED", WRONG_KEY, "law", "last frame adds .116 of .554, PCA .000"),
    "logistic_rotated": Answer("PROCEED", WRONG_KEY, "law", "last frame .130 of .581, PCA .000"),
    "junk": _same("PROCEED", "PCA adds .0011 of .0065 with 16 cells, .7 nats in 8 dimensions"),
    "seasonal": _LINEAR,
    "sines": _LINEAR,
    "spiky_var": _same("STOP", "the state is observed: linear, shape in the residuals' mixture"),
    "ar_speakers": _same(WRONG_KEY, "added at most .004, the law knows the coefficient"),
    "ar_speakers_signs": Answer(
        "UNDECIDED", WRONG_KEY, "law",
        "a predictive key tells the sign: .02 of .25, with half of it as error at 20 speakers. "
        "PCA keys add .022 of attainable at most",
    ),
    "pulses": _same(
        WRONG_KEY, "the posterior adds .0147 of .246 to .316: no key of any size reaches .05"
    ),
    "overlap_symbols": _same(WRONG_KEY, "all symbols known add .011 of .36 to .41: below .05"),
    "stochvol": _same(WRONG_KEY, "signs are fair: added 0, the law knows the scale"),
    "silent_motifs": _same(
        "STOP", "speech is a random walk: gain and added 0 in that slice", "stated"
    ),
    "near_copies": _same(
        "STOP", "as type1; copied utterances are no transfer", "stated"
    ),
    "unequal_lognormal": _same("PROCEED", _SHARED),
    "unequal_third": _same("PROCEED", _SHARED + "; n_eff about 8"),
    "unequal_half": _same("INVALID", "n_eff below 5"),
}  # fmt: skip
