"""Planted worlds through arms of a generator, at the sizes of the reference numbers.

60 train and 20 eval speakers of 25 utterances of 40 to 80 frames; width 32, 2 blocks, 800 steps of
768 frames, one learning rate for all arms. Scores are nats per frame on the same eval frames.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from engram_audio.config import WorkflowConfig
from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.nulls import base_for
from engram_audio.generation.arms import build_arm, fit_contents, row_rms
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.budget import Budget, budget_of
from engram_audio.generation.data import GeneratorData
from engram_audio.generation.density import as_step_density
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.evaluation import Scope, frame_nll, health_of, speaker_sums
from engram_audio.generation.matching import match_arms
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ARMS, AnyInsertion, ArmName, MinimalInsertion
from engram_audio.generation.sources import ROW_SD, sources_of
from engram_audio.generation.task import GeneratorTask, count_visits
from engram_audio.keys.fit import KeyMaterial, fit_family
from engram_audio.keys.fitted import FittedKey
from engram_audio.latents.block import LatentBlock
from engram_audio.rollout.config import RolloutSection
from engram_audio.rollout.paths import collect_starts, other_starts
from engram_audio.rollout.setup import make_scoring_setup
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import train
from tests import studies
from tests.statistical.planted_prediction import CPU, Planted, plant
from tests.unit.key_material import family, keys_section

LONGEST_UTTERANCE = 80
SETTINGS: dict[str, Any] = {
    "width": 32, "mlp_units": 128, "num_blocks": 2, "num_heads": 4, "context_frames": 32,
    "chunk_frames": 48, "burn_in_frames": 8, "short_context_frames": None, "dropout": 0.0,
    "noise": {"kind": "none"}, "key_reads": "noised",
    "head": {
        "kind": "gaussian_mixture", "num_components": 8, "log_sigma_range": [-7.0, 7.0],
        "output_scale": 0.1,
    },
}  # fmt: skip
INSERTION: dict[str, Any] = {
    "kind": "minimal", "key": "last_frame.raw.kmeans_512", "ngram_orders": [1], "num_hashes": 1,
    "table_rows": None, "table_learning_rate_factor": 5.0, "places": ["before_block_2"],
    "row_width": 16,
}  # fmt: skip
RECIPE: dict[str, Any] = {
    "num_steps": 800, "batch_frames": 768, "learning_rate": 2e-3, "weight_decay": 0.01,
    "second_moment_decay": 0.95, "warmup_steps": 40, "schedule": "cosine",
    "final_learning_rate_fraction": 0.05,
    "gradient_clip": 1.0, "precision": "float32", "validation_interval_steps": 100,
    "patience_validations": None, "maximum_validation_frames": 20_000,
    "checkpoint_interval_steps": 10_000, "is_tensorboard_logged": False,
}  # fmt: skip


class Arena(NamedTuple):
    """A world with all that its arms share.

    Attributes:
        planted: The world.
        settings: The small generator.
        insertion: Its memory.
        key: The memory's key.
        dimensions: Train statistics.
        sizes: Sizes of every arm.
    """

    planted: Planted
    settings: GeneratorSettings
    insertion: AnyInsertion
    key: FittedKey
    dimensions: Dimensions
    sizes: dict[ArmName, GeneratorSettings]

    @property
    def base(self):
        """The best linear null, with its full covariance."""
        return base_for(self.planted.material.linear_nulls, 1, "delta", True, True).fit.arrays

    def data(self, block: LatentBlock, part: str | None, chunk_frames: int) -> GeneratorData:
        """Return chunks of the utterances of a part of a block, or of all of them."""
        part_of = self.planted.material.part_of
        names = [str(name) for name in block.utterance_ids]
        chosen = [n for n, name in enumerate(names) if part is None or part_of[name] == part]
        return GeneratorData(
            torch.from_numpy(block.frames), block.offsets, np.array(chosen), block.scored(),
            chunk_frames, self.settings.burn_in_frames, None, np.asarray(block.speaker_ids),
        )  # fmt: skip


class Scored(NamedTuple):
    """A trained arm: its eval score, its mean gate there, what it holds and does.

    Attributes:
        model: The generator.
        sums: Frames and NLL by speaker, see `evaluation.speaker_sums`.
        gate: Mean gate; NaN without one.
        budget: What it holds and does.
    """

    model: Generator
    sums: pd.DataFrame
    gate: float
    budget: Budget

    @property
    def nll(self) -> float:
        """Mean over eval frames, nats."""
        return mean_nll(self.sums)


def arena(
    name: str, insertion: dict[str, Any] = INSERTION, key: FittedKey | None = None,
    model: dict[str, Any] = SETTINGS, kind: type[AnyInsertion] = MinimalInsertion,
    **parameters: Any,
) -> Arena:  # fmt: skip
    """Plant a world, fit its key unless one is given, match its arms."""
    planted = plant(name, **parameters)
    material, memory = planted.material, kind.model_validate(insertion, strict=False)
    key = key or frame_key(planted, memory.key)
    reference = material.reference
    dimensions = Dimensions(reference.frame_mean, reference.frame_sd, material.noise_sd)
    settings = GeneratorSettings.model_validate(model, strict=False)
    whole = Arena(planted, settings, memory, key, dimensions, {})
    return whole._replace(sizes=match_arms(settings, memory, key, dimensions, whole.base))


def frame_key(planted: Planted, name: str) -> FittedKey:
    """Fit 512 cells of the newest frame."""
    material = planted.material
    section = family("last_frame", [{"kind": "kmeans", "codebook_sizes": [512]}], inputs=("raw",))
    keys = KeyMaterial(
        lambda: iter([material.block]), material.part_of,
        keys_section(window_frames=material.window_frames),
    )  # fmt: skip
    return fit_family("last_frame", section, (1,), keys).key(name, 1, "planted")


def trained(own: Arena, arm: ArmName, seed: int, row_sd: float = ROW_SD, **changes: Any) -> Scored:
    """Train an arm with a seed and score it on eval."""
    model = build_arm(
        arm, own.sizes[arm], own.insertion, own.base, own.key, own.dimensions,
        torch.Generator().manual_seed(seed), row_sd,
    )  # fmt: skip
    material, chunk = own.planted.material, own.settings.chunk_frames
    parts = [own.data(material.block, part, chunk) for part in (TRAIN, material.choice_part)]
    task = GeneratorTask(model, parts[0], parts[1], CPU)
    recipe = TrainingRecipe.model_validate({**RECIPE, **changes}, strict=False)
    fit_contents(model, *parts)
    for source in sources_of(model):
        source.expect_steps(recipe.num_steps)
    train(task, recipe, seed, CPU)
    count_visits(task)
    return Scored(model, sums_of(own, model), mean_gate(own, model), budget_of(model))


def mean_nll(sums: pd.DataFrame) -> float:
    """Return the mean NLL of a frame of sums by speaker, nats."""
    return float(sums["nll"].to_numpy(float).sum() / sums["num_frames"].to_numpy(float).sum())


def scope_of(own: Arena) -> Scope:
    """Return what scoring has to know: frames before the burn-in are left out."""
    return Scope(own.settings.burn_in_frames, 16, CPU)


def sums_of(own: Arena, model: Generator, swap: str = "") -> pd.DataFrame:
    """Return frames and NLL of eval by speaker, under right codes or a name of `names.SWAPS`."""
    scope, block = scope_of(own), own.planted.noisy

    def source():
        return iter([block])

    return speaker_sums(frame_nll(model, source, scope, swap), source, scope.window_frames)


@torch.no_grad()
def mean_gate(own: Arena, model: Generator) -> float:
    """Return the mean gate on eval frames."""
    held = own.data(own.planted.noisy, None, LONGEST_UTTERANCE)
    judge = GeneratorTask(model.eval(), held, held, CPU)
    judge.validate()
    return judge.details["gate"]


def free_runs(study: WorkflowConfig, horizon: int) -> RolloutSection:
    """Return settings of free runs that are looked at late and forecast nothing."""
    return studies.section_of(study, RolloutSection).model_copy(update={
        "horizon_frames": horizon, "scored_horizons_frames": (1, horizon), "num_starts": 200,
        "forecast_horizon_frames": 1, "num_samples": 8, "num_long_samples": 2,
        "injections_frames": (), "frozen_frames": 8, "autocovariance_lags_frames": 4,
        "maximum_energy_frames": 2000, "support_frames": 4000,
    })  # fmt: skip


def health(own: Arena, model: Generator, horizon: int = 32) -> dict[str, float]:
    """Return what late free runs from eval contexts look like, beside true stretches."""
    study, reference = own.planted.study, own.planted.material.reference
    settings = free_runs(study, horizon)
    material, block = own.planted.material, own.planted.noisy
    setup = make_scoring_setup(settings, reference, lambda: iter([material.block]), CPU)
    starts = collect_starts(
        lambda: iter([block]), reference.speakers, 8, horizon, horizon // 2, settings.num_starts
    )
    others = other_starts(lambda: iter([block]), reference.speakers, starts, horizon // 2)
    rows = health_of(as_step_density(model), starts, others, setup)
    return rows.set_index("horizon_frames").loc[horizon].to_dict()


def study(
    own: Arena, arms: tuple[ArmName, ...], seeds: tuple[int, ...]
) -> dict[ArmName, list[Scored]]:
    """Train arms over paired seeds; frozen rows have the size of SM's trained ones."""
    found: dict[ArmName, list[Scored]] = {arm: [] for arm in arms}
    for seed in seeds:
        row_sd = ROW_SD
        for arm in arms:
            one = trained(own, arm, seed, row_sd if ARMS[arm].are_rows_frozen else ROW_SD)
            row_sd = row_rms(one.model) if arm == "SM" else row_sd
            found[arm].append(one)
    return found
