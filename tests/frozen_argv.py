"""Steps called in tests: sections and wildcards go into a frozen file, as a rule would."""

import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engram_audio.frozen import Code, frozen_text, keep, place_of
from engram_audio.training import loop

WILDCARDS = {
    "representation", "shard", "surrogate", "corpus", "subset", "codec", "split_seed", "lag",
    "seed", "fold", "head", "base", "method", "factorizer", "family",
}  # fmt: skip
ROLES = {"section", "links", "config_sections", "family_sections", "statistics"}


def frozen_argv(step: str, argv: list[str], suffix: str = "") -> list[str]:
    """Return the arguments of a step with `--settings` for its sections and wildcards.

    Args:
        step: Name of the step.
        argv: `--name value ...`; a section is named by the path of a JSON file with its stem, and a
            wildcard by its value.
        suffix: What stands for the code of a plugin.
    """
    settings, wildcards, rest, folder = {}, {}, [], Path()
    for name, values in _options(argv):
        if name in ROLES or name.endswith("_section"):
            paths = [Path(value) for value in values]
            folder = paths[0].parent if paths else folder
            settings[name] = [
                {"section": path.stem, "value": json.loads(path.read_text())} for path in paths
            ]
        elif name in WILDCARDS:
            wildcards[name] = values[0]
        else:
            rest += [f"--{name.replace('_', '-')}", *values]
    if folder == Path():  # no section: beside the last file that the step is given, an output
        folder = [Path(word).parent for word in rest if "/" in word][-1]
    code = Code((f"engram_audio.steps.{step}",), suffix)
    text = frozen_text(step, wildcards, settings, code)
    path = place_of(folder / "config", step, wildcards, text)
    keep(path, text)
    return ["--settings", str(path), *rest]


def run_step(module: ModuleType, argv: Iterable[object], suffix: str = "") -> None:
    """Run a step in this process (see `frozen_argv`)."""
    step = module.__name__.rpartition(".")[2]
    module.main(frozen_argv(step, [str(word) for word in argv], suffix))


def steps_until_written(
    module: ModuleType, argv: Iterable[object], patch: pytest.MonkeyPatch
) -> int:
    """Run a training step up to the writing of its model, and end it there as a kill would.

    Its checkpoints stay.

    Returns:
        How many optimiser steps it took.
    """
    taken = []
    take = loop._train_step

    def count(*given: Any) -> Any:
        taken.append(1)
        return take(*given)

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with patch.context() as own, pytest.raises(KeyboardInterrupt):
        own.setattr(loop, "_train_step", count)
        own.setattr(module, "write_bundle", kill)
        run_step(module, argv)
    return len(taken)


def _options(argv: list[str]) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for word in argv:
        if word.startswith("--"):
            name, *values = word.removeprefix("--").split("=", maxsplit=1)
            found.append((name.replace("-", "_"), values))
        else:
            found[-1][1].append(word)
    return found
