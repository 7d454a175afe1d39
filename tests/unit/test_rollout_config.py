"""Rollout sections: mistakes are one line with key and nearest match; what a run needs is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.plan import Plan
from engram_audio.report.sections.listening import title
from engram_audio.rollout.method_config import KStepMethod
from engram_audio.rollout.players import continue_utterance
from tests import studies
from tests.unit.rollout_material import LinearStep, small_world

ROOT = Path(__file__).parents[2]


def default() -> dict[str, Any]:
    return studies.study()


def changed(path: str, value: Any) -> dict[str, Any]:
    return studies.changed(default(), path, value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("rollout.library.one_step.base", "gaussian_mixtur", "did you mean 'gaussian_mixture'"),
        ("rollout.library.earlier_pure.base", "linear", "rollout.library.earlier_pure.base: "),
        ("rollout.library.memory_robust.base", "memory:linear:robus", "memory:linear:robust'"),
        ("rollout.library.energy_engram.base", "memory:linear:robust", "energy_engram.base: "),
        ("rollout.library.energy_refit.method", "belief", "energy_refit.method: "),
        ("rollout.library.energy_refit.memory", "engram", "energy_refit.memory: "),
        ("rollout.library.belief.recipe", "forecast", "did you mean 'forecaster'"),
        ("rollout.library.one_step.kind", "one_stop", "did you mean 'one_step'"),
        ("rollout.grids.grid.method", "belief", "rollout.grids.grid.method: 'belief'"),
        ("rollout.representations", ["mimmi"], "did you mean 'mimi'"),
        ("rollout.seeds", [7], "rollout.seeds: 7"),
        ("rollout.seeds", [], "name at least one training seed"),
        ("rollout.forecast_horizon_frames", 65, "lies beyond horizon_frames 64"),
        ("rollout.scored_horizons_frames", [1, 100], "must lie in 1..64"),
        ("rollout.player_methods", ["belief"], "rollout.player_methods: 'belief'"),
        ("rollout.library.direct.horizons_frames", [2, 1], "in ascending order"),
        ("rollout.library.direct.horizons_frames", [1, 65], "lies beyond rollout.horizon_frames"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_key(path: str, value: Any, message: str):
    with pytest.raises(InputError) as caught:
        parse_config(changed(path, value))
    assert message in str(caught.value)


def test_a_study_without_forecasters_is_refused():
    raw = default()
    raw["rollout"]["methods"] = ["one_step"]
    raw["rollout"] |= {"player_methods": [], "sweeps": []}
    with pytest.raises(InputError, match="too little says what is attainable"):
        parse_config(raw)


def test_the_first_experiments_five_points_are_presets():
    """Pure rollout; teacher .1 with state 0, .05, .2; scheduled sampling."""
    runs = parse_config(default()).rollout.library
    points = {
        name: (run.teacher_weight, run.state_weight, run.scheduled_fraction)
        for name, run in runs.items()
        if name.startswith("earlier_") and isinstance(run, KStepMethod) and run.horizon_frames == 16
    }
    assert sorted(points.values()) == [
        (0.0, 0.0, 0.0), (0.0, 0.0, 0.5), (0.1, 0.0, 0.0), (0.1, 0.05, 0.0), (0.1, 0.2, 0.0),
    ]  # fmt: skip


def test_what_a_run_needs_is_named():
    plan = Plan(parse_config(default()))
    assert plan.rollout.head_of("linear") is None
    assert plan.rollout.head_of("belief") is None
    assert plan.rollout.head_of("student_t") == "student_t_mixture"
    assert plan.rollout.recipe_of("one_step") is None
    assert plan.rollout.recipe_of("grid_k4_t0_s0_gaussian_mixture") == "k_step"
    assert plan.rollout.sweeps()["grid_k4_t0_s0_gaussian_mixture"] == "grid"
    assert plan.rollout.sweeps()["belief"] == ""
    # a memory's file stands on its head where it has one; a refit on its method's
    assert plan.rollout.memory_of("memory_robust") == ("linear", "robust")
    assert plan.rollout.head_of("memory_robust") is None
    assert plan.rollout.memory_of("grid_k4_t0_s0_memory_gaussian_mixture_engram") is not None
    assert plan.rollout.head_of("energy_refit") == "gaussian_mixture"
    assert plan.rollout.recipe_of("energy_refit") == "energy"
    assert ("mimi", "belief", 0) in plan.rollout.runs()


def test_more_representations_or_seeds_freeze_the_same_section():
    """What only says which artifacts exist is not in the section that evaluations depend on."""
    one = parse_config(default())
    other = parse_config(changed("rollout.representations", ["mel_pca"]))
    assert Plan(one).document["rollout"] == Plan(other).document["rollout"]


def test_listening_groups_say_what_they_are():
    assert title("mimi") == "mimi"
    assert title("mimi.charged") == "mimi, factorised by charged"
    assert title("mimi.rollout.one_step") == "mimi, running free by one_step"


def test_a_continued_utterance_begins_as_it_was():
    """A third is true, the rest is the model's; one that is too short comes back whole."""
    reference = small_world().material.reference
    latents = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    model = LinearStep(0.5)
    found = continue_utterance(model, None, reference, latents, 4, torch.Generator())
    for name in ("sampled", "mean"):
        assert np.array_equal(found[name][:10], latents[:10])
        assert not np.allclose(found[name][10:], latents[10:])
    assert np.allclose(found["mean"][10], 0.5 * latents[9], atol=1e-6)
    short = continue_utterance(model, None, reference, latents[:4], 4, torch.Generator())
    assert np.array_equal(short["sampled"], latents[:4])
