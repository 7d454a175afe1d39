"""bfloat16 autocast, as on CUDA: every model trains, and its linear algebra stays in float32."""

from typing import Any

import pytest
import torch

from engram_audio.densities.fit import head_task
from engram_audio.factorizer.config import FactorizerSection
from engram_audio.factorizer.whitening import Whitening
from engram_audio.memory.joint import train_memory
from engram_audio.numerics.precision import full_precision
from engram_audio.rollout.fit import method_task
from engram_audio.training.loop import Callbacks, Task, train
from tests.unit.factorizer_material import CPU, DOCUMENT, recipe, settings, small_task
from tests.unit.memory_material import engram, key_of
from tests.unit.prediction_material import World, first_order, head_settings, make_world
from tests.unit.rollout_material import TRAINED, method, small_recipe

TRANSFORMER = {**DOCUMENT["encoder"], "kind": "transformer"}
ROLLOUT: dict[str, Any] = {
    "loss__rollout_weight": 0.1, "loss__rollout_horizon_frames": 2,
    "loss__prior_sampled_fraction": 0.3, "loss__kl__posterior_weight": 0.5,
    "loss__utility_weight": 0.1, "loss__utility_horizons_frames": [1],
}  # fmt: skip
VARIANTS: dict[str, FactorizerSection] = {
    "charged": settings(),
    "strictly_past": settings(state__rate="strictly_past", state__is_whitened=False),
    "free": settings(state__rate="free", innovation__prior="marginal", **ROLLOUT),
    "mixtures": settings(
        innovation__prior="mixture", dynamics__density="mixture", dynamics__num_components=2,
        loss__kl__mode="free_bits", loss__kl__num_groups=3, **ROLLOUT,
    ),
    "flow": settings(innovation__prior="flow", state__linear_context_frames=0),
    "student_t": settings(
        innovation__prior="deterministic", dynamics__density="student_t", state__rate="free",
        decoder__kind="plain",
    ),
    "learned": settings(state__stride_frames=4, state__upsampler="learned", **ROLLOUT),
    "transformer": settings(
        encoder=TRANSFORMER, dynamics__network=TRANSFORMER, state__stride_frames=2,
        state__upsampler="cross_attention", **ROLLOUT,
    ),
}  # fmt: skip
HEADS = {
    "gaussian_mixture": {}, "student_t_mixture": {}, "low_rank_mixture": {},
    "direction_magnitude": {"is_linear_skip": False, "whitening": "diagonal"}, "flow": {},
}  # fmt: skip


@pytest.fixture
def autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training steps under bfloat16 autocast, which the loop asks for on CUDA only."""
    monkeypatch.setattr(
        "engram_audio.training.loop.autocast", lambda *_: torch.autocast("cpu", torch.bfloat16)
    )


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(first_order(0.7, 3), 4, 2, 4)


def trains(task: Task) -> None:
    """A few steps with finite losses; the weights stay in float32."""
    few = recipe(num_steps=3, batch_frames=64, validation_interval_steps=3)
    state = train(task, few, 0, CPU)
    assert all(torch.isfinite(values.float()).all() for values in state.weights.values())
    assert all(parameter.dtype == torch.float32 for parameter in task.model.parameters())


@pytest.mark.usefixtures("autocast")
@pytest.mark.parametrize("name", VARIANTS)
def test_every_factoriser_trains_in_bfloat16(name: str):
    trains(small_task(VARIANTS[name]))


@pytest.mark.usefixtures("autocast")
@pytest.mark.parametrize("kind", HEADS)
def test_every_head_trains_in_bfloat16(kind: str, world: World):
    task, _ = head_task(
        head_settings(kind, **HEADS[kind]), world.material, 1, "position", 0, 256, CPU
    )
    trains(task)


@pytest.mark.usefixtures("autocast")
@pytest.mark.parametrize("name", TRAINED)
def test_every_rollout_method_trains_in_bfloat16(name: str, world: World):
    head, _ = head_task(head_settings(num_components=2), world.material, 1, "delta", 0, 256, CPU)
    task = method_task(method(name), small_recipe(), world.material, head.model, 0, CPU)
    trains(task)


@pytest.mark.usefixtures("autocast")
@pytest.mark.parametrize("gate", ["paper", "signed_sqrt"])
def test_an_engram_memory_trains_in_bfloat16(gate: str, world: World):
    few = recipe(num_steps=3, batch_frames=64, validation_interval_steps=3)
    found = train_memory(
        engram(gate=gate), key_of(world.material), head_settings(), few, world.material, 1,
        "position", 0, CPU, None, Callbacks(),
    )  # fmt: skip
    assert all(torch.isfinite(values.float()).all() for values in found.state.weights.values())


@pytest.mark.parametrize("kind", HEADS)
def test_only_the_trunk_is_rounded(kind: str, world: World):
    """Under autocast a law is that of its rounded parameters, to the digits of float32."""
    task, _ = head_task(
        head_settings(kind, **HEADS[kind]), world.material, 1, "position", 0, 256, CPU
    )
    model, batch = task.model.eval(), task.train_data.batch(torch.arange(64), CPU)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model.parameters_of(batch)
            found, mean = model.log_prob(batch), model.mean(batch)
        value = model.base.value(batch, model.target)
        z = model.base.whiten(value - model.base.predict(batch))
        expected = model.head.log_prob(rounded.float(), z) + model.base.log_det
    assert found.dtype == mean.dtype == torch.float32
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-4)


def test_units_of_a_state_are_the_same_under_autocast():
    """Mean, covariance, its root and what is whitened, bit for bit."""
    generator = torch.Generator().manual_seed(0)
    raw, variances = torch.randn((50, 3), generator=generator), torch.full((50, 3), 0.1)
    found = []
    for is_half in (False, True):
        whitening = Whitening(3, True).train()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            units = whitening(raw, variances)
            found.append((*units, units.apply(raw), units.variances(variances),
                          whitening.covariance))  # fmt: skip
    assert all(torch.equal(plain, half) for plain, half in zip(*found, strict=True))


def test_full_precision_widens_what_comes_in_and_changes_nothing_outside():
    product = full_precision(lambda left, right: left @ right)
    left = torch.randn((4, 300), generator=torch.Generator().manual_seed(0))
    assert torch.equal(product(left, left.T), left @ left.T)
    with torch.autocast("cpu", torch.bfloat16):
        assert (left @ left.T).dtype == torch.bfloat16
        assert torch.equal(product(left, left.T), product(left, left.mT))
        found = product(left.bfloat16(), left.T)
    assert found.dtype == torch.float32
    assert torch.equal(found, left.bfloat16().float() @ left.T)
