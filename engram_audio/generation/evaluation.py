"""Score generators on the same frames: one-step NLL by speaker, and free runs of some arms.

Shapes: B utterances, T frames, M targets, D dimensions.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.artifacts.columns import choose
from engram_audio.densities.data import window_data
from engram_audio.densities.density import Density
from engram_audio.densities.speakers import SpeakerMeans
from engram_audio.generation.data import GeneratorData, codes_of_rows
from engram_audio.generation.model import Generator
from engram_audio.generation.nulls import LAG_FRAMES
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.latents.targets import targets_of
from engram_audio.rollout.evaluation import NO_INJECTION, evaluate_method
from engram_audio.rollout.measures import true_name
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.setup import ScoringSetup

SHARES = ("diverged_share", "frozen_share")
OF_RUN = (
    "off_support_share", "std_ratio", "step_ratio", "autocorrelation_error", "spectrum_error",
    "energy_distance",
)  # fmt: skip
EXTREMES = ("std_ratio_lowest", "std_ratio_highest")
HEALTH = (*SHARES, *OF_RUN, *map(true_name, OF_RUN), *EXTREMES)


NULL_BATCH = 8192  # targets of a null at a time


class Scope(NamedTuple):
    """What scoring has to know.

    Attributes:
        window_frames: W of the analysing stages: frames before it are not scored, so that nulls
            and generators score the same ones.
        batch_utterances: Utterances at a time.
        device: Where.
    """

    window_frames: int
    batch_utterances: int
    device: torch.device


@torch.no_grad()
def frame_nll(
    model: Generator, source: BlockSource, scope: Scope, swap: str = ""
) -> Iterator[Tensor]:
    """Yield -log p of every target of each block of a stream, nats, [M].

    Of a head without a density it is the energy score, in train SD.

    Args:
        model: A generator.
        source: Blocks of whole utterances.
        scope: What scoring has to know.
        swap: Wrong codes to read, a name of `names.SWAPS`; "" reads the arm's own.

    Raises:
        ValueError: A foreign arm finds a block of one utterance.
    """
    model.to(scope.device).eval()
    for block in source():
        targets = targets_of(block, scope.window_frames, LAG_FRAMES)
        yield _block_nll(model, block, targets, scope, swap)


def _block_nll(
    model: Generator, block: LatentBlock, targets: np.ndarray, scope: Scope, swap: str
) -> Tensor:
    data = whole_block(block)
    codes = None
    if model.is_foreign or swap:
        codes = codes_of_block(model, data, scope)
        codes = swapped(codes, block.offsets, model.num_codes, swap)
    utterance = windows.utterance_of_rows(block.offsets, targets)
    found = torch.empty(len(targets))
    names = np.unique(utterance)
    for low in range(0, len(names), scope.batch_utterances):
        own = names[low : low + scope.batch_utterances]
        rows = padded_rows(block.offsets, own)
        from_rows = data.foreign_rows(rows) if model.is_foreign else rows
        read = None if codes is None else codes[from_rows].to(scope.device)
        frames = data.frames_of(rows, scope.device)
        chosen = np.flatnonzero(np.isin(utterance, own))
        row = torch.from_numpy(np.searchsorted(own, utterance[chosen])).to(scope.device)
        place = targets[chosen] - block.offsets[utterance[chosen]]
        place = torch.from_numpy(place).to(scope.device)
        features, recent = model.features(frames, read), model.recent(frames)
        before = (row, place - 1)
        nll = model.score(features[before], recent[before], frames[row, place])
        found[torch.from_numpy(chosen)] = nll.cpu()
    return found


def codes_of_block(model: Generator, data: GeneratorData, scope: Scope) -> Tensor:
    """Return the codes of all rows of a block, [N]; of states [N, routes]."""
    offsets = data.offsets.numpy()
    if not model.is_routed:
        return codes_of_rows(model.key, data.frames, offsets)
    found = []
    for own in np.array_split(data.utterances.numpy(), range(
        scope.batch_utterances, len(data.utterances), scope.batch_utterances
    )):  # fmt: skip
        rows = padded_rows(offsets, own)
        codes = model.codes(data.frames_of(rows, scope.device)).cpu()
        found += [codes[n, : offsets[name + 1] - offsets[name]] for n, name in enumerate(own)]
    return torch.cat(found)


def swapped(codes: Tensor, offsets: np.ndarray, num_codes: int, swap: str) -> Tensor:
    """Return wrong codes of the rows of a block in the place of the right ones, [N].

    Args:
        codes: Right codes, [N] or [N, routes]; `num_codes` where a key is not whole yet.
        offsets: Utterance offsets.
        num_codes: K.
        swap: A name of `names.SWAPS`, or "" for the right ones.
    """
    if swap == "SM:constant":
        return torch.zeros_like(codes)
    if swap == "SM:permuted":
        order = torch.randperm(num_codes, generator=torch.Generator().manual_seed(0))
        return torch.cat([order, torch.tensor([num_codes])])[codes]
    if swap == "SM:previous":
        late = codes.roll(1, 0)
        late[torch.from_numpy(np.asarray(offsets[:-1]))] = num_codes
        return late
    return codes


def whole_block(block: LatentBlock) -> GeneratorData:
    """Return all utterances of a block, from which donors of foreign keys are taken."""
    frames = torch.from_numpy(np.ascontiguousarray(block.frames, dtype=np.float32))
    everyone = np.arange(len(block.utterance_ids))
    return GeneratorData(frames, block.offsets, everyone, block.scored(), 2, 1)


def padded_rows(offsets: np.ndarray, utterances: np.ndarray) -> Tensor:
    """Return the block rows of whole utterances side by side, the last one repeated, [B, T]."""
    starts, lengths = offsets[utterances], np.diff(offsets)[utterances]
    place = np.minimum(np.arange(lengths.max()), (lengths - 1)[:, None])
    return torch.from_numpy(starts[:, None] + place)


def speaker_sums(nll: Iterator[Tensor], source: BlockSource, window_frames: int) -> pd.DataFrame:
    """Return sums by speaker: num_frames and nll."""
    parts = []
    for values, block in zip(nll, source(), strict=True):
        targets = targets_of(block, window_frames, LAG_FRAMES)
        utterance = windows.utterance_of_rows(block.offsets, targets)
        speaker = np.asarray(block.speaker_ids, dtype=str)[utterance]
        parts.append(pd.DataFrame({"speaker_id": speaker, "nll": values.double().numpy()}))
    rows = pd.concat(parts, ignore_index=True).groupby("speaker_id", sort=True)["nll"]
    return rows.agg(num_frames="size", nll="sum").reset_index()


@torch.no_grad()
def null_nll(
    model: Density, source: BlockSource, means: SpeakerMeans, scope: Scope
) -> Iterator[Tensor]:
    """Yield -log p of the same targets under a density of windows, nats, [M]."""
    model.to(scope.device).eval()
    for block in source():
        targets = targets_of(block, scope.window_frames, LAG_FRAMES)
        data = window_data(block, targets, LAG_FRAMES, scope.window_frames, means)
        parts = [
            -model.log_prob(data.batch(rows, scope.device)).cpu()
            for rows in torch.arange(len(targets)).split(NULL_BATCH)
        ]
        yield torch.cat(parts) if parts else torch.empty(0)


def health_of(steps: Density, starts: Starts, others: Starts, setup: ScoringSetup) -> pd.DataFrame:
    """Return one row per scored horizon: what free sampled runs look like beside data.

    Args:
        steps: Takes steps.
        starts: Where it runs from.
        others: Other starts of the same utterances, beside which health is judged.
        setup: Train statistics and frames.
    """
    found = evaluate_method(steps, None, starts, others, setup)
    health = choose(found.health, mode="sampled", inject_frames=NO_INJECTION)
    scores = choose(found.scores, mode="sampled", inject_frames=NO_INJECTION)
    sums = scores.groupby("horizon_frames")[["num_starts", "energy_score", "energy_climate"]].sum()
    horizons = setup.settings.scored_horizons_frames
    rows = health.set_index("horizon_frames").loc[list(horizons), list(HEALTH)]
    own = pd.DataFrame(sums).loc[list(horizons)]
    return rows.assign(
        num_starts=own["num_starts"].astype(int),
        energy_score=own["energy_score"] / own["num_starts"],
        energy_skill=1 - own["energy_score"] / own["energy_climate"],
    ).reset_index()
