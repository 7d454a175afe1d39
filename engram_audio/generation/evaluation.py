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
from engram_audio.generation.condition_data import Transcripts, conditions_of
from engram_audio.generation.frame_scores import codes_of_block, score_frames, whole_block
from engram_audio.generation.model import Generator
from engram_audio.generation.nulls import LAG_FRAMES
from engram_audio.generation.prompts import Prompts
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.latents.targets import targets_of
from engram_audio.rollout.evaluation import (
    NO_INJECTION,
    Scored,
    evaluate_method,
    evaluate_run,
)
from engram_audio.rollout.measures import true_name
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.setup import ScoringSetup
from engram_audio.rollout.simulate import Run

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
        transcripts: Of all utterances, for generators that are told the text.
        prompts: Of the part that is scored, for generators that are told a speaker prompt.
        is_told: Whether generators with a condition are told it.
    """

    window_frames: int
    batch_utterances: int
    device: torch.device
    transcripts: Transcripts | None = None
    prompts: Prompts | None = None
    is_told: bool = True


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
        ValueError: A foreign arm finds a block of one utterance, or a transcript or
            prompts are missing.
    """
    model.to(scope.device).eval()
    for block in source():
        targets = targets_of(block, scope.window_frames, LAG_FRAMES)
        yield _block_nll(model, block, targets, scope, swap)


def _block_nll(
    model: Generator, block: LatentBlock, targets: np.ndarray, scope: Scope, swap: str
) -> Tensor:
    codes, data = None, whole_block(block)
    if scope.is_told:
        own = model.settings.condition
        data.conditions = conditions_of(own, block, data, scope.transcripts, scope.prompts)
    if model.is_foreign or swap:
        codes = codes_of_block(model, data, scope.batch_utterances)
        codes = swapped(codes, block.offsets, model.num_codes, swap)
    size = scope.batch_utterances
    return score_frames(model, block, targets, codes, size, data.conditions).nll


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
    return _health_rows(evaluate_method(steps, None, starts, others, setup), setup)


def health_of_run(run: Run, starts: Starts, others: Starts, setup: ScoringSetup) -> pd.DataFrame:
    """Return the same of paths that are drawn already; see `health_of`."""
    return _health_rows(evaluate_run(run, starts, others, setup), setup)


def _health_rows(found: Scored, setup: ScoringSetup) -> pd.DataFrame:
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
