"""What reruns after an edit: asked of Snakemake by one real dry run for each edit.

Where the study was finished, a stand-in for `python` wrote the outputs: what Snakemake compares is
real, the content of the files is not.
"""

import copy
import itertools
import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from engram_audio.config import WorkflowConfig, parse_config, used_codecs, used_corpora
from engram_audio.config_overlay import libraries
from engram_audio.errors import InputError
from tests.workflow.tiny_study import (
    ROOT,
    checkout,
    environment,
    stand_in_environment,
    wide_config,
    write_config,
)

Place = tuple[str, ...]
# Other values that must point at something which is there.
OTHER_VALUES: dict[Place, Any] = {("representations", "brought", "table"): "arrays_again.csv"}
FIXED = "kind", "pathvars"  # another kind has other keys; another folder starts an empty study


def leaves(node: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield place and value of every scalar; a list of scalars counts as one value."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name not in FIXED:
                yield from leaves(value, (*place, name))
    elif isinstance(node, list) and any(isinstance(item, dict) for item in node):
        for number, item in enumerate(node):
            yield from leaves(item, (*place, str(number)))
    else:
        yield place, node


def replaced(config: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """Return a copy of the configuration with another value at one place."""
    config = copy.deepcopy(config)
    node: Any = config
    for name in place[:-1]:
        node = node[int(name)] if isinstance(node, list) else node[name]
    node[int(place[-1]) if isinstance(node, list) else place[-1]] = value
    return config


def other_values(value: Any, words: list[str]) -> Iterator[Any]:
    """Yield candidates for another value of the same type, the most natural first."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1, value * 2, value // 2, value + 1000)
    elif isinstance(value, float):
        yield from (value * 0.5, value * 2.0, value * 0.9, value * 1.1, value + 0.01)
    elif isinstance(value, str):
        yield from (f"{value} again", f"{value}_again")
        yield value[:-1] + ("0" if value[-1:] != "0" else "1")  # digests keep their length
        yield from (word for word in words if word != value)
    elif isinstance(value, list):
        for other in itertools.islice(other_values(value[-1], words), 200) if value else ():
            yield [*value, other]
            yield [*value[:-1], other]
        yield value[:-1]
        yield from ([word] for word in words if not value)
    else:  # null
        yield from (0.08, 2, 100, True, *words)


def vocabulary(config: dict[str, Any]) -> list[str]:
    """Every word that means something: names in the configuration, words of the schema."""
    text = (ROOT / "workflow_config.schema.json").read_text(encoding="utf-8")
    found: set[str] = set()

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            found.update(
                w for w in (*node.get("enum", ()), node.get("const")) if isinstance(w, str)
            )
            for value in node.values():
                collect(value)
        elif isinstance(node, list):
            for value in node:
                collect(value)

    collect(json.loads(text))
    for place in libraries(WorkflowConfig):
        found.update(at(config, place))
    keys = [f"{name}.raw.kmeans_4" for name in config["structure"]["families"]]
    return sorted(found) + keys + ["type1", "dev-clean"]


def at(config: dict[str, Any], place: Place) -> dict[str, Any]:
    """The map at a place."""
    node: Any = config
    for name in place:
        node = node[name]
    return node


def used_only(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without definitions that no list names: a change of these is no change."""
    kept, parsed = copy.deepcopy(config), parse_config(config)
    for place in libraries(WorkflowConfig):
        owner: Any = parsed
        for name in place:
            owner = getattr(owner, name)
        library = at(kept, place)
        names = {"corpora": used_corpora, "codecs": used_codecs}.get(place[0])
        used = names(parsed) if names else owner
        for name in [name for name in library if name not in used]:
            del library[name]
    return kept


def edits(config: dict[str, Any], asked: Collection[str] | None = None) -> dict[Place, Any]:
    """Return another valid value for every place that can have one; None where none was found."""
    words, found = vocabulary(config), {}
    config = used_only(config)  # the base holds the rest, and each candidate is parsed whole
    for place, value in leaves(config):
        if asked is not None and ".".join(place) not in asked:
            continue
        special = OTHER_VALUES.get(place)
        candidates = [special] if special else other_values(value, words)
        valid = (
            other
            for other in candidates
            if other != value and is_valid(replaced(config, place, other))
        )
        found[place] = next(valid, None)
    return found


def is_valid(config: dict[str, Any]) -> bool:
    """Whether a configuration parses."""
    try:
        parse_config(config)
    except InputError:
        return False
    return True


def finished_study(folder: Path) -> Path:
    """Make a checkout whose wide study is finished as far as Snakemake can tell."""
    checkout(folder)
    write_config(folder, wide_config())
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "-j4", "-q", "all", "--configfile", "tiny.yaml"],
        cwd=folder, env=stand_in_environment(folder), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode:
        raise RuntimeError(run.stdout + run.stderr)
    return folder


def plans(folder: Path, questions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Ask `many_plans` in a checkout; return its answers by name."""
    asked, answered = folder / "questions.json", folder / "answers.json"
    asked.write_text(json.dumps(questions), encoding="utf-8")
    variables = environment(folder)
    variables["PYTHONPATH"] = f"{folder}:{ROOT}"
    command = [sys.executable, "-m", "tests.workflow.many_plans", str(asked), str(answered)]
    subprocess.run(command, cwd=folder, env=variables, check=True)
    return {answer["name"]: answer for answer in json.loads(answered.read_text(encoding="utf-8"))}


def value_questions(
    config: dict[str, Any], asked: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """One question for each place that can have another value, or for those of some names."""
    return [
        {"name": ".".join(place), "config": replaced(config, place, other)}
        for place, other in edits(config, asked).items()
        if other is not None
    ]


def module_questions() -> list[dict[str, Any]]:
    """One question for each module of the package that holds code."""
    modules = sorted((ROOT / "engram_audio").rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules]
    return [
        {"name": name, "module": name, "config_path": "tiny.yaml"}
        for name in names
        if not name.endswith("__init__")
    ]


def rerun(answer: dict[str, Any]) -> dict[str, int]:
    """Return the jobs of an answer by rule, without the target."""
    return {rule: count for rule, count in answer.get("jobs", {}).items() if rule != "all"}
