"""Which processes and jobs count as left behind, and that a living owner's do not."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engram_audio import cluster
from engram_audio.errors import InputError
from engram_audio.stray_processes import DRIVER, Stray

ROOT = Path(__file__).resolve().parents[2]
WAITING = "import signal; signal.pause()"


def step_like(folder: Path) -> list[str]:
    """A command line that looks like a step's."""
    return [sys.executable, "-c", WAITING, "-m", "engram_audio.steps.decide"]


def test_a_step_with_a_living_parent_is_no_stray(tmp_path: Path):
    with subprocess.Popen(step_like(tmp_path), cwd=tmp_path) as child:
        try:
            assert cluster.stray_processes(tmp_path) == []
        finally:
            child.kill()


def test_an_orphaned_step_is_found_in_its_folder_only_and_ended(tmp_path: Path):
    """Started by a shell that ends at once, so that the first process adopts it."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    pid_file = tmp_path / "pid"
    words = " ".join(f"'{word}'" for word in step_like(here))
    subprocess.run(["sh", "-c", f"{words} & echo $! >{pid_file}"], cwd=here, check=True)
    pid = int(pid_file.read_text())
    try:
        while not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(sys.executable.encode()):
            time.sleep(0.05)  # still a copy of the shell
        found = cluster.stray_processes(here)
        if not found:
            pytest.skip("orphans are adopted by another process than the first one here")
        assert [stray.number for stray in found] == [str(pid)]
        assert cluster.stray_processes(elsewhere) == []
        with pytest.raises(InputError, match="make recover"):
            cluster.refuse_strays(here)
        assert [stray.what for stray in cluster.recover(here)] == ["decide"]
        assert cluster.strays(here) == []
    finally:
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)


def test_squeue_lines_of_other_folders_and_other_tools_are_left_out(tmp_path: Path, monkeypatch):
    here = tmp_path / "with | bar"
    here.mkdir()
    tool = tmp_path / "squeue"
    lines = [
        f"7|rule_extract_latents_wildcards_a_000|{here}",
        f"8|rule_decide|{tmp_path}",
        f"9|something else|{here}",
        f"10_2|rule_make_surrogate|{here}",
    ]
    tool.write_text("#!/bin/sh\ncat <<'E'\n" + "\n".join(lines) + "\nE\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_CONF", str(tool))
    assert [stray.number for stray in cluster.slurm_jobs(here)] == ["7", "10_2"]


def squeue(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Install a controller's command; return the file that has a line for each time it ran."""
    calls = folder / "calls"
    tool = folder / "squeue"
    tool.write_text(f"#!/bin/sh\necho x >>{calls}\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_CONF", str(tool))
    monkeypatch.setattr(cluster, "SQUEUE_PAUSE_S", 0.0)
    return calls


SILENT = "echo 'Unable to contact slurm controller' >&2; exit 1"


def test_a_silent_controller_is_an_error_not_an_all_clear(tmp_path: Path, monkeypatch):
    squeue(tmp_path, monkeypatch, SILENT)
    with pytest.raises(InputError, match=r"squeue: does not answer.*Unable to contact") as refused:
        cluster.slurm_jobs(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_run_on_slurm_asks_a_silent_controller_again_and_then_stops(tmp_path: Path, monkeypatch):
    calls = squeue(tmp_path, monkeypatch, SILENT)
    with pytest.raises(InputError, match="try again when SLURM is up"):
        cluster.refuse_strays(tmp_path, is_on_slurm=True)
    assert calls.read_text().split() == ["x"] * cluster.SQUEUE_ATTEMPTS


def test_a_controller_that_answers_the_second_time_is_heard(tmp_path: Path, monkeypatch):
    line = f"7|rule_decide|{tmp_path}"
    calls = squeue(
        tmp_path, monkeypatch, f"test $(wc -l <{tmp_path}/calls) -gt 1 || exit 1; echo '{line}'"
    )
    with pytest.raises(InputError, match=r"SLURM job 7 \(decide\)"):
        cluster.refuse_strays(tmp_path, is_on_slurm=True)
    assert calls.read_text().split() == ["x", "x"]


@pytest.mark.parametrize("script", [SILENT, "exec sleep 600"])
def test_a_silent_controller_is_a_warning_to_a_local_run(
    tmp_path: Path, monkeypatch, caplog: pytest.LogCaptureFixture, script: str
):
    calls = squeue(tmp_path, monkeypatch, script)
    monkeypatch.setattr(cluster, "SQUEUE_TIMEOUT_S", 1.0)
    assert not cluster.refuse_strays(tmp_path, is_on_slurm=False), "nothing is certain"
    assert "squeue: does not answer" in caplog.text and "goes on" in caplog.text
    assert calls.read_text().split() == ["x"]


def test_a_local_run_beside_jobs_that_slurm_knows_is_refused(tmp_path: Path, monkeypatch):
    squeue(tmp_path, monkeypatch, f"echo '7|rule_decide|{tmp_path}'")
    with pytest.raises(InputError, match="SLURM job 7"):
        cluster.refuse_strays(tmp_path, is_on_slurm=False)


def test_recovery_ends_processes_though_slurm_is_silent(
    tmp_path: Path, monkeypatch, caplog: pytest.LogCaptureFixture
):
    squeue(tmp_path, monkeypatch, SILENT)
    assert cluster.recover(tmp_path) == []
    assert "only processes of this machine are ended" in caplog.text


def gone() -> str:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    return str(child.pid)


def test_a_step_that_ends_while_it_is_recovered_is_no_error(tmp_path: Path, monkeypatch):
    stray = Stray(gone(), "decide", is_slurm=False)
    answers = iter([[stray], [stray], []])
    monkeypatch.setattr(cluster, "stray_processes", lambda folder: next(answers))
    monkeypatch.setattr(cluster.time, "sleep", lambda seconds: None)
    assert cluster.recover(tmp_path) == [stray]


def test_a_step_of_another_user_is_named(tmp_path: Path, monkeypatch):
    def refused(number: int, kind: int) -> None:
        raise PermissionError

    stray = Stray("7", "decide", is_slurm=False)
    monkeypatch.setattr(cluster, "stray_processes", lambda folder: [stray])
    monkeypatch.setattr(cluster.os, "kill", refused)
    with pytest.raises(InputError, match=r"process 7 \(decide\): belongs to another user"):
        cluster.recover(tmp_path)


def test_jobs_that_cannot_be_cancelled_are_one_line(tmp_path: Path, monkeypatch):
    squeue(tmp_path, monkeypatch, f"echo '7|rule_decide|{tmp_path}'")
    scancel = tmp_path / "scancel"
    scancel.write_text("#!/bin/sh\nexec sleep 600\n")
    scancel.chmod(0o755)
    monkeypatch.setattr(cluster, "SQUEUE_TIMEOUT_S", 1.0)
    with pytest.raises(InputError, match="scancel: does not answer"):
        cluster.recover(tmp_path)


class Processes:
    """A folder that looks like /proc."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.here = folder / "proc", folder / "here"
        self.here.mkdir()
        self.add(1, 0, "systemd")

    def add(self, pid: int, parent: int, name: str, *words: str, mark: str = "", started: int = 0):
        entry = self.proc / str(pid)
        entry.mkdir(parents=True)
        (entry / "cmdline").write_bytes("\0".join([*words, ""]).encode())
        (entry / "comm").write_text(f"{name}\n")
        (entry / "environ").write_bytes(f"HOME=/\0{DRIVER}={mark}\0".encode())
        numbers = " ".join(["0"] * 17)
        (entry / "stat").write_text(f"{pid} ({name}) S {parent} {numbers} {started} 0\n")
        (entry / "cwd").symlink_to(self.here)

    def step(self, parent: int, mark: str = "", pid: int = 60) -> list[str]:
        self.add(pid, parent, "python", "python", "-m", "engram_audio.steps.decide", mark=mark)
        return [stray.number for stray in cluster.stray_processes(self.here, self.proc)]


SHELL = ("bash", "-c", "python -m engram_audio.steps.decide --x y")
HOST = socket.gethostname()


@pytest.mark.parametrize("name", ["systemd", "slurmstepd", "tini", "docker-init"])
def test_who_takes_in_orphans_is_not_who_started_them(tmp_path: Path, name: str):
    """Without a mark: a step of an earlier version of this workflow."""
    processes = Processes(tmp_path)
    processes.add(50, 1, name)
    assert processes.step(50) == ["60"]


def test_a_step_below_its_shell_below_slurmstepd_is_an_orphan(tmp_path: Path):
    processes = Processes(tmp_path)
    processes.add(50, 1, "slurmstepd")
    processes.add(55, 50, "bash", *SHELL)
    assert processes.step(55) == ["60"]


@pytest.mark.parametrize("name", ["bash", "zsh", "python", "tmux: server"])
def test_a_step_that_a_person_started_is_none(tmp_path: Path, name: str):
    processes = Processes(tmp_path)
    processes.add(50, 1, name)
    assert processes.step(50) == []


def test_a_marked_step_is_an_orphan_when_its_snakemake_is_gone_whoever_takes_it_in(tmp_path: Path):
    processes = Processes(tmp_path)
    processes.add(50, 1, "whoever")
    processes.add(40, 1, "snakemake", started=7)
    assert processes.step(50, mark=f"{HOST} 40 7") == []
    assert processes.step(50, mark=f"{HOST} 41 7", pid=61) == ["61"]


def test_a_number_that_another_process_has_by_now_is_no_snakemake(tmp_path: Path):
    processes = Processes(tmp_path)
    processes.add(50, 1, "whoever")
    processes.add(40, 1, "firefox", started=8)
    assert processes.step(50, mark=f"{HOST} 40 7") == ["60"]


@pytest.mark.parametrize("mark", ["elsewhere 40 7", "", "nonsense", f"{HOST} 40"])
def test_a_mark_of_another_machine_or_none_says_nothing(tmp_path: Path, mark: str):
    processes = Processes(tmp_path)
    processes.add(50, 1, "bash")
    assert processes.step(50, mark=mark) == []


STARTER = """
import os, subprocess, sys
from engram_audio.stray_processes import mark_jobs
mark_jobs()
child = subprocess.Popen(sys.argv[1:])
print(child.pid, flush=True)
child.wait()
"""


def test_a_real_step_is_an_orphan_from_the_death_of_its_snakemake_on(tmp_path: Path):
    """Whatever takes in orphans on this machine."""
    command = [sys.executable, "-c", STARTER, *step_like(tmp_path)]
    driver = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert driver.stdout is not None
    pid = int(driver.stdout.readline())
    try:
        while not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(sys.executable.encode()):
            time.sleep(0.05)  # not yet what it will be
        assert cluster.stray_processes(tmp_path) == []
        driver.kill()
        driver.wait()
        assert [stray.number for stray in cluster.stray_processes(tmp_path)] == [str(pid)]
    finally:
        driver.stdout.close()
        os.kill(pid, signal.SIGKILL)
