"""What a configuration file says before YAML has lost it, and values of the command line.

Snakemake reads configuration files itself. A key that is given twice is gone then, and so is the
spelling of a number. So the files are looked at once more.

`python -m engram_audio.config_files FILE...` looks at files alone, also at those that Snakemake
cannot read. It prints one line for the first mistake of each.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from engram_audio.errors import InputError

TEXT = "tag:yaml.org,2002:str"
MERGE = "tag:yaml.org,2002:merge"
MERGE_REMEDY = "write one `<<: [*a, *b]`"
KINDS = {TEXT: "a text", "tag:yaml.org,2002:seq": "a list"}
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
OCTAL = re.compile(r"[-+]?0[0-7_]+")
MAXIMUM_LINES = 20
FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML may be built without libyaml


def check_files(paths: Iterable[str | Path]) -> None:
    """Refuse files of which YAML would silently take something else than what stands there.

    Args:
        paths: Configuration files. What is no regular file is left to Snakemake: a pipe cannot be
            read twice.

    Raises:
        InputError: One line for each mistake, with file and line number.
    """
    mistakes = []
    for path in dict.fromkeys(map(str, paths)):
        if Path(path).is_file():
            mistakes += mistakes_of(Path(path))
    if mistakes:
        raise InputError("\n".join(mistakes[:MAXIMUM_LINES]))


def mistakes_of(path: Path) -> list[str]:
    """Return one line for each key that is given twice or no text, and each number in another base.

    Raises:
        InputError: The file cannot be read as YAML, or has no keys at its top level.
    """
    root = _tree(path)
    if not isinstance(root, yaml.MappingNode):
        found = "nothing" if root is None else KINDS.get(root.tag, "one value")
        raise InputError(f"{path}: holds {found}; write lines of `key: value` at its top level")
    return [f"{path}: {mistake}" for mistake in _mistakes(root)]


def _tree(path: Path) -> yaml.Node | None:
    """Parse a file into nodes, which know their lines; nothing is constructed or run."""
    try:
        text = path.read_text(encoding="utf-8")
        # JSON may be indented by tabs, and Snakemake takes it so
        return _composed(text.replace("\t", " ") if _is_json(text) else text)
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is not UTF-8; save the file as UTF-8"
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); name a file that can"
    except RecursionError:
        problem = "is nested too deeply to be read; flatten it"
    except yaml.MarkedYAMLError as error:
        problem = _syntax_problem(error)
    except yaml.YAMLError as error:
        problem = f"is no YAML ({' '.join(str(error).split())}); mend that place"
    raise InputError(f"{path}: {problem}")


def _composed(text: str) -> yaml.Node | None:
    """Compose YAML by libyaml, ten times as fast; Python's own parser says what is wrong."""
    try:
        return yaml.compose(text, FAST)
    except (yaml.YAMLError, ValueError):
        return yaml.compose(text, yaml.SafeLoader)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _syntax_problem(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}" if mark else "somewhere"
    is_tab = mark is not None and mark.buffer is not None and mark.buffer[mark.pointer] == "\t"
    remedy = "indent with spaces, not tabs" if is_tab else "mend that line or the one before"
    reason = " ".join(filter(None, (error.context, error.problem)))
    return f"{place}: is no YAML ({reason}); {remedy}"


def _mistakes(root: yaml.Node) -> Iterator[str]:
    """Yield what is wrong, in the order of the file; a node behind aliases is looked at once."""
    waiting: list[tuple[str, yaml.Node]] = [("", root)]
    seen: set[int] = set()
    while waiting:
        place, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        match node:
            case yaml.MappingNode():
                yield from _keys(place, node)
            case yaml.ScalarNode():
                yield from _other_base(place, node)
        waiting += reversed(list(_children(place, node)))


def _children(place: str, node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    match node:
        case yaml.MappingNode():
            for key, value in node.value:
                yield _joined(place, key), value
        case yaml.SequenceNode():
            for number, value in enumerate(node.value):
                yield f"{place}.{number}".lstrip("."), value


def _joined(place: str, key: yaml.Node) -> str:
    name = key.value if isinstance(key, yaml.ScalarNode) else "(no name)"
    return f"{place}.{name}" if place else name


def _keys(place: str, node: yaml.MappingNode) -> Iterator[str]:
    """Yield what is wrong with the keys of one map; what a merge brings in is no key of its own."""
    first: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        line, name = key.start_mark.line + 1, _joined(place, key)
        if key.tag not in (TEXT, MERGE):
            kind = key.tag.rpartition(":")[2]
            yield f"line {line}: the key {name} is read as {kind}, not as text; put it in quotes"
        elif (key.tag, key.value) in first:
            before = first[key.tag, key.value]
            remedy = "only the last would count; keep one" if key.tag == TEXT else MERGE_REMEDY
            yield f"line {line}: {name} is given twice, first in line {before}; {remedy}"
        else:
            first[key.tag, key.value] = line


def _other_base(place: str, node: yaml.ScalarNode) -> Iterator[str]:
    if node.style or node.tag not in NUMBERS:  # libyaml: "" where nothing is quoted
        return
    line = node.start_mark.line + 1
    if ":" in node.value:
        kind, remedy = "base 60", "put a time or text in quotes"
    elif OCTAL.fullmatch(node.value):
        kind, remedy = "base 8", "leave out the leading zero, or put text in quotes"
    else:
        return
    yield f"line {line}: {place}: {node.value} is a number of {kind} in YAML; {remedy}"


def typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `--config`, with numbers, true, false and null as such at every depth.

    Snakemake takes them so at the first level only: in `splits={"eval_fraction": 0.25}` the number
    arrives as text. Its quotes are lost by then, so text that reads as a number becomes one too.
    """
    return {key: _typed(value) for key, value in given.items()}


def _typed(value: Any) -> Any:
    match value:
        case {**inner}:
            return typed(inner)
        case [*items]:
            return [_typed(item) for item in items]
        case str():
            return _scalar(value)
    return value


def _scalar(text: str) -> Any:
    """Read text as JSON reads a scalar, and Python's True and False; else leave it."""
    if text in ("True", "False"):
        return text == "True"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, str | dict | list) else value


def main() -> None:
    """Look at the named files."""
    lines = []
    for path in map(Path, sys.argv[1:]):
        try:
            lines += mistakes_of(path)
        except InputError as error:
            lines.append(str(error))
    if lines:
        sys.exit("\n".join(f"error: {line}" for line in lines))


if __name__ == "__main__":
    main()
