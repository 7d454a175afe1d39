"""The workflow is clean, and its promised commands resolve without a home, a cluster or data."""

import re
from pathlib import Path

import yaml

from tests.workflow.conftest import ROOT, snakemake, write_config

GPU_RULES = {"extract_latents"}


def test_lint_gives_a_clean_bill(tmp_path: Path):
    outcome = snakemake(tmp_path, "--lint")
    assert "good condition" in outcome.text, outcome.text
    assert outcome.code == 0


def test_slurm_profile_resolves_from_the_root_with_an_empty_home(tmp_path: Path):
    """`snakemake --profile slurm -n results/report.html`: GPU rules on the GPU partition."""
    outcome = snakemake(
        tmp_path,
        "--profile",
        str(ROOT / "slurm"),
        "-n",
        "-p",
        "results/report.html",
        environment={"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "XDG_CONFIG_DIRS": ""},
    )
    assert outcome.code == 0, outcome.text
    assert "extract_latents" in outcome.jobs
    block = outcome.text.split("rule extract_latents:")[1].split("\n\n")[0]
    assert "slurm_partition=gpu" in block
    assert "gpu=1" in block


def rules_text() -> str:
    """All rules."""
    return "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))


def gpu_rules() -> set[str]:
    """Rules with gpu=1."""
    return {
        block.split(":")[0].strip()
        for block in rules_text().split("\nrule ")[1:]
        if "gpu=1" in block.replace(" ", "")
    }


def submitted_rules() -> dict[str, tuple[int, int]]:
    """Memory in MB and minutes of every rule that is not always local."""
    text = rules_text()
    local = set(
        re.findall(r"\w+", "".join(re.findall(r"^localrules:\n((?: +\w+,\n)+)", text, re.M)))
    )
    pattern = r"mem_mb=(\d+),\s+runtime=\"(\d+)([mh])\""
    needs = {}
    for block in text.split("\nrule ")[1:]:
        found = re.search(pattern, block)
        assert found, block
        minutes = int(found[2]) * (60 if found[3] == "h" else 1)
        needs[block.split(":")[0]] = (int(found[1]), minutes)
    for original, name in re.findall(r"^use rule (\w+) as (\w+) with:", text, re.M):
        needs[name] = needs[original]
    return {name: need for name, need in needs.items() if name not in local}


def test_what_a_job_asks_for_grows_with_each_attempt_from_what_its_rule_says():
    profile = yaml.safe_load((ROOT / "slurm" / "profile.yaml").read_text(encoding="utf-8"))
    asked = {
        name: (resources["mem_mb"], resources["runtime"])
        for name, resources in profile["set-resources"].items()
    }
    assert asked == {
        name: (f"attempt * {memory}", f"attempt * {minutes}")
        for name, (memory, minutes) in submitted_rules().items()
    }


def test_arrays_are_off_and_the_line_to_ask_for_them_names_every_shard_rule():
    """Every rule that may be submitted and writes one shard of several."""
    text = (ROOT / "slurm" / "profile.yaml").read_text(encoding="utf-8")
    assert "slurm-array-jobs" not in yaml.safe_load(text)
    (line,) = re.findall(r"^# slurm-array-jobs: (.*)$", text, re.M)
    assert {name.strip() for name in line.split(",")} == {
        block.split(":")[0]
        for block in rules_text().split("\nrule ")[1:]
        if "shard-{shard}.zarr.zip" in block.split("output:")[1].split("log:")[0]
    }


def test_every_gpu_rule_has_a_partition_in_the_slurm_profile():
    """A rule with gpu=1 and no entry would queue on the CPU partition."""
    profile = yaml.safe_load((ROOT / "slurm" / "profile.yaml").read_text(encoding="utf-8"))
    on_gpu = {
        name
        for name, resources in profile["set-resources"].items()
        if resources.get("slurm_partition") == "gpu"
    }
    assert gpu_rules() >= GPU_RULES
    assert on_gpu == gpu_rules()


def test_a_mistyped_key_stops_before_anything_runs(tmp_path: Path):
    config = {"views": {"window_frame": 8}}
    outcome = snakemake(tmp_path, "-n", "--configfile", write_config(tmp_path, config))
    assert outcome.code != 0
    lines = [line for line in outcome.text.splitlines() if "views.window_frame" in line]
    assert len(lines) == 1
    assert "did you mean 'window_frames'" in lines[0]
    assert "Traceback" not in outcome.text


def test_the_plan_does_not_depend_on_hash_randomisation(tmp_path: Path, demo_config):
    path = write_config(tmp_path, demo_config)
    plans = {
        tuple(
            sorted(
                snakemake(
                    tmp_path, "-n", "--configfile", path, environment={"PYTHONHASHSEED": seed}
                ).jobs.items()
            )
        )
        for seed in ("1", "2")
    }
    assert len(plans) == 1
