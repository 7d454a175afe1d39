"""What the doctor says: one line for each check, and what fails has a remedy."""

import subprocess
from pathlib import Path

import pytest

from engram_audio import doctor, doctor_slurm, quota
from engram_audio.cost.jobs import Job
from engram_audio.cost.totals import Costed
from engram_audio.cost.units import Estimate
from engram_audio.doctor_slurm import Site, node_problems, requested, site_in
from engram_audio.errors import InputError
from engram_audio.provenance import ROOT

NODE = {
    "python": "/env/python", "package": str(ROOT / "engram_audio"), "cuda": True, "visible": "0",
    "torch": "2", "node": "n1", "scratch": "/tmp", "free": 5e9,
}  # fmt: skip


def job(disk_bytes: float = 0.0, cpu_s: float = 60.0, **asked: int) -> Costed:
    planned = Job("decide", {"seed": "0"}, (), ("results/a.json",), asked, benchmark="b")
    return Costed(planned, Estimate(cpu_s, 0.0, 100.0, disk_bytes, is_measured=True))


def test_a_study_in_its_limits_says_what_it_costs():
    assert doctor.check_limits([job(runtime=2)] * 60) == (
        "60 jobs, about 1.0 CPU-hours and 0.0 GPU-hours, each in its limits"
    )


def test_a_study_beyond_a_limit_names_the_first_job():
    check = doctor.looked_at("cost", lambda: doctor.check_limits([job(cpu_s=999, runtime=2)]))
    assert str(check).startswith("FAILED  cost: decide (seed=0): about 16 min")


def test_too_little_disk_names_the_folder_and_both_sizes(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(doctor, "free_of_quota", lambda folder: 2e9)
    assert "2.0 GB left of the quota" in doctor.check_disk([job(disk_bytes=1e9)], tmp_path)
    with pytest.raises(InputError, match=r"2\.0 GB left .* writes about 3\.0 GB"):
        doctor.check_disk([job(disk_bytes=3e9)], tmp_path)


def test_missing_weights_name_the_command_that_fetches_them(tmp_path: Path):
    there = tmp_path / "a.safetensors"
    there.touch()
    gone = tmp_path / "b.safetensors"
    download = Job("download_codec", {}, (), (str(there), str(gone)))
    with pytest.raises(InputError, match=rf"1 of 2 downloads .* --profile slurm {gone}"):
        doctor.check_weights([download])
    gone.touch()
    assert doctor.check_weights([download]) == "2 downloads are here"
    assert doctor.check_weights([]) == "this study downloads nothing"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/dev/sda1 100 200 300 0 5 0 0", 100 * 1024),
        ("/dev/sda1 250* 200 300 6days 5 0 0", 0),  # beyond the soft limit
        ("/dev/sda1 100 0 300 0 5 0 0", 200 * 1024),
        ("/dev/sda1 100 0 0 0 5 0 0", None),
        ("/dev/sdb1 100 200 300 0 5 0 0", None),
        ("", None),
    ],
)
def test_what_a_quota_leaves(text: str, left: float | None):
    head = "Disk quotas for user u (uid 1):\nFilesystem blocks quota limit grace files\n"
    assert quota.left_in(head + text, "/dev/sda1") == left


def test_a_sound_node_has_no_problem():
    assert list(node_problems(NODE, needs_cuda=True, scratch_bytes=1e9)) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"cuda": False}, "sees no CUDA (GPUs given by SLURM: 0): install"),
        ({"package": "/tmp"}, "it imports /tmp, not"),
        ({"free": 1e8}, "/tmp has 0.1 GB and a job may map 1.0 GB there"),
    ],
)
def test_each_problem_of_a_node_has_its_remedy(found: dict, said: str):
    (problem,) = node_problems({**NODE, **found}, needs_cuda=True, scratch_bytes=1e9)
    assert said in problem


@pytest.mark.parametrize(
    ("site", "has_gpu", "words"),
    [
        (Site("", "cpu", "gpu", "gpus"), False, ["--partition=cpu"]),
        (Site("me", "cpu", "gpu", "gpus"), True, ["--partition=gpu", "--account=me", "--gpus=1"]),
        (Site("", "cpu", "gpu", "gpu:a100:1"), True, ["--partition=gpu", "--gres=gpu:a100:1"]),
        (Site("", "cpu", "gpu", "none"), True, ["--partition=cpu"]),
        (Site("", "", "", "gpus"), True, ["--gpus=1"]),
    ],
)
def test_a_node_is_asked_for_as_the_profile_says(site: Site, has_gpu: bool, words: list[str]):
    assert requested(site, has_gpu) == words


def test_the_profile_is_read_once_for_all_names():
    assert site_in(ROOT / "slurm" / "profile.yaml") == Site("", "cpu", "gpu", "gpus")


def test_a_partition_that_slurm_refuses_is_said_in_its_words(monkeypatch):
    refused = subprocess.CompletedProcess(
        [], 1, "", "sbatch: error: invalid partition specified: nope\nallocation failure: Invalid"
    )
    monkeypatch.setattr(doctor_slurm, "_run", lambda command, timeout_s: refused)
    with pytest.raises(InputError, match=r"--partition=nope .*Invalid; correct slurm/profile"):
        doctor_slurm.check_partition(["--partition=nope"], [job(mem_mb=1, runtime=1)])


def test_without_slurm_nodes_are_skipped_and_it_is_said(monkeypatch):
    monkeypatch.setattr(doctor, "refuse_other_python", lambda home: None)
    monkeypatch.setattr(doctor, "planned", lambda options: [job().job])
    checks = list(doctor.all_checks([], None))
    assert [check.outcome for check in checks] == ["ok", "ok", "ok", "ok", "skipped"]
    assert str(checks[-1]).startswith("skipped SLURM: none answers here")


def test_a_study_that_cannot_be_planned_ends_the_checks(monkeypatch):
    def refused(options):
        raise InputError("views.window_frame: unknown key")

    monkeypatch.setattr(doctor, "refuse_other_python", lambda home: None)
    monkeypatch.setattr(doctor, "planned", refused)
    assert (
        str(list(doctor.all_checks([], None))[-1])
        == "FAILED  plan: views.window_frame: unknown key"
    )
