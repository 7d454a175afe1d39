"""A finished tiny study to break: runs, kills and pauses for real, then compares bytes."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.conftest import HANG_S
from tests.workflow import warm_python
from tests.workflow.conftest import Outcome
from tests.workflow.tiny_study import CONFIG, checkout, environment

# Found by Python at start-up: stops a step between writing and renaming, or eats memory, once. A
# witness says where each step ran. The stop ends when a test releases it, or by itself when SIGTERM
# comes to a step that has a handler: no clock of ours races with what a loaded machine does.
SITE = '''"""Faults on demand."""
import json
import os
import signal
import time
from pathlib import Path

pause, eat = os.environ.get("FAULT_PAUSE"), os.environ.get("FAULT_EAT_MB")
marker = Path(os.environ.get("FAULT_MARKER", "fault.marker"))
released = marker.with_suffix(".released")
witness = os.environ.get("FAULT_WITNESS")
words = Path("/proc/self/cmdline").read_bytes().decode().split(chr(0))
step = next((word for word in words if word.startswith("engram_audio.steps.")), None)
if witness and step:
    names = ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES")
    seen = {name: os.environ.get(name) for name in names}
    Path(witness).mkdir(exist_ok=True)
    path = Path(witness, f"{step}-{os.getpid()}.json")
    path.write_text(json.dumps({"rule": step.rpartition(".")[2], **seen}))
def stand_still():
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler):
        def handled(number, frame):
            handler(number, frame)
            released.touch()
        signal.signal(signal.SIGTERM, handled)
    marker.write_text(str(os.getpid()))
    for _ in range(36000):  # an hour: what a failed test leaves behind ends some day
        if released.exists():
            break
        time.sleep(0.1)
if pause:
    rename, passed = os.replace, []
    def paused(source, target, **options):
        hit = str(target).endswith(pause) and not marker.exists()
        if hit and len(passed) < int(os.environ.get("FAULT_AFTER", "0")):
            passed.append(target)
        elif hit:
            stand_still()
        return rename(source, target, **options)
    os.replace = paused
if eat:
    rule, _, megabytes = eat.partition(":")
    if step == f"engram_audio.steps.{rule}" and not marker.exists():
        marker.write_text(str(os.getpid()))  # it may be killed while it takes the memory
        filling = b"x" * (int(megabytes) << 20)
        stand_still()
'''

OF_MANY_MEMBERS = re.compile(r"members/|config/\w+_of_\w+/|config/code/")


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is true, for as long as pytest lets a test wait."""
    while not condition():
        time.sleep(0.1)


def tree_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every result but the page, which shows timings; hidden files are no results.

    Nor is what says which models one job made.
    """
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in ("report.html", "registered.json")
        and not path.name.startswith(".")
        and not OF_MANY_MEMBERS.match(str(path.relative_to(folder)))
    }


class Lab:
    """A copy of the finished study, with the means to disturb it."""

    def __init__(self, folder: Path) -> None:
        """Take over a checkout."""
        self.folder = folder
        self.results = folder / "results"
        self.marker = folder / "fault.marker"
        self.before = tree_digests(self.results)
        self.targets: tuple[str, ...] = ()
        self.created = time.time()
        self.driver: subprocess.Popen[str] | None = None

    def environment(self, **faults: str) -> dict[str, str]:
        """Variables of a run in which the named faults happen."""
        site = self.folder / "faults"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(SITE, encoding="utf-8")
        variables = environment(self.folder)
        path = f"{site}{os.pathsep}{variables['PYTHONPATH']}"
        return {**variables, "PYTHONPATH": path, "FAULT_MARKER": str(self.marker), **faults}

    def start(self, *arguments: str, **faults: str) -> subprocess.Popen[str]:
        """Start Snakemake in a process group of its own."""
        options = () if "--profile" in arguments else ("--cores", "2", "--rerun-incomplete")
        words = (*options, *arguments, "--", *self.targets)
        command = [sys.executable, "-m", "snakemake", "--configfile", CONFIG, *words]
        self.driver = started(command, self.folder, self.environment(**faults))
        return self.driver

    def run(self, *arguments: str, **faults: str) -> Outcome:
        """Run Snakemake to its end."""
        return waited(self.start(*arguments, **faults))

    def wait_paused(self) -> int:
        """Wait until a step stands between writing and renaming; return its process id."""

        def is_paused() -> bool:
            return self.marker.is_file() and bool(self.marker.read_text())

        wait_for(lambda: is_paused() or self.driver is None or self.driver.poll() is not None)
        assert is_paused(), "Snakemake has ended without the fault"
        return int(self.marker.read_text())

    def release(self) -> None:
        """Let a step that stands still go on."""
        self.marker.with_suffix(".released").touch()

    def is_running(self, pid: int) -> bool:
        """Whether a process of this folder still runs."""
        try:
            return os.path.samefile(f"/proc/{pid}/cwd", self.folder)
        except OSError:
            return False

    def abandon(self, killed: subprocess.Popen[str]) -> None:
        """Take leave of a killed Snakemake without waiting for the children that outlive it."""
        killed.wait()
        assert killed.stdout is not None
        killed.stdout.close()

    def recover(self) -> str:
        """What `make recover` does."""
        python, variables = sys.executable, self.environment()
        commands = [
            [python, "-m", "engram_audio.cluster"],
            [python, "-m", "snakemake", "--configfile", CONFIG, "--unlock"],
        ]
        runs = [
            subprocess.run(one, cwd=self.folder, env=variables, capture_output=True, text=True)
            for one in commands
        ]
        text = "".join(run.stdout + run.stderr for run in runs)
        assert all(run.returncode == 0 for run in runs), text
        return text

    def forget(self, *paths: str) -> None:
        """Delete results and ask for them from now on: what follows them is still there."""
        self.targets = tuple(f"results/{path}" for path in paths)
        for path in paths:
            (self.results / path).unlink(missing_ok=True)

    def make_again(self, *paths: str) -> None:
        """Do what messages say: delete a file and ask for it; then what follows is asked for."""
        self.forget(*paths)
        outcome = self.run()
        assert outcome.code == 0, outcome.text[-3000:]
        self.targets = ()

    def witnessed(self) -> list[dict[str, str | None]]:
        """Where each step of a run with `FAULT_WITNESS="witness"` says it ran."""
        paths = sorted((self.folder / "witness").glob("*.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    def log(self, path: str) -> str:
        """Text of a rule's log."""
        return (self.folder / "logs" / path).read_text(encoding="utf-8")

    def assert_restored(self, outcome: Outcome) -> None:
        """The rerun succeeded and ended with the bytes of the undisturbed run."""
        assert outcome.code == 0, outcome.text[-3000:]
        after = tree_digests(self.results)
        assert after == self.before, sorted(
            name for name in {*after, *self.before} if after.get(name) != self.before.get(name)
        )


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a Snakemake that a failing test would leave behind, with its children."""
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def started(command: list[str], folder: Path, variables: dict[str, str]) -> subprocess.Popen[str]:
    """Start a command in a process group of its own."""
    return subprocess.Popen(
        command, cwd=folder, env=variables, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def waited(process: subprocess.Popen[str]) -> Outcome:
    """Wait for the end of a started command; a test that hangs here leaves no process behind."""
    with ended(process):
        text, _ = process.communicate(timeout=HANG_S)
    return Outcome(process.returncode, text)


def build_finished(folder: Path) -> Path:
    """Run the tiny study once, for real."""
    checkout(folder)
    command = [sys.executable, "-m", "snakemake", "--configfile", CONFIG, "--cores", "2"]
    with warm_python.started(folder, environment(folder)) as variables:
        outcome = waited(started(command, folder, variables))
    assert outcome.code == 0, outcome.text[-4000:]
    return folder


def finished_once(shared: Path) -> Path:
    """Return the finished study that all test processes of a session share.

    The first process that needs it builds it. The others wait without a clock: the lock is released
    when its holder ends, however it ends.
    """
    folder, done = shared / "finished", shared / "finished.done"
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.is_file():
            shutil.rmtree(folder, ignore_errors=True)  # what a failed process has left
            build_finished(folder)
            done.touch()
    return folder


def copy_of(finished: Path, folder: Path) -> Lab:
    """Copy the finished study, times included: nothing is to be done in the copy."""
    shutil.copytree(finished, folder, symlinks=True)
    return Lab(folder)
