"""The whole gate on simulated studies: several keys, two slices and trained heads on a boundary.

- PROCEED, the added fraction on its boundary: the key is chosen of three by other speakers, and no
  key is truly above the threshold. All rows must pass, so one slice is the hardest case.
- STOP, the added fraction on its boundary on two slices at once, beside a key that adds less.
- STOP, the heads' gain at delta on two slices at once, and no key can add: with one seed its
  interval counts speakers, with three it counts seeds too.
- WRONG KEY, the heads' gain at delta.

Shapes: N studies of one fit, S speakers of a study, R heads.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from engram_audio.stats.estimate import Estimate, Uncertain, mean_of, t_interval, uncertain
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.stats.two_way import MINIMUM_SEEDS, two_way
from engram_audio.structure.candidates import Records
from engram_audio.structure.config import DecisionSection, LiteralGate, OperativeGate
from engram_audio.structure.decision import on_split
from engram_audio.structure.evidence import Evidence, HeadsGain, Source
from engram_audio.structure.gate_row import Measured
from engram_audio.trust.simulated_fit import (
    HALVES,
    LAG_FRAMES,
    Fit,
    Frames,
    Sums,
    fit_head,
    head_gains,
    sum_halves,
)
from engram_audio.trust.simulated_tables import study_rows
from engram_audio.verdicts import words
from engram_audio.views import SliceName

FAR = 1e-9  # a threshold that nothing fails
OUT_OF_REACH = 100.0  # an added fraction that no key has
SELECT_SPEAKERS = 4  # that choose the key: a tenth of 40
NUM_HEADS = 8  # seeds that a study draws its heads from
NAME, SEED = "study", 0
KEYS = ("pca.raw.kmeans", "last_frame.raw.kmeans", "pca.lagged.kmeans")
WHOLE: tuple[SliceName, ...] = ("all",)
PARTS: tuple[SliceName, ...] = ("initial", "final")  # halves of utterances here
NO_GAIN = HeadsGain(Measured(-1.0, -1.0, -1.0))
Outcome = tuple[tuple[str, str], np.ndarray]


class Drawn(NamedTuple):
    """Speakers of N studies, those of a study adjacent.

    Attributes:
        num_studies: N.
        frames: Targets of eval speakers.
        new: Their sums, by key.
        chosen_on: Sums of the speakers that the key is chosen on, by key.
    """

    num_studies: int
    frames: Frames
    new: list[Sums]
    chosen_on: list[Sums]


class WholeGate:
    """A fit with heads, and what the heads truly gain."""

    def __init__(self, fitted: Fit, train: Frames, truth: Frames, rng: np.random.Generator) -> None:
        """Fit the heads, and measure each on half of the speakers of `truth`."""
        self._fit, self._rng = fitted, rng
        self._heads = [fit_head(fitted, train, rng) for _ in range(NUM_HEADS)]
        shares = [
            head_gains(fitted, head, truth.of(truth.speaker % 2 == number % 2)).mean()
            for number, head in enumerate(self._heads)
        ]
        self._gains = np.array(shares)

    def outcomes(
        self, drawn: Drawn, fractions: np.ndarray, gate: OperativeGate, confidence: float
    ) -> Iterator[Outcome]:
        """Yield (row, kind) and which studies it happened in, bool [N].

        Args:
            drawn: The speakers.
            fractions: True added fraction of each key.
            gate: Thresholds; those on a boundary are replaced.
            confidence: Level of two-sided intervals.
        """
        tables = _Tables(drawn, confidence)
        asked = gate.model_copy(
            update={"minimum_added_fraction": float(fractions.max()), "maximum_transfer_loss": 1.0}
        )
        known = [dict.fromkeys((*WHOLE, *PARTS), NO_GAIN)] * drawn.num_studies
        given = tables.words(KEYS, WHOLE, asked, FAR, known)
        yield ("added fraction, best of three keys", "false PROCEED"), given == words.PROCEED
        best = int(np.argmax(fractions[:-1]))
        given = tables.words((KEYS[best], KEYS[-1]), PARTS, asked, FAR, known)
        yield ("added fraction on two slices", "false STOP"), given == words.STOP
        yield from self._heads_on_boundary(drawn, tables, asked, confidence)

    def _heads_on_boundary(
        self, drawn: Drawn, tables: "_Tables", gate: OperativeGate, confidence: float
    ) -> Iterator[Outcome]:
        none = gate.model_copy(update={"minimum_added_fraction": OUT_OF_REACH})
        chosen = np.array(
            [self._rng.permutation(NUM_HEADS)[:MINIMUM_SEEDS] for _ in range(drawn.num_studies)]
        )
        sums = self._head_sums(drawn, chosen)
        frames = drawn.new[0].num_frames
        for label, number in (("one seed", 1), ("three seeds", MINIMUM_SEEDS)):
            truth = self._gains[chosen[:, 0]] if number == 1 else np.full(
                drawn.num_studies, self._gains.mean()
            )  # fmt: skip
            gains = _gains(sums[:number], frames, drawn.num_studies, confidence)
            given = tables.words(KEYS[:1], PARTS, none, truth, gains)
            yield (f"heads' gain on two slices, {label}", "false STOP"), given == words.STOP
            given = tables.words(KEYS[:1], WHOLE, none, truth, gains)
            row = (f"heads' gain, {label}", "false WRONG KEY")
            yield row, given == words.WRONG_KEY_MEAN

    def _head_sums(self, drawn: Drawn, chosen: np.ndarray) -> np.ndarray:
        """Return the gains of each study's heads, summed by speaker and half, [seeds, 2 N S]."""
        frames, size = drawn.frames, len(drawn.new[0].num_frames)
        speakers = size // HALVES // drawn.num_studies
        out = np.zeros((chosen.shape[1], size))
        for number, head in enumerate(self._heads):
            studies, seeds = np.nonzero(chosen == number)
            seed_of = np.full(drawn.num_studies, -1)
            seed_of[studies] = seeds
            own = frames.of(seed_of[frames.speaker // speakers] >= 0)
            unit = own.unit
            total = np.bincount(unit, weights=head_gains(self._fit, head, own), minlength=size)
            seed = np.repeat(seed_of, speakers * HALVES)
            used = np.flatnonzero(seed >= 0)
            out[seed[used], used] = total[used]
        return out


def _gains(
    sums: np.ndarray, frames: np.ndarray, num_studies: int, confidence: float
) -> list[dict[SliceName, HeadsGain]]:
    """Return the heads' gains of each study by slice, with the interval that the table publishes.

    Args:
        sums: By seed, speaker and half.
        frames: Targets by speaker and half.
        num_studies: N.
        confidence: Level of two-sided intervals.
    """
    parts: dict[SliceName, tuple[np.ndarray, np.ndarray]] = {
        "all": (np.array([sum_halves(one) for one in sums]), sum_halves(frames)),
        "initial": (sums[:, 0::HALVES], frames[0::HALVES]),
        "final": (sums[:, 1::HALVES], frames[1::HALVES]),
    }
    found: list[dict[SliceName, HeadsGain]] = [{} for _ in range(num_studies)]
    for place, (top, bottom) in parts.items():
        shape = (len(top), num_studies, -1)
        weight = np.broadcast_to(bottom.reshape(num_studies, -1), top.reshape(shape).shape)
        quantity = _over_seeds(ratio_of_sums(top.reshape(shape), weight))
        low, high = t_interval(quantity, confidence)
        for study, own in enumerate(found):
            gain = Measured(float(quantity.value[study]), float(low[study]), float(high[study]))
            own[place] = HeadsGain(gain, math.nan, df=float(quantity.df[study]))
    return found


def _over_seeds(estimate: Estimate) -> Uncertain:
    """Count seeds and speakers from three seeds on, else speakers; seeds stand first, [R, N, S]."""
    if len(estimate.value) >= MINIMUM_SEEDS:
        return two_way(estimate)
    alone = [Estimate(*(part[seed] for part in estimate)) for seed in range(len(estimate.value))]
    return uncertain(mean_of(alone))


class _Tables:
    """The published rows of N studies, and the words that the gate makes of them."""

    def __init__(self, drawn: Drawn, confidence: float) -> None:
        self._count, self._confidence = drawn.num_studies, confidence
        names: tuple[SliceName, ...] = (*WHOLE, *PARTS)
        places: list[tuple[int, SliceName]] = [
            (key, name) for key in range(len(KEYS)) for name in names
        ]
        new = [_cut(drawn.new[key], name) for key, name in places]
        chosen_on = [one.whole() for one in drawn.chosen_on]
        self._eval = dict(zip(places, study_rows(new, self._count, confidence), strict=True))
        self._select = study_rows(chosen_on, self._count, confidence)

    def words(
        self, keys: Sequence[str], slices: tuple[SliceName, ...], gate: OperativeGate,
        delta: float | np.ndarray, gains: Sequence[Mapping[SliceName, HeadsGain]],
    ) -> np.ndarray:  # fmt: skip
        """Return the gate's word on each study, str [N].

        Args:
            keys: Candidates.
            slices: Judged slices.
            gate: Thresholds.
            delta: Margin for nats, of each study.
            gains: The heads' gains of each study by slice.
        """
        margins = np.broadcast_to(delta, self._count)
        return np.array(
            [
                self._word(study, keys, slices, _section(slices, gate, float(margins[study])), own)
                for study, own in enumerate(gains)
            ]
        )

    def _word(
        self, study: int, keys: Sequence[str], slices: tuple[SliceName, ...],
        section: DecisionSection, gains: Mapping[SliceName, HeadsGain],
    ) -> str:  # fmt: skip
        rows: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        for key in keys:
            number = KEYS.index(key)
            for name in slices:
                place = (NAME, SEED, key, LAG_FRAMES, name)
                rows[*place, "select"] = self._select[number][study]
                rows[*place, "eval"] = {**NO_LOSS, **self._eval[number, name][study]}
        records = Records(rows, {(NAME, SEED): list(keys)})
        evidence = Evidence({NAME: {name: gains[name] for name in slices}}, {NAME: ALONE})
        split = on_split(NAME, SEED, records, section, self._confidence, evidence)
        return split.judged.word


NO_LOSS = {"transfer_loss": 0.0, "transfer_loss_low": 0.0, "transfer_loss_high": 0.0}  # far away
ALONE = Source(overlap_frames=1)


def _cut(sums: Sums, name: SliceName) -> Sums:
    return sums.whole() if name in WHOLE else sums.of_half(PARTS.index(name))


def _section(slices: tuple[SliceName, ...], gate: OperativeGate, delta: float) -> DecisionSection:
    own = gate.model_copy(update={"minimum_added_nats": delta})
    literal = LiteralGate(keys=(KEYS[0],), maximum_ratio=0.6, maximum_transfer_loss=0.2)
    return DecisionSection.model_construct(
        representation=NAME, lag_frames=LAG_FRAMES, slices=slices, literal_gate=literal,
        operative_gate=own,
    )  # fmt: skip
