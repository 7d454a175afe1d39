"""Which processes and jobs count as left behind, and that a living owner's do not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engram_audio import cluster
from engram_audio.errors import InputError

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


def test_a_silent_controller_is_an_error_not_an_all_clear(tmp_path: Path, monkeypatch):
    tool = tmp_path / "squeue"
    tool.write_text("#!/bin/sh\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_CONF", str(tool))
    with pytest.raises(InputError, match="squeue"):
        cluster.slurm_jobs(tmp_path)
