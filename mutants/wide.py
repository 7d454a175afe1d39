"""The wide net: mutmut changes one expression at a time in stats, keys, densities and verdicts.

A drawn sample is tested, since all changes would take hours. The settings are mutmut's own, in
pyproject.toml. It runs in a copy of the tree, as it writes a folder `mutants` where it runs.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from mutants.table import ROOT

COPY = ROOT / "build" / "wide"
FOLDERS = ("stats", "keys", "densities", "verdicts")
LEFT_OUT = ("mutants", "build", "results", "logs", "benchmarks", "data", "__pycache__",
            ".git", ".venv", ".snakemake", ".hypothesis")  # fmt: skip
SMALLEST = "engram_audio.stats.student_t.*"  # any name makes mutmut list all changes
KILLED = (1, 3)  # exit codes of pytest: a red test, or an error inside of pytest
TIMED_OUT = (-24, 24, 36, 152, 255)  # of mutmut
UNTESTED = (5, 33)


def copy_tree() -> None:
    """Copy the tree anew."""
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(ROOT, COPY, ignore=shutil.ignore_patterns(*LEFT_OUT))


def mutmut(*words: str) -> str:
    """Run mutmut in the copy; return what it prints.

    Raises:
        subprocess.CalledProcessError: It ends with an error, as where a test is red unchanged.
    """
    command = [sys.executable, "-m", "mutmut", *words]
    variables = {**os.environ, "PYTHONPATH": ""}  # the changed package lies in the copy
    done = subprocess.run(command, cwd=COPY, env=variables, check=True, stdout=subprocess.PIPE,
                          text=True)  # fmt: skip
    return done.stdout


def exit_codes(folder: Path) -> dict[str, int | None]:
    """Return how the tests of each change ended; None where they did not run."""
    found: dict[str, int | None] = {}
    for path in sorted(folder.rglob("*.meta")):
        found |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def outcome_of(code: int | None) -> str:
    """Return an exit code's meaning."""
    named = {**dict.fromkeys(KILLED, "caught"), **dict.fromkeys(TIMED_OUT, "hung"),
             **dict.fromkeys(UNTESTED, "untested"), 0: "survived"}  # fmt: skip
    return "not run" if code is None else named.get(code, f"ended with {code}")


def sample(names: Sequence[str], size: int, seed: int) -> list[str]:
    """Draw some names, the same ones from the same list."""
    return sorted(random.Random(seed).sample(sorted(names), min(size, len(names))))


def within(names: Iterable[str], folders: Collection[str]) -> list[str]:
    """Return the changes of some folders of the package; of all where none is named."""
    return [name for name in names if not folders or name.split(".")[1] in folders]


def page(outcomes: Mapping[str, str], changes: Mapping[str, str]) -> str:
    """Return the counts, and each change that no test noticed."""
    noticed = sum(word in ("caught", "hung") for word in outcomes.values())
    lines = [f"noticed {noticed} of {len(outcomes)}", ""]
    lines += [f"{name}: {outcomes[name]}\n{change}" for name, change in changes.items()]
    return "\n".join(lines)


def main() -> None:
    """Draw, test, and print what no test noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=(), choices=FOLDERS)
    given = parser.parse_args()
    copy_tree()
    workers = f"--max-children={given.processes}"
    mutmut("run", workers, SMALLEST)
    names = within(exit_codes(COPY / "mutants"), given.only)
    drawn = sample(names, given.sample, given.seed)
    mutmut("run", workers, *drawn)
    codes = exit_codes(COPY / "mutants")
    outcomes = {name: outcome_of(codes[name]) for name in drawn}
    missed = [name for name, word in outcomes.items() if word not in ("caught", "hung")]
    print(page(outcomes, {name: mutmut("show", name) for name in missed}))


if __name__ == "__main__":
    main()
