"""What a step reads and writes, declared once as a class, and the command line that fills it.

A step says

    class Files(StepFiles):
        section: Frozen[SplitsSection]
        split_seed: Wildcard[int]
        utterances: Path
        splits: Output

and `Files.parse(argv)` gives an object with these attributes. The input and output names of its
rule are the names of its fields. Settings, wildcards and facts come from the job's frozen file.
"""

import argparse
import contextlib
import enum
import functools
import gc
import logging
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from engram_audio.artifacts.manifests import read_manifest
from engram_audio.errors import InputError
from engram_audio.frozen import Job, is_planned, read_frozen
from engram_audio.provenance import canonical_json, manifest
from engram_audio.section import validated

T = TypeVar("T")


class Kind(enum.Enum):
    """Where a field of a step's class comes from."""

    INPUT = "input"
    SOURCE = "source"
    OUTPUT = "output"
    FROZEN = "frozen"
    FACT = "fact"
    WILDCARD = "wildcard"
    DEVICE = "device"
    LOG_FOLDER = "log folder"
    WORKERS = "workers"


# Of a field without one of these marks, the type says how many input files it takes: `Path` one,
# `Path | None` at most one, `list[Path]` any number.
Output = Annotated[Path, Kind.OUTPUT]
# A file that people wrote: it carries no manifest of ours.
Source = Annotated[Path, Kind.SOURCE]
# Settings in the role that the field names: `X`, `X | None`, `list[X]`, or `dict[str, X]` by dotted
# name.
Frozen = Annotated[T, Kind.FROZEN]
# A plain value that only the plan knows, for example which codec a representation comes from.
Fact = Annotated[T, Kind.FACT]
Wildcard = Annotated[T, Kind.WILDCARD]
Device = Annotated[Literal["auto", "cpu", "cuda"], Kind.DEVICE]
LogFolder = Annotated[Path, Kind.LOG_FOLDER]
Workers = Annotated[int, Kind.WORKERS]


class Field(NamedTuple):
    """A declared field.

    Attributes:
        name: Its name.
        kind: Where it comes from.
        hint: Its type, with marks.
    """

    name: str
    kind: Kind
    hint: Any

    @property
    def type(self) -> Any:
        """Its type without marks."""
        return get_args(self.hint)[0] if get_origin(self.hint) is Annotated else self.hint

    @property
    def is_list(self) -> bool:
        """Whether it takes any number of values."""
        return get_origin(self.type) is list

    @property
    def is_optional(self) -> bool:
        """Whether a rule may leave it out."""
        is_union = get_origin(self.type) in (Union, types.UnionType)
        return self.is_list or (is_union and types.NoneType in get_args(self.type))

    @property
    def flag(self) -> str:
        """Its option."""
        return f"--{self.name.replace('_', '-')}"


class StepFiles:
    """Base of the classes by which steps declare what they read and write.

    Attributes:
        step: Name of the step.
        frozen: The job's frozen file.
        input_files: Every declared input by name. A list is empty where a rule left it out.
        output_files: Every output by name.
    """

    step: str
    frozen: Job
    input_files: dict[str, list[Path]]
    output_files: dict[str, Path]
    _roles: dict[int, str]

    @classmethod
    @functools.cache
    def fields(cls) -> dict[str, Field]:
        """Return the declared fields by name, those of base classes first."""
        own = get_type_hints(StepFiles)
        hints = get_type_hints(cls, include_extras=True)
        fields = [Field(name, _kind_of(hint), hint) for name, hint in hints.items()]
        return {field.name: field for field in fields if field.name not in own}

    @classmethod
    def of_kind(cls, *kinds: Kind) -> list[Field]:
        """Return the declared fields of some kinds."""
        return [field for field in cls.fields().values() if field.kind in kinds]

    @classmethod
    def parse(cls, argv: Sequence[str] | None = None) -> Self:
        """Parse `--settings FILE` and `--name path ...` for the declared files.

        Underscores become dashes. Parent folders of outputs are made.

        Args:
            argv: Arguments, by default those of the process.

        Raises:
            InputError: The frozen file is not what it should be, lacks a declared value, or an
                input was made with other settings than those of the present plan.
        """
        module = sys.modules[cls.__module__]
        name = module.__spec__.name if module.__spec__ else module.__name__
        parsed = _parser(cls, name, module.__doc__).parse_args(argv)
        files = cls()
        files.step = name.rpartition(".")[2]
        files.frozen = read_frozen(parsed.settings)
        for field in cls.of_kind(*COMMAND_LINE):
            setattr(files, field.name, getattr(parsed, field.name))
        files.input_files = {
            field.name: _paths(getattr(files, field.name)) for field in cls.of_kind(*INPUTS)
        }
        files.output_files = {
            field.name: getattr(files, field.name) for field in cls.of_kind(Kind.OUTPUT)
        }
        files._thaw()
        files._check_places()
        return files

    def _thaw(self) -> None:
        """Set what the frozen file holds."""
        for field in self.of_kind(Kind.WILDCARD):
            setattr(self, field.name, self._plain(field, self.frozen.wildcards))
        for field in self.of_kind(Kind.FACT):
            setattr(self, field.name, self._plain(field, self.frozen.facts))
        self._roles = {}
        for field in self.of_kind(Kind.FROZEN):
            value = _settings(self.frozen, field, self.step)
            self._roles[id(value)] = field.name
            setattr(self, field.name, value)

    def _plain(self, field: Field, values: dict[str, Any]) -> Any:
        if field.name not in values:
            raise InputError(
                f"{self.frozen.name}: lacks the {field.kind.value} {field.name!r} that {self.step} "
                "reads; check the rule"
            )
        source = f"{self.frozen.name}: {field.name}"
        if field.kind is Kind.WILDCARD:  # a number among them is a text
            return validated(field.hint, values[field.name], source, strict=False)
        return validated(field.hint, values[field.name], source)

    def _check_places(self) -> None:
        for field in self.of_kind(Kind.INPUT):
            for path in self.input_files[field.name]:
                _require_fitting(self.frozen.folder, path)
        for path in self.output_files.values():
            path.parent.mkdir(parents=True, exist_ok=True)

    def role_of(self, section: object) -> str:
        """Return the name of the field that holds a section."""
        return self._roles[id(section)]

    def section_name(self, section: object) -> str:
        """Return the dotted name of a section of this job, for messages: `codecs.library.mimi`."""
        (part,) = self.frozen.settings[self.role_of(section)]
        return part["section"]

    @property
    def log_folder(self) -> Path | None:
        """The folder for TensorBoard, where the step has one."""
        return next((getattr(self, field.name) for field in self.of_kind(Kind.LOG_FOLDER)), None)

    @property
    def weight_digests(self) -> dict[str, str]:
        """Pinned SHA-256 of weights that a user's path names, by path."""
        return self.frozen.data.get("weights", {})

    def manifest(self, seed: int | None = None, **identity: str) -> dict[str, Any]:
        """Return the manifest of this run (see `provenance.manifest`).

        Args:
            seed: Seed of its random numbers.
            identity: What the artifact is of, where the job's wildcards do not say it.
        """
        texts = {
            part["section"]: canonical_json(part["value"])
            for parts in self.frozen.settings.values()
            for part in parts
        }
        made_of = {**self.frozen.wildcards, **identity}
        return manifest(self.step, self.frozen.name, self.frozen.code, texts, seed, made_of)


INPUTS = (Kind.INPUT, Kind.SOURCE)
COMMAND_LINE = (*INPUTS, Kind.OUTPUT, Kind.DEVICE, Kind.LOG_FOLDER, Kind.WORKERS)


def _kind_of(hint: Any) -> Kind:
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((mark for mark in marks if isinstance(mark, Kind)), Kind.INPUT)


def _parser(cls: type[StepFiles], name: str, doc: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description=doc, allow_abbrev=False)
    parser.add_argument("--settings", type=Path, required=True)
    for field in cls.of_kind(*COMMAND_LINE):
        parser.add_argument(field.flag, **_option(field))
    return parser


def _option(field: Field) -> dict[str, Any]:
    if field.kind is Kind.DEVICE:
        return {"choices": get_args(field.type), "default": "auto"}
    if field.kind is Kind.WORKERS:
        return {"type": int, "default": 1}
    if field.is_list:
        return {"type": Path, "nargs": "*", "default": []}
    return {"type": Path, "required": not field.is_optional}


def _paths(given: Path | list[Path] | None) -> list[Path]:
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _settings(job: Job, field: Field, step: str) -> Any:
    """Return the validated settings of a role."""
    parts = job.settings.get(field.name, [])
    if field.is_list:
        return [validated(field.hint, [part["value"]], part["section"])[0] for part in parts]
    if get_origin(field.type) is dict:
        values = {part["section"]: part["value"] for part in parts}
        return validated(field.hint, values, job.name)
    if not parts and field.is_optional:
        return None
    if len(parts) != 1:
        raise InputError(
            f"{job.name}: holds {len(parts)} section(s) in the role {field.name!r}, but {step} "
            "reads one; check the rule"
        )
    return validated(field.hint, parts[0]["value"], parts[0]["section"])


def _require_fitting(folder: Path, path: Path) -> None:
    """Refuse an artifact that was made with other settings than its job has in the present plan."""
    made_by = (read_manifest(path) or {}).get("settings") if path.is_file() else None
    if isinstance(made_by, str) and not is_planned(folder, made_by):
        raise InputError(
            f"{path}: was made with other settings ({made_by}) than those of the present "
            "configuration and code; delete it and run Snakemake again"
        )


@contextlib.contextmanager
def blame(subject: object, remedy: str = "") -> Iterator[None]:
    """Turn a `ValueError` of the block into one line on a file or a section.

    Args:
        subject: The path of the file, or the name of the section.
        remedy: What to do, where the error does not say it.

    Raises:
        InputError: Instead of the `ValueError`.
    """
    try:
        yield
    except ValueError as error:
        raise InputError(f"{subject}: {error}{remedy and f'; {remedy}'}") from error


def run(main: Callable[[], None]) -> None:
    """Run a step: log to standard error, turn an `InputError` into one line and exit code 1."""
    gc.freeze()  # what was imported stays: collections need not walk it
    gc.enable()  # see `steps/__init__.py`
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
        stream=sys.stderr,
    )
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
