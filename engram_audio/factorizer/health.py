"""Is z_dyn alive, is z_rec used? Measured on the choice part while training, and judged at the end.

Shapes: B sequences, T frames, S steps, d state dimensions, r innovation dimensions.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from engram_audio.factorizer.config import FactorizerHealthSection
from engram_audio.factorizer.densities import drawn_generator
from engram_audio.factorizer.model import Factorizer, States
from engram_audio.factorizer.terms import Chunk, compute_terms, masked_mean

ACTIVE_NATS = 0.01  # a dimension of z_rec above this rate is in use


@torch.no_grad()
def batch_health(model: Factorizer, chunk: Chunk) -> dict[str, float]:
    """Return the health of a batch: rates, reconstructions, movement, sigmas.

    Reconstruction errors are shares of the latents' total variance about the train mean.
    """
    terms = compute_terms(model, chunk, 0, None)
    states = model.states(chunk.frames, chunk.is_real)
    step_mask = chunk.is_scored[:, :: model.settings.state.stride_frames]
    found = {
        "distortion_nats": float(terms.distortion),
        "state_nats": float(terms.state_rate),
        "innovation_nats": float(terms.innovation_rate.sum()),
        "dynamics_nats": float(terms.dynamics),
        "active_innovation_dims": _active_dims(model, terms.innovation_rate),
        "state_movement": float(movement(states.white(), step_mask)),
        "observation_sd": float(model.log_noise.clamp_min(model.log_floor).exp().mean()),
        "state_effective_rank": effective_rank(model.whitening.covariance),
        "state_sd": float(model.whitening.covariance.diagonal().mean().sqrt()),
    }
    if states.posterior.log_sd is not None:
        sd = (2 * states.posterior.log_sd).exp()
        noise = states.units.variances(sd)
        found["state_noise_share"] = float(masked_mean(noise, step_mask).mean())
    found["dynamics_sd"] = _dynamics_sd(model, states)
    found |= reconstruction_errors(model, chunk, states)
    return found | {"state_use_nats": state_use(model, chunk, states)}


def movement(steps: Tensor, mask: Tensor) -> Tensor:
    """Return E |z_t - z_{t-1}|^2 / (2 E |z_t - mean|^2): 1 for white noise, 0 for a frozen z."""
    both = mask[:, 1:] & mask[:, :-1]
    centre = masked_mean(steps, mask)
    change = masked_mean((steps[:, 1:] - steps[:, :-1]).square(), both).sum()
    spread = masked_mean((steps - centre).square(), mask).sum()
    return change / (2 * spread).clamp_min(1e-12)


def effective_rank(covariance: Tensor) -> float:
    """Return exp(entropy of the eigenvalues' shares): d for equal ones, 1 for a single one."""
    values = torch.linalg.eigvalsh(covariance.double()).clamp_min(0)
    shares = values / values.sum().clamp_min(1e-300)
    kept = shares[shares > 0]
    return float(torch.exp(-(kept * kept.log()).sum())) if len(kept) else 0.0


def _active_dims(model: Factorizer, rates: Tensor) -> float:
    """Return how many dimensions of z_rec are in use; NaN where the rate has no parts (flow)."""
    if model.settings.innovation.prior == "flow":
        return float("nan")
    return float((rates > ACTIVE_NATS).sum())


def _dynamics_sd(model: Factorizer, states: States) -> float:
    """Return the mean predictive SD of z_dyn, its own units, where the dynamics are Gaussian."""
    density = model.dynamics.density
    if not density.is_gaussian:
        return float("nan")
    _, log_sd = density.gaussian(states.parameters)
    return float(log_sd.exp().mean())


def state_use(model: Factorizer, chunk: Chunk, states: States) -> float:
    """Return the nats per frame that are lost when z_dyn comes from another utterance.

    z_rec is inferred anew with the z_dyn at hand and the same noise: a z_dyn that nothing reads
    loses exactly 0, whatever its variance.
    """
    seed = int(torch.randint(2**62, ()))
    own, other = (
        _frame_nats(model, chunk.frames, dyn, seed)
        for dyn in (states.frames, swap_utterances(states.frames, chunk))
    )
    return float(masked_mean((other - own).unsqueeze(-1), chunk.is_scored)[0])


def _frame_nats(model: Factorizer, frames: Tensor, dyn: Tensor, seed: int) -> Tensor:
    """Return -log p(x | z, r) plus what r costs given z_dyn, nats, [B, T]."""
    generator = torch.Generator(device=frames.device).manual_seed(seed)
    posterior = model.innovation.infer(model.normalized(frames), dyn)
    rec = posterior.sample(generator)
    distortion = -model.log_observation(frames, model.decoder(dyn, rec))
    if not model.innovation.is_deterministic:
        return distortion + model.innovation_divergence(posterior, rec, dyn).sum(-1)
    prior = model.innovation.prior
    return distortion - prior.head.log_prob(prior.parameters_of(dyn), rec)


def reconstruction_errors(model: Factorizer, chunk: Chunk, states: States) -> dict[str, float]:
    """Return errors with posterior, prior and shuffled z_rec and with shuffled z_dyn."""
    generator = drawn_generator(chunk.frames.device)
    posterior = model.innovation.infer(model.normalized(chunk.frames), states.frames)
    means = reconstructions(model, states, posterior.sample(), chunk.is_scored, generator)
    target = model.scaled(chunk.frames)
    errors = {name: (target - mean).square().mean(-1, keepdim=True) for name, mean in means.items()}
    return {
        f"error_{n}": float(masked_mean(error, chunk.is_scored)[0]) for n, error in errors.items()
    }


def reconstructions(
    model: Factorizer, states: States, rec: Tensor, mask: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return decoder means, [B, T, D], with parts as inferred and replaced."""
    dyn = states.frames
    return {
        "posterior": model.decoder(dyn, rec),
        "prior": model.decoder(dyn, model.sample_innovation(dyn, generator)),
        "shuffled_rec": model.decoder(dyn, shuffle_frames(rec, mask)),
        "shuffled_dyn": model.decoder(shuffle_frames(dyn, mask), rec),
    }


def shuffle_frames(values: Tensor, mask: Tensor) -> Tensor:
    """Return values [B, T, d] with the marked frames permuted among each other."""
    rows = mask.nonzero()
    order = torch.randperm(len(rows), device="cpu").to(values.device)
    result = values.clone()
    result[rows[:, 0], rows[:, 1]] = values[rows[order, 0], rows[order, 1]]
    return result


def swap_utterances(values: Tensor, chunk: Chunk) -> Tensor:
    """Return values [B, T, d] in which each scored frame has that of another utterance.

    In the order of utterances every frame takes the one that lies further on by as many frames as
    the largest utterance has. Where that one holds more than half of the frames, some of its own
    are left; where it is the only one, frames lie half of it apart.
    """
    rows = chunk.is_scored.nonzero()
    owner = chunk.utterance[rows[:, 0]]
    rows = rows[owner.argsort(stable=True)]
    largest = int(owner.bincount().max()) if len(rows) else 0
    shift = largest if largest < len(rows) else len(rows) // 2
    taken = rows.roll(-shift, 0)
    result = values.clone()
    result[rows[:, 0], rows[:, 1]] = values[taken[:, 0], taken[:, 1]]
    return result


def collapse_reason(
    details: Mapping[str, float], model: Factorizer, limits: FactorizerHealthSection
) -> str | None:
    """Return why a trained run counts as collapsed, in words, or None."""
    state = model.settings.state
    rank = details["state_effective_rank"] / state.num_dims
    if rank < limits.minimum_effective_rank:
        return f"z_dyn has effective rank {rank:.3g} of its dimensions"
    if not state.is_whitened and details["state_sd"] < limits.minimum_state_sd:
        return f"z_dyn has shrunk to SD {details['state_sd']:.3g}"
    if details["state_movement"] < limits.minimum_movement:
        return f"z_dyn is frozen: movement {details['state_movement']:.3g} of white noise's 1"
    use = details["state_use_nats"]
    if max(use, 0.0) < limits.minimum_state_use_nats:  # a limit of 0 switches it off
        return f"z_dyn is not used: swapped between utterances it costs {use:.3g} nats per frame"
    if not model.innovation.is_deterministic:
        nats = details["innovation_nats"]
        if nats < limits.minimum_active_nats:
            return f"z_rec is not used: it carries {nats:.3g} nats per frame"
    cost = details["error_prior"] / max(details["error_posterior"], 1e-12) - 1
    if cost < limits.minimum_prior_cost:
        return f"z_rec is redundant: drawn from its prior it costs {100 * cost:.2g} % of the error"
    return None
