"""Why jobs would run again: which value or which module changed, before and after.

`python -m engram_audio.reruns [snakemake options]` asks a dry run and puts its reasons into words.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engram_audio.provenance import code_digest, module_digests

FOLDER = Path(".snakemake") / "engram_audio" / "code"
JOB = re.compile(r"^(?:local)?rule (\w+):\n((?: {4}.*\n?)+)", re.M)
REASON = re.compile(r"^ {4}reason: (.*)$", re.M)
PARAMS = re.compile(r"before: (.*) now: (.*?) *(?:; |$)")
DIGEST = re.compile(r"'([0-9a-f]{16})'")
_noted: dict[str, tuple[str, ...]] = {}


def step_digest(*modules: str) -> str:
    """Return `code_digest` and note what it is a digest of."""
    digest = code_digest(*modules)
    _noted[digest] = modules
    return digest


def keep_noted(folder: Path = FOLDER) -> None:
    """Write the digest of each module behind every digest: a later run can say which changed."""
    folder.mkdir(parents=True, exist_ok=True)
    for digest, modules in _noted.items():
        path = folder / f"{digest}.json"
        if not path.exists():
            path.write_text(json.dumps(module_digests(modules)), encoding="utf-8")


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
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            here = f"{place}.{name}"
            if name not in before:
                yield f"{here}: (absent) -> {json.dumps(now[name])}"
            elif name not in now:
                yield f"{here}: {json.dumps(before[name])} -> (absent)"
            else:
                yield from changed_values(before[name], now[name], here)
    elif before != now:
        yield f"{place}: {json.dumps(before)} -> {json.dumps(now)}"


def explain(text: str, folder: Path = FOLDER) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Read what `snakemake -n` printed.

    Returns:
        Causes (`value`, `code`, `other`) with one line each, and the number of jobs by rule.
    """
    causes: dict[str, list[str]] = {"value": [], "code": [], "other": []}
    jobs: dict[str, int] = {}
    for rule, body in JOB.findall(text):
        jobs[rule] = jobs.get(rule, 0) + 1
        reason = "".join(REASON.findall(body)[:1])
        for kind, line in _causes(rule, body, reason, folder):
            if line not in causes[kind]:
                causes[kind].append(line)
    return causes, jobs


def _causes(rule: str, body: str, reason: str, folder: Path) -> Iterator[tuple[str, str]]:
    params = PARAMS.search(reason)
    if params is None:
        if reason and not reason.startswith("Input files updated by another job"):
            yield "other", f"{rule}: {reason}"
        return
    before, now = params.groups()
    section = re.search(r"^ {4}wildcards: section=(\S+)$", body, re.M)
    if section is not None:
        old, new = (json.loads(ast.literal_eval(part)) for part in (before, now))
        yield from (("value", line) for line in changed_values(old, new, section.group(1)))
        return
    old, new = DIGEST.search(before), DIGEST.search(now)
    if old is None or new is None:
        yield "other", f"{rule}: parameters {before} -> {now}"
        return
    known = [_modules(folder / f"{found.group(1)}.json") for found in (old, new)]
    known[1] = known[1] or _modules_now(new.group(1))
    if known[0] and known[1]:
        yield from (("code", line) for line in changed_modules(known[0], known[1]))
    else:
        yield "code", f"{rule}: some module that it uses ({old.group(1)} -> {new.group(1)})"


def _modules(path: Path) -> dict[str, str]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _modules_now(digest: str) -> dict[str, str]:
    """Modules behind a digest of the code as it stands, found by trying every step."""
    for path in sorted((Path(__file__).parent / "steps").glob("[a-z]*.py")):
        roots = (f"engram_audio.steps.{path.stem}",)
        adapters = sorted((Path(__file__).parent / "codecs").glob("[a-z]*.py"))
        more = [(*roots, f"engram_audio.codecs.{one.stem}") for one in adapters]
        for modules in (roots, *more):
            if code_digest(*modules) == digest:
                return module_digests(modules)
    return {}


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
