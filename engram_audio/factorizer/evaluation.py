"""Score a factoriser in x space, on the frames that the prediction stage scores.

Shapes: B utterances of a batch, T frames of the longest, M targets, D latent dimensions.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.densities.config import PredictionEvaluationSection
from engram_audio.densities.reduction import SpeakerSums, frame_names
from engram_audio.factorizer.bound import frame_bounds
from engram_audio.factorizer.config import FactorizerEvaluationSection
from engram_audio.factorizer.densities import Posterior, divergence
from engram_audio.factorizer.health import reconstructions
from engram_audio.factorizer.model import Factorizer, States
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.latents.targets import speech_targets, targets_of
from engram_audio.numerics.slices import slice_masks


class Scope(NamedTuple):
    """Which frames are scored, as in the prediction stage.

    Attributes:
        part_of: Part of each utterance id.
        window_frames: W.
        max_lag_frames: Largest lag.
        loud: 95th percentile of each speaker's energy.
        slices: The prediction stage's evaluation settings.
    """

    part_of: Mapping[str, str]
    window_frames: int
    max_lag_frames: int
    loud: Mapping[str, float]
    slices: PredictionEvaluationSection


class Padded(NamedTuple):
    """Some utterances of a block side by side.

    Attributes:
        frames: Shape [B, T, D]; frames past the end repeat the last.
        is_real: Which exist, [B, T].
        rows: Block row of each, [B, T].
    """

    frames: Tensor
    is_real: Tensor
    rows: np.ndarray


def pad_utterances(block: LatentBlock, utterances: np.ndarray) -> Padded:
    """Put utterances side by side."""
    starts, stops = block.offsets[utterances], block.offsets[utterances + 1]
    longest = int((stops - starts).max())
    rows = starts[:, None] + np.arange(longest)
    is_real = rows < stops[:, None]
    rows = np.minimum(rows, stops[:, None] - 1)
    return Padded(torch.from_numpy(block.frames[rows]), torch.from_numpy(is_real), rows)


def batches(block: LatentBlock, chosen: np.ndarray, size: int) -> Iterator[Padded]:
    """Yield utterances of a block side by side, those of like length together."""
    order = chosen[np.argsort(np.diff(block.offsets)[chosen], kind="stable")]
    for start in range(0, len(order), size):
        yield pad_utterances(block, order[start : start + size])


def score_part(
    model: Factorizer,
    source: BlockSource,
    part: str,
    scope: Scope,
    settings: FactorizerEvaluationSection,
    device: torch.device,
) -> pd.DataFrame:
    """Return sums by slice and speaker of one part, as `scores.parquet` of prediction has them.

    Columns: num_frames; nll (bound), elbo_nll, state_nats, innovation_nats, nats per frame;
    sse_<case> and sst, squared errors in the latents' units.
    """
    model = model.to(device).eval()
    sums = SpeakerSums(scope.slices.slices)
    generator = torch.Generator(device=device).manual_seed(settings.seed)
    for block in source():
        parts = np.array([scope.part_of[str(name)] for name in block.utterance_ids])
        chosen = np.flatnonzero(parts == part)
        targets = targets_of(block, scope.window_frames, scope.max_lag_frames)
        targets = targets[np.isin(windows.utterance_of_rows(block.offsets, targets), chosen)]
        if not len(targets):
            continue
        columns = _score_block(model, block, chosen, targets, settings, generator, device)
        masks = slice_masks(
            block.offsets,
            targets,
            scope.slices.slices,
            scope.slices.medial_range,
            speech_targets(block, targets, 1, scope.loud, scope.slices.speech_range_db),
        )
        sums.add(frame_names(block, targets, masks), columns, "num_frames")
    return sums.table()


def _score_block(
    model: Factorizer,
    block: LatentBlock,
    chosen: np.ndarray,
    targets: np.ndarray,
    settings: FactorizerEvaluationSection,
    generator: torch.Generator,
    device: torch.device,
) -> dict[str, np.ndarray]:
    place = np.full(len(block.frames), -1)
    place[targets] = np.arange(len(targets))
    columns: dict[str, np.ndarray] = {}
    for padded in batches(block, chosen, settings.batch_utterances):
        rows = np.where(padded.is_real.numpy(), place[padded.rows], -1)
        is_target = rows >= 0
        if not is_target.any():
            continue
        mask = torch.from_numpy(is_target).to(device)
        scored = frame_scores(model, padded, mask, settings.num_importance_samples, generator)
        for name, values in scored.items():
            column = columns.setdefault(name, np.zeros(len(targets)))
            column[rows[is_target]] = values.double().cpu().numpy()[is_target]
    return columns


@torch.no_grad()
def frame_scores(
    model: Factorizer,
    padded: Padded,
    mask: Tensor,
    num_samples: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Return every per-frame score, each [B, T]; frames outside `mask` [B, T] are not meant."""
    device = mask.device
    frames, is_real = padded.frames.to(device), padded.is_real.to(device)
    found = {"nll": frame_bounds(model, frames, is_real, num_samples, generator)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator, device=device)))
        states = model.states(frames)
        posterior = model.innovation.infer(model.normalized(frames), states.frames)
        rec = posterior.sample(generator)
        rates = _rates(model, states, posterior, rec, frames.shape[1])
        means = _reconstructions(model, states, rec, mask, generator)
    observed = model.log_observation(frames, means["posterior"])
    plain = rates["state_nats"] + rates["innovation_nats"] - observed
    has_bound = model.settings.state.rate != "free" and not model.innovation.is_deterministic
    found["elbo_nll"] = plain if has_bound else torch.full_like(plain, torch.nan)
    for name, decoded in means.items():
        found[f"sse_{name}"] = (frames - model.unscaled(decoded)).square().sum(-1)
    return found | rates | {"sst": (frames - model.frame_mean).square().sum(-1)}


def _rates(
    model: Factorizer, states: States, posterior: Posterior, rec: Tensor, num_frames: int
) -> dict[str, Tensor]:
    zero = rec.new_zeros(rec.shape[:2])
    state, innovation = zero, zero
    if model.is_charged:
        density = model.dynamics.density
        steps = divergence(states.posterior, states.steps, density, states.parameters).sum(-1)
        # a step's rate is spread over its frames
        stride = model.settings.state.stride_frames
        state = steps.repeat_interleave(stride, 1)[:, :num_frames] / stride
    if not model.innovation.is_deterministic:
        innovation = model.innovation_divergence(posterior, rec, states.frames).sum(-1)
    return {"state_nats": state, "innovation_nats": innovation}


def _reconstructions(
    model: Factorizer, states: States, rec: Tensor, mask: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return decoder means of every case, each [B, T, D]: health's, and both parts expected."""
    prior = model.innovation.prior
    past = expected_from_the_past(model, states)
    expected = {
        name: model.decoder(dyn, prior.mean(prior.parameters_of(dyn)))
        for name, dyn in (("state_only", states.frames), ("predicted", past))
    }
    return reconstructions(model, states, rec, mask, generator) | expected


def expected_from_the_past(model: Factorizer, states: States) -> Tensor:
    """Return E[z_dyn,t | z_dyn,<t] at every frame, [B, T, d]; itself where it is of the past."""
    if model.settings.state.rate == "strictly_past":
        return states.frames
    density = model.dynamics.density
    expected = density.mean(states.parameters)
    return model.upsampler(expected, states.frames.shape[1])
