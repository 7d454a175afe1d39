"""How often the operative gate errs and intervals cover: simulated studies, real estimates.

A study is what the structure stage leaves of one key: sums for each speaker. Speakers differ in
length and in what the key explains; sums go through the same estimates, intervals and gate rows as
speech. Shapes: N studies, S speakers.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.calibration.config import PowerSection
from engram_audio.numerics.seeds import named_generator
from engram_audio.stats.bootstrap import percentile_interval, resampled_ratios, speaker_weights
from engram_audio.stats.config import StatisticsSection
from engram_audio.stats.estimate import Estimate, paired_difference, t_interval, uncertain
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.structure.config import OperativeGate
from engram_audio.structure.decision import key_verdict
from engram_audio.structure.estimates import SUMS, ScoreCube, estimate_part
from engram_audio.structure.gates import Place, operative_rows

VERDICTS = ("PROCEED", "STOP", "UNDECIDED")
INTERVALS = ("speaker_t", "speaker_bootstrap", "frame")
STUDIES_AT_A_TIME = 250  # bounds memory at four cells x studies x speakers
TRAIN_SPEAKERS_PER_EVAL = 4  # about four fifths of the speakers are trained on


class PowerRow(NamedTuple):
    """Verdicts of many studies with one truth.

    Attributes:
        num_speakers: Eval speakers.
        effect: True explained fraction less the gate's threshold.
        num_studies: Studies.
        proceed: Share that PROCEEDs; at effects <= 0 this is an error.
        stop: Share that STOPs; at effects >= 0 this is an error.
        undecided: The rest.
        standard_error: Largest binomial standard error of the three shares.
    """

    num_speakers: int
    effect: float
    num_studies: int
    proceed: float
    stop: float
    undecided: float
    standard_error: float


class CoverageRow(NamedTuple):
    """How often an interval holds the true ratio.

    Attributes:
        num_speakers: Speakers.
        interval: `speaker_t`, `speaker_bootstrap`, or `frame` (frames taken for independent).
        nominal: Its level.
        coverage: Share of studies whose interval holds the truth.
        standard_error: Binomial standard error at the nominal level.
        num_studies: Studies.
    """

    num_speakers: int
    interval: str
    nominal: float
    coverage: float
    standard_error: float
    num_studies: int


def power_rows(section: PowerSection, gate: OperativeGate, confidence: float) -> list[PowerRow]:
    """Return verdict rates around the threshold for every number of speakers.

    The surrogate explains nothing and the transfer loses nothing, so that the explained fraction
    alone decides; every row of the gate is judged all the same.
    """
    rows = []
    for num_speakers in section.num_speakers:
        for effect in section.effects:
            rng = named_generator(section.seed, "power", str(num_speakers), repr(effect))
            counts = Counter(_verdicts(section, gate, confidence, num_speakers, effect, rng))
            proceed, stop, rest = (counts[word] / section.num_studies for word in VERDICTS)
            error = max(
                np.sqrt(share * (1 - share) / section.num_studies)
                for share in (proceed, stop, rest)
            )
            row = (proceed, stop, rest, float(error))
            rows.append(PowerRow(num_speakers, effect, section.num_studies, *row))
    return rows


def _verdicts(
    section: PowerSection, gate: OperativeGate, confidence: float, num_speakers: int,
    effect: float, rng: np.random.Generator,
) -> Iterator[str]:  # fmt: skip
    fraction = gate.minimum_explained_fraction + effect
    for start in range(0, section.num_studies, STUDIES_AT_A_TIME):
        count = min(STUDIES_AT_A_TIME, section.num_studies - start)
        parts = {
            part: _simulate(section, fraction, count, size, rng)
            for part, size in (
                ("val", TRAIN_SPEAKERS_PER_EVAL * num_speakers), ("eval", num_speakers),
            )
        }  # fmt: skip
        for val, evaluated in zip(*(_records(parts[part]) for part in parts), strict=True):
            place = Place("study", 0, "pca.raw.kmeans", 2, "all", val, evaluated)
            yield key_verdict(operative_rows(place, gate, confidence))


# One cube: the key, its surrogate, the permuted control, the swapped one, and the floor
_KINDS = ("key", "surrogate", "permuted", "swapped", "floor")


def _simulate(
    section: PowerSection, fraction: float, num_studies: int, size: int, rng: np.random.Generator
) -> dict[str, ScoreCube]:
    """Return a cube of keys and floors for each kind; the floor is the same in all."""
    shape = (num_studies, size)
    frames = rng.integers(*section.frames_range, size=shape, endpoint=True).astype(np.float64)
    shared = section.speaker_sd * rng.standard_normal(shape)  # key and floor alike
    floor = section.floor + shared + section.speaker_sd * rng.standard_normal(shape)
    truth = {"key": 1 - fraction * (1 - section.floor)}
    cubes = {}
    for kind in _KINDS[:-1]:
        own = section.speaker_sd * rng.standard_normal(shape)
        ratio = truth.get(kind, 1.0) + own + (shared if kind == "key" else 0)
        cubes[kind] = _cube(ratio * frames, floor * frames, frames)
    return cubes


def _cube(key: np.ndarray, floor: np.ndarray, frames: np.ndarray) -> ScoreCube:
    num_studies = len(key)
    cells = pd.DataFrame(
        {
            "key": ["pca.raw.kmeans"] * num_studies + ["target_oracle.kmeans"] * num_studies,
            "codebook_size": np.tile(np.arange(num_studies), 2), "lag_frames": 2, "slice": "all",
            "subspace": "all", "control": "none",
        }
    )  # fmt: skip
    sums = {name: np.zeros((2 * num_studies, key.shape[1])) for name in SUMS}
    sums["num_frames"] = sums["sse_total"] = np.concatenate([frames, frames])
    sums["sse_residual"] = np.concatenate([key, floor])
    return ScoreCube(cells, np.arange(key.shape[1]).astype(str), sums)


def _records(cubes: dict[str, ScoreCube]) -> list[dict[str, Any]]:
    """Return each study's row as the published table has it."""
    half = len(cubes["key"].cells) // 2
    parts = {kind: estimate_part(cube) for kind, cube in cubes.items()}
    explained = _first(parts["key"].explained_fraction, half)
    surrogate = _first(parts["surrogate"].explained_fraction, half)
    columns = {
        "ratio": _first(parts["key"].ratio, half),
        "ratio_all_frames": _first(parts["key"].ratio_all_frames, half),
        "explained_fraction": explained,
        "advantage": paired_difference(explained, surrogate),
        "control_permuted": _first(parts["permuted"].ratio, half),
        "control_swapped": _first(parts["swapped"].ratio, half),
    }
    table = pd.DataFrame({"status": ["ok"] * half})
    for name, estimate in columns.items():
        quantity = uncertain(estimate)
        table[name], table[f"{name}_se"] = quantity.value, quantity.se
    table["num_speakers"] = cubes["key"].sums["num_frames"].shape[1]
    table["excluded_mass"], table["codebook_size"] = 0.0, 0
    table["best_surrogate"], table["explained_fraction_var"] = "var", surrogate.value
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def _first(estimate: Estimate, count: int) -> Estimate:
    return Estimate(estimate.value[:count], estimate.influence[:count], estimate.share[:count])


def coverage_rows(section: PowerSection, statistics: StatisticsSection) -> list[CoverageRow]:
    """Return the coverage of speaker intervals of a ratio, and of the frame interval beside."""
    rows = []
    for num_speakers in section.num_speakers:
        hits: dict[str, int] = dict.fromkeys(INTERVALS, 0)
        rng = named_generator(section.seed, "coverage", str(num_speakers))
        for start in range(0, section.num_coverage_studies, STUDIES_AT_A_TIME):
            count = min(STUDIES_AT_A_TIME, section.num_coverage_studies - start)
            for name, held in _coverage(section, statistics, num_speakers, count, rng).items():
                hits[name] += int(held.sum())
        total, level = section.num_coverage_studies, statistics.confidence
        error = float(np.sqrt(level * (1 - level) / total))
        rows += [
            CoverageRow(num_speakers, name, level, hits[name] / total, error, total)
            for name in INTERVALS
        ]
    return rows


def _coverage(
    section: PowerSection, statistics: StatisticsSection, num_speakers: int, num_studies: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return for each interval which studies it covers, bool, shape [N].

    Frame f of speaker s has squared error R + u_s + v_sf about a total of 1, so that the frame
    interval's variance is exactly the sample variance of the frames over their number.
    """
    shape = (num_studies, num_speakers)
    truth = 1 - section.speaker_sd
    frames = rng.integers(*section.frames_range, size=shape, endpoint=True).astype(np.float64)
    means = truth + section.speaker_sd * rng.standard_normal(shape)
    means += section.frame_sd * rng.standard_normal(shape) / np.sqrt(frames)
    within = section.frame_sd**2 * rng.chisquare(frames - 1)
    ratio = ratio_of_sums(means * frames, frames)
    bounds = {"speaker_t": t_interval(uncertain(ratio), statistics.confidence)}
    weights = speaker_weights(num_speakers, statistics.bootstrap_draws, rng)
    draws = resampled_ratios(weights, means * frames, frames)
    bounds["speaker_bootstrap"] = percentile_interval(draws, statistics.confidence)
    total = frames.sum(axis=1)
    between = (frames * (means - ratio.value[:, None]) ** 2).sum(axis=1)
    error = np.sqrt((within.sum(axis=1) + between) / (total - 1) / total)
    as_frames = uncertain(ratio)._replace(se=error, df=total - 1)
    bounds["frame"] = t_interval(as_frames, statistics.confidence)
    return {
        name: (interval.low <= truth) & (truth <= interval.high)
        for name, interval in bounds.items()
    }
