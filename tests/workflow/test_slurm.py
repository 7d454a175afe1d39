"""The small study on a real SLURM, and what can happen to its jobs there."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from tests.conftest import SHARED
from tests.workflow.fault_table import record
from tests.workflow.lab import Lab, ended, tree_digests, wait_for
from tests.workflow.many_shards import SHARDS, ManyShards, with_tools
from tests.workflow.test_profiles import gpu_rules
from tests.workflow.tiny_study import add_trained_codec, read_config, write_config

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.usefixtures("slurm"),
]

SHARD = "latents/mel_pca/shard-000.zarr.zip"
SCORES = "structure/brought/split-0/pca/scores.parquet"
# The small study trains no codec; with `add_trained_codec` these rules are GPU jobs too.
OF_TRAINED_CODECS = {"train_codec", "evaluate_reconstruction"}
MODEL = "prediction/mel_pca/lag-1/gaussian_mixture/seed-0/model.safetensors"
HEADS = "train_density_of_mel_pca_1"  # the job that trains it and the other heads of its lag
PROFILE = (
    "--profile", "slurm", "--local-cores", "2", "--slurm-init-seconds-before-status-checks", "5",
)  # fmt: skip


def is_up() -> bool:
    """Whether a SLURM answers."""
    if shutil.which("sinfo") is None:
        return False
    return subprocess.run(["sinfo"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    """A SLURM that is up, or the test lab's, started for these tests and stopped after them."""
    if is_up():
        yield
        return
    script = SHARED / "slurm" / "start-slurm.sh"
    if shutil.which("slurmctld") is None or not script.is_file() or os.geteuid() != 0:
        pytest.skip("no SLURM is up, and none can be started here")
    # The rules ask for what real speech needs; the lab node only has to promise it.
    variables = {**os.environ, "SLURM_LAB_MEM": "100000"}
    subprocess.run([str(script)], env=variables, check=True, capture_output=True)
    yield
    subprocess.run([str(script.with_name("stop-slurm.sh"))], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def fitted(request: pytest.FixtureRequest, slurm: None) -> None:
    """Let no rule ask for more memory than the nodes that are up have: the study is tiny."""
    if "lab" not in request.fixturenames:
        return
    shown = subprocess.run(
        ["sinfo", "-h", "-N", "-o", "%m"], capture_output=True, text=True, check=True
    )
    largest = min(int(memory.rstrip("+")) for memory in shown.stdout.split()) // 2
    for path in (request.getfixturevalue("lab").folder / "rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        path.write_text(at_most(text, largest), encoding="utf-8")


def at_most(rules: str, largest_mb: int) -> str:
    """Rules that ask for no more memory than that in their first attempt."""
    return re.sub(
        r"mem_mb=growing\((\d+)\)",
        lambda found: f"mem_mb=growing({min(int(found[1]), largest_mb)})",
        rules,
    )


def jobs_of(lab: Lab) -> list[dict[str, str]]:
    """What SLURM itself knows of the jobs submitted from a lab since it was made."""
    return [
        row
        for row in jobs_in(lab.folder)
        if datetime.fromisoformat(row["SubmitTime"]).timestamp() >= int(lab.created)
    ]


def jobs_in(folder: Path) -> list[dict[str, str]]:
    """What SLURM itself knows of the jobs submitted from a folder."""
    shown = subprocess.run(
        ["scontrol", "--details", "show", "job", "--oneliner"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in shown.splitlines()]
    return [row for row in rows if row.get("WorkDir") == str(folder)]


def rule_of(job: dict[str, str]) -> str:
    """The rule of a job, or of its members, from the comment it was submitted with."""
    return job["Comment"].removeprefix("rule_").split("_wildcards")[0].partition("_of_")[0]


def running_job(lab: Lab) -> str:
    """Wait until a job of the folder runs and stands in the fault; return its id."""
    lab.wait_paused()
    running = [job["JobId"] for job in jobs_of(lab) if job["JobState"] == "RUNNING"]
    assert len(running) == 1
    return running[0]


def test_the_study_runs_with_gpu_rules_on_gpus_and_the_rest_beside_the_driver(lab: Lab):
    """By SLURM's record, by what the steps saw in their environment, by the bytes without SLURM."""
    shutil.rmtree(lab.results)
    outcome = lab.run(*PROFILE, FAULT_WITNESS="witness")
    lab.assert_restored(outcome)
    jobs = jobs_of(lab)
    assert {rule_of(job) for job in jobs} == gpu_rules() - OF_TRAINED_CODECS
    for job in jobs:
        assert (job["JobState"], job["Partition"], job["JOB_GRES"]) == ("COMPLETED", "gpu", "gpu:1")
    shards = [job for job in jobs if rule_of(job) == "extract_latents"]
    assert len(shards) == 2
    assert not any("ArrayJobId" in job for job in shards), "arrays are off"
    on_gpus = {*gpu_rules(), "run_members"}
    on_gpu = [step for step in lab.witnessed() if step["rule"] in on_gpus]
    assert sorted(str(step["SLURM_JOB_ID"]) for step in on_gpu) == sorted(
        job["JobId"] for job in jobs
    )
    for step in on_gpu:
        assert step["CUDA_VISIBLE_DEVICES"] in {"0", "1"}
    evidence = [step for step in lab.witnessed() if step["rule"] not in on_gpus]
    assert {"score_structure_keys", "evaluate_nulls"} <= {step["rule"] for step in evidence}
    for step in evidence:
        assert step["SLURM_JOB_ID"] == os.environ.get("SLURM_JOB_ID"), step


# What the nodes of a test have; the lines of docs/cluster.md that ask for arrays.
SMALL = {"set-resources": {"extract_latents": {"mem_mb": 500, "runtime": 60}},
         "slurm-init-seconds-before-status-checks": 5}  # fmt: skip
ARRAYS = {"slurm-array-jobs": "extract_latents", "max-jobs-per-timespan": "100000/1s"}


@pytest.mark.parametrize(
    ("arguments", "lines", "submissions"),
    [(("--jobs", "8"), {}, SHARDS), (("--jobs", "unlimited"), ARRAYS, 1)],
    ids=["by the profile", "as an array"],
)
def test_many_more_ready_shards_than_jobs_are_all_made(
    tmp_path: Path, arguments: tuple[str, ...], lines: dict[str, str], submissions: int
):
    site = ManyShards(tmp_path / "study", with_tools(tmp_path))
    outcome = site.run(*arguments, **SMALL, **lines)
    assert outcome.code == 0, outcome.text[-3000:]
    assert site.made() == SHARDS
    jobs = jobs_in(site.folder)
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert len(jobs) == SHARDS
    assert len({job.get("ArrayJobId", job["JobId"]) for job in jobs}) == submissions


def test_the_study_with_a_trained_codec_trains_and_scores_it_on_gpus(lab: Lab):
    """Weights, latents and scores are those of a run beside the driver."""
    config = read_config(lab.folder)
    add_trained_codec(config)
    write_config(lab.folder, config)
    made = ("codecs/mel_vae/weights.safetensors", "latents/mel_vae/shard-000.zarr.zip",
            "reconstruction/mel_vae/scores.parquet")  # fmt: skip
    lab.forget(*made)
    outcome = lab.run(*PROFILE)
    assert outcome.code == 0, outcome.text[-3000:]
    jobs = jobs_of(lab)
    assert {rule_of(job) for job in jobs} == {"extract_latents", *OF_TRAINED_CODECS}
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert {job["JOB_GRES"] for job in jobs} == {"gpu:1"}
    lab.before = tree_digests(lab.results)
    lab.forget(*made)
    lab.assert_restored(lab.run())


def test_one_switch_sends_cpu_analysis_to_the_cpu_partition(lab: Lab):
    lab.forget(SCORES)
    outcome = lab.run(*PROFILE, ENGRAM_ANALYSIS="partition", FAULT_WITNESS="witness")
    lab.assert_restored(outcome)
    jobs = jobs_of(lab)
    assert [rule_of(job) for job in jobs] == ["score_structure_keys"]
    assert (jobs[0]["Partition"], jobs[0]["JOB_GRES"]) == ("cpu", "(null)")
    (step,) = [step for step in lab.witnessed() if step["rule"] == "score_structure_keys"]
    assert step["SLURM_JOB_ID"] == jobs[0]["JobId"]


def test_gpus_as_gres_by_one_line_of_the_profile(lab: Lab):
    """For clusters without `--gpus`."""
    path = lab.folder / "slurm" / "profile.yaml"
    profile = yaml.safe_load(path.read_text(encoding="utf-8"))
    profile["default-resources"]["gpu_request"] = "gpu:1"
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")
    lab.forget(SHARD)
    lab.assert_restored(lab.run(*PROFILE, FAULT_WITNESS="witness"))
    (job,) = jobs_of(lab)
    assert job["TresPerNode"].endswith("gpu:1") and "TresPerJob" not in job
    assert (job["Partition"], job["JOB_GRES"]) == ("gpu", "gpu:1")
    (step,) = [step for step in lab.witnessed() if step["rule"] == "extract_latents"]
    assert step["CUDA_VISIBLE_DEVICES"] in {"0", "1"}


def test_a_killed_driver_leaves_a_slurm_orphan_that_is_refused_and_recovered(lab: Lab):
    lab.forget(SHARD)
    with ended(lab.start(*PROFILE, FAULT_PAUSE="shard-000.zarr.zip")) as driver:
        number = running_job(lab)
        os.kill(driver.pid, signal.SIGKILL)
        lab.abandon(driver)
    lab.run(*PROFILE, "--unlock")
    refused = lab.run(*PROFILE)
    assert refused.code != 0
    assert f"SLURM job {number} (extract_latents" in refused.text
    assert "make recover" in refused.text
    assert [job["JobState"] for job in jobs_of(lab)] == ["RUNNING"], "nothing was started beside it"
    assert f"ended SLURM job {number}" in lab.recover()
    lab.assert_restored(lab.run(*PROFILE))
    record(
        "Snakemake killed, SLURM job lives on",
        "SIGKILL to the driver while its SLURM job writes",
        "`SLURM job N (rule) of another run still works in this folder`, and nothing starts",
        "`make recover` cancels the orphan and unlocks; rerun ends with the same bytes",
    )


def test_a_cancelled_job_is_tried_again(lab: Lab):
    lab.forget(SHARD)
    with ended(lab.start(*PROFILE, FAULT_PAUSE="shard-000.zarr.zip")) as driver:
        subprocess.run(["scancel", running_job(lab)], check=True)
        text, _ = driver.communicate()
    assert "CANCELLED" in text
    lab.assert_restored(lab.run())
    assert driver.returncode == 0, text[-2000:]
    record(
        "SLURM job cancelled",
        "scancel of a running job",
        "`SLURM-job 'N' failed, SLURM status is: 'CANCELLED'`",
        "the profile's retry makes the output in the same run; same bytes",
    )


def test_a_job_past_its_wall_time_is_tried_again_with_more(lab: Lab):
    lab.forget(SHARD)
    limits = ("--set-resources", "extract_latents:runtime=1+(attempt-1)*600",
              "extract_latents:mem_mb=2000")  # fmt: skip
    outcome = lab.run(*PROFILE, *limits, FAULT_PAUSE="shard-000.zarr.zip")
    assert "TIMEOUT" in outcome.text
    lab.assert_restored(outcome)
    assert [job["TimeLimit"] for job in jobs_of(lab)] == ["00:01:00", "10:01:00"]
    record(
        "wall time exceeded",
        "a limit of one minute on a job that stands still",
        "`SLURM status is: 'TIMEOUT'`",
        "the retry asks for more time and ends in the same run; same bytes",
    )


def test_a_job_out_of_memory_is_tried_again_with_more(lab: Lab):
    lab.forget(SHARD)
    limits = ("--set-resources", "extract_latents:runtime=600",
              "extract_latents:mem_mb=attempt*1200")  # fmt: skip
    outcome = lab.run(*PROFILE, *limits, FAULT_EAT_MB="extract_latents:1500")
    lab.assert_restored(outcome)
    jobs = jobs_of(lab)
    assert jobs[0]["JobState"] in ("FAILED", "OUT_OF_MEMORY") and "exceeded memory" in "".join(
        path.read_text(errors="replace") for path in (lab.folder / "logs/slurm").rglob("*.log")
    )
    assert [job["MinMemoryNode"] for job in jobs] == ["1200M", "2400M"]
    record(
        "out of memory",
        "a step that takes 1.5 GB where 1.2 GB were asked for (SLURM's own watch, no cgroups)",
        "the job's log: `exceeded memory limit ... being killed`",
        "the retry asks for twice the memory and ends in the same run; same bytes",
    )


def test_a_drained_node_makes_jobs_wait(lab: Lab):
    node = subprocess.run(
        ["sinfo", "-h", "-N", "-o", "%N", "-p", "gpu"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    change = ["scontrol", "update", f"nodename={node}"]
    lab.forget(SHARD)
    subprocess.run([*change, "state=drain", "reason=test"], check=True)
    try:
        with ended(lab.start(*PROFILE)) as driver:
            wait_for(lambda: len(jobs_of(lab)) == 1 or driver.poll() is not None)
            assert jobs_of(lab)[0]["JobState"] == "PENDING"
            subprocess.run([*change, "state=resume"], check=True)
            text, _ = driver.communicate()
    finally:
        subprocess.run([*change, "state=resume"], check=False, capture_output=True)
    assert driver.returncode == 0, text[-2000:]
    lab.assert_restored(lab.run())
    record(
        "node drained and back",
        "the only node drained before a job is queued, resumed while it waits",
        "none: the job is pending, Snakemake waits",
        "the job runs when the node is back; same bytes",
    )


def test_a_preempted_training_goes_on_after_requeue(lab: Lab):
    lab.forget(MODEL)
    log = lab.folder / "logs" / "members" / f"{HEADS}.log"
    partial = lab.results / "members" / ".partial" / HEADS
    # Writing its second checkpoint, of step 10, when the signal comes; the next step sees it.
    faults = {"FAULT_PAUSE": ".safetensors", "FAULT_AFTER": "1"}
    with ended(lab.start(*PROFILE, **faults)) as driver:
        number = running_job(lab)
        subprocess.run(["scontrol", "requeue", number], check=True)
        wait_for(lambda: not lab.is_running(lab.wait_paused()))
        assert "signal 15: saving a checkpoint and stopping" in log.read_text(encoding="utf-8")
        hidden = [path.name for path in partial.glob("*/.*")]
        assert hidden == [".checkpoint-delta.safetensors"], "whole, and no half file beside it"
        assert not (lab.results / MODEL).exists()
        text, _ = driver.communicate()
    assert driver.returncode == 0, text[-2000:]
    (job,) = jobs_of(lab)
    assert (job["JobId"], job["Restarts"], job["JobState"]) == (number, "1", "COMPLETED")
    assert "going on from step 11" in log.read_text(encoding="utf-8")
    lab.assert_restored(lab.run())
    record(
        "job preempted and requeued",
        "scontrol requeue of a training job while it writes a checkpoint",
        "its log: `signal 15: saving a checkpoint and stopping`; Snakemake waits",
        "the same job goes on from the step where the signal came; same bytes",
    )


def test_a_cancelled_job_of_many_members_is_tried_again_with_those_that_are_left(lab: Lab):
    lab.forget(*(f"prediction/mel_pca/lag-1/{path}" for path in models_of(lab)))
    with ended(lab.start(*PROFILE, FAULT_PAUSE="whole.json", FAULT_AFTER="1")) as driver:
        subprocess.run(["scancel", running_job(lab)], check=True)
        text, _ = driver.communicate()
    assert "CANCELLED" in text
    assert driver.returncode == 0, text[-2000:]
    log = (lab.folder / "logs" / "members" / f"{HEADS}.log").read_text(encoding="utf-8")
    assert log.count("it was made before") == 1, "the log is that of the second attempt"
    assert {(rule_of(job), job["JOB_GRES"]) for job in jobs_of(lab)} == {("train_density", "gpu:1")}
    lab.assert_restored(lab.run(*PROFILE))
    record(
        "SLURM job of many models cancelled",
        "scancel while the second model of a job is being put aside",
        "`SLURM-job 'N' failed, SLURM status is: 'CANCELLED'`",
        "the retry trains what is left and takes the first as it is; same bytes",
    )


def models_of(lab: Lab) -> list[str]:
    """Models of a lag, below its folder."""
    folder = lab.results / Path(MODEL).parents[2]
    return [str(path.relative_to(folder)) for path in folder.rglob("model.safetensors")]
