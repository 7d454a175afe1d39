"""Steps called in tests: sections and wildcards go into a frozen file, as a rule would."""

import importlib
import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engram_audio.frozen import Code, frozen_text, keep, place_of
from engram_audio.steps._cli import Kind
from engram_audio.training import loop

WILDCARDS = {
    "representation", "shard", "surrogate", "corpus", "subset", "codec", "split_seed", "lag",
    "seed", "fold", "head", "base", "memory", "method", "factorizer", "family", "generator",
}  # fmt: skip


def frozen_argv(step: str, argv: list[str], suffix: str = "", **facts: Any) -> list[str]:
    """Return the arguments of a step with `--settings` for its sections, wildcards and facts.

    Args:
        step: Name of the step.
        argv: `--name value ...`; a section is named by the path of a JSON file with its stem, and a
            wildcard by its value. A name that is a file of the step is that file.
        suffix: What stands for the code of a plugin.
        facts: What the plan would state.
    """
    kinds = kinds_of(step)
    settings, wildcards, rest, folder = {}, {}, [], Path()
    for name, values in _options(argv):
        if kinds.get(name) is Kind.FROZEN:
            paths = [Path(value) for value in values]
            folder = paths[0].parent if paths else folder
            settings[name] = [
                {"section": path.stem, "value": json.loads(path.read_text())} for path in paths
            ]
        elif name in WILDCARDS and kinds.get(name) in (None, Kind.WILDCARD):
            wildcards[name] = values[0]
        else:
            rest += [f"--{name.replace('_', '-')}", *values]
    if folder == Path():  # no section: beside the last file that the step is given, an output
        folder = [Path(word).parent for word in rest if "/" in word][-1]
    code = Code((f"engram_audio.steps.{step}",), suffix)
    text = frozen_text(step, wildcards, settings, code, facts=facts)
    path = place_of(folder / "config", step, wildcards, text)
    keep(path, text)
    return ["--settings", str(path), *rest]


def kinds_of(step: str) -> dict[str, Kind]:
    """Return what each field of a step's class is."""
    module = importlib.import_module(f"engram_audio.steps.{step}")
    return {field.name: field.kind for field in module.Files.fields().values()}


def run_step(module: ModuleType, argv: Iterable[object], suffix: str = "", **facts: Any) -> None:
    """Run a step in this process (see `frozen_argv`)."""
    step = module.__name__.rpartition(".")[2]
    module.main(frozen_argv(step, [str(word) for word in argv], suffix, **facts))


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
