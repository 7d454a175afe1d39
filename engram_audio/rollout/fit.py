"""Build and train the model of a method on the frames, splits and noise of the prediction stage."""

import numpy as np
import torch
from torch import nn

from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.density import Density
from engram_audio.densities.fit import Material
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.fitted import FittedKey
from engram_audio.memory.fit import all_codes
from engram_audio.numerics.seeds import named_seed
from engram_audio.rollout.contrast import fit_contrast
from engram_audio.rollout.corrector import fit_corrector
from engram_audio.rollout.frame import Frame, frame_of
from engram_audio.rollout.guard import fit_codebook, fit_nearest
from engram_audio.rollout.method_config import (
    AnyMethod,
    CodebookGuard,
    CorrectorGuard,
    GuardSection,
    NearestGuard,
)
from engram_audio.rollout.paths import PathData, collect_starts
from engram_audio.rollout.simulate import Limits
from engram_audio.rollout.storage import AnyGuard
from engram_audio.rollout.tasks import PathTask
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState, train

GUARD_BATCH_PATHS = 4096
GUARD_FRAMES = 200_000  # train frames that a guard is fitted on, evenly thinned
GUARD_FACTOR = 10.0  # a run that far out, in SD, teaches a guard nothing more


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


def build_model(
    settings: AnyMethod,
    frame: Frame,
    base: nn.Module | None,
    seed: int,
    data: PathData | None = None,
) -> nn.Module:
    """Return the untrained model of a method by the `build` of its kind.

    Args:
        settings: The method.
        frame: Units, linear nulls and window.
        base: Takes the steps of a method that has one.
        seed: Decides the first weights.
        data: Train paths; None where the weights are overwritten by stored ones.

    Raises:
        ValueError: The base is not what the method needs.
    """
    module, own = settings.behaviour()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return module.build(own, frame, base, data)


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
    horizon = settings.training_frames
    train_data = path_data(material, TRAIN, horizon)
    choice_data = path_data(
        material, material.choice_part, horizon, recipe.maximum_validation_frames // horizon
    )
    model = build_model(settings, frame_of(material), base, named_seed(seed, "weights"), train_data)
    if not any(True for _ in model.parameters()):
        raise ValueError("base: has no weights to train; name a prediction head")
    module, own = settings.behaviour()
    return module.task(
        own, model, material.window_frames, (train_data, choice_data),
        material.reference.input_scales, horizon, device,
    )  # fmt: skip


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
    model: Density,
    material: Material,
    seed: int,
    device: torch.device,
    key: FittedKey | None = None,
) -> AnyGuard:
    """Learn a guard from train frames; frames of the choice part set a radius.

    `key` is that of a codebook.

    Raises:
        ValueError: No train utterance is long enough to run from.
    """
    reference = material.reference
    mean, sd = reference.frame_mean, reference.frame_sd
    match settings:
        case NearestGuard():
            frames = _part_frames(material, TRAIN)
            held_out = _part_frames(material, material.choice_part)
            return fit_nearest(settings, frames, held_out, mean, sd).to(device)
        case CodebookGuard():
            assert key is not None  # the step hands over the key that a codebook names
            frames, codes = _coded_frames(material, key, device)
            held_out = _part_frames(material, material.choice_part)
            return fit_codebook(settings, frames, held_out, mean, sd, codes).to(device)
        case CorrectorGuard():
            frames = _part_frames(material, TRAIN)
            held_out = _part_frames(material, material.choice_part)
            own_seed = named_seed(seed, "guard")
            return fit_corrector(settings, frames, held_out, mean, sd, own_seed).to(device)
    block = material.block
    own = {name for name, part in material.part_of.items() if part == TRAIN}
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
