"""A guard that has seen both: train frames, and frames of the model's own free runs.

A small network tells the two apart, given the frame and the step that led to it. Its odds are the
ratio of the data's density to the model's, so a draw kept with a probability that grows with the
odds follows the data's law where the model's leaves it: rejection sampling, not a fence. Runs are
made again under the guard and told apart again, round by round, because a guarded run goes to
other places than an unguarded one. Only train utterances are used. A frame that no
draw replaces goes to the nearest of some train frames.

Shapes: R frames, D dimensions.
"""

import torch
from torch import Tensor, nn

from engram_audio.densities.density import Density
from engram_audio.rollout.method_config import ContrastGuard
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.simulate import Limits, Settings, free_run

BATCH = 1024
LEARNING_RATE = 2e-3
FARTHEST_SD = 20.0
NUM_KEPT = 4096


class Contrast(nn.Module):
    """Log odds that a frame is data, summed over rounds; a draw is kept with these, at most 1."""

    frame_mean: Tensor
    frame_sd: Tensor
    kept: Tensor
    num_fitted: Tensor

    def __init__(self, settings: ContrastGuard, limits: Limits, kept: Tensor) -> None:
        super().__init__()
        self.register_buffer("kept", kept.clone())
        dims, width = len(limits.mean), settings.width
        self.num_attempts = settings.num_attempts
        self.register_buffer("frame_mean", limits.mean.clone())
        self.register_buffer("frame_sd", limits.sd.clone())
        self.networks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(dims, width), nn.GELU(), nn.Linear(width, width), nn.GELU(),
                nn.Linear(width, 1),
            )
            for _ in range(settings.num_rounds)
        )  # fmt: skip
        self.register_buffer("num_fitted", torch.zeros((), dtype=torch.int64))

    def scaled(self, frames: Tensor) -> Tensor:
        """Return frames in SD, within what a network has seen."""
        return ((frames - self.frame_mean) / self.frame_sd).clamp(-FARTHEST_SD, FARTHEST_SD)

    def log_odds(self, states: Tensor) -> Tensor:
        """Return the summed log odds of frames, [R]."""
        z = self.scaled(states)
        found = torch.zeros(len(z), device=z.device)
        for network in list(self.networks)[: int(self.num_fitted)]:
            found = found + network(z)[:, 0]
        return found

    def keeps(self, states: Tensor, generator: torch.Generator) -> Tensor:
        """See `simulate.Guard`."""
        chance = self.log_odds(states).clamp_max(0).exp()
        draw = torch.rand(len(states), generator=generator, device=states.device)
        return draw < chance

    def project(self, states: Tensor) -> Tensor:
        """Return the nearest kept train frames, [R, D]."""
        z = torch.nan_to_num(self.scaled(states))
        return self.kept[torch.cdist(z, self.scaled(self.kept)).argmin(1)]


def fit_contrast(
    settings: ContrastGuard,
    model: Density,
    starts: Starts,
    limits: Limits,
    batch_paths: int,
    seed: int,
) -> Contrast:
    """Train the networks on free runs from train starts, each round under the ones before.

    Args:
        settings: How many, how long.
        model: The density that runs.
        starts: Train starts; their true frames stand for the data.
        limits: Runs that have blown up teach nothing more.
        batch_paths: Paths at a time.
        seed: Decides weights, runs and order.
    """
    device = starts.history.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        real = starts.future[starts.is_true()]
        rows = torch.linspace(0, len(real) - 1, min(NUM_KEPT, len(real))).round().long()
        guard = Contrast(settings, limits, real[rows.to(device)]).to(device)
        generator = torch.Generator(device=device).manual_seed(seed)
        run_settings = Settings(settings.horizon_frames, True, None, batch_paths)
        per_start = max(-(-settings.num_frames // (len(starts.history) * 4)), 1)
        for number in range(settings.num_rounds):
            run = free_run(
                model, starts, run_settings, limits, per_start, generator,
                guard if number else None,
            )  # fmt: skip
            # the frame that leaves is the most telling one: everything up to it counts
            was_alive = torch.ones_like(run.is_alive)
            was_alive[:, :, 1:] = run.is_alive[:, :, :-1]
            dreamt = run.states[was_alive]
            _tell_apart(guard, number, settings, real, dreamt, generator)
            guard.num_fitted.fill_(number + 1)
    return guard.eval()


def _tell_apart(
    guard: Contrast,
    number: int,
    settings: ContrastGuard,
    real: Tensor,
    dreamt: Tensor,
    generator: torch.Generator,
) -> None:
    """Fit one network to the log odds that are left over by those before it."""
    network = guard.networks[number]
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.num_steps)
    scaled = [
        ((part - guard.frame_mean) / guard.frame_sd).clamp(-20, 20) for part in (real, dreamt)
    ]
    for _ in range(settings.num_steps):
        scores = []
        for values in scaled:
            rows = torch.randint(len(values), (BATCH,), generator=generator, device=values.device)
            scores.append(network(values[rows])[:, 0])
        loss = nn.functional.softplus(-scores[0]).mean() + nn.functional.softplus(scores[1]).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
