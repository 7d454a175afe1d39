"""Train one arm of a generator on the frames, splits and noise of the prediction stage."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.fit import Material
from engram_audio.generation.arms import build_arm, fit_contents
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.condition_data import Transcripts, conditions_of
from engram_audio.generation.config import GeneratorSection
from engram_audio.generation.data import GeneratorData
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.matching import match_arms
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.prompts import Prompts
from engram_audio.generation.protocol import Training
from engram_audio.generation.replay import Dealing, ReplayTask
from engram_audio.generation.sources import sources_of
from engram_audio.generation.task import GeneratorTask, count_visits
from engram_audio.generation.variants import Family, Sized, Variant
from engram_audio.keys.fitted import FittedKey
from engram_audio.numerics.seeds import named_seed
from engram_audio.section import with_changes
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState, train


class Shared(NamedTuple):
    """What all trainings of a job have in common.

    Attributes:
        section: The generator.
        sizes: Sizes of every arm, matched where it is.
        base: The linear null under every head.
        key: The key that memories read.
        dimensions: Train statistics.
        train: Train chunks.
        choice: Chunks of the part that is chosen on.
        variants: More sizes of some arms.
    """

    section: GeneratorSection
    sizes: dict[ArmName, GeneratorSettings]
    base: BaseArrays
    key: FittedKey
    dimensions: Dimensions
    train: GeneratorData
    choice: GeneratorData
    variants: Mapping[Variant, Sized]

    @property
    def family(self) -> Family:
        """What all sizes have in common."""
        section = self.section
        return Family(section.model, section.insertion, self.key, self.dimensions, self.base)


def prepare(
    section: GeneratorSection,
    material: Material,
    base: BaseArrays,
    key: FittedKey,
    maximum_validation_frames: int,
    transcripts: Transcripts | None = None,
) -> Shared:
    """Match the arms and index the data.

    Raises:
        ValueError: A part has no utterance longer than the burn-in, or a transcript is missing.
    """
    dimensions = dimensions_of(material)
    sizes = match_arms(section.model, section.insertion, key, dimensions, base)
    train, choice = (
        _data(section.model, material, part, maximum, transcripts)
        for part, maximum in (
            (TRAIN, None), (material.choice_part, maximum_validation_frames),
        )
    )  # fmt: skip
    return Shared(section, sizes, base, key, dimensions, train, choice, {})


def dimensions_of(material: Material) -> Dimensions:
    """Return the train statistics of what is generated."""
    reference = material.reference
    return Dimensions(reference.frame_mean, reference.frame_sd, material.noise_sd)


def _data(
    model: GeneratorSettings,
    material: Material,
    part: str,
    maximum: int | None,
    transcripts: Transcripts | None,
) -> GeneratorData:
    block = material.block
    is_part = np.array([material.part_of[str(name)] == part for name in block.utterance_ids])
    data = GeneratorData(
        torch.from_numpy(np.ascontiguousarray(block.frames, dtype=np.float32)), block.offsets,
        np.flatnonzero(is_part), block.scored(), model.chunk_frames, model.burn_in_frames, maximum,
        np.asarray(block.speaker_ids),
    )  # fmt: skip
    count, prompts = model.condition and model.condition.prompt_frames, None
    if count is not None:
        prompts = Prompts.of_block(block, data.frames, data.utterances.numpy(), count)
    data.conditions = conditions_of(model.condition, block, data, transcripts, prompts)
    if not len(data):
        raise ValueError(
            f"{part} has no utterance longer than burn_in_frames {model.burn_in_frames}"
        )
    return data


def sized_of(training: Training, shared: Shared) -> Sized:
    """Return the sizes of a training, its dropout among them."""
    own = Sized(shared.sizes[training.arm], shared.section.insertion)
    if training.variant is not None:
        own = shared.variants[training.variant]
    changes = {"dropout": training.point.dropout}
    return own._replace(settings=with_changes(own.settings, "generation.points", changes))


def train_generator(
    training: Training,
    shared: Shared,
    recipe: TrainingRecipe,
    dealing: Dealing | None,
    row_sd: float,
    device: torch.device,
    state: TrainingState | None,
    callbacks: Callbacks,
) -> tuple[Generator, TrainingState]:
    """Train one arm; see `training.loop.train` for interruption and resuming.

    A seed decides weights and order of the data in every arm alike.

    Args:
        training: What is trained, and how long.
        shared: Sizes and data.
        recipe: The recipe of this training.
        dealing: Of a replay, how codes are dealt to rows; None for other trainings.
        row_sd: SD at which rows start.
        device: Where.
        state: A saved state to go on from.
        callbacks: Saving, logging, interruption.
    """
    weights = torch.Generator().manual_seed(named_seed(training.seed, "generator", "weights"))
    model = build_arm(
        training.arm, *sized_of(training, shared), shared.base, shared.key, shared.dimensions,
        weights, row_sd,
    )  # fmt: skip
    fit_contents(model, shared.train, shared.choice)
    for source in sources_of(model):
        source.expect_steps(recipe.num_steps)
    steps = named_seed(training.seed, "generator", "steps")
    data = (shared.train, shared.choice, device)
    task = ReplayTask(model, *data, dealing) if dealing else GeneratorTask(model, *data)
    state = train(task, recipe, steps, device, state, callbacks)
    task.settle()
    count_visits(task)
    return task.model.eval(), state
