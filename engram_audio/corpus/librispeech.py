"""Text files of the LibriSpeech layout: SPEAKERS.TXT and `<speaker>-<chapter>.trans.txt`."""

from engram_audio.errors import InputError

SEXES = ("F", "M")
UNKNOWN_SEX = "unknown"
SPEAKERS_FILE = "SPEAKERS.TXT"
TRANSCRIPT_SUFFIX = ".trans.txt"


def parse_speakers(text: str, source: str = SPEAKERS_FILE) -> dict[str, str]:
    """Return each speaker's sex: F, M or unknown.

    Args:
        text: Lines `ID | SEX | SUBSET | MINUTES | NAME`; those that start with `;` are comments.
        source: What to call the file in messages.

    Raises:
        InputError: A line has no `|`, no id, or contradicts an earlier one.
    """
    sexes: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) < 2 or not fields[0]:
            raise InputError(
                f"{source}: line {number} is not `ID | SEX | SUBSET | MINUTES | NAME`; mend the "
                "line, or start it with `;`"
            )
        sex = fields[1].upper() if fields[1].upper() in SEXES else UNKNOWN_SEX
        if sexes.setdefault(fields[0], sex) != sex:
            raise InputError(
                f"{source}: line {number} gives speaker {fields[0]} another sex than an earlier "
                "line; keep one of them"
            )
    return sexes


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
