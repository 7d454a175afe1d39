"""What a real run looks at before its first job, so that it stops with one line and not midway."""

import json
import logging
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from engram_audio.artifacts.leftovers import remove_leftovers
from engram_audio.cluster import is_on_slurm, refuse_lossy_arrays, refuse_strays
from engram_audio.errors import InputError
from engram_audio.results_lock import hold_results

LOG = logging.getLogger(__name__)
WRITTEN = ("<results>", "<logs>", "<benchmarks>")
DOWNLOADS = Path("data/codecs")
PYTHON_TIMEOUT_S = 120.0
# Only the driver imports these.
OF_THE_DRIVER = ("snakemake", "snakemake-executor-plugin-slurm", "pygments")
# What the SLURM plugin (2.8.0) quotes, but not against these. `"`, `$`, a backtick and a backslash
# work inside of its quotes, `'` ends those of an array, `%` names parts of a log file.
UNSPEAKABLE = re.compile(r"""['"$`\\%\x00-\x1f\x7f]""")
# The path of Python it does not quote at all.
UNQUOTED = re.compile(rf"""{UNSPEAKABLE.pattern}|[\s|&;<>()*?\[\]{{}}#~!]""")
# Run by the jobs' Python; it may be too old for anything but this.
PROBE = """
import importlib.metadata, json, os, sys
import engram_audio
def is_missing(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return True
    return False
missing = [name for name in sys.argv[1:] if is_missing(name)]
if not missing:
    import engram_audio.steps._cli  # what every step starts with
print(json.dumps([os.path.dirname(engram_audio.__file__), missing]))
"""


def check_start(workflow: Any, home: Path, results: Path, data: Iterable[Path]) -> None:
    """Refuse a run that would fail, or disturb another one; then clear what killed jobs left.

    The results stay locked until this process ends.

    Args:
        workflow: Snakemake's, in `onstart`.
        home: The workflow's own folder, whose package is the one that must run.
        results: Folder of the results.
        data: Folders beside the results into which jobs write.

    Raises:
        InputError: One line with the remedy.
    """
    folder = Path.cwd()
    on_slurm = is_on_slurm(workflow)
    places = {
        "the folder": [folder, *(workflow.pathvars.apply(name) for name in WRITTEN)],
        "the workflow": [home],
        "the configuration file": workflow.configfiles,
    }
    refuse_names(home, places, sys.executable, on_slurm)
    if not workflow.deployment_settings.deployment_method:  # else conda or a container brings it
        refuse_other_python(home)
    is_alone = _is_alone(workflow, folder, results, on_slurm)
    refuse_lossy_arrays(workflow)
    if is_alone:
        clear_leftovers([results, DOWNLOADS, *data])


def after(first: Callable[[Any], None], then: Callable[[], None]) -> Callable[[Any], None]:
    """Return a hook of Snakemake that does what another one did, and then more."""

    def hook(log: Any) -> None:
        first(log)
        then()

    return hook


def _is_alone(workflow: Any, folder: Path, results: Path, on_slurm: bool) -> bool:
    """Refuse to run beside others; return whether nobody else can write these results."""
    before = None
    if workflow.execution_settings.lock:  # not with --nolock
        _, before = hold_results(results, folder)
    is_certain = refuse_strays(folder, on_slurm)
    if before and Path(before.folder) != folder and Path(before.folder).is_dir():
        is_certain &= refuse_strays(Path(before.folder), on_slurm)
    return is_certain and bool(workflow.execution_settings.lock)


def clear_leftovers(folders: Iterable[Path]) -> None:
    """Remove what killed jobs had begun to write, and say so."""
    removed = [path for folder in folders for path in remove_leftovers(folder)]
    if removed:
        LOG.warning(
            "removed %d unfinished file(s) of killed jobs, the first %s", len(removed), removed[0]
        )


def refuse_names(
    home: Path, places: Mapping[str, Iterable[object]], python: str, on_slurm: bool
) -> None:
    """Refuse folders and files whose names the jobs' search path or shell line cannot hold.

    Args:
        home: The workflow's own folder, which is put on the search path.
        places: Paths that stand in the shell line of a SLURM job, by what they are.
        python: Path of the Python that runs Snakemake, there too.
        on_slurm: Whether jobs are submitted to SLURM.

    Raises:
        InputError: Names the path and the characters.
    """
    if os.pathsep in str(home):
        raise _bad_name("the workflow's folder", home, os.pathsep, "the search path of a job")
    if not on_slurm:
        return
    named = [(what, str(path), UNSPEAKABLE) for what, paths in places.items() for path in paths]
    for what, path, characters in [*named, ("Snakemake's Python", python, UNQUOTED)]:
        if bad := "".join(sorted(set(characters.findall(path)))):
            raise _bad_name(what, path, bad, "the shell line of a SLURM job")


def _bad_name(what: str, path: object, bad: str, where: str) -> InputError:
    shown = " ".join(map(ascii, bad))
    return InputError(
        f"{str(path)!a}: {what} has {shown} in its name, which {where} cannot hold; rename it, or "
        "move to another folder"
    )


def refuse_other_python(home: Path) -> None:
    """Refuse a `python` on the PATH, which jobs run, that cannot import what jobs need.

    Args:
        home: The workflow's own folder, whose package is the one that must run.

    Raises:
        InputError: There is none, or it has another package or lacks dependencies.
    """
    here = Path(sys.executable).parent
    remedy = f"activate the environment, or run it as PATH={here}:$PATH snakemake ..."
    try:
        done = subprocess.run(
            ["python", "-c", PROBE, *dependencies(home)],
            capture_output=True, text=True, check=False, timeout=PYTHON_TIMEOUT_S,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"python: jobs cannot run it ({error}); {remedy}") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"python: the one on the PATH, which jobs run, fails ({reason}); {remedy}")
    package, missing = _answer(done.stdout, remedy)
    if missing:
        names = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise InputError(
            f"python: the one on the PATH, which jobs run, lacks {len(missing)} package(s) "
            f"({names}); {remedy}"
        )
    if not os.path.samefile(package, home / "engram_audio"):
        raise InputError(
            f"python: jobs would import {package}, but the workflow is that of {home}; start it in "
            "another folder, or let PYTHONPATH name the workflow's own folder first"
        )


def _answer(text: str, remedy: str) -> tuple[str, list[str]]:
    """Return the folder of the package and what is missing, from what the probe printed."""
    try:
        package, missing = json.loads(text.splitlines()[-1])
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"python: the one on the PATH, which jobs run, is no Python ({text[:80]!r}); {remedy}"
        ) from error
    return package, missing


def dependencies(home: Path) -> list[str]:
    """Return the distributions that a job needs, from the project's own list."""
    path = home / "pyproject.toml"
    if not path.is_file():
        return []
    listed = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["dependencies"]
    names = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in listed]
    return [name for name in names if name not in OF_THE_DRIVER]
