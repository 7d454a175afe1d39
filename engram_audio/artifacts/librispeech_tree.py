"""List a folder in LibriSpeech layout: `SPEAKERS.TXT`, `<subset>/<speaker>/<chapter>/*.flac`."""

import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from engram_audio.artifacts.audio import hash_bytes
from engram_audio.artifacts.audio_source import AUDIO_SUFFIX, SourceFile
from engram_audio.artifacts.parallel import map_in_processes
from engram_audio.artifacts.regular_file import (
    open_problem,
    open_regular,
    require_regular_if_there,
)
from engram_audio.corpus.librispeech import SPEAKER_LISTS, TRANSCRIPT_SUFFIX
from engram_audio.corpus.utterances import Exclusion, ExclusionReason, name_problem
from engram_audio.errors import InputError, printable

OTHER_AUDIO = (
    ".wav", ".wave", ".mp3", ".ogg", ".opus", ".oga", ".m4a", ".aac", ".aif", ".aiff", ".sph",
    ".wma", ".flac", ".mp4", ".webm", ".au", ".amr", ".ape", ".wv", ".mka", ".shn",
    ".aifc", ".caf", ".snd", ".w64", ".rf64", ".voc", ".spx", ".tta", ".gsm", ".3gp", ".raw",
    ".pcm",
)  # fmt: skip
FILE_DEPTH = 4  # subset, speaker, chapter, file
MAXIMUM_DEPTH = 8  # misplaced audio is looked for so deep
Identity = tuple[int, int]  # of a folder, by whatever path: device and inode
Found = tuple[ExclusionReason, str] | None  # reason and detail of what cannot be used
NO_FILE: Found = ("not_a_regular_file", "a folder, FIFO, socket or device")


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
    paths = list_speaker_lists(root)
    exclusions: list[Exclusion] = []
    for path, problem in Walk(root, subsets).entries():
        if problem is not None:
            exclusions.append(Exclusion(printable(path), None, None, *problem))
        elif path.lower().endswith((AUDIO_SUFFIX, TRANSCRIPT_SUFFIX)):
            excluded = _placement_problem(path) or name_problem(path)
            if excluded is None:
                paths.append(path)
            else:
                exclusions.append(excluded)
        elif path.lower().endswith(OTHER_AUDIO):
            detail = "only .flac is read; convert it"
            exclusions.append(Exclusion(printable(path), None, None, "not_flac", detail))
    paths = without_links(root, paths, exclusions)
    if not any(path.lower().endswith(AUDIO_SUFFIX) for path in paths):
        raise InputError(
            f"{root}: no audio in <subset>/<speaker>/<chapter>/*.flac ({found_instead(exclusions)}"
            "); put audio there, change `root`, or, for another layout or WAV files, use `kind: "
            "directory` with `layout: folders` or `layout: table`"
        )
    return Tree(sorted(paths), exclusions)


def list_speaker_lists(root: Path) -> list[str]:
    """Return the lists of speakers in a corpus's folder, whatever their case.

    Raises:
        InputError: Something with such a name is no file that can be read.
    """
    names = [name for name in sorted(os.listdir(root)) if name.lower() in SPEAKER_LISTS]
    remedy = "replace it, or remove it and do without the speakers' sexes"
    return [name for name in names if require_regular_if_there(root / name, remedy)]


def found_instead(exclusions: Sequence[Exclusion]) -> str:
    """Return what was found where audio was expected, in words."""
    if not exclusions:
        return "nothing"
    path, reason, detail = exclusions[0].path, exclusions[0].reason, exclusions[0].detail
    first = f"{path} ({reason}: {detail.replace('; ', ', ')})"
    return f"{len(exclusions)} file(s) excluded by name or place, first {first}"


def without_links(root: Path, paths: Sequence[str], exclusions: list[Exclusion]) -> list[str]:
    """Return paths without links to files that are listed too; these become exclusions.

    A link may lie in another speaker's folder than its file: the file says who speaks.
    """
    listed, top = frozenset(paths), os.path.realpath(root)
    kept = []
    for path in paths:
        target = _target(root, top, path)
        if target in listed:
            detail = f"a link to a file that is listed as {printable(target)}"
            exclusions.append(Exclusion(path, None, None, "duplicate", detail))
        else:
            kept.append(path)
    return kept


def _target(root: Path, top: str, path: str) -> str | None:
    """Return where a link leads, relative to the root; None for what is no link."""
    if not os.path.islink(root / path):
        return None
    return os.path.relpath(os.path.realpath(root / path), top)


class Walk:
    """A walk through a corpus in sorted order; links to folders are followed, never in circles."""

    def __init__(self, root: Path, subsets: Sequence[str] | None) -> None:
        self._root = root
        self._subsets = subsets
        self._listed: dict[tuple[Identity, int], str] = {}

    def entries(self) -> Iterator[tuple[str, Found]]:
        """Yield relative paths of files, and of what cannot be used with what is wrong."""
        return self._folder("", (_identity(os.stat(self._root)),))

    def _folder(self, folder: str, around: tuple[Identity, ...]) -> Iterator[tuple[str, Found]]:
        """Walk a folder; `around` are it and those that it lies in, the root first."""
        for entry in _entries(self._root / folder):
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_wanted = bool(folder) or self._subsets is None or entry.name in self._subsets
            is_wanted &= not entry.name.startswith(".")
            try:
                status = entry.stat()
            except OSError as error:  # a link that leads nowhere may have led to a folder
                if is_wanted:
                    yield path, open_problem(error)
                continue
            if stat.S_ISREG(status.st_mode):
                yield path, None
            elif not stat.S_ISDIR(status.st_mode):
                if path.lower().endswith((*OTHER_AUDIO, TRANSCRIPT_SUFFIX)):
                    yield path, NO_FILE
            elif is_wanted:
                yield from self._inner(path, (*around, _identity(status)))

    def _inner(self, path: str, around: tuple[Identity, ...]) -> Iterator[tuple[str, Found]]:
        *outer, own = around
        # At one depth, so that a misplaced link to a folder does not stand in for the folder.
        first = self._listed.setdefault((own, len(outer)), path)
        if own in outer:
            yield path, ("link_cycle", "a link to a folder that it lies in")
        elif first != path:
            yield path, ("duplicate", f"a link to a folder that is listed as {printable(first)}")
        elif len(outer) >= MAXIMUM_DEPTH:
            yield (
                path,
                ("misplaced", f"a folder inside {MAXIMUM_DEPTH - 1} others; not looked into"),
            )
        else:
            if path.lower().endswith(AUDIO_SUFFIX) and len(outer) == FILE_DEPTH:
                yield path, NO_FILE
            yield from self._folder(path, around)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        place = printable(str(folder))
        raise InputError(f"{place}: cannot be listed ({error.strerror}); mend that") from error


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _placement_problem(path: str) -> Exclusion | None:
    if path.count("/") == FILE_DEPTH - 1:
        return None
    detail = "not in <subset>/<speaker>/<chapter>/"
    return Exclusion(printable(path), None, None, "misplaced", detail)


def digest_file(root: str, path: str) -> SourceFile | Exclusion:
    """Return a file's size and digest, or why it cannot be read."""
    try:
        with open_regular(Path(root, path)) as handle:
            sha256 = hash_bytes(handle)
            return SourceFile(path, handle.tell(), sha256)
    except OSError as error:
        return Exclusion(path, None, None, *open_problem(error))


def digest_files(
    root: str, paths: Sequence[str], num_workers: int
) -> Iterator[SourceFile | Exclusion]:
    """Yield `digest_file` of each path, in order."""
    return map_in_processes(partial(digest_file, root), paths, num_workers)
