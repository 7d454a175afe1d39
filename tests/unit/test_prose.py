"""Plain English, as far as a machine can check it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engram_audio.provenance import ROOT
from tests.prose import all_sentences, faults_of, sentences_of

# Names that only we ever used. Each has become the term of a textbook.
PRIVATE_NAMES = {
    "Bench", "BESIDE", "Bound", "NOTHING", "Rung", "Unit", "beside", "hold", "house", "of_others",
    "rung", "take",
}  # fmt: skip


def names_given(code: str) -> Iterator[str]:
    """Yield the names that a module gives, without leading underscores."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name.lstrip("_")
            case ast.Name(id=name, ctx=ast.Store()):
                yield name.lstrip("_")


def modules() -> list[Path]:
    """Return the modules that a reader of the package or of its checks opens."""
    folders = ("engram_audio", "bench", "verify", "mutants")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_no_name_is_private():
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules()
        for name in names_given(path.read_text(encoding="utf-8"))
        if name in PRIVATE_NAMES
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    ["def _beside(): ...", "class Rung: ...", "take = 1", "lambda hold: 1", "NOTHING: int = 0"],
)
def test_what_is_a_private_name(code: str):
    assert PRIVATE_NAMES & set(names_given(code))


def test_a_step_with_faults_of_its_own_says_when_it_fails():
    """What all steps have in common stands in the docstring of the folder."""
    silent = []
    for path in sorted((ROOT / "engram_audio" / "steps").glob("[a-z]*.py")):
        code = ast.parse(path.read_text(encoding="utf-8"))
        raised = [ast.unparse(node) for node in ast.walk(code) if isinstance(node, ast.Raise)]
        is_faulty = any(text.startswith("raise InputError(") for text in raised)
        if is_faulty and "\n\nFails where " not in (ast.get_docstring(code) or ""):
            silent.append(path.name)
    assert silent == []


def test_no_sentence_is_long_joined_by_semicolons_or_private():
    """README, docs and page: `python -m tests.prose` lists what is wrong."""
    wrong = [
        f"{one.place}: {faults}: {one.text}"
        for one in all_sentences()
        if (faults := faults_of(one))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "num_faults"),
    [
        ("A short sentence. " * 20, 0),
        ("word " * 31, 1),
        ("`a long name` " * 3 + "word " * 28, 1),
        ("One idea; another one.", 1),
        ("| a cell; a list | another |", 0),
        ("```\ncode; of any length " + "x " * 40 + "\n```", 0),
        ("The step is not told from nothing.", 1),
    ],
)  # fmt: skip
def test_what_is_a_fault(text: str, num_faults: int):
    found = [fault for one in sentences_of(text, "here") for fault in faults_of(one)]
    assert len(found) >= 1 if num_faults else found == []


def test_every_document_that_the_readme_names_is_there_and_it_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`(docs/[\w.-]+)`|\((docs/[\w./-]+)\)", text)
    assert named and all((ROOT / (one or other)).exists() for one, other in named)
    assert len(text.splitlines()) <= 200
    assert "make demo     #" in text and "make test     #" in text, "the two set-up commands"


def test_pictures_are_small():
    for path in (ROOT / "docs" / "images").iterdir():
        assert path.stat().st_size < 300_000, path.name
