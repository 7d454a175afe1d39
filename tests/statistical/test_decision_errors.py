"""How often the gate errs when the truth lies exactly on its threshold."""

import numpy as np
import pandas as pd
import pytest

from engram_audio.stats.estimate import t_interval, uncertain
from engram_audio.structure.decision import corrected_confidence
from engram_audio.structure.estimates import SUMS, ScoreCube, estimate_part
from engram_audio.structure.gate_row import Measured, judge

NUM_STUDIES, NUM_SPEAKERS = 6000, 30
MINIMUM, FLOOR = 0.02, 0.7
TRUE_RATIO = 1 - MINIMUM * (1 - FLOOR)  # the explained fraction is exactly the minimum


def _study(ratio: float, seed: int) -> ScoreCube:
    """Return NUM_STUDIES keys and their floors; speakers differ in length and in ratio."""
    rng = np.random.default_rng(seed)
    names = [f"pca.raw.kmeans_{i}" for i in range(NUM_STUDIES)]
    names += [f"oracle.kmeans_{i}" for i in range(NUM_STUDIES)]
    cells = pd.DataFrame(
        {
            "key": names, "codebook_size": np.tile(np.arange(NUM_STUDIES), 2), "lag_frames": 2,
            "slice": "all", "subspace": "all", "control": "none",
        }
    )  # fmt: skip
    shape = (NUM_STUDIES, NUM_SPEAKERS)
    total = rng.uniform(500, 1500, size=shape)
    shared = 0.01 * rng.normal(size=shape)  # what a speaker adds to key and floor alike
    key = (ratio + shared + 0.01 * rng.normal(size=shape)) * total
    floor = (FLOOR + shared + 0.01 * rng.normal(size=shape)) * total
    sums = {name: np.zeros((2 * NUM_STUDIES, NUM_SPEAKERS)) for name in SUMS}
    sums["num_frames"] = sums["sse_total"] = np.concatenate([total, total])
    sums["sse_residual"] = np.concatenate([key, floor])
    return ScoreCube(cells, np.arange(NUM_SPEAKERS).astype(str), sums)


def _outcomes(ratio: float, confidence: float, seed: int) -> np.ndarray:
    fraction = uncertain(estimate_part(_study(ratio, seed)).explained_fraction)
    low, high = t_interval(fraction, confidence)
    rows = zip(fraction.value[:NUM_STUDIES], low, high, strict=False)
    return np.array([judge(Measured(*row), MINIMUM, "above") for row in rows])


def test_on_the_threshold_a_row_passes_and_fails_in_at_most_alpha_of_the_studies():
    """Two-sided 95 %: 2.5 % each way; 6000 studies have a binomial error of .0020."""
    outcomes = _outcomes(TRUE_RATIO, 0.95, seed=0)
    for word in ("pass", "fail"):
        share = float(np.mean(outcomes == word))
        assert 0.015 < share < 0.025 + 4 * 0.0020, f"{word} in {share:.4f}"


def test_any_of_three_keys_on_the_threshold_proceeds_no_more_often_than_one():
    """Bonferroni: three independent keys, 2000 studies, binomial error .0035."""
    level = corrected_confidence(0.95, 3)
    passed = (_outcomes(TRUE_RATIO, level, seed=1) == "pass").reshape(-1, 3)
    assert passed.any(axis=1).mean() < 0.025 + 3 * 0.0035


@pytest.mark.parametrize(("fraction", "word"), [(0.06, "pass"), (-0.02, "fail")])
def test_away_from_the_threshold_the_gate_decides(fraction: float, word: str):
    """The error of the fraction is .01 sqrt(2 / 30) / .3 = .0086: .04 away is 4.6 of it."""
    outcomes = _outcomes(1 - fraction * (1 - FLOOR), 0.95, seed=2)
    assert np.mean(outcomes == word) > 0.95
