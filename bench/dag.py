"""Size of the full study: seconds of a dry run and of a run that finds nothing to do.

Runs in a scratch folder. A stand-in for `python` writes the outputs (their content does not matter
here), so that Snakemake's own work is what is timed. Limits: 10 s and 15 s on two cores. Writes
dag.json beside this file.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.workflow.many_plans import jobs_of  # noqa: E402  (the repository's root must come first)
from tests.workflow.tiny_study import checkout, environment, stand_in_environment  # noqa: E402

LIMITS_S = {"dry run": 10.0, "no-op run": 15.0}
MAXIMUM_INPUTS = 1000


def timed(folder: Path, variables: dict[str, str], *arguments: str) -> tuple[float, float, str]:
    """Run Snakemake on the full study; return wall seconds, CPU seconds and its output."""
    command = [sys.executable, "-m", "snakemake", "--configfile", "full.yaml", *arguments]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, done.stdout + done.stderr


BARE = """import json
EDGES = json.load(open("edges.json"))
rule all:
    default_target: True
    input: [f"o/{number}" for number in range(len(EDGES))]
rule bare:
    input: lambda wildcards: EDGES[int(wildcards.number)]
    output: "o/{number}"
    shell: "true"
"""


def edges_of(output: str) -> list[list[str]]:
    """Return the inputs of each job that a dry run printed, as `o/<number>` of the job before."""
    jobs = re.findall(r"^(?:local)?rule \w+:\n((?: {4}.*\n)+)", output, re.M)
    files = [
        [re.findall(rf"^ {{4}}{part}: (.*)$", job, re.M) for part in ("input", "output")]
        for job in jobs
    ]
    makers = {
        name: number
        for number, (_, outputs) in enumerate(files)
        for line in outputs
        for name in line.split(", ")
    }
    return [
        sorted({f"o/{makers[n]}" for line in inputs for n in line.split(", ") if n in makers})
        for inputs, _ in files
    ]


def bare_cpu_s(folder: Path, edges: list[list[str]]) -> float:
    """Return the CPU seconds that Snakemake takes to plan as many jobs of an empty rule."""
    folder.mkdir()
    (folder / "Snakefile").write_text(BARE, encoding="utf-8")
    (folder / "edges.json").write_text(json.dumps(edges), encoding="utf-8")
    (folder / "full.yaml").write_text("{}", encoding="utf-8")
    return timed(folder, environment(folder), "-n")[1]


def plan_figures(folder: Path) -> dict[str, float]:
    """Return jobs, inputs and times of planning the full study in a fresh checkout."""
    checkout(folder)
    text = (ROOT / "workflow_config.yaml").read_text(encoding="utf-8")
    (folder / "full.yaml").write_text(text, encoding="utf-8")
    wall, cpu, output = timed(folder, environment(folder), "-n")
    inputs = [line.count(", ") + 1 for line in re.findall(r"^ {4}input: .*$", output, re.M)]
    return {
        "jobs": float(sum(jobs_of(output).values())),
        "most inputs of a job": float(max(inputs)),
        "dry run": wall,
        "dry run (CPU)": cpu,
        "edges": float(sum(map(len, edges_of(output)))),
        # what of the time is ours: 1 is Snakemake's own, with the same edges and empty rules
        "dry run over bare": cpu / bare_cpu_s(folder.with_name("bare"), edges_of(output)),
    }


def measure(folder: Path) -> dict[str, float]:
    """Return the figures of planning the full study, and of a run that finds it finished."""
    figures = plan_figures(folder)
    # The default scheduler solves a linear programme per round: minutes where jobs take no time.
    timed(folder, stand_in_environment(folder), "-j8", "-q", "all", "--scheduler", "greedy")
    wall, cpu, output = timed(folder, environment(folder), "-j2")
    assert jobs_of(output) == {}, "the stand-in's study is finished"
    return {**figures, "no-op run": wall, "no-op run (CPU)": cpu}


def main() -> None:
    """Print the figures and write dag.json; fail where a limit is passed on a quiet machine."""
    with tempfile.TemporaryDirectory() as temporary:
        figures = measure(Path(temporary) / "study")
    load = os.getloadavg()[0]
    for name, value in figures.items():
        limit = LIMITS_S.get(name)
        print(f"{name:22} {value:10.2f}" + (f"   limit {limit:.0f} s" if limit else ""))
    print(f"{'load average':22} {load:10.2f}")
    text = json.dumps({**figures, "load average": load}, indent=1)
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    over = [name for name, limit in LIMITS_S.items() if figures[f"{name} (CPU)"] > limit]
    if over or figures["most inputs of a job"] > MAXIMUM_INPUTS:
        sys.exit(f"over the limit: {over or 'inputs'}")


if __name__ == "__main__":
    main()
