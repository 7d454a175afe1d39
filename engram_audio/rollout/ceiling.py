"""What is attainable at a horizon: the best forecast of any method or the marginal.

It is chosen on the choice part.

Shapes: S speakers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.corpus.split_parts import EVAL, choice_part
from engram_audio.rollout.method_config import AnyMethod

EVENTS = ("delta", "position")
ENERGY = "energy"


class Run(NamedTuple):
    """One method on one representation.

    Attributes:
        representation: Name.
        method: Name.
        sweep: Sweep that it is a point of, or "".
        seed: Training seed.
        settings: Its section.
        scores: Sums by part, mode, injection, horizon and speaker.
        health: Shares by mode, injection and horizon, on eval.
        differences: What each speaker adds to the excesses of health, by mode and injection.
    """

    representation: str
    method: str
    sweep: str
    seed: int
    settings: AnyMethod
    scores: pd.DataFrame
    health: pd.DataFrame
    differences: pd.DataFrame


class Cell(NamedTuple):
    """Which runs of a method: mode and injection."""

    mode: str
    inject: int


class Sums:
    """A method's sums on one part, as arrays over the speakers of all methods."""

    def __init__(self, scores: pd.DataFrame, part: str, speakers: Sequence[str]) -> None:
        """Index the rows of a part."""
        rows = scores.loc[scores["part"] == part]
        self._speakers = {name: number for number, name in enumerate(speakers)}
        keys = ["mode", "inject_frames", "horizon_frames"]
        self._groups: dict[Any, pd.DataFrame] = dict(iter(rows.groupby(keys, sort=False)))
        self.cells = sorted({Cell(str(mode), int(inject)) for mode, inject, _ in self._groups})

    def column(self, cell: Cell, horizon: int, name: str) -> np.ndarray | None:
        """Return one column by speaker, [S], or None where nothing was summed."""
        rows = self._groups.get((cell.mode, cell.inject, horizon))
        if rows is None or name not in rows or np.isnan(rows[name].to_numpy(float)).all():
            return None
        found = np.zeros(len(self._speakers))
        found[[self._speakers[str(speaker)] for speaker in rows["speaker_id"]]] = rows[name]
        return found


FORECAST, SAMPLED = Cell("forecast", 0), Cell("sampled", 0)
MARGINAL = "marginal"


class Ceiling(NamedTuple):
    """The best forecast of each quantity and horizon, the marginal's among them.

    Attributes:
        names: Method by (quantity, horizon), or `MARGINAL`; a quantity is an event, or `energy`.
        cells: Where a method's forecasts stand.
        sums: Its eval sums.
        num_speakers: S.
        chosen_on: Part that they were chosen on.
    """

    names: Mapping[tuple[str, int], str]
    cells: Mapping[str, Cell]
    sums: Mapping[str, Sums]
    num_speakers: int
    chosen_on: str

    def column(self, event: str, horizon: int) -> np.ndarray | None:
        """Return the attainable dNLL by speaker, [S]: 0 where it is the marginal's."""
        name = self.names.get((event, horizon))
        if name is None:
            return None
        if name == MARGINAL:
            return np.zeros(self.num_speakers)
        return self.sums[name].column(self.cells[name], horizon, f"dnll_{event}")

    def energy(
        self, horizon: int, climate: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return score and climatology's score of the best forecast, each [S].

        Climatology's, given for the same starts, stands for both where nothing is better; None
        where no forecast was scored on the choice part.
        """
        name = self.names.get((ENERGY, horizon))
        if name is None or (name == MARGINAL and climate is None):
            return None
        if name == MARGINAL and climate is not None:
            return climate, climate
        return _pair(self.sums[name], self.cells[name], horizon)


def _pair(sums: Sums, cell: Cell, horizon: int) -> tuple[np.ndarray, np.ndarray] | None:
    own, climate = (sums.column(cell, horizon, name) for name in ("energy_score", "energy_climate"))
    return None if own is None or climate is None else (own, climate)


def choose_ceiling(runs: Iterable[Run], speakers: Mapping[str, Sequence[str]]) -> Ceiling:
    """Choose, on the choice part, the best forecast of each quantity and horizon.

    Args:
        runs: Methods of one representation and seed.
        speakers: Speakers of each part, none of one that does not exist.
    """
    runs = list(runs)
    cells = {run.method: _own_cell(run) for run in runs}
    chosen_on = choice_part(part for part, names in speakers.items() if names)
    best: dict[tuple[str, int], tuple[float, str]] = {}
    for run in runs:
        cell, choice = cells[run.method], Sums(run.scores, chosen_on, speakers[chosen_on])
        own = run.scores.loc[run.scores["mode"] == cell.mode, "horizon_frames"]
        for horizon in map(int, own.unique()):
            for quantity in (*EVENTS, ENERGY):
                value = _loss(choice, cell, horizon, quantity)
                if value is not None:
                    key = (quantity, horizon)
                    best[key] = min(best.get(key, (0.0, MARGINAL)), (value, run.method))
    sums = {run.method: Sums(run.scores, EVAL, speakers[EVAL]) for run in runs}
    names = {key: name for key, (_, name) in best.items()}
    return Ceiling(names, cells, sums, len(speakers[EVAL]), chosen_on)


def _own_cell(run: Run) -> Cell:
    return FORECAST if run.settings.is_forecaster else SAMPLED


def _loss(sums: Sums, cell: Cell, horizon: int, quantity: str) -> float | None:
    """Return mean dNLL, or minus the energy skill: below 0 is better than knowing nothing."""
    if quantity != ENERGY:
        return _mean(sums, cell, horizon, f"dnll_{quantity}")
    pair = _pair(sums, cell, horizon)
    if pair is None or pair[1].sum() == 0:
        return None
    value = float(pair[0].sum() / pair[1].sum()) - 1
    return value if np.isfinite(value) else None


def _mean(sums: Sums, cell: Cell, horizon: int, name: str) -> float | None:
    top, bottom = sums.column(cell, horizon, name), sums.column(cell, horizon, "num_starts")
    if top is None or bottom is None or bottom.sum() == 0:
        return None
    value = float(top.sum() / bottom.sum())
    return value if np.isfinite(value) else None
