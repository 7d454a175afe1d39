"""Heads, memories and rollout methods of other packages, exactly as docs/extend.md shows them.

Law: what a stage does with a kind of ours it does with a kind of another package: built, fitted,
scored, stored, read back. Nothing of this package names it.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter

from engram_audio import plugins
from engram_audio.codecs.config import CodecSettings
from engram_audio.densities.config import AnyHead, HeadSection, PluginHead
from engram_audio.densities.fit import fit_marginals, train_head
from engram_audio.densities.storage import density_spec, pack_density, unpack_density
from engram_audio.errors import InputError
from engram_audio.generation.budget import budget_of
from engram_audio.generation.head_config import AnyGeneratorHead
from engram_audio.generation.model_config import AnyInsertion
from engram_audio.generation.storage import pack_generator, unpack_generator
from engram_audio.kinds import Kind, Plugin
from engram_audio.memory.config import AnyMemory, MemorySection, PluginMemory
from engram_audio.memory.fit import mean_nll
from engram_audio.memory.folds import linear_candidates
from engram_audio.memory.reading import memory_of
from engram_audio.rollout.fit import build_model, train_method
from engram_audio.rollout.frame import frame_of
from engram_audio.rollout.method_config import AnyMethod, MethodSection, PluginMethod
from engram_audio.rollout.simulate import Settings, as_steps, free_run
from engram_audio.rollout.storage import load_weights, pack_method
from engram_audio.training.loop import Callbacks
from tests.plugin_packages import MODULES, install, shown_section
from tests.unit.generator_material import arm, frames, linear_base
from tests.unit.generator_material import settings as generator_settings
from tests.unit.memory_material import key_of, table_of
from tests.unit.prediction_material import World, head_settings, make_world, recipe
from tests.unit.rollout_material import eval_starts, limits_of, small_head, small_recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        yield install(tmp_path_factory.mktemp("plugins") / "site", patch)
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(table_of(), 8, 6, 6)


def shown(kind: Any, stage: str, **changes: Any) -> Any:
    """The section that the page shows for a stage, with fields changed."""
    return TypeAdapter(kind).validate_python({**shown_section(stage), **changes}, strict=False)


def test_a_head_of_a_generator_is_built_scored_and_stored(site: Path):
    """Its budget is counted, its draws follow its density, and what is stored is the same model."""
    head = shown_section("generation")["model"]["head"]
    model = arm("SM", generator_settings(head=head))
    base = linear_base()
    per_frame = 2 * (16 * 3 + base.weight.size + base.scale.size)
    mixture = arm("SM")
    whole = budget_of(model).flops_generated - budget_of(mixture).flops_generated
    assert whole == per_frame - mixture.head.flops
    again = unpack_generator("m", *pack_generator("m", model))
    x = frames(3, 12)
    with torch.no_grad():
        last = model.features(x)[:, -2], model.recent(x)[:, -2]
        drawn = model.sample(*last, 20_000, torch.Generator().manual_seed(0))
        mean, variance = model.head.moments(*last)
        assert float(((drawn.mean(0) - mean).abs() / variance.sqrt()).max()) < 5 / 20_000**0.5
        score = model.score(*last, x[:, -1])
        assert torch.equal(score, again.score(*last, x[:, -1]))


def test_a_head_is_trained_scored_and_stored(site: Path, world: World):
    """Samples follow the law, the marginal is a null, and what is stored scores the same."""
    settings = shown(HeadSection, "prediction")
    assert isinstance(settings, PluginHead)
    assert (settings.components, settings.maximum_components) == (1, 1)
    model, base, _ = train_head(
        settings, recipe(num_steps=40), world.material, 1, "delta", 0, CPU, None, Callbacks()
    )
    data = world.eval_data(1)
    own = mean_nll(model.eval(), data, CPU)
    (marginal, _), *_ = fit_marginals(settings, recipe(num_steps=40), world.material, 0).values()
    assert own < mean_nll(marginal.model, data, CPU)
    arrays, header = pack_density("delta", model, base, density_spec(settings, 4))
    again, _ = unpack_density("delta", arrays, header, world.material.reference.input_scales)
    assert mean_nll(again.eval(), data, CPU) == own
    batch = data.batch(torch.arange(3), CPU)
    with torch.no_grad():
        drawn = model.sample(batch, 20_000, torch.Generator().manual_seed(0))
        error = (drawn.mean(0) - model.mean(batch)).abs() / drawn.std(0)
    assert float(error.max()) < 5 / 20_000**0.5


def test_a_memory_is_fitted_held_against_its_controls_and_stored(site: Path, world: World):
    """On symbols that repeat, it gains on new speakers; in random places it gains nothing."""
    settings = shown(MemorySection, "memory")
    assert isinstance(settings, PluginMemory)
    assert not settings.is_joint and settings.bases(("linear",)) == ("linear",)
    module, own = settings.behaviour()
    candidates = linear_candidates(world.material, 1, "position", 2)
    key = key_of(world.material)
    fits = {
        is_shuffled: module.fit(own, key, world.material, 1, candidates, 0, CPU, is_shuffled)
        for is_shuffled in (False, True)
    }
    data = world.eval_data(1)
    score = mean_nll(fits[False].model, data, CPU)
    arrays, header = module.pack("memory", fits[False])
    bases = {candidate.name: candidate.model for candidate in candidates}
    scales = world.material.reference.input_scales
    again, counts = module.unpack(own, "memory", arrays, header, bases.__getitem__, scales)
    assert mean_nll(again, data, CPU) == score
    controls = module.controls(again, counts, lambda: 1.0, 0)
    assert score < mean_nll(controls["knock_out"], data, CPU) - 0.1
    assert score < mean_nll(controls["random_values"], data, CPU) - 0.1
    assert score < mean_nll(fits[True].model, data, CPU) - 0.1
    memory = memory_of(again)
    assert memory is not None and memory.num_slots == len(counts) == 16
    assert memory.budget().parameters > bases[header["base"]].budget().parameters


def test_a_method_is_trained_runs_free_and_is_stored(site: Path, world: World):
    """Its tuned head ends nearer to the true path than it began, and its file gives it back."""
    settings = shown(MethodSection, "rollout", base="head")
    assert isinstance(settings, PluginMethod)
    assert not settings.is_forecaster and settings.training_frames == 4
    head = small_head(world)
    frame = frame_of(world.material)
    losses = []
    for steps in (1, 60):
        model, state = train_method(
            settings, small_recipe(num_steps=steps), world.material, head, 0, CPU, None, Callbacks()
        )
        losses.append(state.best_score)
    assert losses[1] < losses[0]
    arrays = pack_method(model, None)
    again = load_weights(build_model(settings, frame, small_head(world, 5), 9), arrays)
    starts, how = eval_starts(world), Settings(8, True, None, 512)
    runs = [
        free_run(
            as_steps(each.eval()), starts, how, limits_of(world.material), 2,
            torch.Generator().manual_seed(0),
        ).states
        for each in (model, again)
    ]  # fmt: skip
    assert torch.equal(*runs) and bool(torch.isfinite(runs[0]).all())


@pytest.mark.parametrize(
    ("kind", "stage"),
    [(HeadSection, "prediction"), (MemorySection, "memory"), (MethodSection, "rollout")],
)
def test_mistakes_are_one_line_and_edits_run_again(site: Path, kind: Any, stage: str):
    """Unknown names and settings are refused in words; a plugin's code is in the digest."""
    unknown = shown(kind, stage, plugin="laplase")
    with pytest.raises(ValueError, match=rf"{stage}\.library\.x\.plugin: 'laplase' is not one of"):
        unknown.require_installed(f"{stage}.library.x")
    wrong = shown(kind, stage, settings={"no_such_key": 1})
    with pytest.raises(InputError, match=r"kind plugin, \w+\): settings\.\w+: "):
        wrong.behaviour()
    section: Kind = shown(kind, stage)
    modules, first = plugins.code_of(section)
    assert modules == () and first.startswith("-0.1-")
    (entry,) = [entry for entry in [section.entry()] if entry is not None]
    file = site / f"{entry.module}.py"
    text = file.read_text()
    file.write_text(f"{text}\nEDITED = 1\n")
    assert plugins.code_of(section)[1] != first
    file.write_text(f"{text}\n# a comment\n")
    assert plugins.code_of(section)[1] == first
    file.write_text(text)


@pytest.mark.parametrize(
    ("kinds", "functions"),
    [
        (CodecSettings, {"load"}),
        (AnyHead, {"build"}),
        (AnyGeneratorHead, {"build"}),
        (AnyInsertion, {"build"}),
        (AnyMemory, {"pack", "unpack", "controls"}),
        (tuple(kind for kind in get_args(AnyMethod) if kind.trains_base), {"build"}),
    ],
)
def test_every_kind_has_what_its_stage_calls(kinds: Any, functions: set[str]):
    """A kind of ours names a module with these functions, a plugin is asked for them."""
    for kind in get_args(kinds) or kinds:
        if issubclass(kind, Plugin):
            assert functions <= {*kind.FUNCTIONS}
        elif "refit" not in kind.MODULE:  # a rule of its own fits it
            assert functions <= set(dir(importlib.import_module(kind.MODULE))), kind
    assert plugins.code_of(head_settings("flow")) == (("engram_audio.densities.flow",), "")
