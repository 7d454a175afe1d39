"""`source.json`: which files a corpus is made of, with digests; written before any is decoded."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.corpus.librispeech import SPEAKER_LISTS, TRANSCRIPT_SUFFIX
from engram_audio.corpus.utterances import AUDIO_SUFFIXES, AudioName, Exclusion
from engram_audio.errors import InputError

AUDIO_SUFFIX = ".flac"  # of LibriSpeech's layout


class SourceFile(NamedTuple):
    """One file: path relative to the root, size, digest."""

    path: str
    num_bytes: int
    sha256: str


class Speakers(NamedTuple):
    """Who speaks in a folder whose layout is not LibriSpeech's.

    Attributes:
        names: Of each audio file, by its path.
        sexes: F, M or unknown by speaker, where a table gives them.
    """

    names: dict[str, AudioName]
    sexes: dict[str, str]


class AudioSource(NamedTuple):
    """Files of a corpus.

    Attributes:
        kind: As in the configuration.
        root: Folder that the paths are relative to.
        files: Audio, transcripts and lists of speakers, sorted by path.
        exclusions: Files that are not used, found while listing.
        speakers: Whose utterance each audio file is, where the layout is not LibriSpeech's.
    """

    kind: str
    root: str
    files: tuple[SourceFile, ...]
    exclusions: tuple[Exclusion, ...]
    speakers: Speakers | None = None

    def audio(self) -> list[SourceFile]:
        """The audio files."""
        return [file for file in self.files if file.path.lower().endswith(AUDIO_SUFFIXES)]

    def transcripts(self) -> list[SourceFile]:
        """The transcript files."""
        return [file for file in self.files if file.path.endswith(TRANSCRIPT_SUFFIX)]

    def speaker_lists(self) -> list[SourceFile]:
        """The lists of speakers: files of the root with such a name."""
        return [file for file in self.files if file.path.lower() in SPEAKER_LISTS]


def write_source(
    path: Path,
    kind: str,
    root: str,
    files: Iterable[SourceFile],
    exclusions: Sequence[Exclusion],
    manifest: dict[str, Any],
    speakers: Speakers | None = None,
) -> None:
    """Write the list of files."""
    document = {
        **manifest,
        "kind": kind,
        "root": root,
        "files": [list(file) for file in sorted(files)],
        "exclusions": [exclusion._asdict() for exclusion in exclusions],
    }
    if speakers is not None:
        document["names"] = {path: list(name) for path, name in speakers.names.items()}
        document["sexes"] = speakers.sexes
    write_json(path, document)


def read_source(path: Path) -> AudioSource:
    """Read the list of files.

    Raises:
        InputError: Missing, or not what `write_source` writes.
    """
    document = read_json(path)
    try:
        return AudioSource(
            document["kind"],
            document["root"],
            tuple(SourceFile(*row) for row in document["files"]),
            tuple(Exclusion(**row) for row in document["exclusions"]),
            _speakers(document),
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a list of audio files ({error}); delete it and rerun"
        ) from error


def _speakers(document: dict[str, Any]) -> Speakers | None:
    if "names" not in document:
        return None
    names = {path: AudioName(*name) for path, name in document["names"].items()}
    return Speakers(names, document["sexes"])


def require_unchanged(path: Path, source: AudioSource, found: dict[str, str | None]) -> None:
    """Check that files are still what was listed.

    Args:
        path: Where the source was read, for the message.
        source: The list.
        found: Digest of each file now, None where it is gone.

    Raises:
        InputError: A file is gone or differs; says how many, and names the first.
    """
    listed = {file.path: file.sha256 for file in source.files}
    gone = sorted(name for name, digest in found.items() if digest is None)
    other = sorted(name for name, digest in found.items() if digest not in (None, listed[name]))
    if gone or other:
        first, state = (gone[0], "gone") if gone else (other[0], "changed")
        raise InputError(
            f"{source.root}: {len(gone)} file(s) gone and {len(other)} changed since they were "
            f"listed, first {first} ({state}); restore them, or delete {path} and rerun"
        )
