"""What the steps that train or tune densities share: what they read, and how they open it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import AnyHead, HeadSection, PredictionSection
from engram_audio.densities.density import ConditionalDensity, Density
from engram_audio.densities.fit import Material, events_trained, train_head
from engram_audio.keys.fitted import FittedKey
from engram_audio.memory.config import MemoryControlsSection, MemorySection, MemoryStageSection
from engram_audio.steps._cli import Device, Frozen, LogFolder, StepFiles, Wildcard
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import Frames, open_frames
from engram_audio.steps._keys import read_family
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import TrainingRun
from engram_audio.steps._tuning import Judge, open_judge
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState


class DensityFiles(StepFiles):
    """Of a step that trains densities of one family at one lag with one seed."""

    lag: Wildcard[int]
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    head_section: Frozen[HeadSection]
    recipe_section: Frozen[TrainingRecipe]
    nulls: Path
    splits: Path
    shards: list[Path]
    tensorboard: LogFolder
    device: Device


class MemoryStageFiles(DensityFiles):
    """Of a step of the memory stage."""

    stage_section: Frozen[MemoryStageSection]

    @property
    def event(self) -> str:
        """The event that memories predict at this lag."""
        return events_trained(self.lag, (self.stage_section.target,))[0]


class MemoryNetFiles(MemoryStageFiles):
    """Of a step that trains nets beside a memory."""

    controls_section: Frozen[MemoryControlsSection]


class EngramFiles(MemoryStageFiles):
    """Of a step that trains an Engram memory with its head."""

    memory_section: Frozen[MemorySection]
    key_file: Path

    def key(self) -> FittedKey:
        """Read the key of the memory."""
        name = self.memory_section.key
        return read_family(self.key_file).key(name, self.lag, str(self.key_file))


class Workshop(NamedTuple):
    """Everything open that training needs.

    Attributes:
        files: What the step reads and writes.
        run: Its trainings.
        frames: All parts.
        material: Train and the choice part.
        device: Where it trains.
    """

    files: DensityFiles
    run: TrainingRun
    frames: Frames
    material: Material
    device: torch.device

    def judge(self) -> Judge:
        """Open the streams on which trained points are scored."""
        files, reference = self.files, self.material.reference
        return open_judge(self.frames, reference, files.section, files.lag, self.device)

    def train(
        self, label: str, head: AnyHead, recipe: TrainingRecipe, event: str
    ) -> tuple[ConditionalDensity, BaseArrays, TrainingState]:
        """Train a head on an event, under a label (see `TrainingRun.train`)."""
        lag, seed = self.files.lag, self.files.seed
        own = partial(train_head, head, recipe, self.material, lag, event, seed, self.device)
        return self.run.train(label, own)

    def point_of(
        self,
        event: str,
        head: AnyHead,
        recipe: TrainingRecipe,
        state: TrainingState | None,
        calls: Callbacks,
    ) -> Density:
        """Train one point of a tuning on an event (see `_tuning.tune_arm`)."""
        lag, seed = self.files.lag, self.files.seed
        return train_head(head, recipe, self.material, lag, event, seed, self.device, state, calls)[
            0
        ]


@contextmanager
def workshop(files: DensityFiles) -> Iterator[Workshop]:
    """Open what a step trains on; a signal, a divergence and the end are `TrainingRun`'s."""
    device = torch.device(resolve_device(files.device, uses_torch=True))
    frames = open_frames(files.shards, files.splits)
    with (
        TrainingRun(files, files.recipe_section) as run,
        load_material(frames, files.nulls, files.section) as material,
    ):
        yield Workshop(files, run, frames, material, device)
