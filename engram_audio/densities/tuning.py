"""Equal tuning: every network of a comparison tries the same points, chosen on the choice part.

A memory's gain over a net of its work read +1.34 nats with dropout .4 and -1.27 without. So no
verdict may hang on a setting: each arm takes its best point, and the points that are as good on the
choice part stand beside it.

Shapes: S speakers.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.densities.comparison import Cell, SumTable, gain
from engram_audio.densities.config import AnyHead
from engram_audio.stats.estimate import uncertain
from engram_audio.training.config import TrainingRecipe, TuningGrid

NEAR_SE = 1.0  # paired standard errors within which a point is as good as the best
ANY_EVENT = ""  # the sums of a tuning are of one event


class Setting(NamedTuple):
    """What is tuned of a network."""

    dropout: float
    weight_decay: float
    learning_rate: float


class Tuned(NamedTuple):
    """A tuned arm.

    Attributes:
        settings: What was tried, in order.
        chosen: Which of them is best on the choice part.
        near: Which are as good there: the paired difference lies within one standard error.
        scores: Sums of each by part and speaker: point, part, slice, speaker_id, num_frames, nll.
    """

    settings: list[Setting]
    chosen: int
    near: list[int]
    scores: pd.DataFrame

    def header(self) -> dict[str, Any]:
        """Return what a tuning file states of the arm."""
        points = [setting._asdict() for setting in self.settings]
        return {"points": points, "chosen": self.chosen, "near": self.near}


def first_settings(grid: TuningGrid, recipe: TrainingRecipe) -> list[Setting]:
    """Return the points of the grid, at the recipe's learning rate."""
    rate = recipe.learning_rate
    return [Setting(point.dropout, point.weight_decay, rate) for point in grid.points]


def last_settings(grid: TuningGrid, best: Setting) -> list[Setting]:
    """Return the best point at other learning rates."""
    factors = grid.last_learning_rate_factors
    return [best._replace(learning_rate=factor * best.learning_rate) for factor in factors]


def with_setting(
    head: AnyHead, recipe: TrainingRecipe, setting: Setting
) -> tuple[AnyHead, TrainingRecipe]:
    """Return a head and a recipe that train with a setting."""
    trunk = head.trunk.model_copy(update={"dropout": setting.dropout})
    how = {"weight_decay": setting.weight_decay, "learning_rate": setting.learning_rate}
    return head.model_copy(update={"trunk": trunk}), recipe.model_copy(update=how)


def tune(
    grid: TuningGrid, recipe: TrainingRecipe, scored: Callable[[int, Setting], pd.DataFrame]
) -> Tuned:
    """Try every point and return the best with those near it.

    Args:
        grid: The points.
        recipe: The rest of the training.
        scored: Trains a point, by its number and setting, and returns its sums: part, slice,
            speaker_id, num_frames, nll.
    """
    settings = first_settings(grid, recipe)
    tables = [scored(n, own).assign(point=n) for n, own in enumerate(settings)]
    best, _ = choose_point(pd.concat(tables, ignore_index=True))
    for own in last_settings(grid, settings[best]):
        tables.append(scored(len(settings), own).assign(point=len(settings)))
        settings.append(own)
    scores = pd.concat(tables, ignore_index=True)
    return Tuned(settings, *choose_point(scores), scores)


def choose_point(scores: pd.DataFrame) -> tuple[int, list[int]]:
    """Return the point that is best on the choice part, and all that are as good as it there.

    The difference is paired by speaker: absolute errors make every point near-best where speakers
    differ.

    Args:
        scores: Sums by point, part, slice and speaker.

    Raises:
        ValueError: No point has a finite score on the choice part.
    """
    points = sorted({int(point) for point in scores["point"]})
    table = sum_table(scores)
    cell = table.choice_cell(0, ANY_EVENT)
    means = {point: table.mean_nll(str(point), cell) for point in points}
    found = {
        point: float(mean.value)
        for point, mean in means.items()
        if mean is not None and np.isfinite(mean.value)
    }
    if not found:
        raise ValueError(f"no point has a finite score on {table.choice_part}")
    best = min(found, key=lambda point: (found[point], point))
    return best, [point for point in found if _is_near(table, best, point, cell)]


def _is_near(table: SumTable, best: int, point: int, cell: Cell) -> bool:
    if point == best:
        return True
    lost = gain(table, str(best), str(point), cell)
    assert lost is not None  # both have a finite score
    difference = uncertain(lost)
    return bool(difference.value <= NEAR_SE * difference.se)


def sum_table(scores: pd.DataFrame) -> SumTable:
    """Return sums by point as a table of models, named by the number of the point."""
    names = [str(int(point)) for point in scores["point"]]
    return SumTable(scores.drop(columns="point").assign(model=names, lag_frames=0, event=ANY_EVENT))


def tuning_rows(
    names: dict[str, Any], header: dict[str, Any], scores: pd.DataFrame
) -> list[dict[str, Any]]:
    """Return a published row for each point of an arm.

    Args:
        names: What names the arm.
        header: Its `Tuned.header`.
        scores: Its sums.
    """
    table = sum_table(scores)
    cell = table.choice_cell(0, ANY_EVENT)
    best = str(header["chosen"])
    rows = []
    for number, setting in enumerate(header["points"]):
        own = {part: _mean(table, number, cell, part) for part in ("select", "val", "eval")}
        lost = gain(table, best, str(number), cell)
        rows.append({
            **names, "chosen_on": table.choice_part, "point": number, **setting,
            "select_nll_nats": own["select"], "val_nll_nats": own["val"],
            "select_less_val": own["select"] - own["val"], "eval_nll_nats": own["eval"],
            "lost_nats": np.nan if lost is None else float(lost.value),
            "lost_nats_se": np.nan if lost is None else float(uncertain(lost).se),
            "is_chosen": number == header["chosen"], "is_near_best": number in header["near"],
        })  # fmt: skip
    return rows


def _mean(table: SumTable, number: int, cell: Cell, part: str) -> float:
    found = table.mean_nll(str(number), cell._replace(part=part))
    return np.nan if found is None else float(found.value)
