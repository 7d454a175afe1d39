"""What single scores must be, whatever a model is: InfoNCE of no context, ranks of densities."""

import math

import numpy as np
import pandas as pd
import pytest

from engram_audio.densities.predictor import View
from engram_audio.prediction.evaluation import EventTask, evaluate_part
from engram_audio.prediction.scores import pit_ranks
from engram_audio.prediction.tables import Inputs, Settings, prediction_table
from tests.unit.prediction_material import LAGS, WINDOW, make_world, white_noise
from tests.unit.test_prediction_evaluation import evaluation


class NoContext:
    """A law that looks at nothing: every target and candidate has its own density, and no more."""

    is_mean_sampled = False

    def log_density(self, view: View) -> np.ndarray:
        return self.of(view.values())

    def mean(self, view: View) -> np.ndarray:
        return np.zeros_like(view.values())

    def sample(self, view: View, num_samples: int, generator: np.random.Generator) -> np.ndarray:
        return generator.standard_normal((num_samples, *view.values().shape))

    def log_density_of(self, view: View, values: np.ndarray) -> np.ndarray:
        return self.of(values)

    def of(self, values: np.ndarray) -> np.ndarray:
        return -0.5 * (values.astype(float) ** 2).sum(-1)


def test_a_law_without_context_tells_nothing_of_which_candidate_is_true():
    """Against its own marginal every ratio is 1: InfoNCE is 0 bits on each speaker, exactly.

    Without the marginal likely candidates beat the true one and the bits are below 0.
    """
    world, law = make_world(white_noise(3), 2, 2, 2), NoContext()
    found = evaluate_part(
        law, lambda: iter([world.eval]), world.part_of, "eval",
        EventTask("delta", 1, WINDOW, max(LAGS)), world.material.reference,
        evaluation(num_samples=4), marginal=law, num_targets=100,
    ).sums  # fmt: skip
    whole = found.loc[found["slice"] == "all"]
    assert whole["num_info_nce_utterance"].sum() > 0
    for kind in ("utterance", "speaker"):
        assert whole[f"info_nce_bits_{kind}"].to_numpy() == pytest.approx(0, abs=1e-9)


def test_a_density_ranks_above_the_samples_that_are_less_likely():
    """The mode ranks S of S and a stray value 0: the rank is the coverage of a region."""
    samples = np.zeros((4, 2, 1))
    sample_density = np.array([[-1.0, -2.0, -3.0, -4.0]] * 2)
    values, density = np.array([[0.5], [-0.5]]), np.array([0.0, -9.0])
    per_dimension, by_density = pit_ranks(values, samples, density, sample_density)
    assert by_density.tolist() == [4, 0]
    assert per_dimension.tolist() == [[4], [0]]


def test_bits_per_second_are_nats_times_frames_over_ln_two():
    """12.5 frames a second and a gain of 1 nat a frame: 18.03 bits a second, interval and all."""
    nulls = {"gaussian_marginal_delta": 4.0, "gaussian_marginal_position": 4.5, "ridge": 3.0}
    scores = pd.DataFrame([
        {"model": model, "lag_frames": 0 if "marginal" in model else 1, "event": "delta",
         "part": part, "slice": "all", "speaker_id": speaker, "num_frames": 10.0,
         "nll": 10 * nll + number, "num_sampled": 0.0, "sse_all": 1.0, "sst_all": 2.0}
        for model, nll in {**nulls, "head": 2.0}.items()
        for part in ("select", "eval")
        for number, speaker in enumerate("abc")
    ])  # fmt: skip
    frames = pd.DataFrame({name: [] for name in ("model", "lag_frames", "event", "part")})
    inputs = Inputs("latents", 0, 12.5, 2, ["head"], scores, frames, pd.DataFrame())
    settings = Settings((1,), ("delta",), ("all",), 0.95, 0.01, (0.05, 0.95))
    table = prediction_table([inputs], settings)
    row = table.loc[(table["model"] == "head") & (table["part"] == "eval")].iloc[0]
    assert row["best_null"] == "ridge"
    for end in ("", "_low", "_high"):
        nats = float(row[f"gain_nats{end}"])
        assert float(row[f"gain_bits_per_s{end}"]) == pytest.approx(nats * 12.5 / math.log(2))
    assert float(row["gain_nats"]) == pytest.approx(1.0)
    assert float(row["gain_bits_per_s"]) == pytest.approx(18.0337, abs=1e-3)
