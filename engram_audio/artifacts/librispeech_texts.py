"""Read the text files of a listed corpus: speakers and transcripts."""

import hashlib
from pathlib import Path

from engram_audio.artifacts.audio_source import AudioSource, SourceFile
from engram_audio.artifacts.regular_file import open_regular
from engram_audio.corpus.librispeech import parse_speakers, parse_transcripts, speaker_lines
from engram_audio.corpus.sexes import UNKNOWN, sex_of
from engram_audio.corpus.utterances import Exclusion, Transcript, sex_note
from engram_audio.errors import InputError, one_line


def read_sexes(source: AudioSource) -> tuple[dict[str, str], list[Exclusion]]:
    """Return F, M or unknown by speaker, and a note for each sex that is no known spelling.

    Raises:
        InputError: A list of speakers is gone, has changed, has a malformed line, or contradicts
            another one.
    """
    sexes: dict[str, str] = {}
    notes = []
    for file in source.speaker_lists():
        # ids and sexes are ASCII; a name in another encoding must not stop the study
        text = _read(source, file).decode("utf-8", "replace")
        place = str(Path(source.root, file.path))
        for speaker, sex in parse_speakers(text, place).items():
            if UNKNOWN not in (sex, sexes.get(speaker, sex)) and sexes.get(speaker, sex) != sex:
                raise InputError(
                    f"{place}: gives speaker {one_line(speaker)} another sex than another list "
                    f"of speakers in {source.root}; keep one of them"
                )
            sexes[speaker] = sexes[speaker] if sex == UNKNOWN and speaker in sexes else sex
        unread = {n.speaker_id: n.sex for n in speaker_lines(text, place) if sex_of(n.sex) is None}
        notes += [sex_note(file.path, speaker, sex) for speaker, sex in unread.items()]
    return sexes, notes


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
