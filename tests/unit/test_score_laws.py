"""What single scores must be, whatever a model is: InfoNCE of no context, ranks of densities."""

import numpy as np
import pytest

from engram_audio.densities.predictor import View
from engram_audio.prediction.evaluation import EventTask, evaluate_part
from engram_audio.prediction.scores import pit_ranks
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
