"""Planted worlds for the structure stage, at the size at which their answers were computed.

Conventions: d_t = x_t - x_{t-1}; a phase advances by one modulo S with probability 1 - eps and
jumps uniformly otherwise; 60 train and 20 eval speakers of 25 utterances of 40 to 80 frames, so
about 67 000 train, 7 000 val and 24 000 eval targets. The noise of a motif world is set so that
the exact ratio of the key "phase" at lag 1 is the one asked for.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.structure.config import StructureSection

NUM_BLOCKS = 4


class Layout(NamedTuple):
    """How many speakers and utterances."""

    num_train: int = 60
    num_eval: int = 20
    num_utterances: int = 25


class World(NamedTuple):
    """Blocks and the part of each utterance."""

    blocks: list[LatentBlock]
    part_of: dict[str, str]

    def source(self) -> BlockSource:
        return lambda: iter(self.blocks)


def section(**changes) -> StructureSection:
    """Settings of the recipe; only what a test changes is given."""
    settings = {
        "window_frames": 8, "lags_frames": (1,), "slices": ("all",), "medial_range": (0.17, 0.83), 
        "speech_range_db": 35.0,
        "minimum_cell_frames": 100, "std_floor": 1e-6, "principal_subspaces": (),
        "variance_shrinkage_frames": 20.0, "linear_ridges": (1e-6, 1e-2),
        "block_frames": 65536,
        "fit_memory_gib": 1.0, 
        "confidence_quantiles": (0.25, 1.0), "ngram_orders": (1, 2), "ngram_minimum_counts": (1,),
        "seed": 0,
    }  # fmt: skip
    return StructureSection(**{**settings, **changes})


# frames of one utterance, [T, D], given (generator, speaker, T)
Utterance = Callable[[np.random.Generator, int, int], np.ndarray]


def make_world(utterance: Utterance, layout: Layout = Layout(), seed: int = 0) -> World:  # noqa: B008
    """Draw all utterances; every tenth of a train speaker is val."""
    rng = np.random.default_rng(seed)
    num_speakers = layout.num_train + layout.num_eval
    frames, names, speakers, part_of = [], [], [], {}
    for speaker in range(num_speakers):
        for number in range(layout.num_utterances):
            frames.append(utterance(rng, speaker, int(rng.integers(40, 81))).astype(np.float32))
            names.append(f"s{speaker:03d}-u{number:03d}")
            speakers.append(f"s{speaker:03d}")
            held_out = "val" if number % 10 == 3 else "train"
            part_of[names[-1]] = "eval" if speaker >= layout.num_train else held_out
    blocks = []
    for chosen in np.array_split(np.arange(len(names)), NUM_BLOCKS):
        rows = np.concatenate([frames[number] for number in chosen])
        blocks.append(
            LatentBlock(
                frames=rows,
                energy=np.abs(rng.normal(size=len(rows))).astype(np.float32),
                offsets=np.cumsum([0, *(len(frames[number]) for number in chosen)]),
                utterance_ids=np.array([names[number] for number in chosen], dtype=object),
                speaker_ids=np.array([speakers[number] for number in chosen], dtype=object),
            )
        )
    return World(blocks, part_of)


def phases(rng: np.random.Generator, length: int, num_phases: int, eps: float) -> np.ndarray:
    """Draw a phase chain, [T]."""
    jumps = rng.random(length) < eps
    jumps[0] = True
    fresh = rng.integers(num_phases, size=length)
    last = np.maximum.accumulate(np.where(jumps, np.arange(length), 0))
    return (fresh[last] + np.arange(length) - last) % num_phases


def motif_noise(prototypes: np.ndarray, eps: float, ratio: float) -> float:
    """Return the noise SD at which the key "phase of t-1" leaves `ratio` of normalised delta."""
    num_phases = len(prototypes)
    transition = np.full((num_phases, num_phases), eps / num_phases)
    transition[np.arange(num_phases), (np.arange(num_phases) + 1) % num_phases] += 1 - eps
    explained = np.var(transition @ prototypes - prototypes, axis=0)
    jump = np.mean(
        [
            transition[i] @ (prototypes - prototypes[i]) ** 2 for i in range(num_phases)
        ],
        axis=0,
    )  # fmt: skip

    def excess(sigma: float) -> float:
        return 1 - np.mean(explained / (jump + 2 * sigma**2)) - ratio

    root: Any = brentq(excess, 1e-6, 100)
    return float(root)


def shared_motifs(
    num_dims: int = 32, num_phases: int = 24, eps: float = 0.005, ratio: float = 0.3,
    speaker_offset: float = 0.0, num_speakers: int = 80, seed: int = 0,
) -> Utterance:  # fmt: skip
    """`type2`: one set of prototypes for all; `offset` adds a constant per speaker."""
    rng = np.random.default_rng([seed, 1])
    prototypes = rng.normal(size=(num_phases, num_dims))
    offsets = speaker_offset * rng.normal(size=(num_speakers, num_dims))
    sigma = motif_noise(prototypes, eps, ratio)

    def utterance(rng: np.random.Generator, speaker: int, length: int) -> np.ndarray:
        noise = sigma * rng.normal(size=(length, num_dims))
        return prototypes[phases(rng, length, num_phases, eps)] + noise + offsets[speaker]

    return utterance


def personal_motifs(num_speakers: int, seed: int = 0) -> Utterance:
    """`type1`: prototypes drawn for each speaker, S = 6, D = 32."""
    rng = np.random.default_rng([seed, 2])
    prototypes = rng.normal(size=(num_speakers, 6, 32))
    sigma = [motif_noise(own, 0.005, 0.3) for own in prototypes]

    def utterance(rng: np.random.Generator, speaker: int, length: int) -> np.ndarray:
        noise = sigma[speaker] * rng.normal(size=(length, 32))
        return prototypes[speaker][phases(rng, length, 6, 0.005)] + noise

    return utterance


def drift(num_dims: int = 8, num_phases: int = 12, eps: float = 0.05, seed: int = 0) -> Utterance:
    """A walk d_t = 4 v_phi + n, |v| = 1, sum v = 0: positions say nothing, increments do."""
    rng = np.random.default_rng([seed, 3])
    directions = rng.normal(size=(num_phases, num_dims))
    directions -= directions.mean(axis=0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions -= directions.mean(axis=0)

    def utterance(rng: np.random.Generator, speaker: int, length: int) -> np.ndarray:
        steps = 4 * directions[phases(rng, length, num_phases, eps)]
        return np.cumsum(steps + rng.normal(size=(length, num_dims)), axis=0)

    return utterance


def white_noise(num_dims: int) -> Utterance:
    return lambda rng, speaker, length: rng.normal(size=(length, num_dims))


def random_walk(num_dims: int) -> Utterance:
    return lambda rng, speaker, length: np.cumsum(rng.normal(size=(length, num_dims)), axis=0)
