"""How often the gate errs and intervals cover: studies drawn without end, keys fitted, rows judged.

Each row of the gate stands on its boundary in turn: the threshold is set at that fit's own value,
known from thousands of further speakers, and the other rows lie far away. A rate measured where
another row forbids the word would be no rate. Studies of one fit share it, so Monte-Carlo errors
are clustered by fit. First one key stands on one slice. Then several keys, slices and heads meet
(`whole_gate`).

Shapes: N studies of one fit, S speakers of a study.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from engram_audio.calibration.config import PowerSection
from engram_audio.calibration.layout import DOMINANT_TO_REST, LOG_SIZE_SD, SpeakerSizes
from engram_audio.numerics.seeds import named_generator
from engram_audio.stats.estimate import t_interval
from engram_audio.structure.config import OperativeGate
from engram_audio.structure.evidence import HeadsGain, heads_row
from engram_audio.structure.gate_row import Measured
from engram_audio.structure.gates import (
    Place,
    can_be_ruled_out,
    fitting_rows,
    gate_rows,
    invalid_reason,
    uncertain_of,
)
from engram_audio.structure.joint import added_nats
from engram_audio.structure.word import word_of
from engram_audio.trust import simulated_fit as small
from engram_audio.trust.simulated_fit import AGES, Frames, Population, Sums
from engram_audio.trust.simulated_tables import KEY, study_rows, transfer_columns
from engram_audio.trust.whole_gate import FAR, SELECT_SPEAKERS, Drawn, WholeGate

NUM_EVAL, NUM_UTTERANCES = 20, 8  # speakers of a study, utterances of each
TRAIN_UTTERANCES, VAL_UTTERANCES = 20, 2
TRUTH_UTTERANCES = 100  # of each of 40 train speakers, 50 times as many as in val
NUM_TRAIN, FEW_TRAIN = 40, 10
NOMINAL = 0.025  # one-sided error of a 95 % interval
COVERED = ("added_fraction", "added_nats_per_frame")


class Layout(NamedTuple):
    """Who is heard: sizes of the eval speakers, number of train speakers."""

    sizes: SpeakerSizes
    num_train: int


LAYOUTS = {
    "equal": Layout("equal", NUM_TRAIN),
    "log-normal": Layout("lognormal", NUM_TRAIN),
    "one with a third": Layout("third", NUM_TRAIN),
    "one with half": Layout("half", NUM_TRAIN),
    "ten train speakers": Layout("equal", FEW_TRAIN),
}
UNCLAIMED = ("one with half",)  # so uneven that the gate answers INVALID by rule
WHOLE = ("equal", "one with a third")  # where several keys, slices and heads meet in a study's page
# Rows on their boundary, and the word that would be false there.
BOUNDARIES = {
    "added fraction": ("PROCEED", "STOP"),
    "added nats": ("PROCEED", "STOP"),
    "transfer loss": ("PROCEED",),
}


class RateRow(NamedTuple):
    """How often a word is wrong where one row stands on its boundary, or how often one covers.

    Attributes:
        layout: Who is heard.
        row: Which row stands on its boundary, or which interval.
        kind: `false PROCEED`, `false STOP`, `false WRONG KEY`, `INVALID` or `coverage`.
        rate: Share of the studies.
        monte_carlo_error: Its standard error, over fits.
        num_studies: Studies.
    """

    layout: str
    row: str
    kind: str
    rate: float
    monte_carlo_error: float
    num_studies: int


class Truth(NamedTuple):
    """What thousands of speakers say about one fit: its own boundary values.

    Attributes:
        added_fraction: Of each key, [keys].
        added_nats: Of each key, [keys].
        transfer_loss: Of the first.
    """

    added_fraction: np.ndarray
    added_nats: np.ndarray
    transfer_loss: float


def rate_rows(
    section: PowerSection, gate: OperativeGate, confidence: float, whole: Collection[str] = WHOLE
) -> list[RateRow]:
    """Return all rates of all layouts.

    Args:
        section: How many studies.
        gate: Thresholds; those on a boundary are replaced.
        confidence: Level of two-sided intervals.
        whole: Layouts in which several keys, slices and heads are tried too.
    """
    found: dict[tuple[str, str, str], list[np.ndarray]] = {}
    for number in range(section.num_fits):
        for num_train in (NUM_TRAIN, FEW_TRAIN):
            study = _Studies(section, num_train, number)
            layouts = {name for name, one in LAYOUTS.items() if one.num_train == num_train}
            for name in sorted(layouts):
                outcomes = study.outcomes(LAYOUTS[name], gate, confidence, name in whole)
                for label, hits in outcomes:
                    found.setdefault((name, *label), []).append(hits)
    return [_rate(key, per_fit) for key, per_fit in found.items()]


def _rate(key: tuple[str, str, str], per_fit: list[np.ndarray]) -> RateRow:
    """Average over fits; no error is below that of independent studies at the nominal rate."""
    rates = np.array([hits.mean() for hits in per_fit])
    number = sum(len(hits) for hits in per_fit)
    least = np.sqrt(NOMINAL * (1 - NOMINAL) / number)
    clustered = rates.std(ddof=1) / np.sqrt(len(rates)) if len(rates) > 1 else 0.0
    return RateRow(*key, float(rates.mean()), float(max(least, clustered)), number)


class _Studies:
    """One fit, its boundary values, and studies of it."""

    def __init__(self, section: PowerSection, num_train: int, number: int) -> None:
        self._count = section.num_draws_per_fit
        self._rng = named_generator(section.seed, "error rates", str(num_train), str(number))
        rng = self._rng
        shape = small.NUM_PHASES, small.NUM_DIMS
        self._population = Population(rng.standard_normal(shape))
        self._train = self._population.speakers(num_train, rng)
        self._train_frames = self._frames(self._train, TRAIN_UTTERANCES)
        self._fit = small.fit(self._train_frames, rng)
        many = self._population.speakers(section.num_truth_speakers, rng)
        self._many = self._frames(many, NUM_UTTERANCES)
        self._truth = self._measure_truth(section.num_truth_speakers)
        again = self._frames(np.tile(self._train, (self._count, 1, 1)), VAL_UTTERANCES)
        is_few = num_train <= FEW_TRAIN  # no speakers are left for choices, so val chooses
        self._known = self._sums(again, self._count, num_train, len(AGES) if is_few else 1)
        self._gate: WholeGate | None = None

    def _frames(self, prototypes: np.ndarray, num_utterances: int | np.ndarray) -> Frames:
        count = np.broadcast_to(num_utterances, len(prototypes))
        return small.draw_frames(prototypes, count, self._rng)

    def _measure_truth(self, num_speakers: int) -> Truth:
        """Return the values of infinitely many new speakers, and of the train speakers' own."""
        new = self._sums(self._many, 1, num_speakers, len(AGES))
        per_speaker = TRUTH_UTTERANCES * NUM_TRAIN // len(self._train)
        (known,) = self._sums(self._frames(self._train, per_speaker), 1, len(self._train), 1)
        return Truth(
            np.array([_added(one) / _attainable(one) for one in new]),
            np.array([added_nats(one.linear, one.joint).value for one in new]),
            1 - _added(new[0]) / _added(known),
        )

    def _sums(
        self, frames: Frames, num_studies: int, num_speakers: int, num_keys: int
    ) -> list[Sums]:
        """Return the sums of the first keys by speaker and half."""
        draw = np.repeat(np.arange(num_studies), num_speakers)
        return small.score(self._fit, frames, draw, num_keys)

    def outcomes(
        self, layout: Layout, gate: OperativeGate, confidence: float, is_whole: bool
    ) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
        """Yield (row, kind) and which studies it happened in, bool [N]."""
        drawn = self._draw(layout, len(AGES) if is_whole else 1)
        places = self._places(drawn, confidence)
        for row, words in BOUNDARIES.items():
            own, delta = self._on_boundary(row, gate)
            given = [_word(place, own, delta, confidence) for place in places]
            for word in words:
                yield (row, f"false {word}"), np.array([one == word for one in given])
            if row == "added fraction":
                yield (row, "INVALID"), np.array([one == "INVALID" for one in given])
        for row, truths in zip(COVERED, self._truth[:2], strict=True):
            bounds = [t_interval(uncertain_of(place.eval, row), confidence) for place in places]
            held = [one.low <= truths[0] <= one.high for one in bounds]
            yield (row.replace("_", " "), "coverage"), np.array(held, dtype=bool)
        if is_whole:
            yield from self._whole().outcomes(drawn, self._truth.added_fraction, gate, confidence)

    def _whole(self) -> WholeGate:
        """Return the gate with heads, which are fitted once."""
        if self._gate is None:
            self._gate = WholeGate(self._fit, self._train_frames, self._many, self._rng)
        return self._gate

    def _on_boundary(self, row: str, gate: OperativeGate) -> tuple[OperativeGate, float]:
        """Return the gate with one row on its boundary and the others far away, and delta."""
        fraction, nats = (float(values[0]) for values in self._truth[:2])
        loss = self._truth.transfer_loss
        own = gate.model_copy(
            update={
                "minimum_added_fraction": fraction if row == "added fraction" else FAR,
                "maximum_transfer_loss": max(loss, 0.0) if row == "transfer loss" else 1.0,
            }
        )
        return own, nats if row == "added nats" else FAR

    def _draw(self, layout: Layout, num_keys: int) -> Drawn:
        """Draw the speakers of N studies: eval, and those that choose among keys."""
        count = self._count
        sizes = eval_utterances(layout.sizes, count, self._rng)
        frames = self._frames(self._population.speakers(sizes.size, self._rng), sizes.ravel())
        chosen_on = self._known
        if len(chosen_on) < num_keys:
            others = self._population.speakers(count * SELECT_SPEAKERS, self._rng)
            other_frames = self._frames(others, NUM_UTTERANCES)
            chosen_on = self._sums(other_frames, count, SELECT_SPEAKERS, num_keys)
        new = self._sums(frames, count, NUM_EVAL, num_keys)
        return Drawn(count, frames, new, chosen_on)

    def _places(self, drawn: Drawn, confidence: float) -> list[Place]:
        """Return the first key of each study on all frames."""
        count, new, known = drawn.num_studies, drawn.new[0].whole(), self._known[0].whole()
        (rows,) = study_rows([new], count, confidence)
        losses = transfer_columns(new, known, count, confidence)
        return [
            Place("study", 0, KEY, small.LAG_FRAMES, "all", {"eval": {**row, **loss}})
            for row, loss in zip(rows, losses, strict=True)
        ]


def eval_utterances(sizes: SpeakerSizes, num_studies: int, rng: np.random.Generator) -> np.ndarray:
    """Return the utterances of each eval speaker, [N, S]."""
    count = np.full((num_studies, NUM_EVAL), NUM_UTTERANCES)
    if sizes == "lognormal":
        normal = rng.standard_normal(count.shape)
        factor = np.exp(LOG_SIZE_SD * normal - LOG_SIZE_SD**2 / 2)
        return np.maximum(1, np.rint(NUM_UTTERANCES * factor)).astype(np.int64)
    if sizes != "equal":
        count[:, 0] *= round((NUM_EVAL - 1) * DOMINANT_TO_REST[sizes])
    return count


def _added(sums: Sums) -> float:
    return float((sums.linear.sum() - sums.joint.sum()) / sums.zero.sum())


def _attainable(sums: Sums) -> float:
    return float((sums.linear.sum() - sums.oracle.sum() + sums.cost_oracle.sum()) / sums.zero.sum())


def _word(place: Place, gate: OperativeGate, delta: float, confidence: float) -> str:
    """Return the gate's word on one slice; heads surely gain less than delta."""
    rows = gate_rows(place, gate, delta, confidence)
    nothing = HeadsGain(Measured(-1.0, -1.1, -0.9))
    is_valid = not invalid_reason(fitting_rows(place, gate, "eval"))
    is_out = is_valid and can_be_ruled_out(place, gate, delta, confidence)
    ruled_out = {"all": heads_row(place, nothing, delta, confidence, 1)} if is_out else {}
    return word_of(rows, ruled_out, has_heads=True).word
