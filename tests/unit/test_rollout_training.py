"""Methods: losses by hand, what training reaches, stored and resumed bit for bit, guards stored."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from engram_audio.densities.base import Batch
from engram_audio.rollout.direct import HorizonMoments
from engram_audio.rollout.energy import EnergyTask
from engram_audio.rollout.fit import build_model, fit_guard, method_task, train_method
from engram_audio.rollout.forecasters import Forecaster
from engram_audio.rollout.forecasts import marginals_of
from engram_audio.rollout.frame import frame_of, linear_density
from engram_audio.rollout.guard import Nearest
from engram_audio.rollout.leveled import LeveledDensity
from engram_audio.rollout.method_config import EnergyMethod, OneStepMethod
from engram_audio.rollout.simulate import as_steps
from engram_audio.rollout.storage import load_weights, pack_method, unpack_guard
from engram_audio.training.loop import Callbacks, Interrupted, TrainingState, train
from engram_audio.training.packing import pack_state, unpack_state
from tests.unit.memory_material import key_of
from tests.unit.rollout_material import (
    CPU,
    TRAINED,
    eval_starts,
    method,
    small_head,
    small_recipe,
)


def base_for(name: str, head: nn.Module) -> nn.Module | None:
    return None if name in ("belief", "direct") else copy.deepcopy(head)


def state_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("name", TRAINED)
def test_training_lowers_the_loss_on_val(name, world, head):
    """Each loss falls, and the weights kept are the best; direct heads start at the best there is.

    (An AR(1) is forecast by their linear skips alone.)
    """
    task = method_task(method(name), small_recipe(), world.material, base_for(name, head), 0, CPU)
    state = train(task, small_recipe(num_steps=60, validation_interval_steps=15), 0, CPU)
    first = state.history[0]["held_out_score"]
    assert state.best_score < first or (name == "direct" and state.best_score == first)
    task.model.eval()
    with torch.no_grad():
        assert task.validate() == pytest.approx(state.best_score, abs=1e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_a_killed_training_resumes_with_the_same_bits(name, world, head):
    """Stopped after step 9 of 20, saved, read back: every weight as without the interruption."""
    whole, _ = train_method(
        method(name), small_recipe(), world.material, base_for(name, head), 3, CPU, None,
        Callbacks(),
    )  # fmt: skip
    saved: list[TrainingState] = []
    steps: list[int] = []

    def stop() -> bool:
        steps.append(1)
        return len(steps) == 9

    with pytest.raises(Interrupted):
        train_method(
            method(name), small_recipe(), world.material, base_for(name, head), 3, CPU, None,
            Callbacks(save=lambda state: saved.append(copy.deepcopy(state)), should_stop=stop),
        )  # fmt: skip
    restored = unpack_state(*pack_state(saved[-1]))
    assert restored.step == 9
    resumed, _ = train_method(
        method(name), small_recipe(), world.material, base_for(name, head), 3, CPU, restored,
        Callbacks(),
    )  # fmt: skip
    for label, values in state_of(whole).items():
        assert torch.equal(values, resumed.state_dict()[label]), label


@pytest.mark.parametrize("name", ["one_step", *TRAINED])
def test_a_stored_method_says_the_same(name, world, head):
    """Weights packed and put into a fresh structure give the same forecasts and densities."""
    settings, material = method(name), world.material
    if name == "one_step":
        model = build_model(settings, frame_of(material), copy.deepcopy(head), 0)
    else:
        model, _ = train_method(
            settings, small_recipe(), material, base_for(name, head), 0, CPU, None, Callbacks()
        )
    arrays = {key: np.array(value) for key, value in pack_method(model.eval(), None).items()}
    fresh = build_model(settings, frame_of(material), base_for(name, small_head(world, 5)), 9)
    read = load_weights(fresh, arrays)
    starts = eval_starts(world)
    with torch.no_grad():
        if isinstance(model, Forecaster):
            assert isinstance(read, Forecaster)
            one = model.forecast(starts.history, starts.speaker_mean, 8)
            other = read.forecast(starts.history, starts.speaker_mean, 8)
            assert torch.equal(one.position.mean, other.position.mean)
            assert torch.equal(one.delta.sd, other.delta.sd)
        else:
            newest = starts.history[:, -1]
            batch = Batch(starts.history, newest, starts.future[:, 0], starts.speaker_mean)
            assert torch.equal(as_steps(model).log_prob(batch), as_steps(read).log_prob(batch))


GUARDS = {
    "nearest": {"kind": "nearest", "num_frames": 64, "num_neighbours": 2, "quantile": 0.95,
                "num_attempts": 2},
    "codebook": {"kind": "codebook", "key": "last_frame.raw.kmeans_16", "shrinkage": 0.5,
                 "quantile": 0.95, "num_attempts": 2},
    "contrast": {"kind": "contrast", "num_frames": 200, "width": 8, "num_steps": 100,
                 "num_rounds": 2, "horizon_frames": 4, "num_attempts": 2},
    "corrector": {"kind": "corrector", "width": 8, "num_steps": 20, "maximum_level": 0.5,
                  "num_passes": 2, "quantile": 0.95, "num_attempts": 2},
}  # fmt: skip


@pytest.mark.parametrize("kind", list(GUARDS))
def test_a_stored_guard_keeps_the_same_frames(kind, world, head):
    settings = method("one_step", guard=GUARDS[kind])
    assert isinstance(settings, OneStepMethod) and settings.guard is not None
    key = key_of(world.material) if kind == "codebook" else None
    guard = fit_guard(settings.guard, head, world.material, 0, CPU, key)
    arrays = {key: np.array(value) for key, value in pack_method(head, guard).items()}
    read = unpack_guard(settings, arrays)
    assert read is not None
    states = eval_starts(world).future.flatten(0, 1) * 4.0
    kept = [one.keeps(states, torch.Generator().manual_seed(1)) for one in (guard, read)]
    assert torch.equal(*kept)
    assert 0 < int(kept[0].sum()) < len(states)
    assert torch.equal(guard.project(states), read.project(states))


def test_guards_are_learned_from_train_frames_only(world, head):
    """Eval frames of another world change no guard: they are not even in the material's block."""
    parts = {world.part_of[str(name)] for name in world.material.block.utterance_ids}
    assert "eval" not in parts
    changed = dict(world.part_of)
    moved = [name for name, part in changed.items() if part == "train"][:20]
    smaller = world.material._replace(part_of={**changed, **dict.fromkeys(moved, "val")})
    settings = method("one_step", guard=GUARDS["nearest"])
    assert isinstance(settings, OneStepMethod) and settings.guard is not None
    one, other = (fit_guard(settings.guard, head, m, 0, CPU) for m in (world.material, smaller))
    assert isinstance(one, Nearest) and isinstance(other, Nearest)
    assert not torch.equal(one.kept, other.kept)


def test_one_call_scores_and_predicts(world, head):
    """The shared pass equals the two calls that it replaces."""
    starts = eval_starts(world)
    newest = starts.history[:, -1]
    batch = Batch(starts.history, newest, starts.future[:, 0], starts.speaker_mean)
    with torch.no_grad():
        score, mean = head.log_prob_and_mean(batch)
        assert torch.allclose(score, head.log_prob(batch), atol=1e-5)
        assert torch.allclose(mean, head.mean(batch), atol=1e-5)


def test_k_step_loss_at_k_1_is_the_one_step_loss(world, head):
    """With true contexts only (all steps taught) the K-step NLL is the mean one-step NLL."""
    settings = method("k_step", teacher_weight=0.0, state_weight=0.0, scheduled_fraction=1.0)
    task = method_task(settings, small_recipe(), world.material, copy.deepcopy(head), 0, CPU)
    task.model.eval()
    frames, means = task._train.batch(torch.arange(32), CPU)
    with torch.no_grad():
        loss = float(task.path_loss(frames, means))
        expected = []
        for step in range(4):
            t = 4 + step
            batch = Batch(frames[:, t - 4 : t], frames[:, t - 1], frames[:, t], means)
            expected.append(-float(head.log_prob(batch).mean()))
    assert loss == pytest.approx(np.mean(expected), abs=1e-4)


def test_the_energy_loss_is_the_fair_score_at_fairness_1(world, head):
    """By hand from all pairs of paths; less fairness takes a share of the spread off."""
    settings = method("energy", fairness=1.0, teacher_weight=0.0)
    task = method_task(settings, small_recipe(), world.material, copy.deepcopy(head), 0, CPU)
    assert isinstance(task, EnergyTask)
    task.model.eval()
    frames, means = task._train.batch(torch.arange(16), CPU)
    with torch.no_grad():
        torch.manual_seed(0)
        loss = float(task.path_loss(frames, means))
        torch.manual_seed(0)
        paths, _ = task._sampled_paths(frames[:, :4], means, 3)
        found = task._described(paths, frames[:, 3]).view(4, 16, -1)
        truth = task._described(frames[:, 4:], frames[:, 3])
        unit = truth.shape[1] ** 0.5
        error = (found - truth).norm(dim=-1).mean() / unit
        pairs = [(found[i] - found[j]).norm(dim=-1).mean() for i in range(4) for j in range(i)]
        spread = torch.stack(pairs).mean() / unit
    assert loss == pytest.approx(float(error - 0.5 * spread), abs=1e-5)


def test_the_energy_loss_prefers_the_right_spread(world):
    """Of densities with half, the whole and twice the SD the exact one has the lowest score."""
    scores = {}
    data = method_task(method("belief"), small_recipe(), world.material, None, 0, CPU)._train
    for factor in (0.5, 1.0, 2.0):
        base = linear_density(world.material.linear_nulls)
        base.base.scale.mul_(factor)
        settings = method("energy", fairness=1.0, teacher_weight=0.0)
        assert isinstance(settings, EnergyMethod)
        task = EnergyTask(
            settings, base, 4, (data, data), world.material.reference.input_scales, 3, CPU,
        )  # fmt: skip
        with torch.no_grad():
            scores[factor] = task.validate()
    assert min(scores, key=scores.__getitem__) == 1.0


def test_a_leveled_density_starts_as_its_inner_one(world, head):
    """Before training, the level changes nothing."""
    inner = copy.deepcopy(head)
    model = LeveledDensity(inner, world.material.reference.input_scales, 4, 8, 0.0)
    starts = eval_starts(world)
    newest = starts.history[:, -1]
    batch = Batch(starts.history, newest, starts.future[:, 0], starts.speaker_mean)
    with torch.no_grad():
        for level in (0.0, 0.5):
            at = model.log_prob_at(batch, torch.full((len(newest), 1), level))
            assert torch.equal(at, head.log_prob(batch))
        assert torch.equal(model.mean(batch), head.mean(batch))


def test_linear_forecasts_are_those_of_least_squares(world):
    """Direct heads start at the exact AR(1) forecast: weight a^h on x, residual variance 1-a^2h."""
    data = method_task(method("direct"), small_recipe(), world.material, None, 0, CPU)._train
    frames, _ = data.batch(torch.arange(len(data)), CPU)
    moments = HorizonMoments((1, 4), 1, 3)
    for part in frames.numpy()[:1000], frames.numpy()[1000:]:
        moments.add(part, 4)
    found = moments.solve(0.0)
    design = np.concatenate([np.ones((len(frames), 1)), frames[:, 3].numpy()], 1).astype(float)
    for number, horizon in enumerate((1, 4)):
        target = frames[:, 3 + horizon].numpy().astype(float)
        weight, residual, *_ = np.linalg.lstsq(design, target, rcond=None)
        assert np.allclose(found.weight[number][:, 3:], weight, atol=1e-6)
        expected = 0.5 * np.log(residual / len(frames))
        assert np.allclose(found.log_sd[number][3:], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["belief", "direct"])
def test_forecasters_find_a_first_order_process(name, world):
    """Position at horizon 2 of AR(1), a = .7: at least 90 % of -1/2 ln(1 - a^4) nats per dim."""
    model, _ = train_method(
        method(name), small_recipe(num_steps=200), world.material, None, 0, CPU, None, Callbacks()
    )
    assert isinstance(model, Forecaster)
    starts = eval_starts(world, count=1500)
    with torch.no_grad():
        forecast = model.eval().forecast(starts.history, starts.speaker_mean, 4)
    reference = world.material.reference
    marginals = marginals_of(
        reference.frame_mean, reference.frame_sd, reference.delta_sd, CPU
    ).log_prob(starts)
    gain = forecast.log_prob(starts)["position"][:, 1] - marginals["position"][:, 1]
    exact = -0.5 * np.log(1 - 0.7**4) * 3
    assert float(gain.mean()) > 0.85 * exact
    assert float(gain.mean()) < 1.2 * exact


def test_forecasters_see_the_history_only_and_beliefs_run_on(world):
    """A longer belief says the same about the first steps; direct heads stop at their last."""
    starts = eval_starts(world)
    for name, horizons in (("belief", tuple(range(1, 9))), ("direct", (1, 2, 3, 4, 8))):
        task = method_task(method(name), small_recipe(), world.material, None, 0, CPU)
        model = task.model.eval()
        assert isinstance(model, Forecaster)
        with torch.no_grad():
            long = model.forecast(starts.history, starts.speaker_mean, 8)
            short = model.forecast(starts.history, starts.speaker_mean, 4)
        assert long.horizons == horizons
        count = len(short.horizons)
        assert torch.allclose(long.position.mean[:, :count], short.position.mean, atol=1e-6)


def test_what_cannot_be_trained_is_refused_in_words(world, head):
    linear = linear_density(world.material.linear_nulls)
    with pytest.raises(ValueError, match="name a prediction head"):
        method_task(method("k_step"), small_recipe(), world.material, linear, 0, CPU)
    with pytest.raises(ValueError, match="needs a prediction head"):
        method_task(method("noise"), small_recipe(), world.material, linear, 0, CPU)
    with pytest.raises(ValueError, match="no utterance of 4 \\+ 500 frames"):
        settings = method("belief", horizon_frames=500)
        method_task(settings, small_recipe(), world.material, None, 0, CPU)
