"""What keys add to a linear model, on worlds whose answer is known (worlds.md A4 and A6)."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.world import simulate
from engram_audio.latents.block import BlockSource
from engram_audio.section import validated
from engram_audio.structure.config import ScoredFamily
from engram_audio.structure.linear import score_linear
from engram_audio.structure.material import prepare
from engram_audio.structure.side_tables import linear_rows
from engram_audio.structure.structure_table import analyse, structure_rows
from engram_audio.trust.measurement import parts_of
from tests.statistical import planted
from tests.statistical.planted import Layout, Utterance, section
from tests.unit.key_material import scored

LAG = 2


def families(num_cells: int) -> dict[str, Any]:
    quantizers = [{"kind": "kmeans", "codebook_sizes": [num_cells]}]
    raw = {"inputs": ["raw"], "quantizers": quantizers}
    return {
        "pca": {"kind": "pca", "num_components": 8, **raw, "inputs": ["raw", "increments"]},
        "last_frame": {"kind": "last_frame", **raw},
        "predictive": {"kind": "predictive", "num_components": 8, **raw},
        "target_oracle": {"kind": "target_oracle", "codebook_sizes": [num_cells]},
    }


def added_rows(source: BlockSource, part_of: dict[str, str], num_cells: int = 64, **changes) -> Any:
    """Return the eval rows of every key, by key."""
    settings: dict[str, Any] = {
        "lags_frames": (LAG,), "linear_ridges": (1e-6, 1e-4, 1e-2, 1.0),
        "minimum_cell_frames": 20, **changes,
    }  # fmt: skip
    material = prepare(source, part_of, section(**settings))
    found = [
        scored(name, validated(ScoredFamily, family, name), material)
        for name, family in families(num_cells).items()
    ]
    scores, keys = (
        pd.concat([getattr(one, name) for one in found], ignore_index=True)
        for name in ("scores", "keys")
    )
    linear = linear_rows(score_linear(material), 0.95)
    rows = structure_rows(analyse(scores, keys), {}, linear, 12.5, 0.95)
    is_whole = (rows["subspace"] == "all") & (rows["part"] == "eval")
    return rows[is_whole].set_index("key")


def of_world(name: str, size: WorldSize, num_cells: int, **parameters) -> Any:
    draw = simulate(make_world(name, 0, **parameters), size)
    return added_rows(lambda: iter([draw.block]), parts_of(draw, 0), num_cells)


def of_utterance(utterance: Utterance, layout: Layout = Layout(40, 20, 12)) -> Any:  # noqa: B008
    world = planted.make_world(utterance, layout)
    return added_rows(world.source(), world.part_of)


def recursion(
    coefficient: float, delay: int, num_dims: int = 8, is_spiky: bool = False
) -> Utterance:
    """x_t = coefficient x_{t - delay} + e; spiky: one innovation in 100 is 10 times as large."""

    def utterance(rng: np.random.Generator, speaker: int, length: int) -> np.ndarray:
        x = rng.normal(size=(length, num_dims))
        if is_spiky:
            x *= np.where(rng.random(length) < 0.01, 10.0, 1.0)[:, None]
        for t in range(delay, length):
            x[t] += coefficient * x[t - delay]
        return x

    return utterance


def of_each_speaker(low: float, high: float) -> Utterance:
    """AR(1) with a coefficient of the speaker's own, unit variance."""

    def utterance(rng: np.random.Generator, speaker: int, length: int) -> np.ndarray:
        own = np.random.default_rng([speaker, 5]).uniform(low, high)
        x = rng.normal(size=(length, 4))
        for t in range(1, length):
            x[t] = own * x[t - 1] + np.sqrt(1 - own**2) * x[t]
        return x

    return utterance


LINEAR_WORLDS = {
    "white noise": planted.white_noise(8),
    "random walk": planted.random_walk(8),
    "ar1": recursion(0.7, 1),
    "seasonal": recursion(0.95, 7),
    "spiky ar1": recursion(0.8, 1, is_spiky=True),
}


@pytest.mark.parametrize("name", LINEAR_WORLDS)
def test_no_key_adds_to_ridge_on_a_linear_process(name: str):
    """E[z | context] is linear, so the truth is 0, and fitting can only take away.

    The lower bound of every interval lies at or below 0, or above it by no more than the correction
    is known: its factor rests on K D squared differences, so it is known to a tenth or so, and the
    cost of one fit scatters as much about its mean. The seasonal world made the rule before
    this one PROCEED, since its VAR(4) twin cannot hold a lag of 7.
    """
    rows = of_utterance(LINEAR_WORLDS[name])
    keys = rows.drop("target_oracle.kmeans_64")
    assert (keys["added_low"] <= 0.3 * keys["cost_of_fitting"]).all(), keys["added"]
    assert (keys["added"].abs() < 0.01).all()
    assert (keys["added_fraction"] < 0.02).all()
    for control in ("control_permuted", "control_swapped"):
        assert (keys[control].abs() < 0.03).all()


def test_a_coefficient_of_each_speaker_adds_next_to_nothing():
    """worlds.md A4: 0 to .002 for coefficients .05 to .98, at most .005 in size."""
    rows = of_utterance(of_each_speaker(0.05, 0.98)).drop("target_oracle.kmeans_64")
    assert (rows["added"].abs() <= 0.005 + 2 * rows["added_se"]).all()


def test_a_shared_motif_in_many_dimensions_is_seen_once_the_cost_is_taken_off():
    """type2 with D = 256 and few frames: uncorrected, the cost of 64 cells hides what they add."""
    layout = Layout(16, 8, 10)
    utterance = planted.shared_motifs(num_dims=128, ratio=0.8, num_speakers=24)
    row = of_utterance(utterance, layout).loc["last_frame.raw.kmeans_64"]
    assert row["added_fraction_low"] > 0.05
    raw = row["added"] - row["cost_of_fitting"]
    assert raw < 0.8 * row["added"]


# Added, fraction of the attainable and nats of worlds.md A4, K = 256 (one seed there, one here).
# The second-order table is the one with two residues; with four its PCA key adds .12.
QUICK_TABLE = [
    ("type2", {}, "pca.raw.kmeans_256", 0.024, 0.25, 1.06),
    ("type2", {}, "last_frame.raw.kmeans_256", 0.043, 0.44, 2.0),
    ("drift", {}, "pca.raw.kmeans_256", 0.0, 0.0, 0.0),
    ("drift", {}, "pca.increments.kmeans_256", 0.059, 0.17, 0.47),
    ("drift", {}, "predictive.raw.kmeans_256", 0.061, 0.17, 0.49),
    ("mag", {}, "predictive.raw.kmeans_256", 0.0, 0.0, 0.0),
    ("table", {"num_symbols": 256}, "pca.raw.kmeans_256", 0.38, 0.50, 2.4),
    ("table", {"num_symbols": 256}, "last_frame.raw.kmeans_256", 0.69, 0.89, 6.5),
    ("table_second_order", {}, "pca.raw.kmeans_256", 0.23, 0.31, 1.2),
    ("table_second_order", {}, "last_frame.raw.kmeans_256", 0.40, 0.52, 2.4),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters"), [
    ("type2", {}), ("drift", {}), ("mag", {}), ("table", {"num_symbols": 256}),
    ("table_second_order", {"num_symbols": 256, "num_residues": 2}),
])  # fmt: skip
def test_the_quick_table(name: str, parameters: dict[str, int]):
    """Within 15 %, .006 of variance and .02 of the fraction: both come from one draw each."""
    rows = of_world(name, WorldSize(60, 20, 25), 256, **parameters)
    for own, _, key, added, fraction, nats in QUICK_TABLE:
        if own == name:
            row = rows.loc[key]
            assert row["added"] == pytest.approx(added, rel=0.15, abs=0.006), key
            assert row["added_fraction"] == pytest.approx(fraction, rel=0.15, abs=0.02), key
            assert row["added_nats_per_frame"] == pytest.approx(nats, rel=0.12, abs=0.04), key
