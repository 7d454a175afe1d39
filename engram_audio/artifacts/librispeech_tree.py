"""List a folder in LibriSpeech layout: `SPEAKERS.TXT`, `<subset>/<speaker>/<chapter>/*.flac`."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from engram_audio.artifacts.audio import hash_file
from engram_audio.artifacts.audio_source import AUDIO_SUFFIX, SourceFile
from engram_audio.artifacts.parallel import map_in_processes
from engram_audio.corpus.librispeech import SPEAKERS_FILE, TRANSCRIPT_SUFFIX
from engram_audio.corpus.utterances import Exclusion, name_problem, printable
from engram_audio.errors import InputError

OTHER_AUDIO = (
    ".wav", ".wave", ".mp3", ".ogg", ".opus", ".oga", ".m4a", ".aac", ".aif", ".aiff", ".sph",
    ".wma", ".flac", ".mp4", ".webm", ".au", ".amr", ".ape", ".wv", ".mka", ".shn",
)  # fmt: skip
FILE_DEPTH = 4  # subset, speaker, chapter, file
MAXIMUM_DEPTH = 8  # misplaced audio is looked for so deep; also ends loops of links


class Tree(NamedTuple):
    """What a folder holds: paths to use, relative and sorted, and what is excluded by its name."""

    paths: list[str]
    exclusions: list[Exclusion]


def list_tree(root: Path, subsets: Sequence[str] | None) -> Tree:
    """List audio, transcripts and SPEAKERS.TXT; folders whose names start with `.` are passed over.

    Args:
        root: Folder of the corpus.
        subsets: Subset folders to list, or None for all.

    Raises:
        InputError: The folder or a subset is missing, or there is no audio in it.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; put the corpus there, or change `root`")
    for subset in subsets or ():
        if not (root / subset).is_dir():
            raise InputError(
                f"{root / subset}: no such folder; set `download: true`, put the subset there, or "
                "leave it out of `subsets`"
            )
    paths = [SPEAKERS_FILE] if (root / SPEAKERS_FILE).is_file() else []
    exclusions: list[Exclusion] = []
    for path in _walk(root, "", 1, subsets):
        if path.endswith((AUDIO_SUFFIX, TRANSCRIPT_SUFFIX)):
            problem = _placement_problem(path) or name_problem(path)
            if problem is None:
                paths.append(path)
            else:
                exclusions.append(problem)
        elif path.lower().endswith(OTHER_AUDIO):
            detail = "only .flac is read; convert it"
            exclusions.append(Exclusion(printable(path), None, None, "not_flac", detail))
    if not any(path.endswith(AUDIO_SUFFIX) for path in paths):
        found = f"{len(exclusions)} file(s) excluded by name or place" if exclusions else "nothing"
        first = f", first {exclusions[0].path} ({exclusions[0].reason})" if exclusions else ""
        raise InputError(
            f"{root}: no audio in <subset>/<speaker>/<chapter>/*.flac ({found}{first}); put audio "
            "there, or change `root`"
        )
    return Tree(sorted(paths), exclusions)


def _walk(root: Path, folder: str, depth: int, subsets: Sequence[str] | None) -> Iterator[str]:
    """Yield relative paths of files in sorted order; links to folders are followed."""
    try:
        with os.scandir(root / folder) as entries:
            ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        place = printable(str(root / folder))
        raise InputError(f"{place}: cannot be listed ({error.strerror}); mend that") from error
    for entry in ordered:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if not entry.is_dir():
            yield path
            continue
        is_wanted = depth > 1 or subsets is None or entry.name in subsets
        if is_wanted and depth < MAXIMUM_DEPTH and not entry.name.startswith("."):
            yield from _walk(root, path, depth + 1, subsets)


def _placement_problem(path: str) -> Exclusion | None:
    if path.count("/") == FILE_DEPTH - 1:
        return None
    detail = "not in <subset>/<speaker>/<chapter>/"
    return Exclusion(printable(path), None, None, "misplaced", detail)


def digest_file(root: str, path: str) -> SourceFile | Exclusion:
    """Return a file's size and digest, or why it cannot be read."""
    file = Path(root, path)
    try:
        return SourceFile(path, file.stat().st_size, hash_file(file))
    except OSError as error:
        detail = f"cannot be read ({error.strerror})"
        return Exclusion(path, None, None, "unreadable", detail)


def digest_files(
    root: str, paths: Sequence[str], num_workers: int
) -> Iterator[SourceFile | Exclusion]:
    """Yield `digest_file` of each path, in order."""
    return map_in_processes(partial(digest_file, root), paths, num_workers)
