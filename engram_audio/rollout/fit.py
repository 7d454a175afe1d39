"""Build and train the model of a method on the frames, splits and noise of the prediction stage."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from engram_audio.densities.base import LinearBase
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.fit import Material
from engram_audio.densities.nulls import Rung, base_for
from engram_audio.densities.reference import InputScales
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.fitted import FittedKey
from engram_audio.memory.fit import all_codes
from engram_audio.numerics.seeds import named_seed
from engram_audio.rollout.config import (
    AnyMethod,
    BeliefMethod,
    CodebookGuard,
    DirectMethod,
    EnergyMethod,
    GuardSection,
    KStepMethod,
    NearestGuard,
    NoiseMethod,
    OneStepMethod,
    RefitMethod,
)
from engram_audio.rollout.contrast import fit_contrast
from engram_audio.rollout.forecasters import Belief, Direct, HorizonMoments, LinearForecasts
from engram_audio.rollout.guard import fit_codebook, fit_nearest
from engram_audio.rollout.leveled import LeveledDensity
from engram_audio.rollout.paths import PathData, collect_starts
from engram_audio.rollout.simulate import Limits, StepDensity
from engram_audio.rollout.storage import AnyGuard
from engram_audio.rollout.tasks import EnergyTask, ForecastTask, KStepTask, NoiseTask, PathTask
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState, train

MOMENT_PATHS = 4096
GUARD_BATCH_PATHS = 4096
GUARD_FRAMES = 200_000  # train frames that a guard is fitted on, evenly thinned
GUARD_FACTOR = 10.0  # a run that far out, in SD, teaches a guard nothing more


class Frame(NamedTuple):
    """What the structure of every method hangs on.

    Attributes:
        scales: Train statistics of frames and steps.
        rungs: Linear nulls.
        window_frames: W.
    """

    scales: InputScales
    rungs: Sequence[Rung]
    window_frames: int


def frame_of(material: Material) -> Frame:
    """Return the frame of a material."""
    return Frame(material.reference.input_scales, material.rungs, material.window_frames)


def training_horizon(settings: AnyMethod) -> int:
    """Return how many true frames a training path needs after its history."""
    if isinstance(settings, DirectMethod):
        return max(settings.horizons_frames)
    if isinstance(settings, OneStepMethod | NoiseMethod | RefitMethod):
        return 1
    return settings.horizon_frames


def path_data(material: Material, part: str, horizon: int, maximum: int | None = None) -> PathData:
    """Index the paths of one part.

    Raises:
        ValueError: No utterance is long enough.
    """
    names = material.block.utterance_ids
    own = np.flatnonzero([material.part_of[str(name)] == part for name in names])
    data = PathData(
        material.block, own, material.reference.speakers, material.window_frames, horizon, maximum
    )
    if not len(data):
        raise ValueError(
            f"{part} has no utterance of {material.window_frames} + {horizon} frames (window and "
            "training horizon)"
        )
    return data


def linear_arrays(rungs: Sequence[Rung]) -> BaseArrays:
    """Return the best linear null of a step on val, with its full covariance."""
    return base_for(rungs, 1, "delta", True, True).fit.arrays


def linear_density(rungs: Sequence[Rung]) -> ConditionalDensity:
    """Return the linear-Gaussian density of a step."""
    return build_gaussian(linear_arrays(rungs))


def fit_linear_forecasts(
    settings: DirectMethod, data: PathData, window_frames: int, num_dims: int
) -> LinearForecasts:
    """Fit the linear skips of all direct heads on train paths."""
    moments = HorizonMoments(settings.horizons_frames, _order(settings, window_frames), num_dims)
    for start in range(0, len(data), MOMENT_PATHS):
        items = torch.arange(start, min(start + MOMENT_PATHS, len(data)))
        moments.add(data.batch(items, torch.device("cpu"))[0].numpy(), window_frames)
    return moments.solve(settings.ridge)


def _order(settings: DirectMethod, window_frames: int) -> int:
    return min(settings.order_frames, window_frames)


def _no_forecasts(settings: DirectMethod, window_frames: int, num_dims: int) -> LinearForecasts:
    """Return forecasts of the right shape, to be overwritten by stored ones."""
    count = len(settings.horizons_frames)
    size = 1 + _order(settings, window_frames) * num_dims
    return LinearForecasts(np.zeros((count, size, 2 * num_dims)), np.zeros((count, 2 * num_dims)))


def build_model(
    settings: AnyMethod,
    frame: Frame,
    base: nn.Module | None,
    seed: int,
    linear: LinearForecasts | None = None,
) -> nn.Module:
    """Return the untrained model of a method; `base` takes the steps of those that have one.

    Raises:
        ValueError: The base is not of the kind that the method needs.
    """
    scales, window = frame.scales, frame.window_frames
    dims = len(scales.frame_mean)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(settings, BeliefMethod):
            return Belief(LinearBase(linear_arrays(frame.rungs)), scales, window, settings.width)
        if isinstance(settings, DirectMethod):
            skips = linear or _no_forecasts(settings, window, dims)
            order = _order(settings, window)
            return Direct(skips, settings.horizons_frames, order, scales, window, settings.width)
        assert base is not None
        _without_dropout(base)
        if isinstance(settings, NoiseMethod):
            if not isinstance(base, ConditionalDensity) or not base.head.num_parameters:
                raise ValueError("base: a noise method needs a prediction head")
            return LeveledDensity(base, scales, window, settings.width, settings.running_level)
        return base


def _without_dropout(model: nn.Module) -> None:
    """Switch dropout off: along a path it would be noise that a free run does not have."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def method_task(
    settings: AnyMethod,
    recipe: TrainingRecipe,
    material: Material,
    base: nn.Module | None,
    seed: int,
    device: torch.device,
) -> PathTask:
    """Build an untrained method with its data.

    Raises:
        ValueError: A part has no utterance that is long enough, or nothing can be trained.
    """
    horizon = training_horizon(settings)
    train_data = path_data(material, "train", horizon)
    val_data = path_data(material, "val", horizon, recipe.maximum_validation_frames // horizon)
    frame, linear = frame_of(material), None
    if isinstance(settings, DirectMethod):
        dims = len(frame.scales.frame_mean)
        linear = fit_linear_forecasts(settings, train_data, material.window_frames, dims)
    model = build_model(settings, frame, base, named_seed(seed, "weights"), linear)
    if not any(True for _ in model.parameters()):
        raise ValueError("base: has no weights to train; name a prediction head")
    rest = (
        material.window_frames, (train_data, val_data), material.reference.input_scales, horizon,
        device,
    )  # fmt: skip
    if isinstance(settings, KStepMethod):
        return KStepTask(settings, model, *rest)
    if isinstance(settings, EnergyMethod):
        return EnergyTask(settings, model, *rest)
    if isinstance(settings, NoiseMethod):
        assert isinstance(model, LeveledDensity)
        return NoiseTask(settings, model, *rest)
    assert isinstance(model, Belief | Direct)
    steps = tuple(range(1, horizon + 1))
    horizons = settings.horizons_frames if isinstance(settings, DirectMethod) else steps
    return ForecastTask(horizons, model, *rest)


def train_method(
    settings: AnyMethod,
    recipe: TrainingRecipe,
    material: Material,
    base: nn.Module | None,
    seed: int,
    device: torch.device,
    state: TrainingState | None,
    callbacks: Callbacks,
) -> tuple[nn.Module, TrainingState]:
    """Train one method; see `training.loop.train` for interruption and resuming."""
    task = method_task(settings, recipe, material, base, seed, device)
    state = train(task, recipe, named_seed(seed, "steps"), device, state, callbacks)
    return task.model, state


def fit_guard(
    settings: GuardSection,
    model: StepDensity,
    material: Material,
    seed: int,
    device: torch.device,
    key: FittedKey | None = None,
) -> AnyGuard:
    """Learn a guard from train frames; val frames set a radius. `key` is that of a codebook.

    Raises:
        ValueError: No train utterance is long enough to run from.
    """
    reference = material.reference
    mean, sd = reference.frame_mean, reference.frame_sd
    if isinstance(settings, NearestGuard | CodebookGuard):
        train_frames, val_frames = (_part_frames(material, part) for part in ("train", "val"))
        if isinstance(settings, NearestGuard):
            return fit_nearest(settings, train_frames, val_frames, mean, sd).to(device)
        assert key is not None  # the step hands over the key that a codebook names
        frames, codes = _coded_frames(material, key, device)
        return fit_codebook(settings, frames, val_frames, mean, sd, codes).to(device)
    block = material.block
    own = {name for name, part in material.part_of.items() if part == "train"}
    starts = collect_starts(
        lambda: iter([block]), reference.speakers, material.window_frames,
        settings.horizon_frames, 1, max(settings.num_frames // settings.horizon_frames, 8), own,
    ).to(device)  # fmt: skip
    limits = Limits(
        torch.as_tensor(mean, dtype=torch.float32, device=device),
        torch.as_tensor(sd, dtype=torch.float32, device=device),
        GUARD_FACTOR,
    )
    return fit_contrast(
        settings, model, starts, limits, GUARD_BATCH_PATHS, named_seed(seed, "guard")
    )


def _coded_frames(
    material: Material, key: FittedKey, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Return thinned train frames and the codes of the contexts that end there, [N, D] and [N]."""
    data = material.data("train", 1, GUARD_FRAMES)
    codes = all_codes(data, KeyEncoder(key).to(device), 1, device)[:, 0].numpy()
    return np.asarray(material.block.frames[data.targets.numpy() - 1]), codes


def _part_frames(material: Material, part: str) -> np.ndarray:
    """Return frames of a part that decide, evenly thinned, [N, D]."""
    block = material.block
    own = np.array([material.part_of[str(name)] == part for name in block.utterance_ids])
    rows = np.flatnonzero(np.repeat(own, np.diff(block.offsets)) & block.scored())
    if len(rows) > GUARD_FRAMES:
        rows = rows[np.linspace(0, len(rows) - 1, GUARD_FRAMES).round().astype(np.int64)]
    return np.asarray(block.frames[rows])
