"""What stands around a run: the folder's name, the PATH, another driver, what killed jobs left.

Through the real workflow, by its smallest job.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engram_audio.results_lock import hold_results
from engram_audio.start import refuse_names
from tests.workflow import stand_in_slurm
from tests.workflow.conftest import Outcome
from tests.workflow.many_plans import run_in_child
from tests.workflow.many_shards import ManyShards
from tests.workflow.tiny_study import CONFIG, checkout, environment, read_config, write_config

POWER = "results/calibration/power.parquet"
# What the shell lines of SLURM jobs do protect: all that a name may hold but what is refused.
STRANGE = "a (x) & ; # ~ ! { } [ ] * ? < > | é 日"
ODD = 'it\'s $HOME "q" `id` %j é'


# A submitted job runs at once, in the shell, as SLURM's batch script would.
SBATCH = r"""
import os, subprocess, sys
wrapped = next(word for word in sys.argv[1:] if word.startswith("--wrap="))
job = {**os.environ, "SLURM_JOB_ID": "1"}
subprocess.run(["sh", "-c", wrapped[len("--wrap="):]], env=job, check=True, stdout=sys.stderr)
open(os.path.join(os.environ["STAND_IN_SLURM"], "submitted"), "a").write("1\n")
print(1)
"""
SRUN = r"""
import os, sys
words = sys.argv[1:]
while words[0].startswith("-"):
    del words[0]
os.execvp(words[0], words)
"""
ONE_SHARD = """
localrules: all
rule all:
    input: "0.made"
rule extract_latents:
    output: "{shard}.made"
    shell: "touch {output}"
"""


class Site:
    """A checkout with a name that shells and printf would take apart."""

    def __init__(self, folder: Path) -> None:
        self.folder = checkout(folder)

    def started(self, *arguments: str, **variables: str) -> Outcome:
        """By the package of the folder, as a user starts it."""
        command = [sys.executable, "-m", "snakemake", "--configfile", CONFIG, *arguments]
        done = subprocess.run(
            [*command, "--", POWER], cwd=self.folder, capture_output=True, text=True, check=False,
            env={**environment(self.folder), **variables},
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout + done.stderr)

    def run(self, *arguments: str, target: str = POWER, **variables: str) -> Outcome:
        """In a child of this process, which has Snakemake loaded."""
        words = ["--snakefile", str(self.folder / "Snakefile"), "--directory", str(self.folder)]
        words += ["--configfile", str(self.folder / CONFIG), *arguments, "--", target]
        code, text, _ = run_in_child(words, {**environment(self.folder), **variables})
        return Outcome(code, text)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("sites") / ODD)


@pytest.fixture
def silent_slurm(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A SLURM that does not answer: the variables under which it is found."""
    tool = tmp_path / "squeue"
    tool.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    tool.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    yield {"PATH": path, "SLURM_CONF": str(tool)}


def the_line(outcome: Outcome, words: str) -> str:
    assert outcome.code != 0, outcome.text
    assert "Traceback" not in outcome.text and "message: None" not in outcome.text
    (line,) = [line for line in outcome.text.splitlines() if words in line]
    return line


def left_by_killed_jobs(site: Site) -> list[Path]:
    """Unfinished files in three folders."""
    folders = ("results/deep", "data/demo_speech/demo/1", "data/codecs/mimi")
    lefts = [site.folder / folder / ".a.flac.abcdefgh.part.flac" for folder in folders]
    for left in lefts:
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_bytes(b"x" * 1000)
    return lefts


def test_a_local_run_works_in_any_folder(site: Site, silent_slurm: dict[str, str]):
    """Of SLURM's silence it only warns, and then clears nothing: a job there may still write."""
    lefts = left_by_killed_jobs(site)
    outcome = site.started("--cores", "1", **silent_slurm)
    assert outcome.code == 0, outcome.text
    assert (site.folder / POWER).is_file()
    assert "squeue: does not answer" in outcome.text and "goes on" in outcome.text
    assert all(left.exists() for left in lefts)


@pytest.mark.slow  # tests/unit/test_start.py asks the function alone
def test_a_local_run_clears_what_killed_jobs_left(site: Site):
    lefts = left_by_killed_jobs(site)
    (site.folder / POWER).unlink(missing_ok=True)
    outcome = site.started("--cores", "1")
    assert outcome.code == 0, outcome.text
    assert not any(left.exists() for left in lefts)
    assert "removed 3 unfinished file(s) of killed jobs" in outcome.text


def test_the_same_folder_is_refused_on_slurm_before_anything_is_submitted(
    site: Site, tmp_path: Path
):
    slurm = stand_in_slurm.install(tmp_path / "commands")
    keys = ("PATH", "STAND_IN_SLURM")
    outcome = site.run(
        "--executor", "slurm", "--jobs", "1", "--force", **{key: slurm[key] for key in keys}
    )
    line = the_line(outcome, "in its name")
    assert "the shell line of a SLURM job cannot hold" in line and "rename it" in line
    assert stand_in_slurm.submitted(tmp_path / "commands") == []


def test_snakemake_without_its_environment_on_the_path_says_so(site: Site, tmp_path: Path):
    """As `.venv/bin/snakemake` is called by its path: `python` is another one then."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    (tools / "python").chmod(0o755)
    outcome = site.run("--cores", "1", "--force", PATH=f"{tools}:/usr/bin:/bin")
    line = the_line(outcome, "python: ")
    assert f"PATH={Path(sys.executable).parent}:$PATH snakemake" in line


def test_two_folders_with_one_results_folder_have_one_driver(site: Site, tmp_path: Path):
    """By an absolute path in the one, by a link in the other."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (tmp_path / "link").symlink_to(shared)
    config = read_config(site.folder)
    write_config(site.folder, {**config, "pathvars": {"results": str(shared)}})
    descriptor, _ = hold_results(tmp_path / "link", Path("/elsewhere"))
    try:
        target = str(shared / Path(POWER).relative_to("results"))
        line = the_line(site.run("--cores", "1", target=target), "another Snakemake works on")
        assert f"{shared}: " in line and "/elsewhere" in line
        assert not (shared / "calibration").exists()
    finally:
        os.close(descriptor)
        write_config(site.folder, config)


@pytest.mark.slow
def test_every_name_that_is_not_refused_reaches_a_slurm_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The plugin's own shell lines, through a shell, twice: the batch script and its step."""
    monkeypatch.setitem(stand_in_slurm.COMMANDS, "sbatch", SBATCH)
    monkeypatch.setitem(stand_in_slurm.COMMANDS, "srun", SRUN)
    many = ManyShards(tmp_path / STRANGE, stand_in_slurm.install(tmp_path / "commands"))
    refuse_names(many.folder, {"the folder": [many.folder]}, sys.executable, on_slurm=True)
    (many.folder / "Snakefile").write_text(ONE_SHARD, encoding="utf-8")
    outcome = many.run(**{"slurm-init-seconds-before-status-checks": 1, "retries": 0})
    assert outcome.code == 0, outcome.text[-3000:]
    assert many.made() == 1
