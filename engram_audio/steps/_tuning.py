"""Tune networks in a step: train every point, score it, keep what was chosen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import write_table
from engram_audio.densities.config import AnyHead, PredictionSection
from engram_audio.densities.density import Density
from engram_audio.densities.reference import Reference
from engram_audio.densities.scope import WHOLE, Scope, score_nll
from engram_audio.densities.tuning import Setting, Tuned, tune, with_setting
from engram_audio.latents.block import BlockSource
from engram_audio.steps._frames import Frames
from engram_audio.steps._prediction import open_held_out
from engram_audio.steps._training import TrainingRun
from engram_audio.steps._tuned import SCORES
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState
from engram_audio.views import SlicesView

SCORED_FRAMES = 4096  # at a time
Train = Callable[[AnyHead, TrainingRecipe, TrainingState | None, Callbacks], Density]


class Judge(NamedTuple):
    """Scores a trained point on everything but train, all frames.

    Attributes:
        sources: The streams by part.
        scope: Which targets.
    """

    sources: dict[str, BlockSource]
    scope: Scope

    def __call__(self, model: Density) -> pd.DataFrame:
        """Return sums by part and speaker: part, slice, speaker_id, num_frames, nll."""
        model.to(self.scope.device).eval()
        tables = [
            score_nll(model, source, part, self.scope) for part, source in self.sources.items()
        ]
        return pd.concat(tables, ignore_index=True).loc[:, list(SCORES[2:])]


def open_judge(
    frames: Frames,
    reference: Reference,
    section: PredictionSection,
    lag: int,
    device: torch.device,
) -> Judge:
    """Open the streams on which points are scored; how predictors are evaluated does not matter."""
    scope = Scope(
        frames.part_of, lag, section.window_frames, max(section.lags_frames), reference,
        SlicesView.model_validate(WHOLE), SCORED_FRAMES, device,
    )  # fmt: skip
    return Judge(open_held_out(frames, reference, section), scope)


def tune_arm(run: TrainingRun, arm: str, head: AnyHead, train: Train, judge: Judge) -> Tuned:
    """Train every point of an arm; a killed run repeats no point that is done.

    Args:
        run: The step's trainings; its recipe names the points.
        arm: Name of the arm.
        head: The head as configured.
        train: Trains a head by a recipe and returns the model.
        judge: Scores a model.
    """
    recipe = run.recipe
    assert recipe.tuning is not None  # the plan asks for no tuning else

    def scored(number: int, setting: Setting) -> pd.DataFrame:
        own, how = with_setting(head, recipe, setting)
        model = run.train(f"{arm}-{number}", lambda state, calls: train(own, how, state, calls))
        return judge(model)

    return tune(recipe.tuning, recipe, scored)


def write_tuning(
    tuning: Path, scores: Path, manifest: dict[str, Any], arms: dict[str, Tuned]
) -> None:
    """Write what was chosen of each arm, and the sums that say why."""
    tables = [own.scores.assign(arm=arm) for arm, own in arms.items()]
    write_table(scores, pd.concat(tables, ignore_index=True).loc[:, list(SCORES)], manifest)
    headers = {arm: own.header() for arm, own in arms.items()}
    write_json(tuning, {**manifest, "arms": headers})
