"""Unit costs of the workflow's rules, from finished studies: what `make cost` multiplies.

`python bench/unit_costs.py RESULTS ...` reads the benchmark files of each study and writes
unit_costs.json beside this file. Every rule has a law in `engram_audio/cost/laws.py`. A process
starts once (measured here), an operation costs the same everywhere (measured here), and the other
units are fitted by least squares of log seconds, none below zero.

The first study is what the published error is of, with the units of all.
"""

import datetime
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.optimize import least_squares, nnls

from engram_audio.artifacts.published import list_benchmarks
from engram_audio.cost.jobs import Job, sections_in
from engram_audio.cost.laws import FLOP, JOB, LAWS
from engram_audio.cost.study import Piece, Study
from engram_audio.cost.units import MIB, TABLE, RuleUnits, Units, read_units
from engram_audio.provenance import ROOT
from engram_audio.rule_stages import step_of_rule

# Assumed of an H100-class GPU: a third of its float32 peak in products, less than what its memory
# is faster than that of one core for other work on arrays, and a process that starts CUDA.
GPU = {
    "name": "H100-class (assumed, not measured)", "flops_per_s": 2.0e13, "cores": 20.0,
    "start_s": 10.0,
}  # fmt: skip
LEAST_SHARE = 0.02  # of a job's time that its own units explain at least, whatever the others say
LONGEST_UNSEEN_S = 2.0  # a job that ends before Snakemake has seen it work
LEAST_RANGE = 3.0  # of a quantity over the jobs, for a constant beside it
PRODUCT = (512, 1024, 1024)  # sizes of the product that an operation is timed with


class Measured(NamedTuple):
    """A finished job and what it took."""

    piece: Piece
    cpu_s: float
    peak_mib: float
    disk_bytes: float


def finished_jobs(results: Path) -> list[Measured]:
    """Return the jobs of a study that left a benchmark file.

    Args:
        results: Its folder of results, seen from anywhere.
    """
    results = results.resolve()
    facts = _report_facts(results)
    folder = next(one for one in results.parents if (one / facts["benchmarks"]).is_dir())
    os.chdir(folder)  # paths of a study are relative to where it ran
    patterns = {rule: re.compile(text) for rule, text in facts["rule_benchmarks"].items()}
    jobs = {_key(job.rule, job.wildcards): job for job in _frozen_jobs(results)}
    study = Study(list(jobs.values()))
    return [
        Measured(study.piece(job), *times, _size(job))
        for path in list_benchmarks(Path(facts["benchmarks"]))
        if (job := jobs.get(_subject(path, patterns))) and (times := read_times(path))
    ]


def _report_facts(results: Path) -> dict[str, Any]:
    """Return what the plan told the report: where benchmark files lie, and of which rule each is.

    The frozen file is written while planning, so a study that is not whole yet has it too.
    """
    frozen = max((results / "config" / "render_report").glob("*.json"), key=_age)
    return json.loads(frozen.read_text(encoding="utf-8"))["facts"]


def _key(rule: str, wildcards: Mapping[str, Any]) -> tuple[str, str]:
    return rule, json.dumps({k: str(v) for k, v in wildcards.items()}, sort_keys=True)


def _frozen_jobs(results: Path) -> Iterator[Job]:
    """Yield the jobs whose frozen files lie in a study's folder."""
    for path in sorted((results / "config").glob("*/*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if "settings" not in document or "rule" not in document:
            continue
        names = document["wildcards"]
        inputs = [
            one.replace("<results>", str(results)).format(**names)
            for value in document["inputs"].values()
            for one in _paths(value)
        ]
        yield Job(
            document["rule"], names, (str(path), *inputs),
            tuple(document["outputs"].values()), {}, sections_in(document), document["facts"],
        )  # fmt: skip


def _paths(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _subject(path: Path, patterns: Mapping[str, re.Pattern[str]]) -> tuple[str, str]:
    """Return rule and wildcards of a benchmark file; of the rule with the fewest wildcards."""
    text = path.as_posix()
    found = {rule: match for rule, one in patterns.items() if (match := one.fullmatch(text))}
    if not found:
        return _key(path.stem, {})
    rule = min(sorted(found), key=lambda name: patterns[name].groups)
    return _key(rule, found[rule].groupdict())


def read_times(path: Path) -> tuple[float, float] | None:
    """Return CPU seconds and peak MiB of a benchmark file, or None.

    Snakemake samples a job ever more rarely and loses what follows the last sample. Load times
    length makes up for it. A short job that it never saw at work counts by its length.
    """
    row = pd.read_csv(path, sep="\t", na_values=["-", "NA"]).iloc[-1]
    wall, cpu, load = (float(row[name]) for name in ("s", "cpu_time", "mean_load"))
    if not np.isfinite(wall) or wall <= 0:
        return None
    seen = np.nanmax([cpu, wall * load / 100.0, 0.0])
    is_seen = seen > 0 or wall > LONGEST_UNSEEN_S
    return float(seen if is_seen else wall), float(row["max_rss"])


def _size(job: Job) -> float:
    return float(sum(Path(path).stat().st_size for path in job.outputs if Path(path).is_file()))


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns


def time_flop() -> float:
    """Return the seconds of one operation of a product on one thread: the best of ten."""
    torch.set_num_threads(1)
    rows, inner, columns = PRODUCT
    left, right = torch.ones(rows, inner), torch.ones(inner, columns)
    times = []
    for _ in range(10):
        start = time.process_time()
        torch.mm(left, right)
        times.append(time.process_time() - start)
    return min(times) / (2.0 * rows * inner * columns)


def time_imports(steps: Iterable[str]) -> dict[str, float]:
    """Return the CPU seconds until each step begins its work: those of its imports.

    What the table has is taken from there: a minute of CPU for all of them. To measure them anew,
    delete the table.
    """
    known = json.loads(TABLE.read_text(encoding="utf-8"))["imports"] if TABLE.is_file() else {}
    return {step: known.get(step) or _import_s(step) for step in sorted(set(steps))}


def _import_s(step: str) -> float:
    code = f"import time, engram_audio.steps.{step}; print(time.process_time())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return round(float(done.stdout), 3)


def fit_rule(jobs: list[Measured], start_s: float, flop_s: float) -> RuleUnits:
    """Return the units of a rule's jobs."""
    law = LAWS[jobs[0].piece.job.rule]
    start = min(start_s, 0.9 * min(job.cpu_s for job in jobs))
    kinds: dict[str, list[Measured]] = defaultdict(list)
    for job in jobs:
        kinds[law.kind(job.piece)].append(job)
    seconds = {kind: _fit_kind(rows, start, flop_s) for kind, rows in sorted(kinds.items())}
    constant_mib = [job.peak_mib - law.memory(job.piece) / MIB for job in jobs]
    written = [job.disk_bytes - law.disk(job.piece) for job in jobs]
    return RuleUnits(
        start, seconds, max(0.0, *constant_mib) if constant_mib else 0.0,
        max(0.0, float(np.mean(written))), len(jobs),
    )  # fmt: skip


def _fit_kind(jobs: list[Measured], start_s: float, flop_s: float) -> dict[str, float]:
    """Return CPU seconds of each unit, fitted in log seconds, none below zero."""
    law = LAWS[jobs[0].piece.job.rule]
    names = [name for name in law.work if name != FLOP]
    table = np.array([[law.work[name](job.piece) for name in names] for job in jobs], float)
    if _differ(table):
        names, table = [*names, JOB], np.column_stack([table, np.ones(len(table))])
    cpu = np.array([job.cpu_s for job in jobs])
    flops = np.array([law.work[FLOP](job.piece) if FLOP in law.work else 0.0 for job in jobs])
    known = start_s + flop_s * flops
    used = [place for place in range(len(names)) if table[:, place].any()]
    if not used:
        return {}
    scale = table[:, used].max(axis=0)
    own = table[:, used] / scale
    rest = np.maximum(cpu - known, LEAST_SHARE * cpu)
    first = nnls(own / cpu[:, None], rest / cpu)[0]

    def residual(values: np.ndarray) -> np.ndarray:
        return np.log(np.maximum(known + own @ values, 1e-9)) - np.log(cpu)

    found = least_squares(residual, np.maximum(first, 1e-9), bounds=(0.0, np.inf)).x
    return {
        names[place]: float(value / s) for place, value, s in zip(used, found, scale, strict=True)
    }


def _differ(table: np.ndarray) -> bool:
    """Whether jobs differ enough in some quantity that a constant can be told from it."""
    return any(
        column.min() > 0 and column.max() >= LEAST_RANGE * column.min() for column in table.T
    )


def error_of(jobs: Iterable[Measured], units: Units) -> dict[str, float]:
    """Return estimated and measured CPU seconds, and the ratio."""
    rows = [(units.estimate(job.piece).cpu_s, job.cpu_s) for job in jobs]
    estimated, measured = (float(sum(column)) for column in zip(*rows, strict=True))
    return {
        "jobs": len(rows), "estimated_cpu_s": round(estimated, 1),
        "measured_cpu_s": round(measured, 1), "ratio": round(estimated / measured, 3),
    }  # fmt: skip


def main() -> None:
    """Fit and write; print the error by rule."""
    studies = {path: finished_jobs(Path(path).resolve()) for path in _absolute(sys.argv[1:])}
    rules: dict[str, list[Measured]] = defaultdict(list)
    for jobs in studies.values():
        for job in jobs:
            if job.piece.job.rule in LAWS:
                rules[job.piece.job.rule].append(job)
    steps = {rule: step_of_rule(ROOT / "rules", rule) for rule in rules}
    flop_s, imports = time_flop(), time_imports(steps.values())
    fitted = {
        rule: fit_rule(jobs, imports[steps[rule]], flop_s) for rule, jobs in sorted(rules.items())
    }
    units = Units(flop_s, fitted, GPU)
    table = {
        "measured": {
            "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} shared cores, {_torch()}",
            "studies": ", ".join(Path(path).name for path in studies),
        },
        "flop_s": float(f"{flop_s:.4g}"),
        "gpu": GPU,
        "imports": imports,
        "errors": {Path(path).name: error_of(jobs, units) for path, jobs in studies.items()},
        "rules": {rule: _rounded(row) for rule, row in fitted.items()},
    }
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    for rule, jobs in sorted(rules.items()):
        print(rule, error_of(jobs, read_units()))
    print(json.dumps(table["errors"], indent=1))


def _torch() -> str:
    return f"torch {torch.__version__}"


def _absolute(paths: Iterable[str]) -> list[str]:
    """Return paths that hold from any folder: reading a study changes the folder."""
    return [str(Path(path).resolve()) for path in paths]


def _rounded(row: RuleUnits) -> dict[str, Any]:
    seconds = {
        kind: {name: float(f"{value:.4g}") for name, value in units.items()}
        for kind, units in row.seconds.items()
    }
    return {
        "start_s": round(row.start_s, 3), "seconds": seconds, "base_mib": round(row.base_mib, 1),
        "base_bytes": round(row.base_bytes), "num_jobs": row.num_jobs,
    }  # fmt: skip


if __name__ == "__main__":
    main()
