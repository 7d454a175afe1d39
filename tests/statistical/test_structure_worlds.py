"""The structure stage hits known answers on planted worlds of the recipe's size.

Tolerances at this size (24 000 eval frames of 20 speakers, k-means seed SD 0.004): 0.012 for a
ratio of a motif world, 0.003 for one of a null world.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.keys.config import MeanPoolKeys, PcaKeys
from engram_audio.structure.key_scores import KeyTables
from engram_audio.structure.linear import score_linear, white_noise_cosine
from engram_audio.structure.material import Material, prepare
from engram_audio.structure.targets import EVAL
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
    total: Any = rows.groupby(PLACE)[["sse_zero", "sse_key", "cost_key"]].sum()
    honest = total["sse_key"] - total["cost_key"]
    return total.assign(
        ratio=total["sse_key"] / total["sse_zero"],
        corrected=honest / total["sse_zero"],
        excess=total["cost_key"] / honest,
    )


def ratio(tables: KeyTables, key: str, part: str = "eval", control: str = "none") -> float:
    return float(sums(tables.scores, part).loc[(key, 1, "all", control), "ratio"])


def number(
    tables: KeyTables, name: str, control: str = "none", key: str = "pca.raw.kmeans_256"
) -> float:
    return float(sums(tables.scores).loc[(key, 1, "all", control), name])


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


def test_the_information_of_a_key_stays_below_the_entropy_of_its_cells(shared):
    """Motifs of 24 phases: a key tells nearly ln 24 = 3.18 nats of them, and never more than ln K.

    A likelihood ratio to one pooled Gaussian, which stood here before, read 18.5 nats.
    """
    for num_cells in (16, 256):
        tables = scored("pca", pca_keys("raw", num_cells=num_cells), shared)
        rows: Any = tables.scores.query("part == 'eval' and control == 'none'")
        rows = rows[rows["subspace"] == "all"]
        nats = rows["information_nats"].sum() / rows["num_informed"].sum()
        entropy = tables.keys.query("control == 'none'")["key_entropy_nats"].iloc[0]
        assert 1.5 < nats < entropy < np.log(num_cells)


def test_white_noise_scores_its_mean_reversion_and_nothing_beyond_lag_one():
    """iid, D = 16, pca256: 0.986 at lag 1, which frame-shuffled data scores too; 1 + K/N later."""
    tables = scored("pca", pca_keys("raw"), material(white_noise(16), lags_frames=(1, 2)))
    assert ratio(tables, "pca.raw.kmeans_256") == pytest.approx(0.986, abs=NULL)
    later = sums(tables.scores).loc[("pca.raw.kmeans_256", 2, "all", "none"), "ratio"]
    excess = sums(tables.scores).loc[("pca.raw.kmeans_256", 2, "all", "none"), "excess"]
    assert later == pytest.approx(1 + excess, abs=NULL)
    again = scored("pca", pca_keys("raw"), material(white_noise(16), seed=1))
    explained = 1 - ratio(tables, "pca.raw.kmeans_256")
    shuffled = 1 - ratio(again, "pca.raw.kmeans_256")  # shuffled white noise is white noise
    assert explained - shuffled == pytest.approx(0, abs=NULL)


def test_a_random_walk_has_no_structure_and_train_means_never_flatter():
    """Train means on eval score 1 + K/N, and 1 once that cost is taken off."""
    tables = scored("pca", pca_keys("raw"), material(random_walk(16)))
    assert ratio(tables, "pca.raw.kmeans_256") == pytest.approx(1.0036, abs=NULL)
    assert number(tables, "corrected") == pytest.approx(1, abs=NULL)


def test_personal_motifs_do_not_transfer():
    """Train means on eval score 1.5; means of the scored frames would call it structure."""
    layout = Layout(num_train=10, num_eval=10, num_utterances=100)
    pooled = scored("mean_pool", MEAN_64, material(personal_motifs(20), layout))
    assert ratio(pooled, "mean_pool.raw.kmeans_64", "val") < 0.45
    assert ratio(pooled, "mean_pool.raw.kmeans_64") == pytest.approx(1.54, abs=0.12)


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


@pytest.mark.parametrize("control", ["permuted", "swapped"])
def test_controls_are_one_plus_their_degrees_of_freedom(shared, control):
    """Torn labels score 1 + sum_c mass_c / n_c with train means, and 1 without that cost.

    Permuted: delta is correlated over two frames and K = 256 means add SD sqrt(2 K / D) / N_train,
    below 2e-4 in all (D = 32, N = 26 000 eval frames). Tolerance: five times that. Swapped: labels
    of another utterance run through the same 24 phases, so that frames of a cell are alike within
    an utterance. Nine seeds gave 0.0002 with SD 6.6e-4. Tolerance: four SD, less than the cost
    (0.003) that would be missed without the correction.
    """
    tables = scored("pca", pca_keys("raw"), shared)
    tolerance = {"permuted": 1e-3, "swapped": 2.6e-3}[control]
    assert number(tables, "corrected", control) == pytest.approx(1, abs=tolerance)
    excess = number(tables, "excess", control)
    assert tolerance < excess < 0.006
    uncorrected = number(tables, "corrected", control) * (1 + excess)
    assert uncorrected > 1 + tolerance  # the correction is what makes it pass


def test_scoring_with_eval_means_would_be_caught(monkeypatch):
    """Sabotage: cell means from the scored part. The permuted control then drops below 1."""
    world = material(random_walk(16))

    def flattered() -> float:
        tables = scored("pca", pca_keys("raw"), world)
        return number(tables, "corrected", "permuted")

    assert flattered() == pytest.approx(1, abs=1e-3)
    monkeypatch.setattr("engram_audio.structure.scoring.is_fitted", lambda part: part == EVAL)
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
