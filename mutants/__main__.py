"""Plant each bug in a copy of the tree, run the tests that must notice it, write docs/trust.md."""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from mutants.report import report
from mutants.table import ROOT, Mutant, read_mutants
from mutants.wide import wide_mutants

CAUGHT, SURVIVED, HUNG, BROKEN = "caught", "survived", "hung", "broken"
OF_CODE = {0: SURVIVED, 1: CAUGHT}  # of pytest; what else it says means that no test ran
LEFT_OUT = ("__pycache__", ".git", ".venv", ".snakemake", "results", "logs", "benchmarks", "data",
            "build", ".hypothesis", ".pytest_cache", ".ruff_cache")  # fmt: skip
TIMEOUT_S = 600


def run_in(tree: Path, mutant: Mutant) -> str:
    """Return what the tests of a copied tree make of a bug; the file is as before afterwards."""
    path, text = tree / mutant.file, mutant.text(tree)
    before = path.read_text(encoding="utf-8")
    chosen = ["-k", mutant.chosen] if mutant.chosen else []
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not slow", "-p",
               "no:cacheprovider", *chosen, *mutant.tests]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    try:
        write(path, text)
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True,
                              timeout=TIMEOUT_S, check=False)  # fmt: skip
        return OF_CODE.get(done.returncode, BROKEN)
    except subprocess.TimeoutExpired:
        return HUNG
    finally:
        write(path, before)


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


def run_all(mutants: Iterable[Mutant], known: Path, num_processes: int) -> dict[str, str]:
    """Return the outcome of each bug by name; what `known` holds of the same text is not run."""
    found = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
    known.parent.mkdir(parents=True, exist_ok=True)
    mutants = list(mutants)
    keys = {mutant.name: key_of(mutant) for mutant in mutants}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees: Queue[Path] = Queue()
        for number in range(num_processes):
            tree = Path(folder, str(number))
            shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
            trees.put(tree)

        def outcome(mutant: Mutant) -> None:
            tree = trees.get()
            try:
                found[keys[mutant.name]] = run_in(tree, mutant)
            finally:
                trees.put(tree)
            known.write_text(json.dumps(found, indent=1, sort_keys=True), encoding="utf-8")
            print(f"{found[keys[mutant.name]]:9}{mutant.name}", flush=True)

        with ThreadPoolExecutor(num_processes) as pool:
            list(pool.map(outcome, (one for one in mutants if keys[one.name] not in found)))
    return {name: found[key] for name, key in keys.items()}


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
    parser.add_argument("--write", type=Path, help="page to write, of all planted bugs")
    parser.add_argument("--wide", nargs="*", metavar="FOLDER",
                        help="swap operators in these folders of the package instead")  # fmt: skip
    given = parser.parse_args()
    mutants = read_mutants() if given.wide is None else wide_mutants(given.wide)
    chosen = [one for one in mutants if not given.names or one.name in given.names]
    outcomes = run_all(chosen, given.known, given.processes)
    print(summary(outcomes))
    if given.write:
        given.write.write_text(report(chosen, outcomes), encoding="utf-8")
    sys.exit(any(word not in (CAUGHT, HUNG) for word in outcomes.values()))


if __name__ == "__main__":
    main()
