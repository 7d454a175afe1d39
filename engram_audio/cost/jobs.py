"""Planned jobs, with all that decides what they cost.

A dry run names them as text, and a run that starts has them as Snakemake's own objects. What a job
reads of the configuration stands in its frozen file.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PARAGRAPH = re.compile(r"^(?:local)?rule (\w+):\n((?: {4}.*\n?)+)", re.M)
FROZEN = re.compile(r"/config/\w+/[^/]+\.[0-9a-f]{16}\.json$")
UNKNOWN = "<TBD>"  # what Snakemake prints for a resource that it knows later


@dataclass(frozen=True)
class Job:
    """A planned job.

    Attributes:
        rule: Its rule.
        wildcards: Value of each wildcard.
        inputs: Files that it reads.
        outputs: Files that it writes.
        resources: Numbers that it asks for, by name: `mem_mb`, `runtime` (minutes), `gpu`.
        settings: Sections that it reads, by role; empty where it has no frozen file.
        facts: What only the plan knows, by name.
        benchmark: Where its time is written, or "".
        members: Jobs that it does one after the other, where it is many in one.
    """

    rule: str
    wildcards: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    benchmark: str = ""
    members: tuple["Job", ...] = ()

    @property
    def kind(self) -> str:
        """Its rule, or that of its members."""
        return self.members[0].rule if self.members else self.rule

    def section(self, role: str) -> dict[str, Any]:
        """Return the one section of a role; empty where the job reads none."""
        found = self.settings.get(role) or [{}]
        return found[0]

    def __str__(self) -> str:
        """Name it as a person would."""
        words = ", ".join(f"{name}={value}" for name, value in self.wildcards.items())
        return f"{self.rule} ({words})" if words else self.rule


def from_dry_run(text: str) -> list[Job]:
    """Return the jobs that `snakemake -n` printed, targets without a benchmark among them."""
    return [_of_paragraph(rule, body) for rule, body in PARAGRAPH.findall(text)]


def _of_paragraph(rule: str, body: str) -> Job:
    lines = (line.strip().partition(": ") for line in body.splitlines())
    said = {name: value for name, _, value in lines}
    return with_settings(
        rule,
        dict(_pairs(said.get("wildcards", ""))),
        _listed(said.get("input", "")),
        _listed(said.get("output", "").replace(" (update)", "")),
        dict(_pairs(said.get("resources", ""))),
        said.get("benchmark", ""),
    )


def from_snakemake(planned: Iterable[Any]) -> dict[int, Job]:
    """Return Snakemake's jobs by their number."""
    return {
        job.jobid: with_settings(
            job.rule.name, job.wildcards_dict, map(str, job.input), map(str, job.output),
            job.resources, str(job.benchmark or ""),
        )
        for job in planned
    }  # fmt: skip


def with_settings(
    rule: str,
    wildcards: Mapping[str, Any],
    inputs: Iterable[str],
    outputs: Iterable[str],
    resources: Mapping[str, Any],
    benchmark: str,
) -> Job:
    """Return a job with what its frozen file says."""
    inputs = tuple(inputs)
    frozen = _own_frozen(rule, inputs)
    document = json.loads(frozen.read_text(encoding="utf-8")) if frozen else {}
    return Job(
        rule,
        {name: str(value) for name, value in wildcards.items()},
        inputs,
        tuple(outputs),
        _numbers(resources),
        sections_in(document),
        document.get("facts", {}),
        benchmark,
        tuple(_member(one, resources) for one in document.get("facts", {}).get("members", ())),
    )


def _own_frozen(rule: str, inputs: Iterable[str]) -> Path | None:
    """Return a job's frozen file; one that does many jobs may read theirs too."""
    found = [Path(path) for path in inputs if FROZEN.search(path)]
    own = [path for path in found if path.parent.name == rule]
    return next(iter(own or found), None)


def _member(said: Mapping[str, Any], resources: Mapping[str, Any]) -> Job:
    """Return a member of a job, which has what the whole job asks for."""
    own = json.loads(Path(said["settings"]).read_text(encoding="utf-8"))
    inputs = [path for paths in said["inputs"].values() for path in paths]
    return with_settings(
        own["rule"], own["wildcards"], [said["settings"], *inputs], said["outputs"].values(),
        resources, "",
    )  # fmt: skip


def sections_in(document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the sections of a frozen file by role."""
    roles = document.get("settings", {}).items()
    return {role: [part["value"] for part in parts] for role, parts in roles}


def _numbers(resources: Mapping[str, Any]) -> dict[str, int]:
    return {
        name: int(resources[name])
        for name in ("mem_mb", "runtime", "gpu")
        if str(resources.get(name, UNKNOWN)).isdigit()
    }


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of `a=1, b=2`."""
    for word in _listed(text):
        name, _, value = word.partition("=")
        yield name, value


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(", ")))
