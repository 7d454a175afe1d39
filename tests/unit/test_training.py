"""The training loop: order, schedule, early stopping, and resuming bit for bit."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engram_audio.artifacts.bundle import read_bundle, write_bundle
from engram_audio.densities import marginal_em
from engram_audio.numerics.seeds import step_seed
from engram_audio.training.loop import (
    Callbacks,
    Interrupted,
    TrainingState,
    build_optimizers,
    train,
)
from engram_audio.training.order import ShuffledOrder
from engram_audio.training.packing import pack_state, unpack_state
from engram_audio.training.schedule import learning_rate
from tests.unit.prediction_material import recipe

CPU = torch.device("cpu")


class Regression:
    """A small regression with dropout: random numbers in every step."""

    frames_per_item = 1

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 8), nn.GELU(), nn.Dropout(0.3), nn.Linear(8, 1))
        self.x = torch.randn(200, 3)
        self.y = self.x.sum(1, keepdim=True) + 0.1 * torch.randn(200, 1)
        self.details: dict[str, float] = {}

    @property
    def num_items(self) -> int:
        return 150

    def loss(self, items: Tensor) -> Tensor:
        return (self.model(self.x[items]) - self.y[items]).square().mean()

    def validate(self) -> float:
        return float((self.model(self.x[150:]) - self.y[150:]).square().mean())


def run(settings, state=None, callbacks=None) -> TrainingState:
    return train(Regression(), settings, 3, CPU, state, callbacks)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("stop_after", [1, 6, 7, 8, 10, 33, 59])
def test_stopped_run_resumes_to_the_same_bits(stop_after: int, tmp_path):
    """Interrupt anywhere, go through the file, go on: weights, moments and history are equal."""
    whole = run(recipe())
    steps = itertools.count(1)
    saved: list[TrainingState] = []
    callbacks = Callbacks(save=saved.append, should_stop=lambda: next(steps) == stop_after)
    with pytest.raises(Interrupted):
        run(recipe(), callbacks=callbacks)
    arrays, header = pack_state(saved[-1])
    write_bundle(tmp_path / "state.safetensors", arrays, header)
    resumed = run(recipe(), unpack_state(*read_bundle(tmp_path / "state.safetensors")))
    assert same(whole.weights, resumed.weights)
    assert same(whole.moments, resumed.moments)
    assert whole.history == resumed.history


def test_killed_run_repeats_from_its_last_checkpoint():
    """Losing the steps after a checkpoint changes nothing."""
    whole = run(recipe())
    saved: list[TrainingState] = []

    def keep(state: TrainingState) -> None:
        saved.append(unpack_state(*pack_state(state)))

    run(recipe(), callbacks=Callbacks(save=keep))
    assert len(saved) == 60 // 7
    for state in saved:
        assert same(whole.weights, run(recipe(), state).weights)


def test_early_stopping_keeps_the_best_weights():
    """With a harmful learning rate training stops after `patience` scores and returns the best."""
    task = Regression()
    settings = recipe(learning_rate=5.0, patience_validations=2, num_steps=500)
    state = train(task, settings, 0, CPU)
    assert state.step < 500
    assert state.best_score == min(record["held_out_score"] for record in state.history)
    task.model.eval()
    with torch.no_grad():
        assert task.validate() == state.best_score


def test_loss_that_is_not_finite_is_an_error():
    """A NaN is reported with its step, not trained on."""
    task = Regression()
    task.y[:] = float("nan")
    with pytest.raises(FloatingPointError, match="step 10"):
        train(task, recipe(), 0, CPU)


class Scored(Regression):
    """The same regression; its scores are given, one for each validation."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self._scores = iter(scores)
        self.weights: list[Tensor] = []

    def validate(self) -> float:
        self.weights.append(self.model.state_dict()["0.weight"].clone())
        return next(self._scores)


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    "scores",
    [
        [NAN, 3.0, 2.0, 5.0], [INF, 3.0, 2.0, 5.0], [-INF, 3.0, 2.0, 5.0], [NAN, NAN, INF, 1e300],
        [4.0, NAN, -INF, 2.0], [4.0, 3.0, NAN, NAN], [1.0, 3.0, NAN, 2.0], [NAN, -5.0, NAN, -4.0],
        [-INF, INF, NAN, 7.0], [0.0, -0.0, NAN, 1.0],
    ],
)  # fmt: skip
def test_best_score_is_the_least_finite_one(scores: list[float]):
    """Wherever NaN or infinity stands, the kept weights are those of the least finite score."""
    task = Scored(scores)
    state = train(task, recipe(num_steps=30, validation_interval_steps=10), 0, CPU)
    finite = [(score, number) for number, score in enumerate(scores) if math.isfinite(score)]
    score, number = min(finite)
    assert (state.best_score, state.best_step) == (score, 10 * number)
    assert torch.equal(task.model.state_dict()["0.weight"], task.weights[number])
    assert state.num_since_best == 3 - number


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("first", [NAN, INF, 1.0])
def test_training_without_a_finite_score_has_diverged(first: float, bad: float):
    """A finite score of the weights before the first step is no score of a trained model."""
    ended: list[TrainingState] = []
    with pytest.raises(FloatingPointError, match=r"no held-out score is finite.* step 30"):
        train(
            Scored([first, bad, bad, bad]), recipe(num_steps=30, validation_interval_steps=10), 0,
            CPU, callbacks=Callbacks(finish=ended.append),
        )  # fmt: skip
    assert not ended


def test_patience_counts_scores_that_are_not_finite():
    """A training that only gives NaN ends after `patience` scores, with the error."""
    settings = recipe(num_steps=500, patience_validations=2)
    with pytest.raises(FloatingPointError, match=r"to step 20$"):
        train(Scored([1.0] + 50 * [NAN]), settings, 0, CPU)


class Clipped(Regression):
    """The regression with a score that is NaN until it is good."""

    def validate(self) -> float:
        score = super().validate()
        return score if score < 2.3 else NAN


@pytest.mark.parametrize("stop_after", [1, 9, 10, 25])
def test_resuming_keeps_bits_beside_scores_that_are_not_finite(stop_after: int, tmp_path):
    """The checkpoint holds NaN scores and an infinite best one: the run goes on as if whole."""
    whole = train(Clipped(), recipe(), 3, CPU)
    assert math.isnan(whole.history[0]["held_out_score"])
    assert same(whole.weights, run(recipe()).weights)
    steps, saved = itertools.count(1), []
    callbacks = Callbacks(save=saved.append, should_stop=lambda: next(steps) == stop_after)
    with pytest.raises(Interrupted):
        train(Clipped(), recipe(), 3, CPU, callbacks=callbacks)
    write_bundle(tmp_path / "state.safetensors", *pack_state(saved[-1]))
    state = unpack_state(*read_bundle(tmp_path / "state.safetensors"))
    resumed = train(Clipped(), recipe(), 3, CPU, state)
    assert same(whole.weights, resumed.weights) and same(whole.moments, resumed.moments)
    assert json.dumps(whole.history, sort_keys=True) == json.dumps(resumed.history, sort_keys=True)


def test_finish_is_told_the_state_that_is_returned():
    """Once, at the end; going on from it trains nothing and returns the same."""
    ended: list[TrainingState] = []
    state = run(recipe(), callbacks=Callbacks(finish=ended.append))
    assert ended == [state]
    again = run(recipe(), unpack_state(*pack_state(state)))
    assert same(again.weights, state.weights) and again.step == state.step


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_mixture_whose_score_is_not_finite_is_never_the_best(
    bad: float, monkeypatch: pytest.MonkeyPatch
):
    """EM stops on val as training does: its start has no finite score, its second step is best."""
    frames = np.random.default_rng(0).standard_normal((60, 2))
    seen: list[tuple[float, object]] = []
    scores = itertools.chain([bad, 3.0, 1.0, 2.0, bad], itertools.repeat(2.0))

    def score(val: np.ndarray, mixture: object) -> float:
        seen.append((next(scores), mixture))
        return seen[-1][0]

    monkeypatch.setattr(marginal_em, "mean_nll", score)
    generator = np.random.default_rng(1)
    best, found = marginal_em.fit_mixture(frames, frames, 2, np.full(2, 0.1), False, generator)
    assert found == 1.0 and best is seen[2][1]


@pytest.mark.parametrize("decay", [0.5, 0.95])
def test_the_recipe_says_how_squared_gradients_decay(decay: float):
    """After one step the mean of squared gradients is (1 - decay) g^2."""
    model = nn.Linear(2, 1, bias=False)
    optimizers = build_optimizers(model, recipe(second_moment_decay=decay), CPU)
    model.weight.grad = torch.tensor([[2.0, 3.0]])
    optimizers.step(1e-3)
    (moments,) = optimizers.states[0].values()
    expected = (1 - decay) * torch.tensor([[4.0, 9.0]])
    assert torch.allclose(moments["exp_avg_sq"], expected, rtol=1e-6)


def test_order_is_a_permutation_per_epoch():
    """Every item once per epoch, another order each epoch, the same order for the same seed."""
    order, again = ShuffledOrder(100, 10, 5), ShuffledOrder(100, 10, 5)
    epochs = [torch.cat([order.batch(10 * e + s) for s in range(10)]) for e in range(2)]
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(100))
    assert not torch.equal(*epochs)
    assert torch.equal(again.batch(13), epochs[1][30:40])
    assert len({step_seed(s, n, k) for s, n, k in itertools.product(range(5), repeat=3)}) == 125


def test_schedule_warms_up_and_anneals():
    """Linear to the peak, cosine to the final share; constant stays."""
    settings = recipe(num_steps=100, warmup_steps=10, final_learning_rate_fraction=0.1)
    rates = [learning_rate(settings, step) for step in range(101)]
    assert rates[0] == pytest.approx(settings.learning_rate / 10)
    assert max(rates) == rates[9] == rates[10] == settings.learning_rate
    assert rates[100] == pytest.approx(0.1 * settings.learning_rate)
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[10:]))
    assert learning_rate(recipe(schedule="constant"), 50) == recipe().learning_rate
