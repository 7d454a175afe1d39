"""Planted bugs: each replaces one function of the real code, and a calibration row must notice.

They exist inside `planted_bug` only; nothing in the workflow but the sabotage step switches them
on. A row that no bug moves measures nothing; a bug that no row notices could be in the code today.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from engram_audio.calibration.config import SabotageSection
from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.rows import CalibrationRow
from engram_audio.calibration.world import simulate
from engram_audio.keys.config import PcaKeys
from engram_audio.keys.quantizers import KMeans
from engram_audio.structure.config import TargetOracleKeys
from engram_audio.structure.targets import EVAL, TRAIN
from engram_audio.trust.measurement import (
    Analysis,
    Planted,
    closed_forms,
    measure,
    measure_hidden_key,
)

WORLDS = ("iid", "var1", "type2", "type1")  # closed forms, one for each kind of answer
# Hidden key alone, so wide that a speaker's sum of squares (frames x D) passes 65,504, the largest
# number in half precision.
WIDE_WORLD, WIDE_DIMS = "type2", 256
NO_BUG = "none"

Function = Callable[..., Any]


class Bug(NamedTuple):
    """One planted bug.

    Attributes:
        target: Dotted path of the function (or `module.Class.method`) that is replaced.
        replace: Makes the wrong function from the right one.
        words: What is wrong, in words.
    """

    target: str
    replace: Callable[[Function], Function]
    words: str


def _off_by_one_lag(right: Function) -> Function:
    def wrong(targets: np.ndarray, lag_frames: int, window_frames: int) -> np.ndarray:
        return right(targets, lag_frames - 1, window_frames)

    return wrong


def _target_leaked(right: Function) -> Function:
    def wrong(
        frames: np.ndarray, targets: np.ndarray, lag_frames: int, components: np.ndarray
    ) -> np.ndarray:
        own = right(frames, targets, lag_frames, components)
        return own + (right(frames, targets, 0, components) - right(frames, targets, 1, components))

    return wrong


def _fitted_on(parts: Sequence[int]) -> Callable[[Function], Function]:
    """Return a bug that fits cells on some parts instead of on train."""

    def replace(right: Function) -> Function:
        del right

        def wrong(part: np.ndarray) -> np.ndarray:
            return np.isin(part, parts)

        return wrong

    return replace


def _shuffled_labels(right: Function) -> Function:
    def wrong(cells: np.ndarray, part: np.ndarray, *others: Any) -> Any:
        return right(np.random.default_rng(0).permutation(cells), part, *others)

    return wrong


def _float16_sums(right: Function) -> Function:
    """Every sum is kept in half precision, frame by frame."""
    del right

    def wrong(total: np.ndarray, values: np.ndarray, codes: np.ndarray) -> None:
        half = total.astype(np.float16)
        with np.errstate(over="ignore"):
            np.add.at(half, codes, values.astype(np.float16))
        total[:] = half

    return wrong


BUGS: dict[str, Bug] = {
    "off_by_one_lag": Bug(
        "engram_audio.windows.context_start", _off_by_one_lag, "contexts end one frame too late"
    ),
    "eval_means": Bug(
        "engram_audio.structure.scoring.is_fitted", _fitted_on([EVAL]),
        "eval is scored with its own cell means",
    ),
    "fit_on_all_speakers": Bug(
        "engram_audio.structure.scoring.is_fitted", _fitted_on([TRAIN, EVAL]),
        "cell means are fitted on train and eval speakers together",
    ),
    "target_in_context": Bug(
        "engram_audio.windows.project_contexts", _target_leaked,
        "the target's own step is added to the context",
    ),
    "shuffled_labels": Bug(
        "engram_audio.structure.cells.make_labeling", _shuffled_labels,
        "labels lose their frames",
    ),
    "float16_sums": Bug(
        "engram_audio.structure.speaker_sums.add_grouped", _float16_sums,
        "squared errors are summed in half precision",
    ),
}  # fmt: skip


@contextlib.contextmanager
def planted_bug(name: str) -> Iterator[None]:
    """Replace one function of the real code while the block runs; `none` replaces nothing."""
    if name == NO_BUG:
        yield
        return
    bug = BUGS[name]
    module_name, _, attribute = bug.target.rpartition(".")
    module = importlib.import_module(module_name)
    right = getattr(module, attribute)
    setattr(module, attribute, bug.replace(right))
    try:
        yield
    finally:
        setattr(module, attribute, right)


class SabotageRow(NamedTuple):
    """One calibration row under one planted bug (or under none).

    Attributes:
        bug: Name of the bug, `none` for the honest instrument.
        row: The comparison.
    """

    bug: str
    row: CalibrationRow


def sabotage_analysis(analysis: Analysis, codebook_size: int) -> Analysis:
    """Return the analysis cut down to what every bug must be visible in.

    One key of few cells, all frames, lags 1 and the registered one.
    """
    pca = next(family for family in analysis.families.values() if isinstance(family, PcaKeys))
    quantizer = KMeans(kind="kmeans", codebook_sizes=(codebook_size,))
    families = {
        "pca": pca.model_copy(update={"inputs": ("raw",), "quantizers": (quantizer,)}),
        "target_oracle": TargetOracleKeys(
            kind="target_oracle", codebook_sizes=(codebook_size,)
        ),
    }  # fmt: skip
    section = analysis.section.model_copy(
        update={"slices": ("all",), "kmeans_restarts": 1, "kmeans_iterations": 10}
    )
    keys_section = analysis.keys_section.model_copy(
        update={"kmeans_restarts": 1, "kmeans_iterations": 10}
    )
    # percentile intervals are not among the rows
    statistics = analysis.statistics.model_copy(update={"bootstrap_draws": 100})
    return analysis._replace(
        section=section,
        keys_section=keys_section,
        statistics=statistics,
        families=families,
        keys=(f"pca.raw.kmeans_{codebook_size}",),
    )


def sabotage_rows(section: SabotageSection, analysis: Analysis) -> list[SabotageRow]:
    """Measure every world under no bug and under each bug."""
    small = sabotage_analysis(analysis, section.codebook_size)
    worlds = [_plant(name, section, small) for name in WORLDS]
    wide = _plant(WIDE_WORLD, section, small, num_dims=WIDE_DIMS)
    wide = wide._replace(name=f"{WIDE_WORLD}, D = {WIDE_DIMS}")
    rows: list[SabotageRow] = []
    for bug in (NO_BUG, *BUGS):
        for planted in worlds:
            with planted_bug(bug):
                rows += [SabotageRow(bug, row) for row in measure(planted, small)]
        with planted_bug(bug):
            rows += [SabotageRow(bug, row) for row in measure_hidden_key(wide, small)]
    return rows


def _plant(name: str, section: SabotageSection, analysis: Analysis, **parameters: int) -> Planted:
    size = WorldSize(
        section.num_train_speakers, section.num_eval_speakers, section.num_utterances_per_speaker
    )
    world = make_world(name, section.seed, **parameters)
    return closed_forms(name, world, simulate(world, size), analysis.section.lags_frames)
