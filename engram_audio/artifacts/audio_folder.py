"""List a folder of WAV and FLAC files: speakers from a level of its folders, or from a table."""

import posixpath
import re
from pathlib import Path
from typing import NamedTuple

from engram_audio.artifacts.audio_source import Speakers
from engram_audio.artifacts.librispeech_tree import (
    OTHER_AUDIO,
    Tree,
    Walk,
    found_instead,
    list_speaker_lists,
    without_links,
)
from engram_audio.artifacts.text_table import LINE, read_text_table
from engram_audio.corpus.sexes import UNKNOWN, sex_of
from engram_audio.corpus.utterances import (
    AUDIO_SUFFIXES,
    SAFE_NAME,
    AudioName,
    Exclusion,
    name_problem,
    printable,
    sex_note,
    without_suffix,
)
from engram_audio.errors import InputError

# As other corpora call the columns; Common Voice: client_id, path, gender.
OTHER_TITLES = {
    "file": ("path", "filename", "file_name", "audio", "audio_path"),
    "speaker_id": ("speaker", "client_id", "reader", "reader_id"),
    "sex": ("gender",),
}


MICROPHONE = re.compile(r"_mic\d+$")  # VCTK has two
ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")  # a drive of Windows, or the address of a file


class Folder(NamedTuple):
    """What a folder holds: files to list, what is excluded or noted, and who speaks."""

    tree: Tree
    speakers: Speakers


def list_folders(root: Path, speaker_level: int) -> Folder:
    """List audio whose speaker is the folder at a level below the root.

    Raises:
        InputError: The folder is missing, or no audio in it is usable.
    """
    paths, excluded = _audio_in(root)
    names: dict[str, AudioName] = {}
    for path in paths:
        parts = path.split("/")
        if len(parts) <= speaker_level:
            detail = f"not in a speaker's folder, which is {speaker_level} below the root"
            excluded.append(Exclusion(path, None, None, "misplaced", detail))
        else:
            _name(path, parts[speaker_level - 1], names, excluded)
    _keep_one_microphone(root, names, excluded)
    if not names:
        level = "/".join(["*"] * (speaker_level - 1) + ["<speaker>"])
        raise _no_audio(root, f"{level}/**", excluded, "set `speaker_level`")
    _require_speakers(root, names, "correct `speaker_level`, or add speakers")
    tree = Tree(sorted([*list_speaker_lists(root), *names]), excluded)
    return Folder(tree, Speakers(names, {}))


def list_table(root: Path, table: Path) -> Folder:
    """List audio whose speaker is given in a table `file,speaker_id[,sex]`.

    Raises:
        InputError: The folder or the table is missing, the table lacks a column or a cell, lists a
            file twice or a speaker with two sexes, or no file that it lists is usable.
    """
    rows = read_text_table(table, ("file", "speaker_id"), OTHER_TITLES).to_dict("records")
    paths, excluded = _audio_in(root)
    reasons = {exclusion.path for exclusion in excluded}
    waiting, there = dict.fromkeys(paths), _by_stem(paths)
    names: dict[str, AudioName] = {}
    first: dict[str, int] = {}
    for row in rows:
        path = posixpath.normpath(str(row["file"]).replace("\\", "/"))
        if path in first:
            raise InputError(
                f"{table}: row {row[LINE]} lists {printable(path)} again, row {first[path]} did; "
                "keep one"
            )
        first[path] = int(row[LINE])
        if path in waiting:
            del waiting[path]
            _name(path, str(row["speaker_id"]), names, excluded)
        elif printable(path) not in reasons:
            excluded.append(_unmatched(path, str(row["speaker_id"]), int(row[LINE]), there))
    _keep_one_microphone(root, names, excluded)
    detail = f"not in {table.name}"
    excluded += [Exclusion(path, None, None, "no_table_row", detail) for path in waiting]
    if not names:
        raise _no_audio(root, f"the rows of {table}", excluded, "write `file` relative to `root`")
    _require_speakers(table, names, "correct speaker_id, or add speakers")
    sexes, notes = _sexes(table, rows)
    return Folder(Tree(sorted(names), [*excluded, *notes]), Speakers(names, sexes))


def _audio_in(root: Path) -> tuple[list[str], list[Exclusion]]:
    """Return paths of audio with usable names, and what is excluded by name or kind."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; put the corpus there, or change `root`")
    paths: list[str] = []
    excluded: list[Exclusion] = []
    for path, problem in Walk(root, None).entries():
        if problem is not None:
            excluded.append(Exclusion(printable(path), None, None, *problem))
        elif path.lower().endswith(AUDIO_SUFFIXES):
            unusable = name_problem(path)
            if unusable is None:
                paths.append(path)
            else:
                excluded.append(unusable)
        elif path.lower().endswith(OTHER_AUDIO):
            detail = "only .wav and .flac are read; convert it"
            excluded.append(Exclusion(printable(path), None, None, "other_format", detail))
    return paths, excluded


def _name(path: str, speaker: str, names: dict[str, AudioName], excluded: list[Exclusion]) -> None:
    """Name a file's utterance by its whole path, as speakers use the same names of files."""
    name = AudioName(without_suffix(path).replace("/", "-"), speaker)
    if all(SAFE_NAME.fullmatch(part) and ".." not in part for part in name):
        names[path] = name
    else:
        detail = "the speaker, or the path joined by '-', is not 1 to 200 letters, digits, ._-"
        excluded.append(Exclusion(path, None, printable(speaker), "unsafe_name", detail))


def _keep_one_microphone(
    root: Path, names: dict[str, AudioName], excluded: list[Exclusion]
) -> None:
    """Leave out links to listed files, and takes of one utterance by a further microphone.

    A second microphone holds the same speech: it would lie in val where the first lies in train.
    """
    kept = without_links(root, list(names), excluded)
    first: dict[str, str] = {}
    for path in sorted(kept):
        recording = MICROPHONE.sub("", without_suffix(path))
        other = first.setdefault(recording, path)
        if other != path:
            detail = f"the speech of {other} by another microphone"
            excluded.append(Exclusion(path, *names[path], "duplicate", detail))
    for path in names.keys() - first.values():
        del names[path]


def _by_stem(paths: list[str]) -> dict[str, list[str]]:
    """Return paths by their name without suffix, whatever its case."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(_stem(path), []).append(path)
    return found


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0].casefold()


def _unmatched(path: str, speaker: str, line: int, there: dict[str, list[str]]) -> Exclusion:
    """Return why a row of the table has no file, and the file that is likely meant."""
    near = there.get(_stem(path)) or there.get(posixpath.basename(path).casefold(), [])
    hint = f" ({near[0]} is there)" if len(near) == 1 else ""
    reason, found = "missing_audio", "no such .wav or .flac file below `root`"
    if posixpath.isabs(path) or path.split("/")[0] == ".." or ELSEWHERE.match(path):
        reason, found = "outside_folder", "not below `root`"
    detail = f"row {line}: {found}{hint}" + ("; write `file` like that" if hint else "")
    return Exclusion(printable(path), None, printable(speaker), reason, detail)


def _sexes(table: Path, rows: list[dict]) -> tuple[dict[str, str], list[Exclusion]]:
    """Return F, M or unknown by speaker, and a note for each sex that is no known spelling."""
    sexes: dict[str, str] = {}
    unread: dict[str, str] = {}
    for row in rows:
        speaker, text = row["speaker_id"], row.get("sex", "")
        sex = sex_of(text)
        if sex is None:
            unread.setdefault(speaker, text)
        known = sexes.setdefault(speaker, sex or UNKNOWN)
        if known == UNKNOWN:
            sexes[speaker] = sex or UNKNOWN
        elif sex not in (None, UNKNOWN, known):
            raise InputError(
                f"{table}: row {row[LINE]} gives speaker {printable(speaker)} another sex than an "
                "earlier row; keep one of them"
            )
    return sexes, [sex_note(printable(str(table)), *item) for item in unread.items()]


def _require_speakers(source: Path, names: dict[str, AudioName], remedy: str) -> None:
    """Refuse one speaker for all: whether this is so is seen here before anything is decoded."""
    speakers = {name.speaker_id for name in names.values()}
    if len(speakers) == 1:
        raise InputError(
            f"{source}: all {len(names)} files are of one speaker, {speakers.pop()}; a split needs "
            f"several in train and in eval: {remedy}"
        )


def _no_audio(root: Path, place: str, excluded: list[Exclusion], remedy: str) -> InputError:
    return InputError(
        f"{root}: no audio (.wav, .flac) in {place} ({found_instead(excluded)}); put audio there, "
        f"or {remedy}"
    )
