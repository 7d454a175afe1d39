"""Fit a lookup memory in closed form beside a frozen base; choices are made on held-out data.

Shapes: N train targets, n of them in slots, D dimensions, F folds.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.base import Batch
from engram_audio.densities.data import WindowData
from engram_audio.densities.density import ConditionalDensity, Density
from engram_audio.densities.fit import Material
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.fitted import FittedKey
from engram_audio.memory.config import LookupMemory
from engram_audio.memory.datastore import Datastore
from engram_audio.memory.density import Lookup, MemoryDensity
from engram_audio.memory.entries import Entries, Segments, Shrinkage, fit_entries
from engram_audio.memory.folds import Candidate, fold_of_utterances
from engram_audio.memory.slots import SlotFrames, SlotMap, build_slots

BATCH = 4096
SD_FLOOR = 1e-4  # of the base's whitened units
MAXIMUM_VALIDATION_FRAMES = 20_000


class FittedMemory(NamedTuple):
    """A fitted memory and how it was chosen.

    Attributes:
        model: The density.
        counts: Train targets of each slot, shape [S].
        tried: One record per choice looked at: shrinkage, strength, temperature, choice_nll.
        is_off: Whether the choice part preferred no memory.
        base: Name of the base that the choice part chose.
    """

    model: MemoryDensity
    counts: np.ndarray
    tried: list[dict[str, Any]]
    is_off: bool
    base: str


class _Problem(NamedTuple):
    """What all choices share."""

    settings: LookupMemory
    name: str
    base: ConditionalDensity
    key: KeyEncoder
    slots: SlotMap
    frames: SlotFrames
    segments: Segments
    base_z: np.ndarray
    floor: np.ndarray
    choice: WindowData
    device: torch.device
    is_shuffled: bool


def fit_lookup(
    settings: LookupMemory,
    fitted_key: FittedKey,
    material: Material,
    lag_frames: int,
    candidates: Sequence[Candidate],
    seed: int,
    device: torch.device,
    is_shuffled: bool = False,
) -> FittedMemory:
    """Fit one memory.

    Args:
        settings: Table and choices.
        fitted_key: The key that the settings name.
        material: Train and the choice part.
        lag_frames: k.
        candidates: Bases; the one whose memory scores best on the choice part is kept, the first
            on a tie.
        seed: Decides permutations.
        device: Where the bases run.
        is_shuffled: The control whose keys are other contexts' keys.

    Raises:
        ValueError: No entry is seen often enough.
    """
    data = material.data(TRAIN, lag_frames)
    key = KeyEncoder(fitted_key).to(device)
    codes = all_codes(data, key, max(settings.ngram_orders), device)
    if is_shuffled:
        order = np.random.default_rng([seed, len(codes)]).permutation(len(codes))
        codes = codes[torch.from_numpy(order)]
    slots, frames = build_slots(
        codes, key, settings.ngram_orders, settings.minimum_count, settings.frames_per_slot,
        settings.maximum_slots,
    )  # fmt: skip
    if slots.num_slots == 0:
        raise ValueError(
            f"no key is seen {settings.minimum_count} times in train; lower minimum_count or the "
            "number of codes"
        )
    choice = material.data(material.choice_part, lag_frames, MAXIMUM_VALIDATION_FRAMES)
    if not len(choice):
        raise ValueError(
            f"{material.choice_part} has no utterance long enough for a target: nothing can be "
            "chosen"
        )
    fits = []
    for candidate in candidates:
        base = candidate.model.to(device).eval()
        segments, base_z = _segments(
            settings, material, data, base, candidate.fold_models, frames, device
        )
        floor = np.maximum(base.base.noise_floor(material.noise_sd), SD_FLOOR)
        problem = _Problem(
            settings, candidate.name, base, key, slots.to(device), frames, segments, base_z, floor,
            choice, device, is_shuffled,
        )  # fmt: skip
        fits.append(_choose(problem))
    tried = [{"base": fit.base, **record} for fit in fits for record in fit.tried]
    return min(fits, key=_kept_score)._replace(tried=tried)


def _kept_score(fit: FittedMemory) -> float:
    """The score on the choice part of what is kept: the base alone, where that is."""
    *tried, off = (_or_worst(record["choice_nll"]) for record in fit.tried)
    return off if fit.is_off else min(tried)


def _or_worst(score: float) -> float:
    """Return a score, or infinity where it is not finite: NaN compares with nothing."""
    return score if math.isfinite(score) else math.inf


def _dims(material: Material) -> int:
    return material.block.frames.shape[1]


@torch.no_grad()
def all_codes(data: WindowData, key: KeyEncoder, count: int, device: torch.device) -> Tensor:
    """Return the codes of all targets, newest first, shape [N, count], on the CPU."""
    parts = [
        key.codes(batch.context, count, batch.so_far).cpu()
        for batch in (data.batch(items, device) for items in torch.arange(len(data)).split(BATCH))
    ]
    return torch.cat(parts)


@torch.no_grad()
def _segments(
    settings: LookupMemory,
    material: Material,
    data: WindowData,
    base: ConditionalDensity,
    fold_bases: Sequence[ConditionalDensity],
    frames: SlotFrames,
    device: torch.device,
) -> tuple[Segments, np.ndarray]:
    """Gather what is stored of each slot's frames, each from the base that has not seen it.

    Also, where targets are stored, that base's mean of the same frames, from the intercept, [n, D].
    """
    z = np.empty((len(frames.items), _dims(material)))
    is_target = settings.value == "target"
    base_z = np.empty_like(z) if is_target else np.empty((0, z.shape[1]))
    base_log = np.empty(len(z))
    for rows, batch, own in held_out(material, data, frames.items, fold_bases, device):
        value = base.base.whiten(base.base.value(batch, base.target) - base.base.intercept)
        mean = base.base.whiten(mean_of(own, batch, base) - base.base.intercept)
        stored = value if is_target else value - mean
        z[rows.numpy()] = stored.double().cpu().numpy()
        if is_target:
            base_z[rows.numpy()] = mean.double().cpu().numpy()
        log = own.log_prob(batch) - base.base.log_det
        base_log[rows.numpy()] = log.double().cpu().numpy()
    return Segments(z, base_log, frames.starts), base_z


def held_out(
    material: Material,
    data: WindowData,
    items: np.ndarray,
    fold_models: Sequence[ConditionalDensity],
    device: torch.device,
) -> Iterator[tuple[Tensor, Batch, ConditionalDensity]]:
    """Give train targets in batches, each with the fold's model that has not seen its speakers.

    Args:
        material: Train and the choice part.
        data: Train targets.
        items: Those that are wanted, shape [n].
        fold_models: A model for each fold.
        device: Where batches and models go.

    Yields:
        Rows of `items`, their batch and their model.
    """
    utterance = windows.utterance_of_rows(material.block.offsets, data.targets.numpy()[items])
    fold = fold_of_utterances(material, len(fold_models))[utterance]
    for number, fold_model in enumerate(fold_models):
        own = fold_model.to(device).eval()
        for rows in torch.from_numpy(np.flatnonzero(fold == number)).split(BATCH):
            yield rows, data.batch(torch.from_numpy(items)[rows], device), own


def mean_of(own: ConditionalDensity, batch: Batch, base: ConditionalDensity) -> Tensor:
    """Return a fold model's mean in the base's target, [B, D]; at lag 1 they may differ in it."""
    mean = own.mean(batch)
    if own.target == base.target:
        return mean
    return mean + (batch.previous if base.target == "position" else -batch.previous)


def _choose(problem: _Problem) -> FittedMemory:
    """Try every choice, keep the best on the choice part; the first wins a tie."""
    settings = problem.settings
    temperatures = settings.temperatures if settings.num_neighbors > 1 else (1.0,)
    tried: list[dict[str, Any]] = []
    best: tuple[float, MemoryDensity] | None = None
    pulls = (settings.shrinkages_frames, settings.spread_shrinkages_frames)
    for shrinkage in itertools.starmap(Shrinkage, itertools.product(*pulls)):
        entries = fit_entries(
            problem.segments, settings.location, settings.spread, settings.weight, shrinkage,
            problem.floor,
        )  # fmt: skip
        for strength, temperature in itertools.product(settings.strengths, temperatures):
            model = _model(problem, entries, strength, temperature)
            score = mean_nll(model, problem.choice, problem.device)
            tried.append(
                {
                    "shrinkage_frames": shrinkage.mean, "spread_shrinkage_frames": shrinkage.spread,
                    "strength": strength, "temperature": temperature, "choice_nll": score,
                }
            )  # fmt: skip
            if best is None or _or_worst(score) < best[0]:
                best = _or_worst(score), model
    assert best is not None
    base_score = mean_nll(problem.base, problem.choice, problem.device)
    tried.append({"strength": 0.0, "choice_nll": base_score})
    is_off = settings.may_switch_off and base_score <= best[0]
    if is_off:
        entries = entries_of(best[1])
        best[1].set_entries(entries._replace(weight=np.zeros_like(entries.weight)))
        best[1].to(problem.device)
    return FittedMemory(best[1], problem.frames.counts, tried, is_off, problem.name)


def _model(
    problem: _Problem, entries: Entries, strength: float, temperature: float
) -> MemoryDensity:
    settings = problem.settings
    if settings.spread == "shared" and strength != 1.0:
        entries = _respread(problem, entries, strength)
    lookup = Lookup(problem.key, problem.slots, settings.num_neighbors, temperature)
    lookup.is_shuffled = problem.is_shuffled
    model = MemoryDensity(problem.base, lookup, entries, settings.value == "target", strength)
    return model.to(problem.device).eval()


def _respread(problem: _Problem, entries: Entries, strength: float) -> Entries:
    """Return the table with the shared spread about the gated mean."""
    left = problem.segments.z - strength * problem.segments.spread_out(entries.mean)
    if problem.settings.value == "target":
        left -= (1 - strength) * problem.base_z
    sd = np.maximum(np.sqrt((left**2).mean(0)), problem.floor)
    return entries._replace(log_sd=np.broadcast_to(np.log(sd), entries.log_sd.shape))


def entries_of(model: MemoryDensity) -> Entries:
    """Return the table of a model without the row of the miss."""
    tables = (model.means, model.log_sds, model.weights)
    return Entries(*(table[:-1].double().cpu().numpy() for table in tables))


@torch.no_grad()
def mean_nll(model: Density, data: WindowData, device: torch.device) -> float:
    """Return the mean NLL of a model's own target, nats per frame."""
    total = 0.0
    for items in torch.arange(len(data)).split(BATCH):
        total -= float(model.log_prob(data.batch(items, device)).double().sum())
    return total / max(len(data), 1)


@torch.no_grad()
def build_datastore(
    material: Material,
    lag_frames: int,
    key: KeyEncoder,
    num_states: int,
    candidate: Candidate,
    maximum_frames: int,
    device: torch.device,
) -> Datastore:
    """Store features and residuals of thinned train targets, each from the base's fold model.

    Features are those of the newest `num_states` states: all that a memory's n-grams see.
    """
    base = candidate.model.to(device).eval()
    data = material.data(TRAIN, lag_frames, maximum_frames)
    ages = range(num_states)
    features = torch.empty((len(data), 0), device=device)
    values = torch.empty((len(data), _dims(material)), device=device)
    everything = np.arange(len(data))
    for rows, batch, own in held_out(material, data, everything, candidate.fold_models, device):
        found = torch.cat([key.features(batch.context, age, batch.so_far) for age in ages], 1)
        if not features.shape[1]:
            features = torch.empty((len(data), found.shape[1]), device=device)
        value = base.base.value(batch, base.target)
        features[rows] = found
        values[rows] = base.base.whiten(value - mean_of(own, batch, base))
    return Datastore(features, values)
