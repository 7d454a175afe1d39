"""Keys in the configuration: one name in every stage, and where earlier settings have gone."""

from typing import Any

import pytest

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.keys.config import key_sizes
from engram_audio.plan import Plan
from tests import studies

OLD_KEY = {"kind": "kmeans", "maximum_frames": 1000, "window_frames": 1, "num_codes": 4}
OLD_GUARD = {"kind": "codebook", "num_cells": 256, "shrinkage": 0.2, "quantile": 0.99,
             "num_attempts": 16}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("memory.library.robust.key", OLD_KEY,
         r"memory\.library\.robust\.key: is the name of a key now, for example last_frame\.raw"),
        ("rollout.library.one_step_codebook.guard", OLD_GUARD,
         r"rollout\.library\.one_step_codebook\.guard\.num_cells: moved to key, the name of"),
        ("structure.library.pca", {"kind": "pca", "inputs": ["raw"], "num_components": 8},
         r"structure\.library\.pca: moved to keys\.library\.pca$"),
        ("structure.library.mine", {"num_components": 4},
         r"structure\.library\.mine: moved to keys\.library\.mine$"),
        ("keys.library.target_oracle", studies.study()["keys"]["library"]["pca"],
         r"structure\.library\.target_oracle: keys\.library has a family of that name"),
    ],
)  # fmt: skip
def test_earlier_settings_are_refused_with_their_new_name(key: str, value: Any, line: str):
    with pytest.raises(InputError, match=line):
        parse_config(studies.changed(studies.study(), key, value))


def test_structure_memory_and_guards_name_one_file():
    """The key of a memory or guard is fitted by the rule whose keys structure scores."""
    config = parse_config(studies.study())
    plan = Plan(config)
    file = "<results>/keys/mimi/split-0/last_frame.safetensors"

    class Job:
        representation, split_seed, family = "mimi", 0, "last_frame"
        memory, method, seed = "robust", "one_step_codebook", 0

    assert plan.keys.of_family("keys")(Job) == [file]
    assert plan.memory.keys(Job) == file
    assert plan.rollout.guard_keys(Job) == [file]
    Job.family, Job.method = "target_oracle", "energy_refit"
    assert plan.keys.of_family("keys")(Job) == []
    assert plan.rollout.guard_keys(Job) == [] and plan.rollout.refit_keys(Job) == [file]
    scored = {n: f for n, f in config.keys.library.items() if n in config.structure.families}
    assert {row.key for row in config.memory.library.values()} <= set(key_sizes(scored))


def test_a_learned_key_is_a_candidate_where_laws_are_learned():
    """The gate judges it on the representation, on every split and beside every surrogate."""
    plan = Plan(parse_config(studies.study()))
    scored = [path for path in plan.structure.tables("scores") if "/learned/" in path]
    bases = {"mimi", "mel_pca"}
    assert {plan.latents.base_of(path.split("/")[2]) for path in scored} == bases
    expected = sum(
        len(plan.latents.split_seeds(name)) for name in plan.latents.with_surrogates(bases)
    )
    assert len(scored) == expected > len(bases)
    assert any("/learned/" in path for path in plan.structure.cells())
    raw = studies.changed(studies.study(), "learned_keys.representations", [])
    none = Plan(parse_config(raw)).structure
    assert not any("/learned/" in path for path in [*none.tables("scores"), *none.cells()])


def test_a_family_that_only_a_memory_names_is_fitted_and_others_are_dropped():
    raw = studies.changed(studies.study(), "structure.families", ["pca", "target_oracle"])
    raw = studies.changed(raw, "learned_keys.representations", [])
    config = parse_config(raw)
    assert sorted(config.keys.library) == ["last_frame", "pca"]
    assert Plan(config).keys.lags == [1, 2, 4]
    for stage in ("memory", "rollout", "generation"):
        raw[stage]["representations"] = []
    assert sorted(parse_config(raw).keys.library) == ["pca"]
