"""The command line that all steps share: files, wildcards and runtime flags, never science."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from engram_audio.artifacts.json_document import read_text
from engram_audio.errors import InputError
from engram_audio.provenance import manifest
from engram_audio.section import Section

SectionT = TypeVar("SectionT", bound=Section)


class Arguments(argparse.Namespace):
    """Parsed arguments; `sections` remembers the text of each section that was loaded."""

    step: str
    sections: dict[str, str]

    def load_section(self, path: Path, model: type[SectionT]) -> SectionT:
        """Read a frozen section and remember it for the manifest.

        Raises:
            InputError: The file is missing or does not match the model.
        """
        text = read_text(path)
        self.sections[path.stem] = text
        try:
            return model.model_validate_json(text)
        except ValueError as error:
            raise InputError(f"{path}: not a valid {model.__name__}: {error}") from error

    def manifest(self, seed: int | None = None) -> dict[str, Any]:
        """Return the manifest of this run (see `provenance.manifest`)."""
        return manifest(self.step, self.sections, seed)


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
    uses_device: bool = False,
    argv: Sequence[str] | None = None,
) -> Arguments:
    """Parse `--name value` for the declared names; underscores become dashes.

    Args:
        step: Step name; equals the module name and the rule name.
        doc: Module docstring, shown by `--help`.
        inputs: Required single files.
        optional_inputs: Single files that a rule may leave out.
        input_lists: Inputs that take any number of files (a plugin codec may have no weights).
        optional_lists: The same, which a rule may leave out.
        outputs: Files to write; parent directories are made.
        wildcards: Strings that the rule's wildcards provide.
        uses_device: Whether to accept `--device {auto,cpu,cuda}`.
        argv: Arguments, by default those of the process.
    """
    parser = argparse.ArgumentParser(prog=f"engram_audio.steps.{step}", description=doc)
    for name in (*inputs, *outputs):
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    for name in optional_inputs:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path)
    for name in input_lists:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, nargs="*", required=True)
    for name in optional_lists:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, nargs="*", default=[])
    for name in wildcards:
        parser.add_argument(f"--{name.replace('_', '-')}", required=True)
    if uses_device:
        parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--num-workers", type=int, default=1)
    arguments = parser.parse_args(argv, namespace=Arguments(step=step, sections={}))
    for name in outputs:
        getattr(arguments, name).parent.mkdir(parents=True, exist_ok=True)
    return arguments


def run(main: Callable[[], None]) -> None:
    """Run a step: log to standard error, turn an `InputError` into one line and exit code 1."""
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
