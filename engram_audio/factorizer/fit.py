"""Train a factoriser on the frames, splits and noise of the prediction stage."""

import numpy as np
import torch
from torch import Tensor

from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.fit import Material
from engram_audio.factorizer.config import FactorizerSection
from engram_audio.factorizer.model import Factorizer, FrameScales
from engram_audio.factorizer.task import ChunkData, FactorizerTask
from engram_audio.numerics.seeds import named_seed
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState, train


def frame_scales(material: Material) -> FrameScales:
    """Return the train statistics of the latents."""
    reference = material.reference
    return FrameScales(
        torch.from_numpy(reference.frame_mean).float(),
        torch.from_numpy(reference.frame_sd).float(),
    )


def noise_floor(material: Material) -> float:
    """Return the dequantisation noise's RMS as a share of the latents': 0 without noise."""
    rms = frame_scales(material).rms
    return float(np.sqrt(np.mean(material.noise_sd**2))) / rms


def chunk_data(
    material: Material, part: str, settings: FactorizerSection, maximum_frames: int | None = None
) -> ChunkData:
    """Index the chunks of one part."""
    names = material.block.utterance_ids
    is_part = np.array([material.part_of[str(name)] == part for name in names])
    return ChunkData(
        torch.from_numpy(np.ascontiguousarray(material.block.frames, dtype=np.float32)),
        material.block.offsets,
        np.flatnonzero(is_part),
        settings.chunk_frames,
        settings.burn_in_frames,
        maximum_frames,
        material.block.scored(),
    )


def feature_map(components: np.ndarray | None, rms: float) -> Tensor | None:
    """Return the map from scaled latents to log-mel, [D, Q], of a decoder's components [D, Q]."""
    return None if components is None else torch.from_numpy(components * rms).float()


def factorizer_task(
    settings: FactorizerSection,
    recipe: TrainingRecipe,
    material: Material,
    components: np.ndarray | None,
    seed: int,
    device: torch.device,
) -> FactorizerTask:
    """Build an untrained factoriser with its data.

    Raises:
        ValueError: A part has no utterance longer than the burn-in.
    """
    scales = frame_scales(material)
    model = Factorizer(settings, scales, noise_floor(material), named_seed(seed, "weights"))
    chosen_on = material.choice_part
    train_data = chunk_data(material, TRAIN, settings)
    choice_data = chunk_data(material, chosen_on, settings, recipe.maximum_validation_frames)
    for part, data in ((TRAIN, train_data), (chosen_on, choice_data)):
        if not len(data):
            raise ValueError(
                f"{part} has no utterance longer than burn_in_frames {settings.burn_in_frames}"
            )
    features = feature_map(components, scales.rms) if settings.loss.feature_weight else None
    return FactorizerTask(model, train_data, choice_data, device, features)


def train_factorizer(
    settings: FactorizerSection,
    recipe: TrainingRecipe,
    material: Material,
    components: np.ndarray | None,
    seed: int,
    device: torch.device,
    state: TrainingState | None,
    callbacks: Callbacks,
) -> tuple[FactorizerTask, TrainingState]:
    """Train one variant; see `training.loop.train` for interruption and resuming.

    The task's `details` are those of the weights that are kept.
    """
    task = factorizer_task(settings, recipe, material, components, seed, device)
    state = train(task, recipe, named_seed(seed, "steps"), device, state, callbacks)
    task.model.eval()
    with torch.no_grad():
        task.validate()
    return task, state
