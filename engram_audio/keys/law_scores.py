"""Score every key of one representation by its law, on every slice, with what stands beside.

Beside the keys stand the predictor (the ceiling), a k-means of the target itself (it sees the
future), codes of other frames (a known zero), and the bank without context against one Gaussian.

Shapes: M targets, D dimensions, G components, K codes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.corpus.split_parts import EVAL, PARTS, TRAIN, VAL
from engram_audio.keys.bank import Bank
from engram_audio.keys.directions import direction_scores
from engram_audio.keys.fitted import FittedFamily, FittedKey, stream_cells
from engram_audio.keys.law_config import LawSection
from engram_audio.keys.law_targets import LawTargets, Whitening
from engram_audio.keys.law_weights import (
    Parts,
    TargetLaws,
    marginal_weights,
    predicted_nats,
    score_codes,
)
from engram_audio.latents.block import LatentBlock, split_block
from engram_audio.numerics.kmeans import assign, fit_kmeans
from engram_audio.numerics.seeds import named_generator

PIECE_FRAMES = 16384  # of whose contexts all features are held at a time
FLIP_FRAMES = 2000  # eval contexts on which codes may flip
ORACLE_FRAMES = 50_000
PREDICTOR, BANK = "predictor", "bank"
KEY, PERMUTED, ORACLE = "key", "permuted", "oracle"


class LawScores(NamedTuple):
    """What is published of one representation at one aim.

    Attributes:
        scores: Sums of nats by key, slice, part and speaker.
        facts: One row per key and slice: what was chosen, codes used, what flips.
        directions: Sums of angles and nats of the step's direction by key, comparison, part and
            speaker.
    """

    scores: pd.DataFrame
    facts: pd.DataFrame
    directions: pd.DataFrame


class Scoring(NamedTuple):
    """What is scored.

    Attributes:
        targets: Of one representation at one lag.
        whitening: How targets became y.
        y: In units of the bank, [M, D].
        bank: Shared components.
        section: Settings.
        masks: Which targets are in which slice, by name.
    """

    targets: LawTargets
    whitening: Whitening
    y: np.ndarray
    bank: Bank
    section: LawSection
    masks: Mapping[str, np.ndarray]


class _Coded(NamedTuple):
    """Codes of all targets under one key."""

    name: str
    kind: str
    codes: np.ndarray
    num_codes: int
    key: FittedKey | None = None


def score_all(
    scoring: Scoring, families: Sequence[FittedFamily], names: Sequence[str],
    predicted: Callable[[np.ndarray], np.ndarray] | None,
    agreement: Mapping[str, float],
) -> LawScores:  # fmt: skip
    """Score the named keys of some families, and what stands beside them.

    Args:
        scoring: Targets, bank and settings.
        families: Fitted keys.
        names: Which keys are scored.
        predicted: Returns the laws of a predictor for numbers of targets, [m, G]; None without.
        agreement: Share of equal codes of distilled keys and their teachers, by key.
    """
    section = scoring.section
    max_bytes = int(section.memory_gib * 2**30)
    laws = TargetLaws(scoring.bank, scoring.y, max_bytes)
    gaussian = _log_gaussian(scoring)
    scores: list[pd.DataFrame] = []
    facts: list[dict[str, Any]] = []
    directions = [pd.DataFrame(columns=DIRECTIONS)]
    parts = {name: _parts(scoring, mask) for name, mask in scoring.masks.items()}
    priors = {name: marginal_weights(laws, one.train) for name, one in parts.items()}
    for name, one in parts.items():
        if len(one.scored) == 0:
            continue
        over = laws.log_marginal(one.scored, priors[name]) - gaussian[one.scored]
        scores.append(_sums(scoring, BANK, BANK, name, one.scored, over))
        if predicted is not None:
            nats = _predicted(laws, one.scored, priors[name], predicted)
            scores.append(_sums(scoring, PREDICTOR, PREDICTOR, name, one.scored, nats))
    for coded in _all_codes(scoring, families, names):
        if coded.name in section.direction_keys:
            directions.append(
                direction_scores(
                    scoring.targets, coded.name, coded.codes, coded.num_codes,
                    section.num_directions, section.seed,
                )
            )  # fmt: skip
        for name, one in parts.items():
            if len(one.train) == 0 or len(one.scored) == 0:
                continue
            law = score_codes(
                laws, one, coded.codes, coded.num_codes, priors[name], section.prior_strengths
            )
            scores.append(_sums(scoring, coded.name, coded.kind, name, one.scored, law.nats))
            facts.append(_facts(scoring, coded, name, law.strength))
    table = pd.DataFrame(facts, columns=FACTS)
    table["agreement"] = np.array([agreement.get(str(key), np.nan) for key in table["key"]], float)
    found = directions[1:] or directions
    return LawScores(
        pd.concat(scores, ignore_index=True), table,
        pd.concat(found, ignore_index=True).loc[:, DIRECTIONS],
    )  # fmt: skip


DIRECTIONS = [
    "key", "case", "num_codes", "num_directions", "part", "speaker_id", "num_frames", "angle",
    "nats",
]  # fmt: skip
FACTS = [
    "key", "kind", "slice", "inputs", "state_frames", "seed", "num_codes", "prior_strength",
    "codes_used", "entropy_nats", "speaker_information_nats", "flip_rate", "num_values",
]  # fmt: skip


def _parts(scoring: Scoring, mask: np.ndarray) -> Parts:
    targets = scoring.targets
    rows = np.flatnonzero(mask)
    part = targets.part[rows]
    return Parts(
        rows[part == PARTS.index(TRAIN)], rows[part == PARTS.index(targets.choice_part)], rows
    )


def _predicted(
    laws: TargetLaws, rows: np.ndarray, prior: np.ndarray,
    predicted: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:  # fmt: skip
    pieces = np.array_split(rows, max(len(rows) // PIECE_FRAMES, 1))
    return np.concatenate([predicted_nats(laws, one, prior, predicted(one)) for one in pieces])


def _log_gaussian(scoring: Scoring) -> np.ndarray:
    """Return the log density of one diagonal Gaussian that was fitted on train, [M]."""
    train = scoring.y[scoring.targets.of_part(TRAIN)]
    sd = np.maximum(train.std(0, dtype=np.float64), scoring.whitening.floor)
    one = Bank(np.ones(1), train.mean(0, dtype=np.float64)[None], sd[None])
    return one.log_densities(scoring.y)[:, 0]


def _sums(
    scoring: Scoring, key: str, kind: str, slice_name: str, rows: np.ndarray, nats: np.ndarray
) -> pd.DataFrame:
    """Return sums by part and speaker of the scored rows."""
    targets = scoring.targets
    frame = pd.DataFrame(
        {"part": targets.part[rows], "speaker": targets.speaker[rows], "nats": nats}
    )
    found = frame.groupby(["part", "speaker"], sort=True)["nats"].agg(["size", "sum"])
    found = found.reset_index()
    return pd.DataFrame(
        {
            "key": key,
            "kind": kind,
            "slice": slice_name,
            "part": [PARTS[number] for number in found["part"]],
            "speaker_id": targets.speaker_ids[found["speaker"].to_numpy()].astype(object),
            "num_frames": found["size"].astype(np.int64),
            "nats": found["sum"].astype(np.float64),
        }
    )


def _all_codes(
    scoring: Scoring, families: Sequence[FittedFamily], names: Sequence[str]
) -> Iterator[_Coded]:
    """Yield keys, then one permuted key and the target oracle for each size."""
    permuted: set[int] = set()
    for family in families:
        for key_input in family.inputs():
            keys = family.of_input(key_input, scoring.targets.lag_frames)
            keys = [key for key in keys if key.name in names]
            for key, codes in zip(keys, codes_of(scoring.targets, keys), strict=True):
                yield _Coded(key.name, KEY, codes, key.num_codes, key)
                if key.num_codes not in permuted:
                    permuted.add(key.num_codes)
                    yield _permuted(scoring, key, codes)
    for size in scoring.section.oracle_sizes:
        if size <= len(scoring.targets.of_part(TRAIN)):
            yield _oracle(scoring, size)


def _permuted(scoring: Scoring, key: FittedKey, codes: np.ndarray) -> _Coded:
    generator = named_generator(scoring.section.seed, "permuted", str(key.num_codes))
    mixed = codes[generator.permutation(len(codes))]
    return _Coded(f"permuted.{key.num_codes}", PERMUTED, mixed, key.num_codes)


def _oracle(scoring: Scoring, size: int) -> _Coded:
    """Return the codes of the target itself: it sees the future."""
    train = scoring.y[scoring.targets.of_part(TRAIN)]
    count = min(len(train), max(ORACLE_FRAMES, 20 * size))
    sample = train[(np.arange(count) * len(train)) // count]
    generator = named_generator(scoring.section.seed, "target oracle", str(size))
    centroids = fit_kmeans(np.ascontiguousarray(sample), size, 1, 20, generator)
    codes, _ = assign(np.ascontiguousarray(scoring.y), centroids)
    return _Coded(f"target_oracle.{size}", ORACLE, codes, size)


def codes_of(targets: LawTargets, keys: Sequence[FittedKey]) -> list[np.ndarray]:
    """Return the codes of all targets under keys of one family and input, each [M]."""
    if not keys:
        return []
    pieces = list(split_block(targets.block, PIECE_FRAMES))
    sizes = np.cumsum([0, *(len(piece.frames) for piece in pieces)])
    edges = np.searchsorted(targets.rows, sizes)
    rows = [
        targets.rows[edges[number] : edges[number + 1]] - sizes[number]
        for number in range(len(pieces))
    ]

    def source() -> Iterator[LatentBlock]:
        return iter(pieces)

    return [one.cells for one in stream_cells(keys, source, rows, targets.lag_frames)]


def _facts(scoring: Scoring, coded: _Coded, slice_name: str, strength: float) -> dict[str, Any]:
    """Return what is known of a key on a slice beside its score."""
    targets, mask = scoring.targets, scoring.masks[slice_name]
    on_eval = coded.codes[mask & (targets.part == PARTS.index(EVAL))]
    is_whole = slice_name == "all" and coded.key is not None
    return {
        "key": coded.name,
        "kind": coded.kind,
        "slice": slice_name,
        "inputs": "" if coded.key is None else coded.key.key_input,
        "state_frames": np.nan if coded.key is None else coded.key.state_frames,
        "seed": scoring.section.seed,
        "num_codes": coded.num_codes,
        "prior_strength": strength,
        "codes_used": len(np.unique(on_eval)),
        "entropy_nats": entropy(np.bincount(on_eval)),
        "speaker_information_nats": _speaker_information(scoring, coded) if is_whole else np.nan,
        "flip_rate": _flip_rate(scoring, coded) if is_whole else np.nan,
        "num_values": np.nan if coded.key is None else num_values(coded.key),
    }


def num_values(key: FittedKey) -> int:
    """Return how many numbers a code is computed with; twice as many are its operations."""
    return sum(int(np.size(one)) for part in (key.features, key.cells) for one in part.values())


def entropy(counts: np.ndarray) -> float:
    """Return the entropy of counts in nats; 0 of nothing."""
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum())


def _speaker_information(scoring: Scoring, coded: _Coded) -> float:
    """Return I(code; speaker) on val less the same of permuted codes: plain counts flatter."""
    items = scoring.targets.of_part(VAL)
    codes, speakers = coded.codes[items], scoring.targets.speaker[items]
    generator = named_generator(scoring.section.seed, "speaker information")
    mixed = codes[generator.permutation(len(codes))]
    return mutual_information(codes, speakers) - mutual_information(mixed, speakers)


def mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Return the plug-in mutual information of two codes [m] in nats."""
    if len(first) == 0:
        return float("nan")
    joint = first.astype(np.int64) * (int(second.max()) + 1) + second
    _, counts = np.unique(joint, return_counts=True)
    return entropy(np.bincount(first)) + entropy(np.bincount(second)) - entropy(counts)


def _flip_rate(scoring: Scoring, coded: _Coded) -> float:
    """Return the share of eval codes that change when the frames of the context get noise."""
    key, targets = coded.key, scoring.targets
    items = targets.of_part(EVAL)
    items = items[:: max(len(items) // FLIP_FRAMES, 1)]
    if key is None or key.is_centred or len(items) == 0:
        return float("nan")
    contexts = targets.contexts(items)
    generator = named_generator(scoring.section.seed, "flip")
    sd = scoring.section.flip_noise * scoring.whitening.frame_sd
    noisy = contexts + generator.standard_normal(contexts.shape) * sd
    return float((key.codes(noisy.astype(np.float32)) != coded.codes[items]).mean())
