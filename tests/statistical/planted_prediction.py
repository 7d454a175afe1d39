"""Planted worlds through training and scoring with the default study's own settings.

The size is that of the reference numbers: 60 train and 20 eval speakers of 25 utterances of 40 to
80 frames. Every gain stands beside the exact predictor's on the same targets of the same held-out
speakers, so that the draw of the eval sample cancels; its standard error is over speakers.

Shapes: M targets, D dimensions.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from engram_audio import windows
from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.world import World, eval_block, simulate
from engram_audio.config import WorkflowConfig, parse_config
from engram_audio.corpus.split_parts import choice_part
from engram_audio.densities.config import (
    AnyHead,
    PredictionEvaluationSection,
    PredictionSection,
)
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.dequantization import dequantization_sd, noisy_source
from engram_audio.densities.events import ANY_LAG
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.fit import Material, fit_marginals, train_head
from engram_audio.densities.model_predictor import ModelPredictor
from engram_audio.densities.nulls import NullMoments, fit_linear_nulls, linear_nulls_for
from engram_audio.densities.predictor import View
from engram_audio.densities.reference import measure_reference
from engram_audio.latents.block import LatentBlock, concatenate_blocks
from engram_audio.prediction import scores
from engram_audio.prediction.evaluation import EventTask, evaluate_part
from engram_audio.training.loop import Callbacks
from engram_audio.trust.measurement import parts_of
from tests import studies

CPU = torch.device("cpu")
RECIPE_SIZE = WorldSize(60, 20, 25)


def default_study() -> WorkflowConfig:
    """The configuration that a study starts from."""
    return parse_config(studies.study())


class Mean(NamedTuple):
    """A mean over targets with its standard error over speakers."""

    value: float
    error: float


class Planted(NamedTuple):
    """A world with its linear nulls fitted.

    Attributes:
        study: Settings of training.
        world: The world.
        material: Train and val with noise, and what was measured on them.
        noisy: Eval speakers as predictors see them.
        clean: Eval speakers as the equations made them.
        hidden: Their hidden states, per frame of the block.
    """

    study: WorkflowConfig
    world: World
    material: Material
    noisy: LatentBlock
    clean: LatentBlock
    hidden: dict[str, np.ndarray]

    @property
    def targets(self) -> np.ndarray:
        """Rows of the eval block that every lag predicts, shape [M]."""
        window = self.study.views.window_frames
        return windows.target_rows(
            self.clean.offsets, window, max(self.study.prediction.lags_frames)
        )

    def mean_of(self, values: np.ndarray) -> Mean:
        """Average values of the targets, shape [M]; the unit of resampling is the speaker."""
        utterance = windows.utterance_of_rows(self.clean.offsets, self.targets)
        _, speaker = np.unique(self.clean.speaker_ids[utterance].astype(str), return_inverse=True)
        count = np.bincount(speaker)
        mean = values.sum() / count.sum()
        influence = (np.bincount(speaker, weights=values) - mean * count) / count.mean()
        error = influence.std(ddof=1) / np.sqrt(len(count))
        return Mean(float(mean), float(error))

    def predictor(self, model: ConditionalDensity) -> ModelPredictor:
        """Wrap a model for scoring."""
        speakers = self.material.reference.speakers
        return ModelPredictor(model, self.study.views.window_frames, speakers, 4096, CPU)

    def nll(self, model: ConditionalDensity, lag: int, event: str) -> np.ndarray:
        """Return the score of each eval target, nats, shape [M]."""
        return -self.predictor(model).log_density(View(self.noisy, self.targets, lag, event))

    def cosine(self, model: ConditionalDensity, lag: int) -> Mean:
        """Return the mean cosine between delta and its conditional mean."""
        values, means = self._delta(model, lag)
        return self.mean_of(scores.cosine(values, means))

    def explained(self, model: ConditionalDensity, lag: int) -> float:
        """Return the share of delta's variance that the conditional mean explains."""
        values, means = self._delta(model, lag)
        return float(1 - ((values - means) ** 2).sum() / (values**2).sum())

    def _delta(self, model: ConditionalDensity, lag: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what happened and what was expected, less the train mean, both [M, D]."""
        view = View(self.noisy, self.targets, lag, "delta")
        origin = self.material.reference.event_mean("delta")
        means = self.predictor(model).mean(view)
        return view.values().astype(np.float64) - origin, means.astype(np.float64) - origin

    def oracle_nll(self, lag: int, event: Any, is_noisy: bool = False) -> np.ndarray:
        """Return the exact predictor's score of each eval target, nats, shape [M].

        It scores the clean frames, or the noisy ones that predictors see.
        """
        oracle = self.world.oracle()
        assert oracle is not None
        frames = self.noisy if is_noisy else self.clean
        return -oracle.log_density(frames, self.targets, lag, event)

    def exact_information(self, lag: int, event: Any) -> Mean:
        """Return what the exact predictor gains over the exact marginal on the eval targets."""
        oracle = self.world.oracle()
        assert oracle is not None
        marginal = -oracle.log_marginal(self.clean, self.targets, event)
        return self.mean_of(marginal - self.oracle_nll(lag, event))

    def spiked_frames(self) -> set[tuple[str, int]]:
        """Return utterance and frame of each eval target whose innovation was a spike."""
        block, rows = self.clean, self.targets[self.hidden["is_spike"][self.targets]]
        utterance = windows.utterance_of_rows(block.offsets, rows)
        frame = rows - block.offsets[utterance]
        names = block.utterance_ids[utterance].astype(str)
        return set(zip(names.tolist(), frame.tolist(), strict=True))

    def worst_frames(self, model: ConditionalDensity, lag: int) -> pd.DataFrame:
        """Return the evaluation's list of worst eval frames."""
        section = studies.section_of(self.study, PredictionSection)
        task = EventTask("delta", lag, section.window_frames, max(section.lags_frames))
        evaluation = studies.section_of(self.study, PredictionEvaluationSection)
        few = {"slices": ("all",), "maximum_sampled_frames": 100}
        part_of = {str(name): "eval" for name in self.noisy.utterance_ids}
        return evaluate_part(
            self.predictor(model), lambda: iter([self.noisy]), part_of, "eval", task,
            self.material.reference, evaluation.model_copy(update=few),
            num_targets=len(self.targets),
        ).worst  # fmt: skip

    def null_nll(self, name: str, lag: int, event: str) -> np.ndarray:
        """Return a named linear null's score of each eval target, shape [M]."""
        null = next(
            null
            for null in self.material.linear_nulls
            if null.name == name and null.event == event and null.lag_frames in (lag, ANY_LAG)
        )
        return self.nll(build_gaussian(null.fit.arrays), lag, event)

    def best_null(self, lag: int, event: str) -> tuple[str, np.ndarray]:
        """Return the linear null that val prefers, and its score of each eval target."""
        linear_nulls = linear_nulls_for(self.material.linear_nulls, lag, event)
        best = min(linear_nulls, key=lambda null: null.fit.choice_nll)
        return best.name, self.nll(build_gaussian(best.fit.arrays), lag, event)

    def trained(self, head: str, lag: int, event: str) -> ConditionalDensity:
        """Train one of the study's heads with the study's recipe."""
        settings = self.study.prediction.library[head]
        recipe = self.study.recipes[settings.recipe]
        model, _, _ = train_head(
            settings, recipe, self.material, lag, event, 0, CPU, None, Callbacks()
        )
        return model

    def marginal(self, head: str, space: str) -> ConditionalDensity:
        """Fit the head's family without context, grown as the study grows it."""
        settings: AnyHead = self.study.prediction.library[head]
        recipe = self.study.recipes[settings.marginal.recipe]
        fit, _ = fit_marginals(settings, recipe, self.material, 0)[space]
        return fit.model


def plant(name: str, size: WorldSize = RECIPE_SIZE, seed: int = 0, **parameters: Any) -> Planted:
    """Plant one of the named worlds.

    Args:
        name: Its name.
        size: How much of it.
        seed: Its seed.
        parameters: Values other than the name's own.
    """
    return plant_world(make_world(name, seed, **parameters), size)


def plant_world(world: World, size: WorldSize = RECIPE_SIZE) -> Planted:
    """Simulate a world and fit its linear nulls as the workflow does."""
    study = default_study()
    section = studies.section_of(study, PredictionSection)
    draw = simulate(world, size)
    part_of = parts_of(draw, 0)
    clean = eval_block(draw)
    lags, window = section.lags_frames, section.window_frames

    def raw():
        return iter([draw.block])

    first = measure_reference(raw, part_of, window, max(lags))
    noise_sd = dequantization_sd(first, section.dequantization_fraction)
    source = noisy_source(raw, noise_sd, section.noise_seed)
    moments = NullMoments(first, window, lags, choice_part(part_of.values()))
    moments.accumulate(source, part_of, window)
    nulls = study.prediction.nulls
    linear_nulls = fit_linear_nulls(moments, section.targets, nulls.orders, nulls.ridges)
    block = concatenate_blocks(list(source()))
    noisy = draw._replace(block=block)
    material = Material(
        noisy.of_split("train"), part_of, first, linear_nulls, window, max(lags), noise_sd
    )
    is_eval = np.repeat(draw.split_hint == "eval", np.diff(draw.block.offsets))
    hidden = {key: values[is_eval] for key, values in draw.hidden.items()}
    return Planted(study, world, material, noisy.of_split("eval"), clean, hidden)
