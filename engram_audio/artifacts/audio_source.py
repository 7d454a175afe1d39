"""`source.json`: which files a corpus is made of, with digests; written before any is decoded."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.corpus.librispeech import SPEAKERS_FILE, TRANSCRIPT_SUFFIX
from engram_audio.corpus.utterances import Exclusion
from engram_audio.errors import InputError

AUDIO_SUFFIX = ".flac"


class SourceFile(NamedTuple):
    """One file: path relative to the root, size, digest."""

    path: str
    num_bytes: int
    sha256: str


class AudioSource(NamedTuple):
    """Files of a corpus in LibriSpeech layout.

    Attributes:
        kind: As in the configuration.
        root: Folder that the paths are relative to.
        files: Audio, transcripts and SPEAKERS.TXT, sorted by path.
        exclusions: Files that are not used, found while listing.
    """

    kind: str
    root: str
    files: tuple[SourceFile, ...]
    exclusions: tuple[Exclusion, ...]

    def audio(self) -> list[SourceFile]:
        """The audio files."""
        return [file for file in self.files if file.path.endswith(AUDIO_SUFFIX)]

    def transcripts(self) -> list[SourceFile]:
        """The transcript files."""
        return [file for file in self.files if file.path.endswith(TRANSCRIPT_SUFFIX)]

    def speakers(self) -> SourceFile | None:
        """SPEAKERS.TXT, if there is one."""
        return next((file for file in self.files if file.path == SPEAKERS_FILE), None)


def write_source(
    path: Path,
    kind: str,
    root: str,
    files: Iterable[SourceFile],
    exclusions: Sequence[Exclusion],
    manifest: dict[str, Any],
) -> None:
    """Write the list of files."""
    document = {
        **manifest,
        "kind": kind,
        "root": root,
        "files": [list(file) for file in sorted(files)],
        "exclusions": [exclusion._asdict() for exclusion in exclusions],
    }
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
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a list of audio files ({error}); delete it and rerun"
        ) from error


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
