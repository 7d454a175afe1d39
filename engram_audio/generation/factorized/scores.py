"""Score a factorised path in x space, on the frames that direct generators score.

p(x) = integral of prod_t p(z_t | z_<t) p(x_t | z_t), the first factor the arm's. Its NLL is bounded
by the factoriser's particle filter with the arm in the place of the dynamics.

Shapes: B utterances of a batch, T frames of the longest, S steps, D dimensions.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.factorizer.bound import frame_bounds
from engram_audio.factorizer.evaluation import Padded, batches
from engram_audio.factorizer.model import States
from engram_audio.generation.evaluation import Scope
from engram_audio.generation.factorized.law import ArmLaw
from engram_audio.generation.factorized.path import StatePath
from engram_audio.generation.nulls import LAG_FRAMES
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.latents.targets import targets_of

NATS_PER_BIT = float(np.log(2))


class PathScores(NamedTuple):
    """Scores of frames, nats, each [B, T]; see `names.OF_PATH`.

    Attributes:
        nll: Importance-weighted bound on -log p(x_t | x_<t).
        plain: The same bound from one sample of the posterior; NaN where z_dyn or z_rec is a point.
        rate: KL of z_dyn under the arm, and of z_rec; NaN likewise.
        state_rate: KL of z_dyn under the arm; NaN where z_dyn is a point.
    """

    nll: Tensor
    plain: Tensor
    rate: Tensor
    state_rate: Tensor


@torch.no_grad()
def score_frames(
    path: StatePath, padded: Padded, window_frames: int, num_particles: int,
    generator: torch.Generator,
) -> PathScores:  # fmt: skip
    """Return the scores of padded utterances.

    Args:
        path: What is scored.
        padded: Utterances side by side.
        window_frames: Frames at an utterance's head that are not scored. There z_dyn has the
            factoriser's own law.
        num_particles: Of the bound.
        generator: On the path's device.
    """
    frames, is_real = padded.frames.to(path.device), padded.is_real.to(path.device)
    num_own = max(window_frames // path.stride, 1)
    model = path.factorizer
    nll = frame_bounds(
        model, frames, is_real, num_particles, generator, ArmLaw(path, num_own)
    )  # fmt: skip
    states = model.states(frames, noise=_noise(path, frames, generator))
    posterior = model.innovation.infer(model.normalized(frames), states.frames)
    rec = posterior.sample(generator)
    observed = model.log_observation(frames, model.decoder(states.frames, rec))
    state_rate = _state_rate(path, states, frames.shape[1], num_own)
    nothing = torch.full_like(nll, torch.nan)
    innovation = nothing
    if not model.innovation.is_deterministic:
        innovation = model.innovation_divergence(posterior, rec, states.frames).sum(-1)
    rate = state_rate + innovation
    return PathScores(nll, rate - observed, rate, state_rate)


def _noise(path: StatePath, frames: Tensor, generator: torch.Generator) -> Tensor | None:
    if not path.factorizer.is_charged:
        return None
    num_steps = -(-frames.shape[1] // path.stride)
    shape = (len(frames), num_steps, path.factorizer.settings.state.num_dims)
    return torch.randn(shape, generator=generator, device=frames.device)


def _state_rate(path: StatePath, states: States, num_frames: int, num_own: int) -> Tensor:
    """Return log q - log p of z_dyn under the arm, nats per frame, [B, T]; NaN of points."""
    if not path.factorizer.is_charged:
        return torch.full(states.frames.shape[:2], torch.nan, device=states.frames.device)
    own = path.factorizer.dynamics.density.head.log_prob(states.parameters, states.steps)
    told = torch.cat([own[:, :num_own], _log_prob_of_arm(path, states)[:, num_own - 1 :]], 1)
    paid = states.posterior.log_prob(states.steps).sum(-1) - told
    # a step's rate is spread over its frames
    return paid.repeat_interleave(path.stride, 1)[:, :num_frames] / path.stride


def _log_prob_of_arm(path: StatePath, states: States) -> Tensor:
    """Return log p(z_t | z_<t) of every step but the first, [B, S - 1]."""
    arm, white = path.generator, path.units.apply(states.steps)
    features, recent = arm.features(white)[:, :-1], arm.recent(white)[:, :-1]
    return arm.log_prob(features, recent, white[:, 1:]) + path.units.log_det


def path_sums(
    path: StatePath, source: BlockSource, frame_rate_hz: float, scope: Scope, num_particles: int,
    seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Return sums by speaker: num_frames, and those of `names.OF_PATH`, rates in bits per second.

    Args:
        path: What is scored.
        source: Blocks of whole utterances.
        frame_rate_hz: Frames per second.
        scope: As for direct generators: the same frames are scored.
        num_particles: Of the bound.
        seed: Of particles and samples.
    """
    generator = torch.Generator(path.device).manual_seed(seed)
    parts = [
        rows
        for block in source()
        for rows in _block_rows(path, block, scope, num_particles, generator)
    ]
    rows = pd.concat(parts, ignore_index=True)
    bits = frame_rate_hz / NATS_PER_BIT
    rows = rows.assign(rate=rows["rate"] * bits, state_rate=rows["state_rate"] * bits)
    by_speaker = rows.groupby("speaker_id", sort=True)
    sums = by_speaker[list(PathScores._fields)].agg(lambda values: values.sum(skipna=False))
    return sums.assign(num_frames=by_speaker.size()).reset_index()


def _block_rows(
    path: StatePath, block: LatentBlock, scope: Scope, num_particles: int,
    generator: torch.Generator,
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """Yield a row for each target of a block, a batch of utterances at a time."""
    targets = targets_of(block, scope.window_frames, LAG_FRAMES)
    is_target = np.zeros(len(block.frames), dtype=bool)
    is_target[targets] = True
    used = np.unique(windows.utterance_of_rows(block.offsets, targets))
    for padded in batches(block, used, scope.batch_utterances):
        chosen = is_target[padded.rows] & padded.is_real.numpy()
        found = score_frames(path, padded, scope.window_frames, num_particles, generator)
        utterance = windows.utterance_of_rows(block.offsets, padded.rows[chosen])
        values = {
            name: column.double().cpu().numpy()[chosen] for name, column in found._asdict().items()
        }
        speakers = np.asarray(block.speaker_ids, dtype=str)[utterance]
        yield pd.DataFrame({"speaker_id": speakers, **values})
