"""Read the text files of a listed corpus: speakers and transcripts."""

import hashlib
from pathlib import Path

from engram_audio.artifacts.audio_source import AudioSource, SourceFile
from engram_audio.artifacts.regular_file import open_regular
from engram_audio.corpus.librispeech import parse_speakers, parse_transcripts
from engram_audio.corpus.utterances import Exclusion, Transcript
from engram_audio.errors import InputError


def read_sexes(source: AudioSource) -> dict[str, str]:
    """Return F, M or unknown by speaker; empty where there is no SPEAKERS.TXT.

    Raises:
        InputError: SPEAKERS.TXT is gone, has changed, or has a malformed line.
    """
    file = source.speakers()
    if file is None:
        return {}
    # ids and sexes are ASCII; a name in another encoding must not stop the study
    text = _read(source, file).decode("utf-8", "replace")
    return parse_speakers(text, str(Path(source.root, file.path)))


def read_transcripts(source: AudioSource) -> tuple[dict[str, Transcript], list[Exclusion]]:
    """Return transcripts by utterance id, and a note for each file that is not UTF-8.

    Raises:
        InputError: A transcript file is gone or has changed.
    """
    transcripts: dict[str, Transcript] = {}
    notes = []
    for file in source.transcripts():
        try:
            text = _read(source, file).decode("utf-8")
        except UnicodeDecodeError as error:
            detail = f"not UTF-8 ({error.reason}): utterances kept, without transcript"
            reason = "unreadable_transcript"
            notes.append(Exclusion(file.path, None, None, reason, detail, is_kept=True))
            continue
        for identity, words in parse_transcripts(text).items():
            transcripts.setdefault(identity, Transcript(file.path, words))
    return transcripts, notes


def _read(source: AudioSource, file: SourceFile) -> bytes:
    path = Path(source.root, file.path)
    try:
        with open_regular(path) as handle:
            content = handle.read()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); restore it") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise InputError(
            f"{path}: changed since it was listed; restore it, or delete source.json of this "
            "corpus and rerun"
        )
    return content
