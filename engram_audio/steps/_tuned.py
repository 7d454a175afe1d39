"""Read what a tuning chose; loads no torch."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.table import read_table
from engram_audio.densities.config import AnyHead
from engram_audio.densities.tuning import Setting, with_setting
from engram_audio.training.config import TrainingRecipe

HEAD = "head"  # the one arm of a head's tuning
SCORES = ("arm", "point", "part", "slice", "speaker_id", "num_frames", "nll")


class TunedArm(NamedTuple):
    """A tuned arm as it was written: its name, what was chosen, its sums."""

    name: str
    header: dict[str, Any]
    scores: pd.DataFrame


def read_tuning(tuning: Path, scores: Path) -> list[TunedArm]:
    """Read the arms of a tuning."""
    table = read_table(scores, SCORES)
    return [
        TunedArm(name, header, table.loc[table["arm"] == name].drop(columns="arm"))
        for name, header in read_json(tuning)["arms"].items()
    ]


def frozen_setting(
    tuning: Path | None, arm: str, head: AnyHead, recipe: TrainingRecipe
) -> tuple[AnyHead, TrainingRecipe]:
    """Return a head and its recipe with the setting that was chosen; as they are, if untuned."""
    if tuning is None:
        return head, recipe
    found = read_json(tuning)["arms"][arm]
    return with_setting(head, recipe, Setting(**found["points"][found["chosen"]]))
