"""What jobs ask for under profiles, and plans that a mistake stops."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from engram_audio.batches import BATCHED
from tests.workflow.conftest import ROOT, snakemake, started_snakemake, write_config

LATENTS = "results/latents/mimi/shard-000.zarr.zip"
WHERE = {"slurm_partition", "gpu", "gres", "gpu_partition", "gpu_request", "gpu_batch_runtime"}


def test_jobs_of_a_gpu_rule_go_to_the_gpu_partition_with_an_empty_home(tmp_path: Path):
    """Of a few jobs; test_size.py plans the full study so."""
    words = ["--profile", str(ROOT / "slurm"), "-n", LATENTS]
    nowhere = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "XDG_CONFIG_DIRS": ""}
    outcome = snakemake(tmp_path, *words, environment=nowhere)
    assert outcome.code == 0, outcome.text
    block = outcome.text.split("rule extract_latents:")[1].split("\n\n")[0]
    assert "slurm_partition=gpu" in block
    assert "gpu=1" in block


def rules_text() -> str:
    """All rules."""
    return "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))


def gpu_rules() -> set[str]:
    """Rules with gpu=1."""
    blocks = re.split(r"\n(?:use )?rule ", rules_text())[1:]
    own = {block.split(":")[0].strip() for block in blocks if re.search(r"^ +gpu=1,$", block, re.M)}
    copies = [re.match(r"(\w+) as (\w+) with:", block) for block in blocks]
    return own | {copy[2] for copy in copies if copy and copy[1] in own}


PROFILE = (ROOT / "slurm" / "profile.yaml").read_text(encoding="utf-8")
# Lines of a site that differ from the profile's own.
SITES = {
    "profile": {},
    "other_names": {"gpu_partition": "a100-long", "slurm_partition": "batch"},
    "number_as_name": {"gpu_partition": "4090", "gpu_request": "gpu:1"},
    "typed_gres": {"gpu_request": "gpu:a100:1"},
    "without_gpus": {"gpu_request": "none"},
    "mistyped": {"gpu_request": "gpu=1"},
}


def changed(lines: dict[str, str]) -> str:
    """The profile with the value of one line for each name exchanged."""
    text = PROFILE
    for name, value in lines.items():
        text, count = re.subn(rf'^( +{name}: )"\w+"', rf'\1"{value}"', text, flags=re.M)
        assert count == 1, f"{name} stands {count} times in the profile"
    return text


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the rules ask for without a profile, under the profile, and under each site's."""
    base = tmp_path_factory.mktemp("sites")
    common = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(ROOT)]
    questions = {"no_profile": common}
    for name, lines in SITES.items():
        (base / name).mkdir()
        (base / name / "profile.yaml").write_text(changed(lines), encoding="utf-8")
        questions[name] = [*common, "--profile", str(base / name)]
    own = ["--set-resources", "train_codec:slurm_partition=big", "train_codec:mem_mb=99000"]
    questions["one_rule"] = [*questions["profile"], *own]
    (base / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
    files = [str(base / name) for name in ("questions.json", "answers.json")]
    command = [sys.executable, "-m", "tests.workflow.loaded_rules", *files]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    return json.loads((base / "answers.json").read_text(encoding="utf-8"))


def first_attempts(loaded: dict[str, Any], site: str) -> dict[str, dict[str, Any]]:
    """What the first attempt of each rule asks for."""
    assert loaded[site]["code"] == 0, loaded[site]["text"]
    return {name: attempts[0] for name, attempts in loaded[site]["rules"].items()}


def test_every_rule_says_its_memory_and_time_and_each_attempt_asks_for_more(loaded):
    """Without a profile: what is left out there would be SLURM's own, perhaps 512 MB."""
    for name, attempts in loaded["no_profile"]["rules"].items():
        for resource in ("mem_mb", "runtime"):
            first, *later = (attempt[resource] for attempt in attempts)
            assert first >= {"mem_mb": 500, "runtime": 10}[resource], (name, resource)
            assert later == [2 * first, 3 * first], (name, resource)


def test_the_profile_holds_names_and_no_rule():
    profile = yaml.safe_load(PROFILE)
    assert profile["default-resources"] == {
        "slurm_partition": "cpu", "gpu_partition": "gpu", "gpu_request": "gpus",
        "gpu_batch_runtime": "24h", "disk_mb": 1000,
    }  # fmt: skip
    assert "set-resources" not in profile
    assert not any(re.search(rf"\b{name}\b", PROFILE.split("Names of your")[1])
                   for name in gpu_rules())  # fmt: skip


@pytest.mark.parametrize(
    ("site", "gpu", "others"),
    [
        ("no_profile", {"gpu": 1}, {}),
        ("profile", {"gpu": 1, "slurm_partition": "gpu"}, {"slurm_partition": "cpu"}),
        ("other_names", {"gpu": 1, "slurm_partition": "a100-long"}, {"slurm_partition": "batch"}),
        (
            "number_as_name",
            {"gres": "gpu:1", "slurm_partition": "4090"},
            {"slurm_partition": "cpu"},
        ),
        (
            "typed_gres",
            {"gres": "gpu:a100:1", "slurm_partition": "gpu"},
            {"slurm_partition": "cpu"},
        ),
        ("without_gpus", {"slurm_partition": "cpu"}, {"slurm_partition": "cpu"}),
    ],
)
def test_one_line_moves_every_rule_with_a_gpu_and_no_other(loaded, site: str, gpu, others):
    """Where jobs run and how they ask for a GPU; memory and time are the rule's everywhere."""
    assert len(gpu_rules()) >= 19
    free = first_attempts(loaded, "no_profile")
    many = {"mem_mb": 24_000, "runtime": 24 * 60}  # of a job with many members
    for name, resources in first_attempts(loaded, site).items():
        for key in ("mem_mb", "runtime"):
            assert resources[key] == free.get(name, many)[key], name
        where = {key: value for key, value in resources.items() if key in WHERE}
        assert where == (gpu if name in gpu_rules() or name not in free else others), name


def test_the_profile_asks_for_jobs_of_many_members(loaded):
    """Of every rule that can have them, each with one GPU; how many: `test_size.py`."""
    free, profile = (first_attempts(loaded, name) for name in ("no_profile", "profile"))
    many = profile.keys() - free.keys()
    assert {profile[name]["gpu"] for name in many} == {1}
    assert {rule.partition("_of_")[0] for rule in many} == set(BATCHED)


def test_what_is_said_of_one_rule_wins(loaded):
    usual, own = first_attempts(loaded, "profile"), first_attempts(loaded, "one_rule")
    assert (own["train_codec"]["slurm_partition"], own["train_codec"]["mem_mb"]) == ("big", 99000)
    assert own["train_codec"]["gpu"] == 1
    assert {**own, "train_codec": {}} == {**usual, "train_codec": {}}


def test_a_mistyped_request_is_one_line_that_says_what_is_allowed(loaded):
    assert loaded["mistyped"]["code"] != 0
    (line,) = [line for line in loaded["mistyped"]["text"].splitlines() if "gpu_request" in line]
    assert "'gpu=1'; allowed are gpus, none, and a gres" in line
    assert "Traceback" not in loaded["mistyped"]["text"]


def test_arrays_are_off_and_the_line_to_ask_for_them_names_every_shard_rule():
    """Every rule that may be submitted and writes one shard of several."""
    text = (ROOT / "slurm" / "profile.yaml").read_text(encoding="utf-8")
    assert "slurm-array-jobs" not in yaml.safe_load(text)
    (line,) = re.findall(r"^# slurm-array-jobs: (.*)$", text, re.M)
    assert {name.strip() for name in line.split(",")} == {
        block.split(":")[0]
        for block in rules_text().split("\nrule ")[1:]
        if "shard-{shard}.zarr.zip" in block.partition("output:")[2].split("log:")[0]
    }


def test_a_mistyped_key_stops_before_anything_runs(tmp_path: Path):
    config = {"views": {"window_frame": 8}}
    outcome = snakemake(tmp_path, "-n", "--configfile", write_config(tmp_path, config))
    assert outcome.code != 0
    lines = [line for line in outcome.text.splitlines() if "views.window_frame" in line]
    assert len(lines) == 1
    assert "did you mean 'window_frames'" in lines[0]
    assert "Traceback" not in outcome.text


@pytest.mark.slow
def test_the_plan_does_not_depend_on_hash_randomisation(tmp_path: Path, demo_config):
    path = write_config(tmp_path, demo_config)
    plans = {
        tuple(
            sorted(
                started_snakemake(
                    tmp_path, "-n", "--configfile", path, PYTHONHASHSEED=seed
                ).jobs.items()
            )
        )
        for seed in ("1", "2")
    }
    assert len(plans) == 1
