"""The published rows of how generators sound, beside floor, ceiling and the codec's own loss.

Shapes: S speakers.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.audio_scores.names import (
    BY_NAME,
    FREE,
    OF_REFERENCE_WORDS,
    OF_TRANSCRIPT,
    ORIGINAL,
    OTHER,
    REPLACED,
    ROUND_TRIP,
    SCORES,
    Score,
)
from engram_audio.densities.comparison import described, with_intervals
from engram_audio.generation.audio_columns import GENERATION_AUDIO, GENERATION_AUDIO_GAINS
from engram_audio.generation.names import split_path
from engram_audio.generation.word import AS_MUCH_WORK, MEMORY, SMALL
from engram_audio.stats.estimate import (
    Estimate,
    Interval,
    mean_of,
    paired_difference,
    stacked,
    t_interval,
    uncertain,
)
from engram_audio.stats.ratio import ratio_of_sums, scaled
from engram_audio.stats.two_way import MINIMUM_SEEDS, two_way

BETTER, WORSE, SAME, UNDECIDED, NOT_READ = (
    "better", "worse", "not told apart", "undecided", "not read",
)  # fmt: skip
PAIRS = ((MEMORY, AS_MUCH_WORK), (MEMORY, SMALL))
ABSENT = "not installed: `make audio`"
OF_CLIP = ["arm", "condition", "scope"]
EXACT = ("noise", ORIGINAL, OTHER, ROUND_TRIP)  # clips that no arm draws


class Sounded(NamedTuple):
    """Scored clips of one generator on one representation.

    Attributes:
        representation: Name.
        generator: Name.
        scores: One row per utterance, clip, training seed and score: numerator and denominator.
        distances: One row per clip, training seed and distance.
        absent: Evaluators that were not installed.
        minimum_word_utterances: Below so many utterances nothing is read from words.
    """

    representation: str
    generator: str
    scores: pd.DataFrame
    distances: pd.DataFrame
    absent: tuple[str, ...]
    minimum_word_utterances: int


class Loss(NamedTuple):
    """How large the codec's own loss is, in units of a score; NaN where that is not known.

    Attributes:
        least: The nearer end of the interval of round trip less original, 0 where it holds 0.
        most: Its farther end: nothing smaller is better or worse.
    """

    least: float
    most: float


class Ratios:
    """Scores of one generator as ratios over the same speakers."""

    def __init__(self, one: Sounded) -> None:
        """Sum the rows of each clip and score by speaker."""
        self._speakers = sorted({str(name) for name in one.scores["speaker_id"]})
        self._rows: dict[tuple[str, str, str, str], pd.DataFrame] = {}
        for arm, condition, scope, score in dict.fromkeys(
            one.scores[[*OF_CLIP, "score"]].itertuples(index=False, name=None)
        ):
            place = {"arm": arm, "condition": condition, "scope": scope, "score": score}
            self._rows[arm, condition, scope, score] = choose(one.scores, **place)

    def places(self) -> Iterator[tuple[str, str, str]]:
        """Yield every clip that has a score, each once: arm, condition, scope."""
        yield from dict.fromkeys(key[:3] for key in self._rows)

    def arms(self) -> list[str]:
        """Return every arm that made a clip."""
        return list(dict.fromkeys(arm for arm, _, _ in self.places() if arm))

    def estimate(self, arm: str, condition: str, scope: str, score: str) -> Estimate | None:
        """Return a score over speakers, the mean of seeds; None where no clip has it."""
        found = self.by_seed(arm, condition, scope, score)
        return mean_of(list(found.values())) if found else None

    def by_seed(self, arm: str, condition: str, scope: str, score: str) -> dict[int, Estimate]:
        """Return a score over speakers for each training seed; empty where no clip has it."""
        rows = self._rows.get((arm, condition, scope, score))
        if rows is None:
            return {}
        seeds = np.unique(rows["seed"].to_numpy(int)).tolist()
        return {seed: self._ratio(choose(rows, seed=seed)) for seed in seeds}

    def _ratio(self, rows: pd.DataFrame) -> Estimate:
        place = np.searchsorted(self._speakers, rows["speaker_id"].to_numpy(str))
        sums = [
            np.bincount(place, rows[name].to_numpy(float), len(self._speakers))
            for name in ("numerator", "denominator")
        ]
        return ratio_of_sums(sums[0], sums[1])

    def num_utterances(self, arm: str, condition: str, scope: str, score: str) -> int:
        """Return how many utterances a score counts."""
        rows = self._rows.get((arm, condition, scope, score))
        return 0 if rows is None else len(set(rows["utterance_id"]))

    def value(self, condition: str, scope: str, score: str) -> float:
        """Return a score of clips that no arm made; NaN where there is none."""
        found = self.estimate("", condition, scope, score)
        return math.nan if found is None else float(found.value)

    def num_seeds(self, arm: str, condition: str, scope: str) -> int:
        """Return how many training seeds of an arm are heard; 0 where no arm made the clip."""
        if not arm:
            return 0
        found = [len(set(own["seed"])) for key, own in self._rows.items()
                 if key[:3] == (arm, condition, scope)]  # fmt: skip
        return max(found, default=0)

    def loss(self, scope: str, score: str, confidence: float) -> Loss:
        """Return how large the codec's own loss is, on the same speakers."""
        pair = [self.estimate("", name, scope, score) for name in (ROUND_TRIP, ORIGINAL)]
        if pair[0] is None or pair[1] is None:
            return Loss(math.nan, math.nan)
        interval = t_interval(uncertain(paired_difference(pair[0], pair[1])), confidence)
        low, high = float(interval.low), float(interval.high)
        ends = np.abs([low, high])
        return Loss(0.0 if low <= 0 <= high else float(np.min(ends)), float(np.max(ends)))


def audio_table(found: Sequence[Sounded], confidence: float) -> pd.DataFrame:
    """Return one row per representation, generator, clip and score."""
    rows = [row for one in found for row in _audio_rows(one, confidence)]
    if not rows:
        return GENERATION_AUDIO.empty()
    return GENERATION_AUDIO.arrange(with_intervals(pd.DataFrame(rows), confidence))


def _audio_rows(one: Sounded, confidence: float) -> Iterator[dict[str, Any]]:
    ratios = Ratios(one)
    names = {"representation": one.representation, "generator": one.generator}
    for arm, condition, scope in ratios.places():
        place = {**names, "arm": arm, "condition": condition, "scope": scope}
        for score in SCORES:
            if _is_asked(score, condition, scope):
                row = _score_row(one, ratios, place, score)
                yield {
                    **place,
                    **row,
                    "resolution": ratios.loss(scope, score.name, confidence).most,
                    "num_seeds": ratios.num_seeds(arm, condition, scope),
                }


def _is_asked(score: Score, condition: str, scope: str) -> bool:
    """Whether clips of a kind have a score at all."""
    if score.name == REPLACED:
        return condition not in EXACT
    if score.name in OF_TRANSCRIPT:
        return scope == "whole" and condition != "noise"
    if condition == "noise":
        return score.floor == "noise"
    return condition != OTHER or score.floor == OTHER


def _score_row(
    one: Sounded, ratios: Ratios, place: Mapping[str, Any], score: Score
) -> dict[str, Any]:
    arm, condition, scope = (place[name] for name in OF_CLIP)
    if score.name.endswith("_distance"):
        row = _distance_row(one, arm, condition, scope, score)
    else:
        estimate = ratios.estimate(arm, condition, scope, score.name)
        row = {
            **described("value", estimate),
            **_references(lambda name: ratios.value(name, scope, score.name), score),
            "num_utterances": ratios.num_utterances(arm, condition, scope, score.name),
            "num_speakers": 0 if estimate is None else int(estimate.num_units),
        }
    row["normalised"] = normalised(row["value"], row["floor"], row["ceiling"], score)
    row["note"] = ABSENT if score.evaluator in one.absent else ""
    return {"score": score.name, **row}


def _distance_row(
    one: Sounded, arm: str, condition: str, scope: str, score: Score
) -> dict[str, Any]:
    rows = choose(one.distances, scope=scope, score=score.name)

    def value(of_condition: str, of_arm: str = "") -> float:
        own = choose(rows, condition=of_condition, arm=of_arm)["value"].to_numpy(float)
        return float(own.mean()) if len(own) else math.nan

    counted = choose(one.scores, arm=arm, condition=condition, scope=scope)
    return {
        **described("value", None), "value": value(condition, arm), **_references(value, score),
        "num_utterances": counted["utterance_id"].nunique(),
        "num_speakers": counted["speaker_id"].nunique(),
    }  # fmt: skip


def _references(value: Any, score: Score) -> dict[str, float]:
    original, ceiling = value(ORIGINAL), value(ROUND_TRIP)
    floor = value(score.floor) if score.floor else math.nan
    return {
        "original": original,
        "ceiling": ceiling,
        "floor": floor,
    }


def normalised(value: float, floor: float, ceiling: float, score: Score) -> float:
    """Return where a score lies between its floor, 0, and the round trip, 1.

    NaN where the floor is no worse than the round trip: nothing is measured there.
    """
    room = (ceiling - floor) * score.better
    return (value - floor) * score.better / room if room > 0 else math.nan


def audio_gains_table(found: Sequence[Sounded], confidence: float) -> pd.DataFrame:
    """Return one row per representation, generator, pair of arms, clip and score."""
    rows = [row for one in found for row in _gain_rows(one, confidence)]
    return (
        GENERATION_AUDIO_GAINS.arrange(pd.DataFrame(rows))
        if rows
        else (GENERATION_AUDIO_GAINS.empty())
    )


def _gain_rows(one: Sounded, confidence: float) -> Iterator[dict[str, Any]]:
    ratios = Ratios(one)
    made = dict.fromkeys((condition, scope) for arm, condition, scope in ratios.places() if arm)
    over_states = [(arm, split_path(arm)[0]) for arm in ratios.arms() if split_path(arm)[1]]
    for arm, other in (*PAIRS, *over_states):
        for condition, scope in made:
            for score in SCORES:
                gains = _gains_of_seeds(ratios, (arm, other), condition, scope, score)
                if gains is None:
                    continue
                interval = _interval(gains, confidence)
                count = ratios.num_utterances(arm, condition, scope, score.name)
                loss = ratios.loss(scope, score.name, confidence)
                bounds = float(interval.low), float(interval.high)
                told = Told(bounds, loss, len(gains.value), count)
                word, reason = word_of(score.name, condition, told, one.minimum_word_utterances)
                yield {
                    "representation": one.representation, "generator": one.generator, "arm": arm,
                    "against": other, "condition": condition, "scope": scope, "score": score.name,
                    "gain": float(gains.value.mean()), "gain_low": bounds[0],
                    "gain_high": bounds[1], "resolution": loss.most, "certain_loss": loss.least,
                    "num_utterances": count, "num_speakers": int(gains.num_units.min()),
                    "num_seeds": len(gains.value), "word": word, "reason": reason,
                }  # fmt: skip


def _gains_of_seeds(
    ratios: Ratios, arms: tuple[str, str], condition: str, scope: str, score: Score
) -> Estimate | None:
    """Return how much better an arm is with each seed that both have, [R]; None without one."""
    own, theirs = (ratios.by_seed(name, condition, scope, score.name) for name in arms)
    found = [
        scaled(paired_difference(own[seed], theirs[seed]), score.better or 1)
        for seed in own
        if seed in theirs
    ]
    return stacked(found) if found else None


def _interval(gains: Estimate, confidence: float) -> Interval:
    """Return the interval over seeds and speakers; NaN with fewer than three seeds."""
    if len(gains.value) < MINIMUM_SEEDS:
        return Interval(np.asarray(math.nan), np.asarray(math.nan))
    return t_interval(two_way(gains), confidence)


class Told(NamedTuple):
    """What a difference between arms is read from.

    Attributes:
        bounds: Interval of the gain.
        loss: The codec's own loss, in the same units.
        num_seeds: Training seeds behind the gain.
        num_utterances: Utterances behind it.
    """

    bounds: tuple[float, float]
    loss: Loss
    num_seeds: int
    num_utterances: int


def word_of(
    score: str, condition: str, told: Told, minimum_word_utterances: int
) -> tuple[str, str]:
    """Return what a difference between arms says, and why it says nothing where it does not.

    Args:
        score: Its name.
        condition: The kind of clip.
        told: The difference.
        minimum_word_utterances: Asked of scores of words.
    """
    if not BY_NAME[score].better:
        return NOT_READ, "neither direction is better"
    if score in OF_REFERENCE_WORDS and condition == FREE:
        return NOT_READ, "a free continuation has no words to be right about"
    if score in OF_REFERENCE_WORDS and told.num_utterances < minimum_word_utterances:
        return NOT_READ, f"{told.num_utterances} of {minimum_word_utterances} utterances"
    if told.num_seeds < MINIMUM_SEEDS:
        return UNDECIDED, "one seed" if told.num_seeds == 1 else f"{told.num_seeds} seeds"
    return _compared(told.bounds, told.loss)


def _compared(bounds: tuple[float, float], loss: Loss) -> tuple[str, str]:
    """Return the word of an interval beside the codec's own loss."""
    low, high = bounds
    if not np.isfinite([low, high, *loss]).all():
        return UNDECIDED, ""
    if low > loss.most or high < -loss.most:
        return (BETTER if low > loss.most else WORSE), ""
    if -loss.least <= low and high <= loss.least:
        return SAME, "within the codec's own loss"
    return UNDECIDED, ""
