"""Few directions of the step, given the state? Unit steps clustered on the sphere, as a target.

A state code has few directions when its steps lie close to a few of its own. Four comparisons say
what that is worth: codes of other frames, uniform directions, the directions of all frames
together, and the direction that mean reversion alone gives. The last is x' - x_{t-1} with x' a
frame of another utterance: white noise has it too, because a step holds -x_{t-1}.

Shapes: M targets, D dimensions, K state codes, J directions.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio import windows
from engram_audio.corpus.split_parts import PARTS, TRAIN
from engram_audio.keys.law_targets import LawTargets
from engram_audio.numerics.grouped import add_grouped
from engram_audio.numerics.kmeans import fit_kmeans
from engram_audio.numerics.seeds import named_generator

ITERATIONS = 20
RESTARTS = 3  # for the directions of all frames: nats are about them
PRIOR_FRAMES = 10.0  # of the directions of all frames in those of a code
ROWS = 8192
OBSERVED, SHUFFLED, UNIFORM, REVERSION, EVERY = (
    "observed", "shuffled_codes", "uniform", "mean_reversion", "all_frames",
)  # fmt: skip


class Steps(NamedTuple):
    """Unit steps of all targets.

    Attributes:
        units: Directions, [M, D], float32; 0 where there is no step.
        is_step: Which targets have one, [M].
    """

    units: np.ndarray
    is_step: np.ndarray


def unit_steps(steps: np.ndarray) -> Steps:
    """Return steps [M, D] divided by their length."""
    length = np.linalg.norm(steps, axis=1)
    is_step = length > 0
    return Steps((steps / np.where(is_step, length, 1)[:, None]).astype(np.float32), is_step)


def observed_steps(targets: LawTargets) -> Steps:
    """Return the directions that the targets took."""
    return unit_steps(windows.delta(targets.block.frames, targets.rows))


def reverting_steps(targets: LawTargets, seed: int) -> Steps:
    """Return the directions that mean reversion alone gives: to a frame of another place.

    The frame is one of the same part, so that the law of positions stays what it is there.
    """
    frames, rows = targets.block.frames, targets.rows
    other = rows.copy()
    generator = named_generator(seed, "mean reversion")
    for part in range(len(PARTS)):
        own = np.flatnonzero(targets.part == part)
        other[own] = rows[own][generator.permutation(len(own))]
    return unit_steps(frames[other] - frames[rows - 1])


def uniform_steps(targets: LawTargets, seed: int) -> Steps:
    """Return directions that are uniform on the sphere."""
    shape = (len(targets.rows), targets.block.frames.shape[1])
    return unit_steps(named_generator(seed, "uniform").standard_normal(shape))


def fit_directions(
    units: np.ndarray, codes: np.ndarray, num_codes: int, num_directions: int,
    generator: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Return the directions of every code by spherical k-means, [K, J, D], float32.

    Each code starts at steps of its own, and an empty direction keeps where it started.

    Args:
        units: Unit steps of train, [m, D].
        codes: Their codes, [m].
        num_codes: K.
        num_directions: J.
        generator: Of the starts.
    """
    centres = _starts(units, codes, num_codes, num_directions, generator)
    for _ in range(ITERATIONS):
        nearest, _ = nearest_direction(units, codes, centres)
        total = np.zeros((num_codes * num_directions, units.shape[1]))
        add_grouped(total, units, codes * num_directions + nearest)
        total = total.reshape(centres.shape)
        length = np.linalg.norm(total, axis=2, keepdims=True)
        centres = np.where(length > 0, total / np.where(length > 0, length, 1), centres)
        centres = centres.astype(np.float32)
    return centres


def _starts(
    units: np.ndarray,
    codes: np.ndarray,
    num_codes: int,
    num_directions: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw J steps of each code; a code with fewer takes steps of any."""
    order = generator.permutation(len(units))
    by_code = order[np.argsort(codes[order], kind="stable")]
    first = np.searchsorted(codes[by_code], np.arange(num_codes + 1))
    count = np.diff(first)
    drawn = generator.integers(len(units), size=(num_codes, num_directions))
    for code in np.flatnonzero(count):
        own = by_code[first[code] : first[code] + num_directions][: count[code]]
        drawn[code, : len(own)] = own
    return units[drawn]


def nearest_direction(
    units: np.ndarray, codes: np.ndarray, centres: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest direction of each step's code, and the cosine to it, [m]."""
    nearest, cosine = np.empty(len(units), np.int64), np.empty(len(units), np.float32)
    for start in range(0, len(units), ROWS):
        part = slice(start, start + ROWS)
        scores = np.einsum("md,mjd->mj", units[part], centres[codes[part]])
        nearest[part] = scores.argmax(1)
        cosine[part] = scores.max(1)
    return nearest, cosine


class DirectionScore(NamedTuple):
    """Scores of one comparison.

    Attributes:
        angle: Degrees to the nearest of the code's own directions, [m].
        nats: log p(direction | code) - log p(direction) of the directions of all frames, [m].
    """

    angle: np.ndarray
    nats: np.ndarray


def score_directions(
    steps: Steps, codes: np.ndarray, num_codes: int, num_directions: int, is_train: np.ndarray,
    seed: int,
) -> DirectionScore:  # fmt: skip
    """Fit directions on train and score all targets.

    Args:
        steps: Unit steps, [M, D].
        codes: State codes, [M].
        num_codes: K.
        num_directions: J, of each code, and of all frames together for the nats.
        is_train: Which targets are fitted on, [M].
        seed: Of the starts.
    """
    fitted = np.flatnonzero(is_train & steps.is_step)
    units, own = steps.units[fitted], codes[fitted]
    generator = named_generator(seed, "directions", str(num_directions))
    centres = fit_directions(units, own, num_codes, num_directions, generator)
    _, cosine = nearest_direction(steps.units, codes, centres)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    everywhere = np.zeros(len(codes), np.int64)
    whole = fit_kmeans(units, num_directions, RESTARTS, ITERATIONS, generator)
    whole = whole[None] / np.linalg.norm(whole, axis=1, keepdims=True)
    target, _ = nearest_direction(steps.units, everywhere, whole)
    counts = np.zeros((num_codes, num_directions))
    np.add.at(counts, (own, target[fitted]), 1)
    marginal = (counts.sum(0) + 1) / (counts.sum() + num_directions)
    law = (counts + PRIOR_FRAMES * marginal) / (counts.sum(1, keepdims=True) + PRIOR_FRAMES)
    return DirectionScore(angle, np.log(law[codes, target]) - np.log(marginal[target]))


def direction_scores(
    targets: LawTargets, name: str, codes: np.ndarray, num_codes: int, num_directions: int,
    seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Return sums of angles and nats by comparison, part and speaker.

    Args:
        targets: Of one representation.
        name: The state key.
        codes: Its codes of all targets, [M].
        num_codes: K.
        num_directions: J.
        seed: Of everything random.
    """
    is_train = targets.part == PARTS.index(TRAIN)
    mixed = codes[named_generator(seed, "shuffled codes").permutation(len(codes))]
    taken = observed_steps(targets)
    cases = {
        OBSERVED: (taken, codes, num_codes),
        SHUFFLED: (taken, mixed, num_codes),
        EVERY: (taken, np.zeros_like(codes), 1),
        UNIFORM: (uniform_steps(targets, seed), codes, num_codes),
        REVERSION: (reverting_steps(targets, seed), codes, num_codes),
    }
    found = []
    for case, (steps, own, count) in cases.items():
        score = score_directions(steps, own, count, num_directions, is_train, seed)
        rows = np.flatnonzero(steps.is_step)
        found.append(_sums(targets, case, rows, score))
    table = pd.concat(found, ignore_index=True)
    return table.assign(key=name, num_codes=num_codes, num_directions=num_directions)


def _sums(targets: LawTargets, case: str, rows: np.ndarray, score: DirectionScore) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "part": targets.part[rows],
            "speaker": targets.speaker[rows],
            "num_frames": 1,
            "angle": score.angle[rows].astype(np.float64),
            "nats": score.nats[rows],
        }
    )
    found = pd.DataFrame(frame.groupby(["part", "speaker"], sort=True, as_index=False).sum())
    names = targets.speaker_ids[found.pop("speaker").to_numpy()].astype(object)
    part = [PARTS[number] for number in found["part"]]
    return found.assign(part=part, speaker_id=names, case=case)
