"""Text files of the LibriSpeech layout, and lists of speakers as other corpora write them."""

from collections.abc import Iterator
from typing import NamedTuple

from engram_audio.corpus.sexes import UNKNOWN, sex_of
from engram_audio.errors import InputError, one_line

SPEAKERS_FILE = "SPEAKERS.TXT"
# In lower case: LibriSpeech and LibriTTS, LibriTTS, MLS, VCTK.
SPEAKER_LISTS = ("speakers.txt", "speakers.tsv", "speakers.csv", "metainfo.txt", "speaker-info.txt")
TRANSCRIPT_SUFFIX = ".trans.txt"
ID_TITLES = {"id", "speaker", "speaker_id", "speaker id", "reader", "reader_id", "client_id"}
SEX_TITLES = {"sex", "gender"}


class SpeakerLine(NamedTuple):
    """One line of a list of speakers: its number, the id, and the sex as it is written."""

    number: int
    speaker_id: str
    sex: str


def parse_speakers(text: str, source: str = SPEAKERS_FILE) -> dict[str, str]:
    """Return each speaker's sex: F, M or unknown.

    Args:
        text: Lines `ID | SEX | SUBSET | MINUTES | NAME`; those that start with `;` are comments. A
            first line that names the columns may order them otherwise. Cells may also be parted by
            tabs or commas, as in LibriTTS's `speakers.tsv`, or by blanks below such a first line,
            as in VCTK's `speaker-info.txt`.
        source: What to call the file in messages.

    Raises:
        InputError: A line has no second cell, no id, or contradicts an earlier one.
    """
    sexes: dict[str, str] = {}
    for line in speaker_lines(text, source):
        sex = sex_of(line.sex) or UNKNOWN
        if sexes.setdefault(line.speaker_id, sex) != sex:
            raise InputError(
                f"{source}: line {line.number} gives speaker {one_line(line.speaker_id)} another "
                "sex than an earlier line; keep one of them"
            )
    return sexes


def speaker_lines(text: str, source: str) -> Iterator[SpeakerLine]:
    """Yield the lines of a list of speakers (`parse_speakers` says what they look like).

    Raises:
        InputError: A line has no second cell, or no id.
    """
    lines = [
        (number, line)
        for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith((";", "#"))
    ]
    delimiter = _delimiter(lines[0][1]) if lines else "|"
    columns = _columns(_cells(lines[0][1], delimiter)) if lines else None
    id_column, sex_column = columns or (0, 1)
    for number, line in lines[columns is not None :]:
        cells = _cells(line, delimiter)
        if len(cells) <= max(id_column, sex_column) or not cells[id_column]:
            raise InputError(
                f"{source}: line {number} is not `ID | SEX | SUBSET | MINUTES | NAME`; mend the "
                "line, or start it with `;`"
            )
        yield SpeakerLine(number, _folder_of(cells[id_column], delimiter), cells[sex_column])


def _delimiter(line: str) -> str | None:
    """Return what parts the cells of a line; None is any number of blanks."""
    present = [mark for mark in "|\t," if mark in line]
    return present[0] if present else None if _columns(line.split()) else "|"


def _cells(line: str, delimiter: str | None) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(delimiter)]


def _columns(cells: list[str]) -> tuple[int, int] | None:
    """Return the places of id and sex in a line that names the columns, None for another one."""
    titles = [cell.casefold() for cell in cells]
    ids = [place for place, title in enumerate(titles) if title in ID_TITLES]
    sexes = [place for place, title in enumerate(titles) if title in SEX_TITLES]
    return (ids[0], sexes[0]) if ids and sexes else None


def _folder_of(speaker_id: str, delimiter: str | None) -> str:
    """Return the folder of a speaker: VCTK's is `p225`, and older lists of it say `225`."""
    return f"p{speaker_id}" if delimiter is None and speaker_id.isdecimal() else speaker_id


def parse_transcripts(text: str) -> dict[str, str]:
    """Return the transcript of each utterance id; the first of equals counts.

    Args:
        text: Lines `ID TRANSCRIPT`.
    """
    transcripts: dict[str, str] = {}
    for line in text.removeprefix("\ufeff").splitlines():
        identity, _, words = line.strip().partition(" ")
        if identity:
            transcripts.setdefault(identity, words.strip())
    return transcripts


def format_speakers(rows: list[tuple[str, str, str, float, str]], head: str) -> str:
    """Return SPEAKERS.TXT for rows of id, sex, subset, minutes, name; `head` is a comment."""
    lines = [f"; {head}", ";ID  |SEX| SUBSET           |MINUTES| NAME"]
    lines += [
        f"{speaker:<5}| {sex} | {subset:<17}| {minutes:5.2f} | {name}"
        for speaker, sex, subset, minutes, name in rows
    ]
    return "\n".join(lines) + "\n"
