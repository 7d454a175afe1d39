"""How often the gate errs and intervals cover: studies drawn without end, keys fitted, rows judged.

Each row of the gate stands on its boundary in turn: the threshold is set at that fit's own value,
known from thousands of further speakers, and the other rows lie far away. A rate measured where
another row forbids the word would be no rate. Studies of one fit share it, so Monte-Carlo errors
are clustered by fit.

Shapes: N studies of one fit, S speakers of a study.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.calibration.config import PowerSection
from engram_audio.calibration.layout import DOMINANT_TO_REST, LOG_SIZE_SD, SpeakerSizes
from engram_audio.numerics.seeds import named_generator
from engram_audio.stats.estimate import t_interval, uncertain
from engram_audio.structure.comparisons import put_judged
from engram_audio.structure.config import OperativeGate
from engram_audio.structure.estimates import (
    CELL,
    KEY_CELL,
    SUMS,
    ScoreCube,
    estimate_part,
    rows_of,
    transfer_loss,
)
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
from engram_audio.trust.simulated_fit import Fit, Frames, Population, Sums

NUM_EVAL, NUM_UTTERANCES = 20, 8  # speakers of a study, utterances of each
TRAIN_UTTERANCES, VAL_UTTERANCES = 20, 2
NUM_TRAIN, FEW_TRAIN = 40, 10
FAR = 1e-9  # a threshold that nothing fails
NOMINAL = 0.025  # one-sided error of a 95 % interval
KEY, ORACLE = "pca.raw.kmeans", "target_oracle.kmeans"


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
        kind: `false PROCEED`, `false STOP`, `INVALID`, `coverage` or `coverage of the mean`.
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
    """What thousands of speakers say about one fit: its own boundary values."""

    added_fraction: float
    added_nats: float
    transfer_loss: float


def rate_rows(section: PowerSection, gate: OperativeGate, confidence: float) -> list[RateRow]:
    """Return all rates of all layouts.

    Args:
        section: How many studies.
        gate: Thresholds; those on a boundary are replaced.
        confidence: Level of two-sided intervals.
    """
    found: dict[tuple[str, str, str], list[np.ndarray]] = {}
    for number in range(section.num_fits):
        for num_train in (NUM_TRAIN, FEW_TRAIN):
            study = _Studies(section, num_train, number)
            layouts = {name for name, one in LAYOUTS.items() if one.num_train == num_train}
            for name in sorted(layouts):
                for label, hits in study.outcomes(LAYOUTS[name], gate, confidence):
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
        self._fit = small.fit(self._frames(self._train, TRAIN_UTTERANCES), rng)
        self._truth = self._measure_truth(section.num_truth_speakers)

    def _frames(self, prototypes: np.ndarray, num_utterances: int | np.ndarray) -> Frames:
        count = np.broadcast_to(num_utterances, len(prototypes))
        return small.draw_frames(prototypes, count, self._rng)

    def _measure_truth(self, num_speakers: int) -> Truth:
        """Return the values of infinitely many new speakers, and of the train speakers' own."""
        many = self._population.speakers(num_speakers, self._rng)
        new = _sums(self._fit, self._frames(many, NUM_UTTERANCES), 1, num_speakers)
        per_speaker = num_speakers * NUM_UTTERANCES // len(self._train)
        known = _sums(self._fit, self._frames(self._train, per_speaker), 1, len(self._train))
        return Truth(
            float(_added(new) / _attainable(new)),
            added_nats(new.linear, new.joint).value,
            float(1 - _added(new) / _added(known)),
        )

    def outcomes(
        self, layout: Layout, gate: OperativeGate, confidence: float
    ) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
        """Yield (row, kind) and which studies it happened in, bool [N]."""
        places = self._places(layout, confidence)
        for row, words in BOUNDARIES.items():
            own, delta = self._on_boundary(row, gate)
            given = [_word(place, own, delta, confidence) for place in places]
            for word in words:
                yield (row, f"false {word}"), np.array([one == word for one in given])
            if row == "added fraction":
                yield (row, "INVALID"), np.array([one == "INVALID" for one in given])
        for row, truth in (
            ("added_fraction", self._truth.added_fraction),
            ("added_nats_per_frame", self._truth.added_nats),
        ):
            bounds = [t_interval(uncertain_of(place.eval, row), confidence) for place in places]
            held = [one.low <= truth <= one.high for one in bounds]
            yield (row.replace("_", " "), "coverage"), np.array(held, dtype=bool)

    def _on_boundary(self, row: str, gate: OperativeGate) -> tuple[OperativeGate, float]:
        """Return the gate with one row on its boundary and the others far away, and delta."""
        truth = self._truth
        fraction = truth.added_fraction if row == "added fraction" else FAR
        loss = max(truth.transfer_loss, 0.0) if row == "transfer loss" else 1.0
        own = gate.model_copy(
            update={
                "minimum_added_fraction": fraction,
                "maximum_transfer_loss": loss,
            }
        )
        return own, truth.added_nats if row == "added nats" else FAR

    def _places(self, layout: Layout, confidence: float) -> list[Place]:
        count = self._count
        sizes = eval_utterances(layout.sizes, count, self._rng)
        speakers = self._population.speakers(sizes.size, self._rng)
        new = _sums(self._fit, self._frames(speakers, sizes.ravel()), count, NUM_EVAL)
        again = np.tile(self._train, (count, 1, 1))
        known = _sums(self._fit, self._frames(again, VAL_UTTERANCES), count, len(self._train))
        rows = study_rows(new, known, count, confidence)
        return [Place("study", 0, KEY, small.LAG_FRAMES, "all", {"eval": row}) for row in rows]


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


def _sums(fitted: Fit, frames: Frames, num_studies: int, num_speakers: int) -> Sums:
    draw = np.repeat(np.arange(num_studies), num_speakers)
    return small.score(fitted, frames, len(draw), draw)


def _added(sums: Sums) -> float:
    return float((sums.linear.sum() - sums.joint.sum()) / sums.zero.sum())


def _attainable(sums: Sums) -> float:
    return float((sums.linear.sum() - sums.oracle.sum() + sums.cost_oracle.sum()) / sums.zero.sum())


def study_rows(new: Sums, known: Sums, num_studies: int, confidence: float) -> list[dict[str, Any]]:
    """Return each study's row of the published table; the rows' own estimates make it.

    Args:
        new: Sums of eval speakers, those of a study adjacent.
        known: Sums of train speakers' other utterances.
        num_studies: N.
        confidence: Level of two-sided intervals.
    """
    on_eval, on_val = (_estimates(one, num_studies) for one in (new, known))
    place = np.arange(num_studies)
    table = pd.DataFrame({"status": ["ok"] * num_studies})
    put_judged(table, "added_fraction", rows_of(on_eval.added_fraction, place), confidence)
    put_judged(table, "added_nats_per_frame", rows_of(on_eval.added_nats, place), confidence)
    loss = transfer_loss(
        uncertain(rows_of(on_eval.added, place)),
        uncertain(rows_of(on_val.added, place)),
        confidence,
    )
    table["transfer_loss"], table["transfer_loss_low"], table["transfer_loss_high"] = loss
    table["attainable"] = on_eval.attainable.value[place]
    table["num_effective_speakers"] = on_eval.linear_r2.num_effective[place]
    table["num_speakers"] = new.zero.size // num_studies
    table["codebook_size"] = small.NUM_CELLS
    spoiling = (
        "excluded_mass",
        "oracle_excluded_mass",
        "cost_of_fitting",
        "oracle_cost_of_fitting",
    )
    controls = [f"control_{name}{end}" for name in ("permuted", "swapped") for end in ("", "_se")]
    table[[*spoiling, *controls]] = 0.0  # far away
    table[["control_permuted_df", "control_swapped_df"]] = float(NUM_EVAL)
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def _estimates(sums: Sums, num_studies: int) -> Any:
    """Estimate N studies at once: the number of cells tells the studies apart."""
    cells = pd.DataFrame(
        {
            "key": [KEY] * num_studies + [ORACLE] * num_studies,
            "codebook_size": np.tile(np.arange(num_studies), 2), "lag_frames": small.LAG_FRAMES,
            "slice": "all", "subspace": "all", "control": "none",
        },
        columns=CELL,
    )  # fmt: skip
    shape = (num_studies, -1)
    key = _columns(sums, sums.joint.sum(1) + sums.cost_joint, sums.cost_joint, shape)
    oracle = _columns(sums, sums.oracle, sums.cost_oracle, shape)
    tables = {name: np.zeros((2 * num_studies, key["sse_zero"].shape[1])) for name in SUMS}
    for name, values in key.items():
        tables[name] = np.concatenate([values, oracle[name]])
    nats = [added_nats(*pair) for pair in _by_study(sums, num_studies)]
    tables["nats_influence"][:num_studies] = [one.influence for one in nats]
    keys = cells.loc[:, KEY_CELL].copy()
    keys["added_nats_eval"] = [one.value for one in nats] + [np.nan] * num_studies
    return estimate_part(ScoreCube(cells, np.arange(shape[1]).astype(str), tables), keys, "eval")


def _columns(
    sums: Sums, joint: np.ndarray, cost: np.ndarray, shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    found = {
        "num_frames": sums.num_frames, "sse_zero": sums.zero, "sse_key": sums.key,
        "cost_key": sums.cost_key, "sse_linear": sums.linear.sum(1), "sse_joint": joint,
        "cost_joint": cost, "num_informed": sums.num_frames,
    }  # fmt: skip
    return {name: values.reshape(shape) for name, values in found.items()}


def _by_study(sums: Sums, num_studies: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    shape = (num_studies, -1, sums.linear.shape[1])
    yield from zip(sums.linear.reshape(shape), sums.joint.reshape(shape), strict=True)


def _word(place: Place, gate: OperativeGate, delta: float, confidence: float) -> str:
    """Return the gate's word on one slice; heads surely gain less than delta."""
    rows = gate_rows(place, gate, delta, confidence)
    nothing = HeadsGain(Measured(-1.0, -1.1, -0.9))
    is_valid = not invalid_reason(fitting_rows(place, gate, "eval"))
    is_out = is_valid and can_be_ruled_out(place, gate, delta, confidence)
    ruled_out = {"all": heads_row(place, nothing, delta)} if is_out else {}
    return word_of(rows, ruled_out, has_heads=True).word
