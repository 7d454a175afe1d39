"""The structure stage hits known answers on planted worlds of the recipe's size.

Tolerances at this size (24 000 eval frames of 20 speakers, k-means seed SD 0.004): 0.012 for a
ratio of a motif world, 0.003 for one of a null world.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.keys.config import MeanPoolKeys, PcaKeys
from engram_audio.structure import cells, key_scores
from engram_audio.structure.config import TargetOracleKeys
from engram_audio.structure.linear import score_linear, white_noise_cosine
from engram_audio.structure.material import Material, prepare
from tests.statistical.planted import (
    Layout,
    Utterance,
    drift,
    make_world,
    personal_motifs,
    random_walk,
    section,
    shared_motifs,
    white_noise,
)
from tests.unit.key_material import scored

MOTIF, NULL = 0.012, 0.003
PLACE = ["key", "lag_frames", "slice", "control"]


def pca_keys(*inputs: str, num_cells: int = 256) -> PcaKeys:
    return PcaKeys.model_validate_json(
        f'{{"kind": "pca", "inputs": {str(list(inputs)).replace(chr(39), chr(34))},'
        '"num_components": 8,'
        f'"quantizers": [{{"kind": "kmeans", "codebook_sizes": [{num_cells}]}}]}}'
    )


MEAN_64 = MeanPoolKeys.model_validate_json(
    '{"kind": "mean_pool", "inputs": ["raw"],'
    '"quantizers": [{"kind": "kmeans", "codebook_sizes": [64]}]}'
)


def material(utterance: Utterance, layout: Layout = Layout(), seed: int = 0, **changes):  # noqa: B008
    world = make_world(utterance, layout, seed)
    return prepare(world.source(), world.part_of, section(**changes))


def sums(scores: pd.DataFrame, part: str = "eval") -> Any:
    rows: Any = scores[(scores["part"] == part) & (scores["subspace"] == "all")]
    total: Any = rows.groupby(PLACE)[
        ["num_frames", "num_excluded", "sse_residual", "sse_total", "nats_saved", "nats_mean_part"]
    ].sum()  # fmt: skip
    kept = total["num_frames"] - total["num_excluded"]
    return total.assign(
        ratio=total["sse_residual"] / total["sse_total"],
        nats=total["nats_saved"] / kept,
        excluded=total["num_excluded"] / total["num_frames"],
    )


def ratio(
    tables: key_scores.KeyTables, key: str, part: str = "eval", control: str = "none"
) -> float:
    return float(sums(tables.scores, part).loc[(key, 1, "all", control), "ratio"])


def own_ratio(tables: key_scores.KeyTables, part: str) -> float:
    row = tables.keys.query("control == 'none'").iloc[0]
    return float(row[f"sse_own_{part}"]) / float(row[f"sse_own_total_{part}"])


def null_excess(tables: key_scores.KeyTables, control: str) -> float:
    by_control: Any = tables.keys.set_index("control")
    return float(by_control["expected_null_ratio_excess_eval"][control])


@pytest.fixture(scope="module")
def shared() -> Material:
    return material(shared_motifs())


def test_shared_motifs_leave_what_their_noise_leaves(shared):
    """Exact ratio of the phase 0.300; 256 cells on 8 components reach 0.314, 64 means about 0.4."""
    pca = scored("pca", pca_keys("raw"), shared)
    assert ratio(pca, "pca.raw.kmeans_256") == pytest.approx(0.314, abs=MOTIF)
    assert ratio(pca, "pca.raw.kmeans_256", "val") == pytest.approx(0.312, abs=MOTIF)
    pooled = scored("mean_pool", MEAN_64, shared)
    # the pooled key depends on the prototypes drawn: 0.389 to 0.409 over draws
    assert ratio(pooled, "mean_pool.raw.kmeans_64") == pytest.approx(0.40, abs=0.025)


def test_nats_of_shared_motifs(shared):
    """A Gaussian per cell saves 18.5 to 19.1 nats per frame; nearly all of it by the means."""
    tables = scored("pca", pca_keys("raw"), shared)
    row = sums(tables.scores).loc[("pca.raw.kmeans_256", 1, "all", "none")]
    assert 18.3 < row["nats"] < 19.4
    kept = row["num_frames"] - row["num_excluded"]
    assert row["nats_mean_part"] / kept == pytest.approx(row["nats"], abs=0.3)


def test_white_noise_scores_its_mean_reversion_and_nothing_beyond_lag_one():
    """iid, D = 16, pca256: 0.986 at lag 1, which frame-shuffled data scores too; 1 + K/N later."""
    tables = scored("pca", pca_keys("raw"), material(white_noise(16), lags_frames=(1, 2)))
    assert ratio(tables, "pca.raw.kmeans_256") == pytest.approx(0.986, abs=NULL)
    later = sums(tables.scores).loc[("pca.raw.kmeans_256", 2, "all", "none"), "ratio"]
    excess = tables.keys.query("lag_frames == 2 and control == 'none'")
    expected = 1 + excess["expected_null_ratio_excess_eval"].iloc[0]
    assert later == pytest.approx(expected, abs=NULL)
    again = scored("pca", pca_keys("raw"), material(white_noise(16), seed=1))
    explained = 1 - ratio(tables, "pca.raw.kmeans_256")
    shuffled = 1 - ratio(again, "pca.raw.kmeans_256")  # shuffled white noise is white noise
    assert explained - shuffled == pytest.approx(0, abs=NULL)


def test_a_random_walk_has_no_structure_and_train_means_never_flatter():
    """In sample 1 - K/N, own means on eval 1 - K/N_eval, train means on eval 1 + K/N."""
    tables = scored("pca", pca_keys("raw"), material(random_walk(16)))
    assert own_ratio(tables, "train") == pytest.approx(0.996, abs=NULL)
    assert own_ratio(tables, "eval") == pytest.approx(0.991, abs=NULL)
    assert ratio(tables, "pca.raw.kmeans_256") == pytest.approx(1.0036, abs=NULL)
    row = tables.keys.query("control == 'none'").iloc[0]
    for part in ("train", "eval"):
        frames, used = row[f"num_own_frames_{part}"], row[f"num_own_cells_{part}"]
        corrected = own_ratio(tables, part) * (frames - 1) / (frames - used)
        assert corrected == pytest.approx(1, abs=NULL)


def test_personal_motifs_do_not_transfer():
    """Train means on eval score 1.5; means of the scored frames would call it structure."""
    layout = Layout(num_train=10, num_eval=10, num_utterances=100)
    pooled = scored("mean_pool", MEAN_64, material(personal_motifs(20), layout))
    assert ratio(pooled, "mean_pool.raw.kmeans_64", "val") < 0.45
    assert ratio(pooled, "mean_pool.raw.kmeans_64") == pytest.approx(1.54, abs=0.12)
    assert own_ratio(pooled, "eval") < 1


def test_a_speaker_offset_blinds_raw_keys_and_not_centred_ones():
    world = material(shared_motifs(speaker_offset=3.0))
    tables = scored("pca", pca_keys("raw", "speaker_centred"), world)
    assert ratio(tables, "pca.raw.kmeans_256") == pytest.approx(1.02, abs=MOTIF)
    assert ratio(tables, "pca.raw.kmeans_256", "val") == pytest.approx(0.989, abs=MOTIF)
    assert ratio(tables, "pca.speaker_centred.kmeans_256") == pytest.approx(0.314, abs=MOTIF)


def test_a_drifting_walk_is_seen_by_increments_only():
    """The best predictor leaves 0.417; absolute positions see nothing at all."""
    tables = scored("pca", pca_keys("raw", "increments"), material(drift()))
    assert ratio(tables, "pca.raw.kmeans_256") == pytest.approx(1.0, abs=NULL)
    assert 0.417 < ratio(tables, "pca.increments.kmeans_256") < 0.6


def test_the_target_oracle_is_a_floor_and_costs_no_lag(shared):
    floor = scored("floor", TargetOracleKeys(kind="target_oracle", codebook_sizes=(256,)), shared)
    key = scored("pca", pca_keys("raw"), shared)
    assert ratio(floor, "floor.kmeans_256") < ratio(key, "pca.raw.kmeans_256") - 0.02


@pytest.mark.parametrize("control", ["permuted", "swapped"])
def test_controls_are_one_plus_their_degrees_of_freedom(shared, control):
    """Torn labels score 1 + sum_c mass_c / n_c with train means.

    SE of the corrected ratio, D = 32, N = 26 000 eval frames: delta is correlated over two frames
    and K = 256 means add SD sqrt(2 K / D) / N_train, below 2e-4 in all; tolerance five times that.
    """
    tables = scored("pca", pca_keys("raw"), shared)
    excess = null_excess(tables, control)
    torn = ratio(tables, "pca.raw.kmeans_256", control=control)
    assert torn / (1 + excess) == pytest.approx(1, abs=1e-3)
    assert 0.002 < excess < 0.006


def test_scoring_with_eval_means_would_be_caught(monkeypatch):
    """Sabotage: cell means from the scored part. The permuted control then drops below 1."""
    world = material(random_walk(16))

    def flattered() -> float:
        tables = scored("pca", pca_keys("raw"), world)
        torn = ratio(tables, "pca.raw.kmeans_256", control="permuted")
        return torn / (1 + null_excess(tables, "permuted"))

    assert flattered() == pytest.approx(1, abs=1e-3)
    honest = cells.cell_tables

    def sabotaged(sums_, normalization, shrinkage, num_head):
        tables = honest(sums_, normalization, shrinkage, num_head)
        counts = np.maximum(sums_.labeling.counts[cells.EVAL], 1)[:, None]
        tables.mean[:-1] = sums_.sum[cells.EVAL, :-1] / counts
        return tables

    monkeypatch.setattr("engram_audio.structure.scoring.cell_tables", sabotaged)
    assert flattered() < 1 - 5e-3


def test_linear_baselines_of_white_noise_are_their_closed_forms():
    """Ridge and AR(1) reach R^2 = 1/2 and cosine 0.695 (D = 16) at lag 1, 0 at lag 2."""
    table = score_linear(material(white_noise(16), lags_frames=(1, 2)))
    evaluated: Any = table[table["part"] == "eval"]
    rows = evaluated.groupby(["model", "lag_frames"])[
        ["num_frames", "sse_residual", "sse_total", "cosine_sum"]
    ].sum()  # fmt: skip
    r2 = 1 - rows["sse_residual"] / rows["sse_total"]
    cosine = rows["cosine_sum"] / rows["num_frames"]
    assert white_noise_cosine(16) == pytest.approx(0.695, abs=5e-4)
    for model in ("ridge", "ar1", "white_noise"):
        # SE of R^2 over 24 000 x 16 samples: below 0.002; ridge fits 128 weights to 67 000 frames
        assert r2[model, 1] == pytest.approx(0.5, abs=0.006)
        assert r2[model, 2] == pytest.approx(0.0, abs=0.004)
        assert cosine[model, 1] == pytest.approx(0.695, abs=0.004)
        assert cosine[model, 2] == pytest.approx(0.0, abs=0.01)


def test_linear_baselines_of_an_autoregression():
    """AR(1), a = 0.7: R^2 of delta is (1 - a) / 2 at lag 1 and a^2 (1 - a) / 2 at lag 2."""

    def utterance(rng, speaker, length):
        x = rng.normal(size=(length, 8))
        for t in range(1, length):
            x[t] = 0.7 * x[t - 1] + np.sqrt(1 - 0.49) * x[t]
        return x

    table = score_linear(material(utterance, lags_frames=(1, 2)))
    chosen: Any = table[(table["part"] == "eval") & (table["model"] == "ar1")]
    total = chosen.groupby("lag_frames")[["sse_residual", "sse_total"]].sum()
    r2 = 1 - total["sse_residual"] / total["sse_total"]
    # SE over 24 000 correlated frames x 8 dimensions: about 0.001
    assert r2[1] == pytest.approx(0.15, abs=0.005)
    assert r2[2] == pytest.approx(0.49 * 0.15, abs=0.005)
