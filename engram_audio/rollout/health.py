"""Which paths survive a free run: none left the data, none stands still.

True stretches are asked the same.

Shapes: S samples, N starts, H horizon, D dimensions.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engram_audio.rollout.paths import Starts
from engram_audio.rollout.setup import ScoringSetup
from engram_audio.rollout.simulate import Limits, Run


def true_run(starts: Starts, limits: Limits) -> Run:
    """Return the true frames as a run of one sample, gone from where it leaves the data."""
    inside = limits.is_inside(starts.future).int().cummin(1).values.bool()
    before = starts.future - starts.true_steps()
    return Run(starts.future[None], before[None], (inside & starts.is_true())[None], (0.0, 0.0))


def step_rms(starts: Starts, scale: Tensor) -> float:
    """Return the RMS increment of the true frames, in units of `scale` [D]."""
    steps = starts.true_steps()[starts.is_true()] / scale
    return float(steps.square().mean().sqrt())


class Detector(NamedTuple):
    """When a path counts as frozen.

    Attributes:
        scale: SD of steps, [D].
        true_rms: RMS increment of true frames, in that unit.
        fraction: Share of it below which a path has stopped.
        num_steps: How many last steps are looked at.
    """

    scale: Tensor
    true_rms: float
    fraction: float
    num_steps: int

    def finds(self, run: Run) -> Tensor:
        """Return which paths have hardly moved during the last steps, bool, [S, N, H].

        Before so many steps are done, all steps so far are looked at.
        """
        square = (run.steps() / self.scale).square().mean(-1)
        total = square.double().cumsum(2)
        lagged = torch.zeros_like(total)
        lagged[:, :, self.num_steps :] = total[:, :, : -self.num_steps]
        number = torch.arange(1, total.shape[2] + 1, device=total.device).clamp_max(self.num_steps)
        rms = ((total - lagged) / number).clamp_min(0).sqrt()
        return (rms < self.fraction * self.true_rms) & run.is_alive


def detector_of(starts: Starts, setup: ScoringSetup) -> Detector:
    """Return the detector of a part's starts."""
    settings, scale = setup.settings, setup.delta_sd
    rms = step_rms(starts, scale)
    return Detector(scale, rms, settings.frozen_fraction, settings.frozen_frames)


class Survival(NamedTuple):
    """Shares of paths at every horizon, each [H].

    Attributes:
        diverged: Has left the data (`Limits`) at or before the horizon.
        frozen: Not gone, and its last steps are too small.
    """

    diverged: Tensor
    frozen: Tensor

    @property
    def surviving(self) -> Tensor:
        """Neither."""
        return 1 - self.diverged - self.frozen


def survival(run: Run, is_frozen: Tensor) -> Survival:
    """Return the shares of gone and of frozen paths."""
    return Survival(
        (~run.is_alive).double().mean((0, 1)), (is_frozen & run.is_alive).double().mean((0, 1))
    )


def true_survival(starts: Starts, setup: ScoringSetup) -> Survival:
    """Return the shares of true stretches that the same rules call gone or frozen."""
    run, is_true = true_run(starts, setup.limits), starts.is_true()
    is_frozen = detector_of(starts, setup).finds(run)
    count = is_true.sum(0).clamp_min(1)
    events = (~run.is_alive & is_true), is_frozen
    return Survival(*((event.double().sum((0, 1)) / count) for event in events))
