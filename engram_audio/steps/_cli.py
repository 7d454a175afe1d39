"""The command line that all steps share: one frozen file, inputs, outputs and runtime flags."""

import argparse
import contextlib
import gc
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from engram_audio.artifacts.manifests import read_manifest
from engram_audio.errors import InputError
from engram_audio.frozen import Frozen, is_planned, read_frozen
from engram_audio.provenance import canonical_json, manifest
from engram_audio.section import Section

SectionT = TypeVar("SectionT", bound=Section)


class Arguments(argparse.Namespace):
    """Parsed arguments: files by name, the job's wildcards by name, and its settings.

    Attributes:
        step: Name of the step.
        frozen: The job's frozen file.
        input_files: Every input that the step declares, by name; empty where a rule left it out.
        output_files: Every output by name.
    """

    step: str
    frozen: Frozen
    input_files: dict[str, list[Path]]
    output_files: dict[str, Path]

    def has_section(self, role: str) -> bool:
        """Whether the job has settings in a role."""
        return bool(self.frozen.settings.get(role))

    def section_name(self, role: str) -> str:
        """Return the dotted name of the section in a role, for messages: `codecs.library.mimi`."""
        return self._part(role)["section"]

    def section_text(self, role: str) -> str:
        """Return the canonical JSON of the section in a role: what chooses its model."""
        return canonical_json(self._part(role)["value"])

    def load_section(self, role: str, model: type[SectionT]) -> SectionT:
        """Return the section in a role.

        Raises:
            InputError: There is none, or it does not fit the model.
        """
        return _validated(self._part(role), model)

    def load_sections(self, role: str, model_of: Callable[[str, str], type[Section]]) -> list[Any]:
        """Return all sections of a role; `model_of(text, name)` chooses the model of each."""
        return [
            _validated(part, model_of(canonical_json(part["value"]), part["section"]))
            for part in self.frozen.settings.get(role, [])
        ]

    def texts_of(self, role: str) -> dict[str, str]:
        """Return the text of each section of a role by name."""
        parts = self.frozen.settings.get(role, [])
        return {part["section"]: canonical_json(part["value"]) for part in parts}

    def section_documents(self, role: str) -> dict[str, Any]:
        """Return the sections of a role as plain documents by name."""
        return {part["section"]: part["value"] for part in self.frozen.settings.get(role, [])}

    def section_texts(self) -> dict[str, str]:
        """Return the text of every section by name."""
        return {
            name: text
            for role in self.frozen.settings
            for name, text in self.texts_of(role).items()
        }

    @property
    def weight_digests(self) -> dict[str, str]:
        """Pinned SHA-256 of weights that a user's path names, by path."""
        return self.frozen.data.get("weights", {})

    def manifest(self, seed: int | None = None) -> dict[str, Any]:
        """Return the manifest of this run (see `provenance.manifest`)."""
        return manifest(self.step, self.frozen.name, self.frozen.code, self.section_texts(), seed)

    def _part(self, role: str) -> dict[str, Any]:
        found = self.frozen.settings.get(role, [])
        if len(found) != 1:
            raise InputError(
                f"{self.frozen.name}: holds {len(found)} section(s) in the role {role!r}, but "
                f"{self.step} reads one; check the rule"
            )
        return found[0]


def _validated(part: dict[str, Any], model: type[SectionT]) -> SectionT:
    try:
        return model.model_validate_json(canonical_json(part["value"]))
    except ValueError as error:
        raise InputError(f"{part['section']}: not a valid {model.__name__}: {error}") from error


def parse_arguments(
    step: str,
    doc: str | None,
    *,
    inputs: Sequence[str] = (),
    optional_inputs: Sequence[str] = (),
    input_lists: Sequence[str] = (),
    optional_lists: Sequence[str] = (),
    outputs: Sequence[str] = (),
    wildcards: Sequence[str] = (),
    texts: Sequence[str] = (),
    uses_device: bool = False,
    argv: Sequence[str] | None = None,
) -> Arguments:
    """Parse `--settings FILE` and `--name value` for the declared names.

    Underscores become dashes. The job's wildcards come from the frozen file and become attributes.

    Args:
        step: Step name; equals the module name.
        doc: Module docstring, shown by `--help`.
        inputs: Required single files.
        optional_inputs: Single files that a rule may leave out.
        input_lists: Inputs that take any number of files (a plugin codec may have no weights).
        optional_lists: The same, which a rule may leave out.
        outputs: Files to write; parent directories are made.
        wildcards: Wildcards that the step reads.
        texts: Plain strings, for example a folder of logs.
        uses_device: Whether to accept `--device {auto,cpu,cuda}`.
        argv: Arguments, by default those of the process.

    Raises:
        InputError: The frozen file is not what it should be, lacks a wildcard, or an input was made
            with other settings than those of the present plan.
    """
    parser = argparse.ArgumentParser(prog=f"engram_audio.steps.{step}", description=doc)
    for name in ("settings", *inputs, *outputs):
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    for name in optional_inputs:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path)
    for name in input_lists:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, nargs="*", required=True)
    for name in optional_lists:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, nargs="*", default=[])
    for name in texts:
        parser.add_argument(f"--{name.replace('_', '-')}", required=True)
    if uses_device:
        parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--num-workers", type=int, default=1)
    arguments = parser.parse_args(argv, namespace=Arguments(step=step))
    arguments.frozen = read_frozen(arguments.settings)
    for name in wildcards:
        setattr(arguments, name, _wildcard(arguments.frozen, name, step))
    arguments.input_files = {
        name: _paths(getattr(arguments, name))
        for name in (*inputs, *optional_inputs, *input_lists, *optional_lists)
    }
    for paths in arguments.input_files.values():
        for path in paths:
            _require_fitting(arguments.frozen.folder, path)
    arguments.output_files = {name: getattr(arguments, name) for name in outputs}
    for path in arguments.output_files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    return arguments


def _paths(given: Path | list[Path] | None) -> list[Path]:
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _require_fitting(folder: Path, path: Path) -> None:
    """Refuse an artifact that was made with other settings than its job has in the present plan."""
    made_by = (read_manifest(path) or {}).get("settings") if path.is_file() else None
    if isinstance(made_by, str) and not is_planned(folder, made_by):
        raise InputError(
            f"{path}: was made with other settings ({made_by}) than those of the present "
            "configuration and code; delete it and run Snakemake again"
        )


def _wildcard(frozen: Frozen, name: str, step: str) -> str:
    if name not in frozen.wildcards:
        raise InputError(f"{frozen.name}: lacks the wildcard {name!r} that {step} reads")
    return frozen.wildcards[name]


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
