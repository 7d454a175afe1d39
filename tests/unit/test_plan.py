"""The plan of a configuration: which runs it asks for, as file names, stage by stage.

Law: what lists name is planned, with what that needs, and nothing else. The counts are those of the
base study and of the demo.
"""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from engram_audio.config import parse_config
from engram_audio.plan import Plan
from tests import studies
from tests.workflow.tiny_study import tiny_config, wide_config

COUNTS = {
    (): {
        "score_structure_keys": 121, "score_linear_baselines": 21, "train_density": 312,
        "evaluate_nulls": 19, "train_factorizer": 28, "fit_memory": 198, "train_memory": 18,
        "evaluate_rollout": 234, "refit_memory": 12, "worlds": 46, "reconstructed": 2,
        "players": 19, "train_generators": 2,
    },
    ("demo",): {
        "score_structure_keys": 28, "score_linear_baselines": 5, "train_density": 12,
        "evaluate_nulls": 4, "train_factorizer": 2, "fit_memory": 2, "train_memory": 1,
        "evaluate_rollout": 8, "refit_memory": 0, "worlds": 7, "reconstructed": 1,
        "players": 5, "train_generators": 1,
    },
    ("arrays",): {
        "score_structure_keys": 16, "score_linear_baselines": 4, "train_density": 8,
        "evaluate_nulls": 4, "train_factorizer": 0, "fit_memory": 0, "train_memory": 0,
        "evaluate_rollout": 0, "refit_memory": 0, "worlds": 0, "reconstructed": 0, "players": 0,
        "train_generators": 0,
    },
}  # fmt: skip


def plan_of(*names: str) -> Plan:
    return Plan(parse_config(studies.study(*names)))


def counts(plan: Plan) -> dict[str, int]:
    """Jobs of some rules, by the files that other jobs ask for."""
    memories = Counter(plan.config.memory.library[run.memory].kind for run in plan.memory.runs())
    refits = [run for run in plan.rollout.runs() if plan.rollout.refit_of(run.method)]
    players = [path for path in plan.report.latents() if path.endswith("players.json")]
    nulls = [path for path in plan.prediction.tables("scores", True) if "/nulls/" in path]
    return {
        "score_structure_keys": len(plan.structure.tables("scores")),
        "score_linear_baselines": len(plan.structure.linear_tables()),
        "train_density": len(plan.prediction.runs()),
        "evaluate_nulls": len(nulls),
        "train_factorizer": len(plan.factorizer.files("model.safetensors")),
        "fit_memory": memories["lookup"],
        "train_memory": memories["engram"],
        "evaluate_rollout": len(plan.rollout.files("scores.parquet")),
        "refit_memory": len(refits),
        "worlds": len(plan.calibration.of_each_world("structure.csv")),
        "reconstructed": len(plan.comparison.reconstruction_scores()),
        "players": len(players),
        "train_generators": len(plan.generation.files("generators.safetensors")),
    }


@pytest.mark.parametrize("names", COUNTS, ids=lambda names: "-".join(names) or "base")
def test_shipped_studies_plan_what_they_did(names: tuple[str, ...]):
    assert counts(plan_of(*names)) == COUNTS[names]


def wildcards(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**values)


@pytest.fixture(scope="module")
def wide() -> Plan:
    return Plan(parse_config(wide_config()))


def test_input_functions_name_files_of_the_job(wide: Plan):
    """One of each stage, on wildcards as Snakemake hands them over."""
    state = wildcards(representation="mel_pca_state", shard="001", split_seed="0")
    assert wide.latents.source_shard(state) == "<results>/latents/mel_pca/shard-001.zarr.zip"
    assert wide.latents.splits(state) == "<results>/splits/demo_speech/seed-0/splits.parquet"
    assert wide.latents.utterances(state) == "<results>/corpus/demo_speech/utterances.parquet"
    assert wide.factorizer.state_model(state).startswith("<results>/factorizer/mel_pca/charged/")
    mine = wildcards(representation="brought", seed="0")
    assert wide.latents.array_table(mine) == "arrays.csv"
    assert wide.latents.shards(mine) == ["<results>/latents/brought/shard-000.zarr.zip"]
    assert [path.split("/")[4] for path in wide.prediction.marginals(mine)] == ["gaussian_mixture"]
    assert wide.latents.decoder_weights(mine) == []
    noisy = wildcards(representation="mel_pca_noisy")
    assert wide.comparison.noise_scale(noisy) == [
        "<results>/latents/mel_pca_noisy/noise_scale.safetensors"
    ]
    assert wide.comparison.link_sections(noisy) == [
        "representations.library.mel_pca", "representations.library.mel_pca_noisy",
    ]  # fmt: skip
    world = wildcards(representation="world_iid")
    (table,) = {path.split("/")[-1] for path in wide.calibration.world_tables("keys")(world)}
    assert table == "keys.parquet"


def test_only_keys_that_depend_on_the_lag_are_told_the_lags(wide: Plan):
    """One more lag of some stage refits these, and so the memories that read them, and no other."""
    config = wide_config()
    config["keys"]["library"]["predictive"] = {
        "kind": "predictive", "inputs": ["raw"], "num_components": 2,
        "quantizers": [{"kind": "kmeans", "codebook_sizes": [4]}],
    }  # fmt: skip
    config["structure"]["families"].append("predictive")
    keys = Plan(parse_config(config)).keys
    arguments = {name: keys.fitted_at(keys.lags)(wildcards(family=name)) for name in keys.families}
    assert arguments == {name: [] for name in wide.keys.families} | {"predictive": [1, 2]}


def test_every_network_is_tuned_once_and_frozen_for_all_lags_and_seeds():
    """The base study: one tuning of each head, memory and curve. The demo tunes nothing."""
    plan = plan_of()
    heads = {(run.representation, run.head) for run in plan.prediction.runs()}
    tuned = plan.prediction.tunings("tuning.json")
    untuned = {name for name, row in plan.config.prediction.library.items()
               if row.recipe == "first_experiment"}  # fmt: skip
    assert len(tuned) == sum(head not in untuned for _, head in heads)
    assert all("/lag-1/" in path and "/seed-0/" in path for path in tuned)
    other = wildcards(representation="mimi", head="flow", lag="8", seed="2")
    assert plan.prediction.tuning(other) == [
        "<results>/prediction/mimi/lag-1/flow/seed-0/tuning.json"
    ]
    runs = plan.memory.runs()
    places = {run[:1] + run[2:4] for run in runs}
    engrams = sum(plan.config.memory.library[memory].is_joint for _, _, memory in places)
    assert len(plan.memory.tunings(".json")) == len(places) + engrams
    assert len(plan.memory.curve_runs()) == len({run[:3] + run[4:] for run in runs})
    demo = plan_of("demo")
    assert not demo.prediction.tunings("tuning.json") and not demo.memory.tunings(".json")
    assert not demo.memory.curve_tunings(".json") and demo.memory.curve_runs()


def test_the_deciding_heads_have_more_seeds_than_the_others():
    """Three seeds give the gain of the deciding representation an interval that counts seeds."""
    config = wide_config()
    config["decision"]["representation"] = "mel_pca"
    config["prediction"] |= {"seeds": [0], "deciding_seeds": [0, 7, 8]}
    prediction = Plan(parse_config(config)).prediction
    seeds: dict[str, set[int]] = {}
    for run in prediction.runs():
        seeds.setdefault(run.representation, set()).add(run.seed)
    assert seeds.pop("mel_pca") == {0, 7, 8} and set(map(frozenset, seeds.values())) == {
        frozenset({0})
    }
    runs = [run for run in prediction.runs() if run.representation == "mel_pca"]
    assert prediction.num_runs_of("mel_pca") == len(runs)
    nulls = [path for path in prediction.tables("scores", True) if "/mel_pca/nulls/" in path]
    assert len(nulls) == 3


def test_memories_stand_on_the_head_that_they_read(wide: Plan):
    job = {"representation": "mel_pca", "lag": "1", "seed": "0", "memory": "robust"}
    plain, on_head = (wildcards(base=base, **job) for base in ("linear", "gaussian_mixture"))
    engram = wildcards(base="gaussian_mixture", **(job | {"memory": "engram"}))
    assert wide.memory.base_model(plain) == wide.memory.base_folds(plain) == []
    assert len(wide.memory.base_folds(on_head)) == wide.config.memory.num_folds
    assert wide.memory.base_model(engram) == []
    recipes = [wide.memory.matched_recipe(one) for one in (plain, on_head, engram)]
    assert recipes == ["recipes.joint", "recipes.cpu", "recipes.joint"]
    assert wide.memory.matched_head(plain) == "prediction.library.gaussian_mixture"


def test_decoded_runs_are_those_of_the_first_training_seed(wide: Plan):
    """The rules that decode have no wildcard `seed`; those that train have one."""
    first = wildcards(representation="mel_pca", method="refit")
    trained = wildcards(representation="mel_pca", method="refit", seed="7")
    for job, seed in ((first, 0), (trained, 7)):
        paths = [wide.rollout.model(job), *wide.rollout.base_model(job)]
        paths += [*wide.rollout.tuned_model(job), *wide.rollout.refit_folds(job)]
        assert len(paths) == 3 + wide.config.memory.num_folds
        assert all(f"/seed-{seed}/" in path for path in paths)
    assert wide.rollout.tuned_section(first) == ["rollout.library.earlier_pure"]
    memory = wildcards(representation="mel_pca", method="memory_robust", seed="0")
    (path,) = wide.rollout.memory(memory)
    assert path.startswith("<results>/memory/mel_pca/lag-1/gaussian_mixture/robust/seed-0/")


def test_what_no_list_names_is_not_planned():
    """A stage that runs on nothing has no run, whatever its library and its lists hold."""
    config = tiny_config()
    for stage in ("prediction", "factorizer", "memory", "rollout", "generation"):
        config[stage]["representations"] = []
    config["representations"]["analysed"] = ["brought"]
    plan = Plan(parse_config(config))
    found = counts(plan)
    assert found == dict.fromkeys(found, 0) | {
        "score_structure_keys": 3, "score_linear_baselines": 1,
    }  # fmt: skip
    assert plan.latents.used_corpora() == ["brought"]
    names = plan.section_names()
    assert not any(name.startswith(("codecs.library.", "corpora.", "recipes.")) for name in names)


def test_corpora_and_codecs_can_be_asked_for_by_name_though_nothing_uses_them():
    """They have no list: `snakemake results/corpus/mine/utterances.parquet` is a whole question."""
    plan = plan_of("demo")
    assert "librispeech" in plan.corpus.of_kinds("librispeech").split("|")
    assert "mel_vae" in plan.codecs.trained().split("|")
    assert {"train_codec", "download_codec", "locate_corpus"} <= plan.idle_rules()
    assert "fit_codec" not in plan.idle_rules()


@pytest.mark.parametrize(
    ("names", "world", "generators"),
    [
        (("demo", "generation_worlds"), "table", {"one_frame"}),
        (("demo", "generation_worlds", "generation_worlds_second_order"), "table_second_order",
         {"one_frame", "bigram", "learned_key"}),
        (("demo", "generation_worlds", "generation_worlds_noise"), "logistic",
         {"one_frame", "one_frame_fixed_noise", "one_frame_uniform_noise"}),
        (("demo", "generation_worlds", "generation_costs"), "table", {"one_frame"}),
        (("real_speech", "generation"), "", {"one_frame"}),
    ],
)  # fmt: skip
def test_studies_of_generators_are_planned(
    names: tuple[str, ...], world: str, generators: set[str]
):
    """What their first lines name is trained; a learned key is fitted for its generator."""
    plan = plan_of(*names)
    assert {run.generator for run in plan.generation.runs()} == generators
    assert world in plan.config.generation.worlds or plan.generation.representations()
    keys = {plan.generation.keys(wildcards(representation=run.representation,
                                           generator=run.generator))
            for run in plan.generation.runs()}  # fmt: skip
    assert any("learned_alone" in key for key in keys) == ("learned_key" in generators)


def test_worlds_are_judged_by_a_learned_key():
    """Every world of the study has a predictor and learned keys, and its words are known."""
    plan = plan_of("demo", "learned_keys_worlds")
    worlds = plan.calibration.worlds()
    assert len(worlds) == 5 and "learned" in plan.calibration.families
    files = plan.calibration.law_files("scores.parquet", plan.config.decision.lag_frames)
    assert len(files) == len(worlds)
    sections = plan.calibration.family_sections()  # bugs are planted where nothing is trained
    assert "calibration.families.pca" in sections
    assert not any("learned" in section for section in sections)
