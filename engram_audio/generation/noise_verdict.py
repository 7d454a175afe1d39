"""Does memory replace noise? Free runs of S, F and SM without noise beside S with the best noise.

A run is inside where, in every seed, energy distance and share off the support exceed those of true
stretches by no more than the bars. It is outside where in every seed one of them does.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.generation.config import GenerationBarsSection
from engram_audio.generation.word import AS_MUCH_WORK, MEMORY, SMALL
from engram_audio.verdicts import number
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED, Judged
from engram_audio.verdicts.row import VerdictRow, shown

NOISE = "Does memory replace noise?"
PLAIN = "none"
INSIDE, OUTSIDE, OPEN, ABSENT = "inside the bars", "outside the bars", "open", "not run"
REPLACES, NO_NEED, NOT_REPLACED = "MEMORY REPLACES NOISE", "NOTHING TO RESCUE", "NOT REPLACED"


class Run(NamedTuple):
    """Late free runs of an arm over seeds.

    Attributes:
        place: Inside, outside, open, or not run.
        distance: Median excess of the energy distance, SD.
        off_support: Median excess of the share off the support.
        num_seeds: How many seeds ran.
    """

    place: str
    distance: float
    off_support: float
    num_seeds: int

    @property
    def words(self) -> str:
        """What the run was."""
        if self.place == ABSENT:
            return ABSENT
        return (
            f"{self.place} (energy distance {number.fixed(self.distance)} SD and "
            f"{number.fixed(self.off_support)} off the support beyond true stretches, "
            f"{self.num_seeds} seeds)"
        )


def run_of(health: pd.DataFrame, bars: GenerationBarsSection) -> Run:
    """Return where the late free runs of one arm of one generator stand."""
    late = health.loc[health["horizon_frames"] == health["horizon_frames"].max()]
    distance, off = (
        late[name].to_numpy(float) - late[f"{name}_true"].to_numpy(float)
        for name in ("energy_distance", "off_support_share")
    )
    if not len(late) or not np.isfinite([distance, off]).all():
        return Run(ABSENT, math.nan, math.nan, 0)
    is_inside = (distance <= bars.maximum_excess_distance) & (
        off <= bars.maximum_excess_off_support
    )
    place = INSIDE if is_inside.all() else OUTSIDE if not is_inside.any() else OPEN
    return Run(place, float(np.median(distance)), float(np.median(off)), len(late))


def noise_rows(
    name: str, generation: pd.DataFrame, health: pd.DataFrame, bars: GenerationBarsSection
) -> list[VerdictRow]:
    """Return the answer of a representation; none where no generator was trained with noise.

    Args:
        name: The representation.
        generation: Its rows of `tables/generation.csv`.
        health: Its rows of `tables/generation_health.csv`.
        bars: What counts as inside.
    """
    trained = choose(generation, arm=SMALL).drop_duplicates("generator")
    noises = {str(row["generator"]): str(row["noise"]) for row in trained.to_dict("records")}
    noisy = [generator for generator, noise in noises.items() if noise != PLAIN]
    plain = [generator for generator, noise in noises.items() if noise == PLAIN]
    if not noisy or not plain:
        return []
    best = min(
        (run_of(choose(health, generator=one, arm=SMALL), bars) for one in noisy),
        key=lambda run: run.distance if math.isfinite(run.distance) else math.inf,
    )
    return [_row(name, one, _runs(choose(health, generator=one), bars), best) for one in plain]


def _runs(health: pd.DataFrame, bars: GenerationBarsSection) -> dict[str, Run]:
    return {arm: run_of(choose(health, arm=arm), bars) for arm in (SMALL, AS_MUCH_WORK, MEMORY)}


def _row(name: str, generator: str, runs: Mapping[str, Run], best: Run) -> VerdictRow:
    word, failing = word_of(runs, best)
    told = [f"{arm} without noise {run.words}" for arm, run in runs.items()]
    told.append(f"S with the best noise {best.words}")
    reason = f"decided by {failing}; generator {generator}"
    judged = Judged(UNDECIDED, reason) if word == UNDECIDED else shown(reason)
    if word in (REPLACES, NOT_REPLACED):
        judged = Judged(MET if word == REPLACES else NOT_MET, reason)
    sentence = f"{word}. {'. '.join(told)}."
    return VerdictRow("generation", NOISE, name, word, judged, sentence)


def word_of(runs: Mapping[str, Run], best: Run) -> tuple[str, str]:
    """Return the word and the row that decided.

    Args:
        runs: Runs without noise of S, F and SM.
        best: S with the noise under which its runs are nearest to data.
    """
    asked: Sequence[tuple[str, str, str]] = (
        ("S without noise", runs[SMALL].place, OUTSIDE),
        ("F without noise", runs[AS_MUCH_WORK].place, OUTSIDE),
        ("SM without noise", runs[MEMORY].place, INSIDE),
        ("S with the best noise", best.place, INSIDE),
    )
    if runs[SMALL].place == INSIDE:
        return NO_NEED, "S without noise"
    for name, found, wanted in asked:
        if found in (OPEN, ABSENT):
            return UNDECIDED, f"{name}, {found}"
        if found != wanted:
            return NOT_REPLACED, f"{name}, {found}"
    return REPLACES, "all four"
