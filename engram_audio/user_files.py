"""Folders and files that a study names and no rule makes: looked for before anything is planned."""

import os
from collections.abc import Callable, Iterable, Iterator

from engram_audio.config import WorkflowConfig, used_codecs, used_corpora
from engram_audio.errors import InputError

MAXIMUM_LINES = 20
FilesOf = Callable[[str], Iterable[str]]


def require_user_files(config: WorkflowConfig, weights: FilesOf) -> None:
    """Refuse a study whose own arrays, tables, audio or weights are not there.

    Args:
        config: The study.
        weights: Returns the files of a codec that no rule makes.

    Raises:
        InputError: One line for each: the key, the path, what is there and the remedy.
    """
    lines = [*_of_arrays(config), *_of_corpora(config), *_of_codecs(config, weights)]
    if lines:
        raise InputError("\n".join(lines[:MAXIMUM_LINES]))


def _of_arrays(config: WorkflowConfig) -> Iterator[str]:
    for name, row in config.representations.library.items():
        if row.kind == "arrays":
            key = f"representations.library.{name}"
            yield from _missing(f"{key}.path", row.path, "the folder or zarr store of arrays")
            yield from _missing(f"{key}.table", row.table, "the CSV table of utterances", "file")


def _of_corpora(config: WorkflowConfig) -> Iterator[str]:
    for name in used_corpora(config):
        row = config.corpora[name]
        if row.is_written:
            continue
        found = list(_missing(f"corpora.{name}.root", row.root, "the folder of audio", "folder"))
        if not found and row.kind == "directory" and row.table is not None:
            path = os.path.join(row.root, row.table)
            found = list(_missing(f"corpora.{name}.table", path, "the table of speakers", "file"))
        yield from found


def _of_codecs(config: WorkflowConfig, weights: FilesOf) -> Iterator[str]:
    for name in used_codecs(config):
        for path in weights(name):
            yield from _missing(f"codecs.library.{name}", path, "its weights", "file")


def _missing(key: str, path: str, what: str, kind: str = "") -> Iterator[str]:
    """Yield one line where a path is not there, or is another kind of thing than asked for."""
    is_there = {"": os.path.exists, "file": os.path.isfile, "folder": os.path.isdir}[kind]
    if is_there(path):
        return
    if os.path.exists(path):
        found = "is a folder" if os.path.isdir(path) else "is no folder"
    else:
        found = "is not there" if os.path.isabs(path) else f"is not there, seen from {os.getcwd()}"
    yield f"{key}: {path!r} {found}; put {what} there, or name its place"
