"""Why jobs would run again: which value or which module changed, before and after.

`python -m engram_audio.reruns [snakemake options]` asks a dry run and puts its reasons into words.
The file of a job as it ran lies beside the file of the job as it is planned, until a real run.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engram_audio.frozen import subject_in
from engram_audio.frozen_sections import key_of
from engram_audio.maps import as_map, map_in
from engram_audio.planning import CODE_FOLDER
from engram_audio.provenance import module_digests

JOB = re.compile(r"^(?:local)?rule (\w+):\n((?: {4}.*\n?)+)", re.M)
REASON = re.compile(r"^ {4}reason: (.*)$", re.M)
FROZEN = re.compile(
    r"^ {4}input: (?:.*?, )?([^\n]*?/config/\w+/[^/\n]+?\.[0-9a-f]{16}\.json)", re.M
)
PLACES = ("inputs", "outputs", "facts", "params", "command", "data")
PARTS = {*PLACES, "settings", "code"}


def changed_modules(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return a line for each module whose code differs, is new, or is no longer reached."""
    lines = []
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old != new:
            lines.append(f"{name}: {(old or 'not used')[:12]} -> {(new or 'not used')[:12]}")
    return lines


def changed_values(before: Any, now: Any, place: str) -> Iterator[str]:
    """Yield a line for each scalar that differs, by dotted name."""
    match before, now:
        case {**old}, {**new}:
            for name in sorted({*old, *new}):
                here = f"{place}.{name}".lstrip(".")
                if name not in old:
                    yield f"{here}: (absent) -> {json.dumps(new[name])}"
                elif name not in new:
                    yield f"{here}: {json.dumps(old[name])} -> (absent)"
                else:
                    yield from changed_values(old[name], new[name], here)
        case _ if before != now:
            yield f"{place}: {json.dumps(before)} -> {json.dumps(now)}"


def explain(text: str) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Read what `snakemake -n` printed.

    Returns:
        Causes (`value`, `code`, `other`) with one line each, and the number of jobs by rule.
    """
    causes: dict[str, list[str]] = {"value": [], "code": [], "other": []}
    jobs: dict[str, int] = {}
    for rule, body in JOB.findall(text):
        jobs[rule] = jobs.get(rule, 0) + 1
        for kind, line in _causes(rule, body):
            if line not in causes[kind]:
                causes[kind].append(line)
    return causes, jobs


def _causes(rule: str, body: str) -> Iterator[tuple[str, str]]:
    planned = FROZEN.search(body)
    before = _as_it_ran(Path(planned.group(1))) if planned else None
    if planned and before:
        yield from _differences(before, Path(planned.group(1)))
        return
    reason = "".join(REASON.findall(body)[:1])
    if reason and not reason.startswith("Input files updated by another job"):
        yield "other", f"{rule}: {reason}"


def _as_it_ran(planned: Path) -> Path | None:
    """Return the newest other file of the same job, or None."""
    subject = subject_in(planned)
    others = [p for p in planned.parent.glob("*.json") if subject_in(p) == subject and p != planned]
    return max(others, key=lambda path: path.stat().st_mtime_ns, default=None)


def _differences(before: Path, now: Path) -> Iterator[tuple[str, str]]:
    old, new = map_in(before), map_in(now)
    damaged = [path for path, found in ((before, old), (now, new)) if PARTS - found.keys()]
    if damaged:
        yield "other", f"{now.parent.name}: {damaged[0]} is damaged; a real run writes it again"
        return
    for line in changed_values(_by_key(old), _by_key(new), ""):
        yield "value", line
    for place in PLACES:
        for line in changed_values(old[place], new[place], f"{now.parent.name}.{place}"):
            yield "value" if place == "data" else "other", line
    if old["code"] != new["code"]:
        folder = now.parent.parent / CODE_FOLDER
        known = map_in(folder / f"{old['code']['digest']}.json")
        if known:
            for line in changed_modules(known, module_digests(new["code"]["modules"])):
                yield "code", line
        else:
            yield "code", f"{now.parent.name}: some module that it uses"


def _by_key(content: dict[str, Any]) -> dict[str, Any]:
    """Every value of a job by the key under which a person finds it in the configuration."""
    parts = [part for role in content["settings"].values() for part in role]
    return {
        key_of(part["section"], field): value
        for part in parts
        for field, value in as_map(part["value"]).items()
    }


def report(causes: dict[str, list[str]], jobs: dict[str, int]) -> str:
    """Return the answer as text."""
    if not jobs:
        return "Nothing would run: no value and no module changed."
    titles = {"value": "Values that changed", "code": "Modules that changed", "other": "Also"}
    blocks = [
        "\n".join([f"{title}:", *(f"  {line}" for line in causes[kind])])
        for kind, title in titles.items()
        if causes[kind]
    ]
    rules = [f"  {rule} ({count})" for rule, count in jobs.items() if rule != "all"]
    return "\n\n".join([*blocks, "\n".join(["Rules that would run (jobs):", *rules])])


def main() -> None:
    """Ask a dry run and print why."""
    # A profile may silence the paragraphs that hold the reasons.
    command = [sys.executable, "-m", "snakemake", "-n", *sys.argv[1:], "--quiet", "host"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    text = run.stdout + run.stderr
    if run.returncode:
        sys.exit(text)
    print(report(*explain(text)))


if __name__ == "__main__":
    main()
