"""Plant each bug in a copy of the tree, run the tests that must notice it, write docs/trust.md."""

import argparse
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas  # noqa: F401  (heavy libraries are imported once, and every process has them)
import pydantic  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
import torch  # noqa: F401

from mutants.report import report
from mutants.table import ROOT, Mutant, read_mutants

CAUGHT, SURVIVED, HUNG, BROKEN = "caught", "survived", "hung", "broken"
BROKEN_CODE = 3
OF_CODE = {0: SURVIVED, 1: CAUGHT}  # of pytest; what else it says means that no test ran
LEFT_OUT = ("__pycache__", ".git", ".venv", ".snakemake", "results", "logs", "benchmarks", "data",
            "build", ".hypothesis", ".pytest_cache", ".ruff_cache")  # fmt: skip
CPU_S = 300.0  # of one bug's tests, many times what they need: a loop that does not end


def start(tree: Path, mutant: Mutant) -> int:
    """Fork a process that runs a bug's tests in a copied tree; return its id."""
    child = os.fork()
    if child:
        return child
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.chdir(tree)
    os.environ["PYTHONPATH"] = str(tree)
    sys.path[:] = [str(tree), *(path for path in sys.path if path not in ("", str(ROOT)))]
    chosen = ["-k", mutant.chosen] if mutant.chosen else []
    words = ["-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", *chosen, *mutant.tests]
    code = BROKEN_CODE
    try:
        code = int(pytest.main(words))
    finally:
        os._exit(code)  # nothing of the parent may be cleaned up here


def outcome_of(status: int) -> str:
    """Return what the end of such a process means."""
    if os.WIFSIGNALED(status):
        return HUNG if os.WTERMSIG(status) == signal.SIGPROF else BROKEN
    return OF_CODE.get(os.WEXITSTATUS(status), BROKEN)


def write(path: Path, text: str) -> None:
    """Write a module and forget what Python compiled of it: its time may be the same second."""
    path.write_text(text, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def key_of(mutant: Mutant) -> str:
    """Return the digest of a bug, of the file that it changes and of its tests."""
    parts = [mutant.text(), mutant.chosen]
    parts += [(ROOT / test).read_text(encoding="utf-8") for test in mutant.tests]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def run_all(mutants: Sequence[Mutant], known: Path, num_processes: int) -> dict[str, str]:
    """Return the outcome of each bug by name; what `known` holds of the same text is not run."""
    found = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
    known.parent.mkdir(parents=True, exist_ok=True)
    keys = {mutant.name: key_of(mutant) for mutant in mutants}
    waiting = [mutant for mutant in mutants if keys[mutant.name] not in found]
    running: dict[int, tuple[Path, Mutant]] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        free = [Path(folder, str(number)) for number in range(num_processes)]
        for tree in free if waiting else ():
            shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        while num_processes and (waiting or running):
            while waiting and free:
                tree, mutant = free.pop(), waiting.pop(0)
                write(tree / mutant.file, mutant.text(tree))
                running[start(tree, mutant)] = tree, mutant
            child, status = os.wait()
            tree, mutant = running.pop(child)
            write(tree / mutant.file, (ROOT / mutant.file).read_text(encoding="utf-8"))
            free.append(tree)
            found[keys[mutant.name]] = outcome_of(status)
            known.write_text(json.dumps(found, indent=1, sort_keys=True), encoding="utf-8")
            print(f"{outcome_of(status):9}{mutant.name}", flush=True)
    return {name: found[key] for name, key in keys.items() if key in found}


def honest(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Return a change of nothing for each selection of tests: red without a bug is blind."""
    same = mutants[0]._replace(new=mutants[0].old)
    wanted: dict[str, list[str]] = {}
    for one in mutants:
        for test in one.tests:
            wanted.setdefault(test, []).append(one.chosen)
    return [
        same._replace(name=f"none, {test}", tests=(test,), chosen=any_of(words))
        for test, words in wanted.items()
    ]


def any_of(words: Sequence[str]) -> str:
    """Return pytest's `-k` for the union of several; "" stands for all."""
    return "" if "" in words else " or ".join(f"({word})" for word in dict.fromkeys(words))


def believed(mutants: Sequence[Mutant], outcomes: Mapping[str, str]) -> dict[str, str]:
    """Return the outcomes of bugs; one whose tests are red without any bug is not caught."""
    names = {one.name: one for one in honest(mutants)}
    red = {test for name, one in names.items() for test in one.tests
           if outcomes.get(name, SURVIVED) != SURVIVED}  # fmt: skip
    return {
        one.name: BROKEN if red & set(one.tests) else outcomes[one.name]
        for one in mutants
        if one.name in outcomes
    }


def summary(outcomes: Mapping[str, str]) -> str:
    """Return how many are caught, and which are not."""
    missed = [f"{name} ({word})" for name, word in outcomes.items() if word not in (CAUGHT, HUNG)]
    words = f"caught {len(outcomes) - len(missed)} of {len(outcomes)}"
    return f"{words}; not: {', '.join(missed)}" if missed else words


def main() -> None:
    """Run the bugs that are asked for; fail where one is not caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="bugs to run; all by default")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--known", type=Path, default=Path("build/mutants.json"),
                        help="outcomes of earlier runs")  # fmt: skip
    parser.add_argument("--known-only", action="store_true", help="run nothing, tell what is known")
    parser.add_argument("--write", type=Path, help="page to write, of all planted bugs")
    given = parser.parse_args()
    mutants = read_mutants()
    chosen = [one for one in mutants if not given.names or one.name in given.names]
    num_processes = 0 if given.known_only else given.processes
    found = run_all([*honest(chosen), *chosen], given.known, num_processes)
    outcomes = believed(chosen, found)
    print(summary(outcomes))
    if given.write:
        given.write.write_text(report(mutants, outcomes), encoding="utf-8")
    sys.exit(any(word not in (CAUGHT, HUNG) for word in outcomes.values()))


if __name__ == "__main__":
    main()
