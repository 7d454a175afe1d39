"""Fit the heads of one (representation, lag): base, model, data, training, one event at a time.

Shapes: M targets, D dimensions, U utterances.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from engram_audio import windows
from engram_audio.corpus.split_parts import TRAIN, choice_part
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import AnyHead, HeadSection
from engram_audio.densities.data import WindowData, thin, window_data
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.factory import build_conditional, build_gaussian
from engram_audio.densities.marginal_em import fit_mixture
from engram_audio.densities.marginals import MarginalFit, fit_marginal, whitened_targets
from engram_audio.densities.nulls import LinearNull, base_for
from engram_audio.densities.reference import Reference
from engram_audio.densities.task import DensityTask
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.targets import targets_of
from engram_audio.numerics.seeds import named_seed
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState, train

CHOICE_FRAMES = 10_000  # enough to tell units apart; a second or two
CHOICE_FLOOR = 1e-3
CHOICE_MINIMUM_GAIN = 0.02  # nats that ten EM steps must bring


class Material(NamedTuple):
    """Utterances to fit and to choose on in one block, with what was measured on them.

    Attributes:
        block: Train utterances and those of the choice part, noise added.
        part_of: Part of each utterance id.
        reference: Train statistics.
        linear_nulls: Linear nulls.
        window_frames: W.
        max_lag_frames: Largest lag.
        noise_sd: Dequantisation noise, shape [D].
    """

    block: LatentBlock
    part_of: Mapping[str, str]
    reference: Reference
    linear_nulls: Sequence[LinearNull]
    window_frames: int
    max_lag_frames: int
    noise_sd: np.ndarray

    @property
    def choice_part(self) -> str:
        """The part on which everything is chosen and stopped early."""
        return choice_part(self.part_of.values())

    def data(self, part: str, lag_frames: int, maximum: int | None = None) -> WindowData:
        """Index the targets of a part at a lag, evenly thinned to at most `maximum`."""
        targets = targets_of(self.block, self.window_frames, self.max_lag_frames)
        utterance = windows.utterance_of_rows(self.block.offsets, targets)
        is_part = np.array([self.part_of[str(name)] == part for name in self.block.utterance_ids])
        chosen = targets[is_part[utterance]]
        chosen = chosen if maximum is None else thin(chosen, maximum)
        return window_data(
            self.block, chosen, lag_frames, self.window_frames, self.reference.speakers
        )


def events_trained(lag_frames: int, targets: Sequence[str]) -> tuple[str, ...]:
    """Return the events a lag needs models for: at lag 1 one model scores both."""
    return tuple(targets[:1]) if lag_frames == 1 else tuple(targets)


def choose_base(
    settings: AnyHead,
    material: Material,
    lag_frames: int,
    event: str,
    is_linear_skip: bool,
    seed: int,
) -> BaseArrays:
    """Return the base of a head or marginal in the units that suit its family (`whitening`).

    Components are diagonal, so the axes matter: residuals of correlated Gaussian noise want the
    full covariance out, clusters that lie along the axes want to be left there. `chosen` fits a
    diagonal mixture of the head's size, by EM, to the base's residuals in either unit, and keeps
    the one with the lower score on the choice part; neither sees more than that.
    """
    kinds = {"diagonal": (False,), "full": (True,), "chosen": (False, True)}[settings.whitening]
    bases = [
        base_for(material.linear_nulls, lag_frames, event, is_linear_skip, is_full).fit.arrays
        for is_full in kinds
    ]
    if len(bases) == 1:
        return bases[0]
    data = [
        material.data(part, lag_frames, maximum)
        for part, maximum in ((TRAIN, CHOICE_FRAMES), (material.choice_part, CHOICE_FRAMES))
    ]
    scores = [_mixture_score(base, data, settings.components, seed) for base in bases]
    return bases[int(np.argmin(scores))]


def _mixture_score(
    arrays: BaseArrays, data: list[WindowData], num_components: int, seed: int
) -> float:
    """Return the NLL on the choice part of a diagonal mixture of a base's residuals."""
    model = build_gaussian(arrays)
    train_z, choice_z = (whitened_targets(model, part) for part in data)
    floor = np.full(train_z.shape[1], CHOICE_FLOOR)
    generator = np.random.default_rng([seed, num_components])
    _, score = fit_mixture(
        train_z, choice_z, num_components, floor, False, generator, CHOICE_MINIMUM_GAIN
    )
    return score - model.base.log_det


def untrained_head(
    settings: AnyHead, base: BaseArrays, material: Material, lag_frames: int, event: str, seed: int
) -> ConditionalDensity:
    """Build a head on a base, as training starts from it."""
    return build_conditional(
        settings,
        base,
        material.window_frames,
        material.reference.input_scales,
        material.noise_sd,
        named_seed(seed, "weights", lag_frames, event),
    )


def own_base(
    settings: AnyHead, material: Material, lag_frames: int, event: str, seed: int
) -> BaseArrays:
    """Return the base that a head is trained on; how wide its trunk is does not matter."""
    skip = settings.is_linear_skip
    return choose_base(settings, material, lag_frames, event, skip, named_seed(seed, "base"))


def head_task(
    settings: HeadSection,
    material: Material,
    lag_frames: int,
    event: str,
    seed: int,
    maximum_validation_frames: int,
    device: torch.device,
) -> tuple[DensityTask, BaseArrays]:
    """Build an untrained head on its base, with its data."""
    base = own_base(settings, material, lag_frames, event, seed)
    model = untrained_head(settings, base, material, lag_frames, event, seed)
    data = (
        material.data(TRAIN, lag_frames),
        material.data(material.choice_part, lag_frames, maximum_validation_frames),
    )
    return DensityTask(model, *data, device), base


def train_head(
    settings: HeadSection,
    recipe: TrainingRecipe,
    material: Material,
    lag_frames: int,
    event: str,
    seed: int,
    device: torch.device,
    state: TrainingState | None,
    callbacks: Callbacks,
) -> tuple[ConditionalDensity, BaseArrays, TrainingState]:
    """Train one head for one event; see `training.loop.train` for interruption and resuming."""
    task, base = head_task(
        settings, material, lag_frames, event, seed, recipe.maximum_validation_frames, device
    )
    run_seed = named_seed(seed, "steps", lag_frames, event)
    state = train(task, recipe, run_seed, device, state, callbacks)
    return task.model, base, state


def fit_marginals(
    settings: HeadSection, recipe: TrainingRecipe, material: Material, seed: int
) -> dict[str, tuple[MarginalFit, BaseArrays]]:
    """Fit the head's family without context in both spaces, on a Gaussian marginal's units."""
    fits = {}
    data = (
        material.data(TRAIN, 1, settings.marginal.maximum_frames),
        material.data(material.choice_part, 1, settings.marginal.maximum_frames),
    )
    for space in ("delta", "position"):
        base = choose_base(settings, material, 1, space, False, named_seed(seed, "base"))
        run_seed = named_seed(seed, "marginal", space)
        fit = fit_marginal(settings, recipe, base, data, material.noise_sd, run_seed)
        fits[space] = (fit, base)
    return fits
