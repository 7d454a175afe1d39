"""The small study on a real SLURM, and what can happen to its jobs there."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SHARED
from tests.workflow.lab import Lab, ended, record, wait_for
from tests.workflow.test_profiles import gpu_rules

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.usefixtures("slurm")]

SHARD = "latents/mel_pca/shard-000.zarr.zip"
SCORES = "structure/brought/split-0/pca/scores.parquet"
MODEL = "prediction/mel_pca/lag-1/gaussian_mixture/seed-0/model.safetensors"
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
    # The profile asks for what real speech needs; the lab node only has to promise it.
    variables = {**os.environ, "SLURM_LAB_MEM": "100000"}
    subprocess.run([str(script)], env=variables, check=True, capture_output=True)
    yield
    subprocess.run([str(script.with_name("stop-slurm.sh"))], check=True, capture_output=True)


def jobs_of(lab: Lab) -> list[dict[str, str]]:
    """What SLURM itself knows of the jobs submitted from a folder."""
    shown = subprocess.run(
        ["scontrol", "show", "job", "--oneliner"], capture_output=True, text=True, check=True
    ).stdout
    rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in shown.splitlines()]
    return [row for row in rows if row.get("WorkDir") == str(lab.folder)]


def rule_of(job: dict[str, str]) -> str:
    """The rule of a job, from the comment it was submitted with."""
    return job["Comment"].removeprefix("rule_").split("_wildcards")[0]


def running_job(lab: Lab) -> str:
    """Wait until a job of the folder runs and stands in the fault; return its id."""
    lab.wait_paused()
    running = [job["JobId"] for job in jobs_of(lab) if job["JobState"] == "RUNNING"]
    assert len(running) == 1
    return running[0]


def test_the_study_runs_with_gpu_rules_on_gpus_and_the_rest_beside_the_driver(lab: Lab):
    """Where each rule ran, by SLURM's own record; and the bytes of the run without SLURM."""
    shutil.rmtree(lab.results)
    outcome = lab.run(*PROFILE)
    lab.assert_restored(outcome)
    jobs = jobs_of(lab)
    assert {rule_of(job) for job in jobs} == gpu_rules() & set(outcome.jobs)
    assert "extract_latents" in {rule_of(job) for job in jobs}
    for job in jobs:
        assert job["JobState"] == "COMPLETED"
        assert job["Partition"] == "gpu"
        assert job["TresPerJob"].endswith("gpu:1"), job
    assert (lab.folder / "benchmarks" / "structure" / "brought" / "split-0" / "pca.tsv").is_file()


def test_one_switch_sends_cpu_analysis_to_the_cpu_partition(lab: Lab):
    lab.forget(SCORES)
    lab.assert_restored(lab.run(*PROFILE, ENGRAM_ANALYSIS="partition"))
    jobs = jobs_of(lab)
    assert [rule_of(job) for job in jobs] == ["score_structure_keys"]
    assert jobs[0]["Partition"] == "cpu" and "gpu" not in jobs[0].get("TresPerJob", "")


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
        text, _ = driver.communicate(timeout=400)
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
    limits = ("--set-resources", "extract_latents:slurm_partition=gpu",
              "extract_latents:runtime=attempt*1", "extract_latents:mem_mb=2000")  # fmt: skip
    outcome = lab.run(*PROFILE, *limits, FAULT_PAUSE="shard-000.zarr.zip")
    assert "TIMEOUT" in outcome.text
    lab.assert_restored(outcome)
    assert [job["TimeLimit"] for job in jobs_of(lab)] == ["00:01:00", "00:02:00"]
    record(
        "wall time exceeded",
        "a limit of one minute on a job that stands still",
        "`SLURM status is: 'TIMEOUT'`",
        "the retry asks for twice the time and ends in the same run; same bytes",
    )


def test_a_job_out_of_memory_is_tried_again_with_more(lab: Lab):
    lab.forget(SHARD)
    limits = ("--set-resources", "extract_latents:slurm_partition=gpu",
              "extract_latents:runtime=10", "extract_latents:mem_mb=attempt*1200")  # fmt: skip
    outcome = lab.run(*PROFILE, *limits, FAULT_EAT_MB="extract_latents:1500")
    lab.assert_restored(outcome)
    jobs = jobs_of(lab)
    assert jobs[0]["JobState"] in ("FAILED", "OUT_OF_MEMORY") and "exceeded memory" in "".join(
        path.read_text(errors="replace") for path in (lab.folder / "logs/slurm").rglob("*.log")
    )
    assert [job["MinMemoryNode"] for job in jobs] == ["1200M", "2400M"]
    record(
        "out of memory",
        "a step that takes 1.5 GB where 1.2 GB were asked for",
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
            wait_for(lambda: len(jobs_of(lab)) == 1, "a job in the queue")
            assert jobs_of(lab)[0]["JobState"] == "PENDING"
            subprocess.run([*change, "state=resume"], check=True)
            text, _ = driver.communicate(timeout=400)
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
    log = lab.folder / "logs" / Path(MODEL).parent / "train_density.log"
    # It is writing its second checkpoint: whether or not the grace time lasts, the first is there.
    faults = {"FAULT_PAUSE": ".safetensors", "FAULT_AFTER": "1", "FAULT_SECONDS": "3"}
    with ended(lab.start(*PROFILE, **faults)) as driver:
        number = running_job(lab)
        subprocess.run(["scontrol", "requeue", number], check=True)
        text, _ = driver.communicate(timeout=500)
    assert driver.returncode == 0, text[-2000:]
    assert jobs_of(lab)[0]["Restarts"] == "1"
    assert "going on from step" in log.read_text(encoding="utf-8")
    lab.assert_restored(lab.run())
    record(
        "job preempted and requeued",
        "scontrol requeue of a training job while it writes a checkpoint",
        "none: Snakemake waits",
        "the step goes on from its last checkpoint; same bytes",
    )
