"""The driver's side of frozen files: gathers what decides a job, and writes it while planning.

Snakemake calls an input function for each job that it plans, also in a dry run. That is the moment
when the job's file is written: it belongs to its own content and disturbs nothing. Files of the
same job with another digest are removed when a real run starts, because by then the folder is
locked.
"""

import functools
import inspect
import json
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engram_audio.errors import InputError
from engram_audio.frozen import Code, forget_others, frozen_text, keep, place_of
from engram_audio.provenance import canonical_json, module_digests

SETTINGS = "settings"  # the input that holds the frozen file, and the role of a step's own section
CODE_FOLDER = "code"  # module digests behind each digest of code, for `make why`
Choice = str | list[str] | Callable[[Any], str | list[str]]


def let_jobs_import(home: str) -> None:
    """Put the workflow's own folder first on the path of every job's Python.

    The package beside the Snakefile is the one whose code is digested, from whatever folder the
    workflow is called and whatever else is installed.
    """
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([home, *([others] if others else [])])


class Needs(NamedTuple):
    """What a rule reads beside its input files.

    Attributes:
        rule: Its name.
        step: The step module that it runs.
        sections: Dotted names of sections by role: a pattern with wildcards, a list, or a function
            of the wildcards. A role without a section is left out.
        kinds: Roles whose sections name a module that the step loads, ours or a plugin's.
        loads: Function of the wildcards that returns other modules which the step loads by name,
            and the suffix of a plugin's code.
        data: Function of the wildcards that returns digests of a user's own files.
        facts: Plain values by name that only the plan knows: each a value, a function of the
            wildcards, or a function without arguments that is called when all rules are known.
    """

    rule: str
    step: str
    sections: Mapping[str, Choice]
    kinds: tuple[str, ...] = ()
    loads: Callable[[Any], tuple[tuple[str, ...], str]] | None = None
    data: Callable[[Any], dict[str, Any]] | None = None
    facts: Mapping[str, Any] = {}


class Planner:
    """Writes the frozen files of the jobs that Snakemake plans."""

    def __init__(
        self,
        document: Mapping[str, Any],
        rule_of: Callable[[str], Any],
        folder: Path,
        home: str,
        code_of: Callable[[str], tuple[tuple[str, ...], str]],
        written: Callable[[str], None] = lambda path: None,
    ) -> None:
        """Prepare to plan.

        Args:
            document: Every section that a step may read, as plain values by dotted key.
            rule_of: Returns Snakemake's rule by name.
            folder: Where frozen files lie, `<results>/config`.
            home: The workflow's own folder, seen from where it runs: no part of what is frozen, so
                that a moved checkout reruns nothing.
            code_of: Returns the modules that a step loads by name for a section of a kind, and the
                suffix of a plugin's code.
            written: Takes the path of each frozen file. Snakemake lists a folder once, when it
                plans the first target in it, and takes for missing what is written later.
        """
        self._written = written
        self._document, self._rule_of, self._folder = document, rule_of, folder
        self._home, self._code_of = f"{home}/", functools.cache(code_of)
        self._texts: dict[Path, str] = {}
        self._known: dict[tuple[str, str], Path] = {}
        self._codes: dict[str, Code] = {}
        self.needs: dict[str, Needs] = {}

    def frozen_path(self, needs: Needs, wildcards: Any) -> str:
        """Return the frozen file of a job, written if it was not there."""
        plain = {name: str(value) for name, value in wildcards.items()}
        job = (needs.rule, canonical_json(plain))
        if job not in self._known:
            text = self._text(needs, wildcards, plain)
            path = place_of(self._folder, needs.rule, plain, text)
            keep(path, text)
            self._written(str(path))
            self._known[job], self._texts[path] = path, text
        return str(self._known[job])

    def settle(self) -> None:
        """Make a real run's files the only ones of their jobs; note what the code is made of."""
        for path, text in self._texts.items():
            keep(path, text)  # another driver may have removed it before the folder was locked
        forget_others(self._texts)
        for digest, code in self._codes.items():
            path = self._folder / CODE_FOLDER / f"{digest}.json"
            keep(path, canonical_json(module_digests(code.modules)))

    def _text(self, needs: Needs, wildcards: Any, plain: dict[str, str]) -> str:
        rule = self._rule_of(needs.rule)
        code = self._code(needs, wildcards, plain)
        self._codes[code.digest] = code
        return frozen_text(
            needs.rule,
            plain,
            {role: self._parts(one, wildcards, plain) for role, one in needs.sections.items()},
            code,
            inputs=declared(rule.input, wildcards, self._home),
            outputs=places(rule.output, plain),
            params=declared(rule.params, wildcards, self._home),
            command=" ".join(rule.shellcmd.split()),
            facts={name: _known(fact, wildcards) for name, fact in needs.facts.items()},
            data=needs.data(wildcards) if needs.data else {},
        )

    def _code(self, needs: Needs, wildcards: Any, plain: Mapping[str, str]) -> Code:
        loaded = [needs.loads(wildcards)] if needs.loads else []
        for role in needs.kinds:
            loaded += map(self._code_of, named(needs.sections[role], wildcards, plain))
        modules = dict.fromkeys(name for found, _ in loaded for name in found)
        suffix = "".join(suffix for _, suffix in loaded)
        return Code((f"engram_audio.steps.{needs.step}", *modules), suffix)

    def _parts(
        self, choice: Choice, wildcards: Any, plain: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        return [
            {"section": name, "value": section_of(self._document, name)}
            for name in named(choice, wildcards, plain)
        ]


def named(choice: Choice, wildcards: Any, plain: Mapping[str, str]) -> list[str]:
    """Return the dotted names of the sections that a job reads in a role.

    Args:
        choice: Names, patterns of names, or a function of Snakemake's wildcards.
        wildcards: Snakemake's.
        plain: The same as text: patterns take them from a map ten times as fast.
    """
    found = choice(wildcards) if callable(choice) else choice
    return [name.format(**plain) for name in _listed(found)]


def _listed(found: str | Iterable[str]) -> list[str]:
    return [found] if isinstance(found, str) else list(found)


def section_of(document: Mapping[str, Any], name: str) -> Any:
    """Return a section by dotted name, for example `codecs.library.mimi`.

    Raises:
        InputError: There is no such section.
    """
    if name not in document:
        raise InputError(f"{name}: no such configuration section")
    return document[name]


def declared(items: Any, wildcards: Any, home: str = "") -> dict[str, Any]:
    """Return what a rule declares as inputs or parameters, by name, beside its frozen file.

    A function of more than the wildcards makes words of what is declared already: left out.
    """
    return {str(name): value for name, value in declared_pairs(items, wildcards, home)}


def declared_pairs(items: Any, wildcards: Any, home: str = "") -> Iterator[tuple[str | None, Any]]:
    """Yield the same in pairs: files without a name have none."""
    for name, item in items._allitems():
        if name != SETTINGS and not (callable(item) and _num_parameters(item) > 1):
            yield name, _plain(item(wildcards) if callable(item) else item, home)


def places(outputs: Any, wildcards: Mapping[str, str]) -> dict[str, str]:
    """Return where a job writes each of its outputs, by name.

    The pattern of a rule would say more: constraints of its wildcards name what else there is.
    """
    return {str(name): str(one.apply_wildcards(wildcards)) for name, one in outputs.items()}


def command_words(*declared: Any) -> str:
    """Return `--name path ...` for every named file of a job, quoted for the shell.

    A name without files is left out.

    Args:
        declared: Inputs and outputs as Snakemake hands them to a function of `params:`.
    """
    words: list[str] = []
    for name, value in (pair for items in declared for pair in items.items()):
        if paths := _listed(value):
            words += [f"--{name.replace('_', '-')}", *(shlex.quote(str(path)) for path in paths)]
    return " ".join(words)


def _known(fact: Any, wildcards: Any) -> Any:
    if not callable(fact):
        return fact
    return fact(wildcards) if _num_parameters(fact) else fact()


@functools.cache
def _num_parameters(function: Callable[..., Any]) -> int:
    return len(inspect.signature(function).parameters)


def _plain(value: Any, home: str) -> Any:
    match value:
        case str():  # also Snakemake's own kinds of text
            return str(value).removeprefix(home)
        case Iterable():
            return [_plain(item, home) for item in value]
    return json.loads(canonical_json(value))
