"""The one right answer of the gate on every planted world, derived before any run.

They hold at W = 8 and lag 2, with keys of the base study. They rest on the exact *added* values of
`added.py` (`docs/worlds-truths.csv` lists them), on the attainable part that K-means of the ridge
residual finds (60 + 20 speakers), and on the gain of the best predictor over the nulls of the
linear kind. Where no mean carries what heads gain, the word rests on the laws of keys beside the
linear base: LAW, NOT MEAN or WRONG KEY. A study that scores no laws says WRONG KEY (mean only).
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Word = Literal[
    "PROCEED", "STOP", "WRONG KEY (mean only)", "UNDECIDED", "INVALID", "LAW, NOT MEAN", "WRONG KEY"
]
Gain = Literal["law", "stated"]
WRONG_KEY: Word = "WRONG KEY (mean only)"
LAW: Word = "LAW, NOT MEAN"
NO_LAW: Word = "WRONG KEY"


class Answer(NamedTuple):
    """What a correct gate says.

    Attributes:
        word: With every context key of the base study.
        gain_nats: Gain of the best predictor that knows the equations and what train speakers
            share, over the best null of the linear kind, nats per frame at lag 2. 0 is exact. Other
            values are rounded down, and far above what could matter.
        why: What decides.
        needs: Inputs, features, quantisers or whole names of keys that the word rests on; empty
            where any key will do.
        without: The word where no key has one of these.
        gain: Whether the gain is the exact `law`'s, or `stated` because no such law is at hand.
        null_slice: A slice in which the gain is 0; empty where it is the same in all.
        law_needs: Inputs, features of keys whose laws carry more than delta, where no mean does.
            Empty where no key's law does.
        without_law: The word where laws are scored and no key has one of these.
    """

    word: Word
    gain_nats: float
    why: str
    needs: tuple[str, ...] = ()
    without: Word = WRONG_KEY
    gain: Gain = "law"
    null_slice: str = ""
    law_needs: tuple[str, ...] = ()
    without_law: Word = NO_LAW


def expected_word(name: str, keys: Iterable[str], has_laws: bool = False) -> Word:
    """Return the one right word for a world that is judged by these keys.

    Args:
        name: Name of the world.
        keys: Names of the candidates, `<feature>.<input>.<quantiser>`.
        has_laws: Whether these keys are scored by their laws too.
    """
    answer, keys = ANSWERS[name], list(keys)
    parts = {part for key in keys for part in (key, *key.split("."))}
    word = answer.word if not answer.needs or parts & set(answer.needs) else answer.without
    if word != WRONG_KEY or not has_laws:
        return word
    return LAW if parts & set(answer.law_needs) else answer.without_law


_LINEAR = Answer("STOP", 0.0, "E[x | context] is linear: added 0, and no law beyond the linear one")
_SPIKES = Answer("STOP", 0.0, "linear, and the residuals' mixture holds the large innovations")
_SHARED = Answer("PROCEED", 1.5, "the phase adds .040 of .089 attainable")
_OWN = Answer("STOP", 0.0, "an eval speaker's prototypes are in no table of train", gain="stated")
_QUIET = Answer(
    "STOP", 5.0, "speech is a random walk: gain and added are 0 in it", gain="stated",
    null_slice="speech",
)  # fmt: skip
_MOVES = ("increments", "predictive", "learned")
_MANY_CELLS = ("kmeans_256", "kmeans_512", "kmeans_1024")
_TABLE = Answer(
    "PROCEED", 2.0, "256 cells of PCA add .10 of .73 attainable", gain="stated",
    law_needs=("pca", "last_frame", "predictive", "learned"),
)  # fmt: skip

ANSWERS: dict[str, Answer] = {
    **dict.fromkeys(("iid", "iid_d4", "iid_d32", "rw"), _LINEAR),
    # In 512 dimensions 64 cells could explain .016, and fitting them costs .002 of 31,000 frames,
    # where half of a twentieth of .016 may be: a STOP wants 160,000 frames.
    "iid_d512": Answer("INVALID", 0.0, "too few frames for so many cells in 512 dimensions"),
    "rw_shape": Answer("STOP", 0.0, "steps are independent: shape without context"),
    **dict.fromkeys(("ar1_r03", "ar1_r05", "ar1_r07", "ar1_r09"), _LINEAR),
    **dict.fromkeys(("var1", "ssm", "overlap"), _LINEAR),
    "type2": _SHARED,
    "type2_edge": Answer("PROCEED", 2.0, "the phase adds .070 of .133, PCA keys .021"),
    "type1": _OWN,
    "offset": Answer(
        "PROCEED", 1.0, "type2 under offsets: differences of frames and centred keys see through",
        needs=("speaker_centred", "increments"), gain="stated",
    ),
    "partly_shared": Answer(
        "UNDECIDED", 2.0, "keys add .030 of .164, but lose .45 or more of it between speakers"
    ),
    "key_corruption": _SHARED,
    "drift": Answer("PROCEED", 0.3, "increments add .051 of .351, positions .000", needs=_MOVES),
    "bimodal": Answer(WRONG_KEY, 1.0, "signs are fair: added 0, the law gains",
                      law_needs=_MOVES),
    "dir": Answer("PROCEED", 0.3, "increments add .072 of .516, positions .000", needs=_MOVES),
    "mag": Answer(WRONG_KEY, 0.5, "steps have mean 0: added 0, the law gains",
                  law_needs=_MOVES),
    **dict.fromkeys(("spikes", "heavy_spikes"), _SPIKES),
    "silence": _QUIET,
    "boundary": Answer(
        "STOP", 1.0, "the middle is a random walk: gain and added are 0 in it", gain="stated",
        null_slice="medial",
    ),
    # 64 cells of 1,024 symbols: PCA keys add .043 of what they could, the last frame .081
    "table": _TABLE._replace(needs=("last_frame", *_MANY_CELLS)),
    "table_second_order": _TABLE._replace(
        why="256 cells of the last frame add .069 of what they could, of PCA .035",
        needs=tuple(f"last_frame.raw.{cells}" for cells in _MANY_CELLS),
    ),
    "ring": Answer(WRONG_KEY, 0.1, "linear R^2 .988, added .00005 of .0072: the spread turns"),
    **dict.fromkeys(
        ("logistic", "logistic_rotated"),
        Answer(
            "PROCEED", 2.0, "the last frame adds .12 of .55, PCA of the window .000",
            needs=("last_frame", "predictive"),
        ),
    ),
    "junk": Answer(
        "INVALID", 0.5, "16 cells of PCA add .0011 of .0065, and fitting them costs .0005"
    ),
    **dict.fromkeys(("seasonal", "sines"), _LINEAR),
    "spiky_var": _SPIKES,
    "ar_speakers": Answer(WRONG_KEY, 0.3, "added at most .004, the law knows the coefficient",
                          law_needs=("pca", "learned")),
    "ar_speakers_signs": Answer(
        "UNDECIDED", 0.5, "a predictive key tells the sign: .02 +- .01 of .25 at 20 speakers",
        needs=("predictive",),
    ),
    # Keys of 64 cells add .03 to .046 of what they could, but a predictive one .0504 +- .0008: it
    # lies on the threshold. By it PROCEED would be no false word, and UNDECIDED none either.
    "pulses": Answer(
        WRONG_KEY, 0.2,
        "a linear filter, a nonlinear prediction: the posterior adds .0147 of .255, keys .04 of it",
        law_needs=("predictive", "learned"),
    ),
    "overlap_symbols": Answer(WRONG_KEY, 0.2, "all symbols known add .011 of .36 to .41: .03"),
    "stochvol": Answer(WRONG_KEY, 0.2, "signs are fair: added 0, the law knows the scale",
                       law_needs=_MOVES, without_law="UNDECIDED"),
    "silent_motifs": _QUIET,
    "near_copies": _OWN._replace(why="as type1: copied utterances are no transfer"),
    "unequal_lognormal": _SHARED,
    "unequal_third": _SHARED._replace(why="as type2, with n_eff about 8"),
    "unequal_half": Answer("INVALID", 1.5, "n_eff is below 5"),
}  # fmt: skip
