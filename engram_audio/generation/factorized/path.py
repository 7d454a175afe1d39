"""The factorised path: an arm draws z_dyn step by step, the factoriser each frame given it.

z_dyn is in the units in which it is exported: those that the arm was trained in.

Shapes: B sequences, S steps of z_dyn, T frames, d state dimensions, D latent dimensions.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio.factorizer.export import white_steps
from engram_audio.factorizer.model import Factorizer
from engram_audio.factorizer.work import decoding_work
from engram_audio.generation.budget import BYTES, Budget
from engram_audio.generation.density import GeneratorDensity, as_step_density
from engram_audio.generation.model import Generator


class StatePath:
    """An arm over z_dyn with the factoriser that decodes it, both in evaluation mode."""

    def __init__(
        self, factorizer: Factorizer, generator: Generator, sampling_seed: int, device: torch.device
    ) -> None:
        """Join the two.

        Args:
            factorizer: Made z_dyn.
            generator: An arm that finds its own codes.
            sampling_seed: Of the samples of a charged z_dyn that true frames have.
            device: Where both run.

        Raises:
            ValueError: The arm reads codes of another utterance, or has other dimensions.
        """
        if generator.is_foreign:
            raise ValueError(f"arm {generator.spec.arm} reads the codes of another utterance")
        dims = factorizer.settings.state.num_dims
        if generator.spec.dimensions.num_dims != dims:
            raise ValueError(
                f"arm {generator.spec.arm} draws {generator.spec.dimensions.num_dims} dimensions, "
                f"but the factoriser's z_dyn has {dims}"
            )
        self.factorizer = factorizer.to(device).eval()
        self.density: GeneratorDensity = as_step_density(generator.to(device).eval())
        self.sampling_seed, self.device = sampling_seed, device
        self.units = factorizer.exported_units()

    @property
    def generator(self) -> Generator:
        """The arm."""
        return self.density.generator

    @property
    def stride(self) -> int:
        """Frames per step of z_dyn."""
        return self.factorizer.settings.state.stride_frames

    def num_known(self, num_frames: np.ndarray) -> np.ndarray:
        """Return how many steps of z_dyn follow from so many frames [N], [N].

        A step that is strictly of the past follows from the frames before it. Every other one
        reads its own first frame.
        """
        if self.factorizer.settings.state.rate == "strictly_past":
            return num_frames // self.stride + 1
        return -(-num_frames // self.stride)

    def steps_of(self, frames: Tensor, names: np.ndarray) -> Tensor:
        """Return z_dyn of true frames of utterances [B, T, D], [B, S, d]; see `white_steps`."""
        is_charged = self.factorizer.is_charged
        seed = self.sampling_seed if is_charged else None
        return white_steps(self.factorizer, frames.to(self.device), names, seed)

    @torch.no_grad()
    def frames_of(self, steps: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the frames of steps [B, S, d], [B, S * stride, D]: z_rec from its prior."""
        raw = self.units.undo(steps)
        states = self.factorizer.upsampler(raw, steps.shape[1] * self.stride)
        return self.factorizer.draw_frames(states, generator)


class PathBudget(NamedTuple):
    """Budget of one frame of x, as `Budget` names its parts."""

    flops_generated: float
    flops_trained: float
    num_resident: int
    num_touched: int
    num_read: float
    bytes_per_frame: float


def path_budget(arm: Budget, factorizer: Factorizer) -> PathBudget:
    """Return the budget of a path: a step of the arm serves `stride` frames, decoding each one."""
    stride, work = factorizer.settings.state.stride_frames, decoding_work(factorizer)
    return PathBudget(
        arm.flops_generated / stride + work.flops_generated,
        arm.flops_trained / stride + work.flops_trained,
        arm.num_resident + work.num_resident,
        arm.num_touched,
        arm.num_read / stride + work.num_resident,
        arm.bytes_per_frame / stride + BYTES * work.num_resident,
    )
