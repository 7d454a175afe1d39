"""A memory that takes the steps of a run: how it is read, refitted, and named."""

from typing import cast

import numpy as np
import pytest
import torch

from engram_audio.densities.fit import train_head
from engram_audio.memory.density import MemoryDensity
from engram_audio.memory.fit import fit_lookup, mean_nll
from engram_audio.memory.folds import linear_candidates
from engram_audio.memory.reading import Memory, memory_of
from engram_audio.rollout.measures import READS
from engram_audio.rollout.method_config import KStepMethod, memory_base
from engram_audio.rollout.paths import collect_starts
from engram_audio.rollout.reads import read_dynamics
from engram_audio.rollout.refit import fit_on_tuned, tune_fold
from engram_audio.rollout.simulate import Limits, Settings, as_steps, free_run
from engram_audio.training.loop import Callbacks
from tests.unit.memory_material import key_of, lookup, table_of
from tests.unit.prediction_material import World, head_settings, make_world, recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(table_of(), 8, 6, 12)


def starts_of(world: World, horizon: int):
    return collect_starts(
        lambda: iter([world.eval]), world.material.reference.speakers, world.material.window_frames,
        horizon, 2, 64,
    )  # fmt: skip


def limits_of(world: World) -> Limits:
    reference = world.material.reference
    mean, sd = (
        torch.as_tensor(part).float() for part in (reference.frame_mean, reference.frame_sd)
    )
    return Limits(mean, sd, 10.0)


class _ByNewest:
    """Gate 1 and a hit where the newest frame's first dimension is above 0."""

    def gate(self, batch):
        return (batch.context[:, -1, 0] > 0).float()

    def is_hit(self, batch):
        return batch.context[:, -1, 0] > 0


def test_reads_are_those_of_the_context_of_each_step(world: World):
    """Step h reads frame h - 1 of the run, or of the truth; the first step's contexts are true."""
    starts, horizon = starts_of(world, 6), 6
    model = linear_candidates(world.material, 1, "position", 2)[-1].model.eval()
    how = Settings(horizon, True, None, 4096)
    run = free_run(as_steps(model), starts, how, limits_of(world), 2,
                   torch.Generator().manual_seed(0))  # fmt: skip
    found = read_dynamics(cast(Memory, _ByNewest()), starts, run, 16)
    newest = torch.cat([starts.history[:, -1:], run.states[0][:, :-1]], 1)[:, :, 0]
    assert found["gate"] == pytest.approx((newest > 0).double().mean(0).numpy())
    assert found["gate"][0] == found["gate_true"][0]
    is_true = starts.is_true()[:, 0].numpy()
    second = (starts.future[:, 0, 0] > 0).double().numpy()[is_true].mean()
    assert found["gate_true"][1] == pytest.approx(second)
    assert tuple(found) == READS


def test_a_memory_can_run_and_is_read_where_the_data_are(world: World):
    """A memory of a table runs on: 64 starts of 20 steps stay near the data, keys are known."""
    candidates = linear_candidates(world.material, 1, "position", 2)
    model = fit_lookup(
        lookup(), key_of(world.material), world.material, 1, candidates, 0, CPU
    ).model
    starts, limits = starts_of(world, 20), limits_of(world)
    run = free_run(as_steps(model), starts, Settings(20, True, None, 4096), limits, 4,
                   torch.Generator().manual_seed(0))  # fmt: skip
    assert bool(run.is_alive.all())
    ratio = run.states[:, :, -5:].std((0, 1, 2)) / limits.sd
    assert ratio.numpy() == pytest.approx(np.ones(3), abs=0.3)
    reader = memory_of(model)
    assert reader is not None and memory_of(candidates[-1].model) is None
    found = read_dynamics(reader, starts, run, 4096)
    assert found["hit_rate"].min() > 0.9
    assert np.isfinite(np.stack(list(found.values()))).all()


def test_a_lookup_refitted_on_a_tuned_head_stands_on_it(world: World):
    """Folds are tuned without their speakers; the memory's base is the tuned head itself."""
    settings = KStepMethod.model_validate(
        {
            "kind": "k_step", "base": "h", "guard": None, "recipe": "r", "horizon_frames": 3,
            "teacher_weight": 0.1, "state_weight": 0.0, "scheduled_fraction": 0.0,
        }
    )  # fmt: skip
    head = head_settings("gaussian_mixture", num_components=1)
    own = recipe(num_steps=10)
    heads = [
        train_head(head, own, world.material, 1, "delta", seed, CPU, None, Callbacks())[0]
        for seed in range(3)
    ]
    folds = []
    for fold, model in enumerate(heads[:2]):
        tuned, _ = tune_fold(
            settings, own, world.material, fold, 2, model, 0, CPU, None, Callbacks()
        )
        folds.append(tuned)
    fitted = fit_on_tuned(
        lookup(), key_of(world.material), world.material, heads[2], folds, "tuned", 0, CPU
    )
    assert isinstance(fitted.model, MemoryDensity) and fitted.model.base is heads[2]
    assert fitted.base == "tuned"
    off = next(record for record in fitted.tried if record["strength"] == 0.0)
    own = mean_nll(heads[2], world.material.data("val", 1, 20_000), CPU)
    assert off["choice_nll"] == pytest.approx(own, abs=1e-9)


@pytest.mark.parametrize(
    ("base", "expected"),
    [("memory:linear:robust", ("linear", "robust")), ("linear", None), ("memory:robust", None)],
)
def test_memories_are_named_by_base_and_memory(base: str, expected):
    assert memory_base(base) == expected
