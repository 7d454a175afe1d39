"""A memory in a world whose exact law is known, and what must be true of its controls.

Symbols follow a fixed permutation, seen through noise; now and then one jumps anywhere. The newest
frame tells the symbol, so a table of eight entries can hold the whole law. Shuffled keys hold
nothing.

Shapes: N frames, M targets, K symbols, D dimensions.
"""

import math
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from engram_audio.calibration.rows import CalibrationRow, compare
from engram_audio.calibration.truth import Truth
from engram_audio.corpus.split_parts import EVAL, TRAIN, VAL
from engram_audio.densities.data import WindowData, window_data
from engram_audio.densities.density import Budget, Density
from engram_audio.densities.fit import Material
from engram_audio.densities.nulls import NullMoments, fit_linear_nulls
from engram_audio.densities.reference import measure_reference
from engram_audio.keys.config import KeysSection, LastFrameKeys
from engram_audio.keys.fit import KeyMaterial, fit_family
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.targets import targets_of
from engram_audio.memory import fit, folds, matching, tables
from engram_audio.memory.config import LookupMemory, MemoryVerdictSection
from engram_audio.stats.estimate import uncertain
from engram_audio.stats.ratio import ratio_of_sums

STAGE, WORLD = "memory", "permutation"
SYMBOLS, NUM_DIMS, NOISE, JUMP, WINDOW = 8, 3, 0.1, 0.05, 4
SPEAKERS, UTTERANCES, LENGTH, FOLDS = 12, 6, 50, 2
EVENT, CPU = "position", torch.device("cpu")
# A jump is scored by the base, one Gaussian over all symbols: up to some 5 nats for 5 % of frames.
LOSS_NATS = 0.35


class _World(NamedTuple):
    """The frames with the part of each utterance, and which symbol each frame is."""

    block: LatentBlock
    part_of: dict[str, str]
    symbols: np.ndarray
    centres: np.ndarray
    following: np.ndarray


class _Exact(NamedTuple):
    """Eval targets, their exact -log densities with and without the past, and speakers, [M]."""

    data: WindowData
    law: np.ndarray
    marginal: np.ndarray
    speaker: np.ndarray


def memory_rows() -> list[CalibrationRow]:
    """Return every comparison."""
    world = _simulate()
    material = _material(world)
    candidates = folds.linear_candidates(material, 1, EVENT, FOLDS)
    static = [own for own in candidates if "marginal" in own.name]
    exact = _exact_scores(world, material)
    data, key = exact.data, _key(material)
    models = {
        name: fit.fit_lookup(
            _settings(), key, material, 1, static, 0, CPU, is_shuffled=name == "shuffled keys"
        ).model
        for name in ("own keys", "shuffled keys")
    }  # on a base without context, so that only a key can tell anything of the past
    own, shuffled = models["own keys"], _nll(models["shuffled keys"], data)
    bare = _nll(models["shuffled keys"].base, data)
    return [
        _nats("nats of a frame by the memory", exact.law, _nll(own, data), exact.speaker),
        _nats("nats by shuffled keys, at best", exact.marginal, shuffled, exact.speaker, np.inf),
        # it was fitted with such keys, so it may say what all frames share and is no straw man
        _nats("nats without a table, by shuffled keys", shuffled, bare, exact.speaker, np.inf),
        _exact("stored frames whose base has seen them", 0.0, _seen(material, candidates[-1])),
        _exact("numbers of the memory beside its base", _numbers(own),
               own.budget().parameters - own.base.budget().parameters),
        _exact("width matched to 1000 numbers", 100.0, _matched_width()),
        _exact("the memory that is best on select is judged", 1.0, float(_verdict() == "chosen")),
    ]  # fmt: skip


def _exact(quantity: str, truth: float, measured: float) -> CalibrationRow:
    return compare(WORLD, STAGE, Truth(quantity, 1, truth), measured, 0.0, resolution=1e-9)


def _nats(
    quantity: str, truth: np.ndarray, measured: np.ndarray, speaker: np.ndarray,
    loss: float = LOSS_NATS,
) -> CalibrationRow:  # fmt: skip
    """Compare two scores of the same frames; the error is that of their difference."""
    count = np.bincount(speaker).astype(float)
    gap = uncertain(ratio_of_sums(np.bincount(speaker, weights=measured - truth), count))
    known = Truth(quantity, 1, float(truth.mean()))
    found, error = float(measured.mean()), float(gap.se)
    return compare(WORLD, STAGE, known, found, error, loss_above=loss)


def _simulate() -> _World:
    rng = np.random.default_rng(5)
    centres, order = 2 * rng.standard_normal((SYMBOLS, NUM_DIMS)), rng.permutation(SYMBOLS)
    following = np.empty(SYMBOLS, int)
    following[order] = np.roll(order, -1)
    symbols = np.empty((SPEAKERS * UTTERANCES, LENGTH), int)
    symbols[:, 0] = rng.integers(SYMBOLS, size=len(symbols))
    for t in range(1, LENGTH):
        jumps = rng.random(len(symbols)) < JUMP
        anywhere = rng.integers(SYMBOLS, size=len(symbols))
        symbols[:, t] = np.where(jumps, anywhere, following[symbols[:, t - 1]])
    frames = centres[symbols] + NOISE * rng.standard_normal((*symbols.shape, NUM_DIMS))
    names = [f"{speaker:02d}-{n}" for speaker in range(SPEAKERS) for n in range(UTTERANCES)]
    block = LatentBlock(
        frames=frames.reshape(-1, NUM_DIMS).astype(np.float32),
        energy=np.ones(symbols.size, np.float32),
        offsets=np.arange(len(symbols) + 1, dtype=np.int64) * LENGTH,
        utterance_ids=np.array(names, dtype=object),
        speaker_ids=np.array([name[:2] for name in names], dtype=object),
    )
    part_of = {
        name: EVAL if name[:2] >= "08" else VAL if name.endswith("0") else TRAIN for name in names
    }
    return _World(block, part_of, symbols.ravel(), centres, following)


def _material(world: _World) -> Material:
    def source():
        return iter([world.block])

    reference = measure_reference(source, world.part_of, WINDOW, 1)
    moments = NullMoments(reference, WINDOW, (1,), VAL)
    moments.accumulate(source, world.part_of, WINDOW)
    linear_nulls = fit_linear_nulls(moments, ("delta", EVENT), (1, 2), (1e-3,))
    return Material(
        world.block, world.part_of, reference, linear_nulls, WINDOW, 1, np.zeros(NUM_DIMS)
    )


def _key(material: Material) -> Any:
    family = LastFrameKeys.model_validate(
        {"kind": "last_frame", "inputs": ["raw"],
         "quantizers": [{"kind": "kmeans", "codebook_sizes": [SYMBOLS]}]}, strict=False,
    )  # fmt: skip
    section = KeysSection.model_validate(
        {"window_frames": WINDOW, "minimum_cell_frames": 10, "speaker_pseudo_frames": 10.0,
         "ridge": 1e-3, "block_frames": 65536, "fit_memory_gib": 1.0, "kmeans_restarts": 5,
         "kmeans_iterations": 20, "seed": 0}, strict=False,
    )  # fmt: skip
    keys = KeyMaterial(lambda: iter([material.block]), material.part_of, section)
    return fit_family("last_frame", family, (1,), keys).keys[0]


def _settings() -> LookupMemory:
    return LookupMemory.model_validate(
        {"kind": "lookup", "key": f"last_frame.raw.kmeans_{SYMBOLS}", "ngram_orders": [1],
         "minimum_count": 2, "maximum_slots": 1000, "frames_per_slot": 1000, "value": "residual",
         "location": "robust", "spread": "slot", "weight": "slot", "strengths": [1.0],
         "shrinkages_frames": [1.0], "spread_shrinkages_frames": [10.0], "num_neighbors": 1,
         "temperatures": [1.0], "may_switch_off": False}, strict=False,
    )  # fmt: skip


def _exact_scores(world: _World, material: Material) -> _Exact:
    """Score the eval targets with the law given the symbol before, and without it."""
    rows = targets_of(world.block, WINDOW, 1)
    is_eval = np.array([world.part_of[str(n)] == EVAL for n in world.block.utterance_ids])
    rows = rows[is_eval[rows // LENGTH]]
    distance = world.block.frames[rows][:, None].astype(float) - world.centres
    log = -0.5 * (distance**2).sum(-1) / NOISE**2 - NUM_DIMS * np.log(NOISE * np.sqrt(2 * np.pi))
    share = np.full((len(rows), SYMBOLS), JUMP / SYMBOLS)
    share[np.arange(len(rows)), world.following[world.symbols[rows - 1]]] += 1 - JUMP
    even = np.full(SYMBOLS, 1 / SYMBOLS)
    law, marginal = (-np.logaddexp.reduce(log + np.log(own), axis=1) for own in (share, even))
    data = window_data(world.block, rows, 1, WINDOW, material.reference.speakers)
    return _Exact(data, law, marginal, rows // (LENGTH * UTTERANCES))


@torch.no_grad()
def _nll(model: Density, data: WindowData) -> np.ndarray:
    """Return -log density of the targets, [M]."""
    return -model.log_prob(data.batch(torch.arange(len(data)), CPU)).double().numpy()


def _seen(material: Material, candidate: folds.Candidate) -> float:
    """Return the share of train targets whose fold's base was trained on their speaker."""
    data = material.data(TRAIN, 1)
    fold_of = folds.fold_of_speakers(material.block, material.part_of, FOLDS)
    owner = data.targets.numpy() // LENGTH
    wrong = 0
    items = np.arange(len(data))
    for rows, _, own in fit.held_out(material, data, items, candidate.fold_models, CPU):
        without = [number for number, model in enumerate(candidate.fold_models) if model is own]
        speakers = material.block.speaker_ids[owner[rows.numpy()]]
        wrong += sum(fold_of[str(name)] not in without for name in speakers)
    return wrong / len(items)


def _numbers(memory: Any) -> float:
    """Return the numbers of key and entries: centroids, means, spreads, weights."""
    entries = memory.num_slots * (2 * NUM_DIMS + 1)
    return float(memory.lookup.key.num_values + entries)


class _Wide:
    """Stands for a head: ten numbers for each unit of its width."""

    reads_trunk = True
    trunk = SimpleNamespace(kind="window")

    def __init__(self, width: int) -> None:
        self.width = width

    def budget(self) -> Budget:
        return Budget(10 * self.width, 20 * self.width)


def _matched_width() -> float:
    """Return the width that a budget of 1000 numbers gets."""
    own: Any = matching
    right, head = (own.widened, own.shrunk), _Wide(8)
    own.widened, own.shrunk = (lambda head, width: _Wide(width)), (lambda head: iter([head]))
    try:
        found = own.match(head, _Wide.budget, 1000, lambda budget: budget.parameters, 512)
    finally:
        own.widened, own.shrunk = right
    return float(found.head.width)


def _verdict() -> str:
    """Return the memory that a made-up table is judged by: one is best on select, one on eval."""
    scores = {"chosen": {"select": 1.0, "eval": 2.0}, "lucky": {"select": 2.0, "eval": 1.0}}
    rows = [
        {"representation": WORLD, "lag_frames": 1, "predictor": "linear", "memory": memory,
         "kind": "lookup", "seed": 0, "part": part, "slice": "all", "control": control,
         "is_off": False, "control_misfit": "", "memory_nll_nats": nll, "gain_seeds_nats": 0.3,
         "gain_seeds_nats_low": 0.2, "gain_seeds_nats_high": 0.4,
         "near_gain_nats_lowest": math.nan, "near_gain_nats_highest": math.nan}
        for memory, parts in scores.items()
        for part, nll in parts.items()
        for control in tables.REQUIRED
    ]  # fmt: skip
    section = MemoryVerdictSection.model_validate({"minimum_gain_nats": 0.02}, strict=False)
    return str(tables.verdict_table(pd.DataFrame(rows), section)["memory"].iloc[0])
