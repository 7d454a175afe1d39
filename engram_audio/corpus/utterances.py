"""Which audio files are utterances and which are excluded, and why. Nothing is dropped silently."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import pandas as pd

from engram_audio.corpus.identities import identity_key, require_distinct
from engram_audio.corpus.remedies import with_remedy
from engram_audio.corpus.sexes import unread_sex
from engram_audio.errors import InputError, printable

ExclusionReason = Literal[
    "unreadable",  # no decoder takes it
    "not_a_regular_file",  # a folder, FIFO, socket or device
    "link_cycle",  # a link that leads to itself, or to a folder around it
    "empty",  # zero bytes or zero frames
    "truncated",  # the header declares other frames than were decoded
    "corrupt",  # decoded, but the checksum inside the file says otherwise
    "too_long",  # more than one array should hold
    "too_short",  # below minimum_duration_s
    "wrong_rate",  # another sample rate than most of the corpus
    "stereo",  # more than one channel
    "not_finite",  # NaN or infinity among the samples
    "out_of_range",  # floats far beyond full scale
    "silent",  # nothing but a constant, within one step of 16-bit audio
    "duplicate",  # same samples as an earlier utterance
    "duplicate_id",  # same utterance id as an earlier utterance
    "non_ascii_name",
    "unsafe_name",  # characters that names of artifacts, tables and pages must not carry
    "not_flac",  # audio in another format
    "other_format",  # likewise, where .wav is read too
    "misplaced",  # audio that lies not in <subset>/<speaker>/<chapter>/, or in no speaker's folder
    "outside_folder",  # a row of the table that leads out of the corpus
    "missing_audio",  # a transcript, or a row of the table, without its file
    "no_table_row",  # audio that the table does not list
    "unreadable_transcript",  # note: utterances kept, without transcript
    "no_speaker_entry",  # note: utterances kept, sex unknown
    "unknown_sex",  # note: likewise, as what is written there is no known spelling
    "other_encoding",  # note: decoded, but not what the name says, or not PCM
    "mixed_down",  # note: the mean over channels is used
]
AudioNote = tuple[Literal["other_encoding", "mixed_down"], str]
# 200: with a suffix it is the name of a file, which has 255 bytes at most
SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
AUDIO_SUFFIXES = (".flac", ".wav", ".wave")
UTTERANCE_COLUMNS = (
    "utterance_id", "speaker_id", "sex", "duration_s", "sample_rate_hz", "num_samples",
    "audio_path", "transcript", "pcm_sha256",
)  # fmt: skip
AUDIO_COLUMNS = ("audio_path", "sample_rate_hz", "num_samples", "pcm_sha256")


class IndexedAudio(NamedTuple):
    """What the table of utterances says of one file: AUDIO_COLUMNS."""

    audio_path: str
    sample_rate_hz: int
    num_samples: int
    pcm_sha256: str


def indexed_audio(utterances: pd.DataFrame) -> list[IndexedAudio]:
    """Return the files of a table that has AUDIO_COLUMNS, in its order."""
    columns = [utterances[name].tolist() for name in AUDIO_COLUMNS]
    return [
        IndexedAudio(str(path), int(rate), int(count), str(digest))
        for path, rate, count, digest in zip(*columns, strict=True)
    ]


class AudioFacts(NamedTuple):
    """What reading one audio file to its end gave.

    Attributes:
        path: Relative to the corpus's root, with forward slashes.
        file_sha256: SHA-256 of the file, or None where there is no such file.
        failure: Why it cannot be used, or None.
        detail: What exactly was found, one line.
        sample_rate_hz: As the header says; 0 where there is no header.
        num_channels: Likewise.
        num_samples: Decoded samples; 0 where nothing was decoded.
        pcm_sha256: SHA-256 of the decoded samples, mixed to mono, as little-endian float32.
        notes: What is unusual about a file that can be used: reason and detail.
    """

    path: str
    file_sha256: str | None
    failure: ExclusionReason | None = None
    detail: str = ""
    sample_rate_hz: int = 0
    num_channels: int = 0
    num_samples: int = 0
    pcm_sha256: str | None = None
    notes: tuple[AudioNote, ...] = ()


class AudioName(NamedTuple):
    """Whose utterance a file is."""

    utterance_id: str
    speaker_id: str


class Exclusion(NamedTuple):
    """One file (or utterance) that is not used, or a note about one that is (`is_kept`)."""

    path: str
    utterance_id: str | None
    speaker_id: str | None
    reason: ExclusionReason
    detail: str
    is_kept: bool = False


class Transcript(NamedTuple):
    """One line of a transcript file."""

    path: str
    text: str


def name_problem(path: str) -> Exclusion | None:
    """Return why a relative path's names may not enter the study, or None.

    Folder names and the name of the file (less its suffix) become identifiers in tables, in file
    names and on a page, so they are letters, digits, `.`, `_` and `-`, at most 200, do not start
    with `.` or `-` and hold no `..`.
    """
    parts = without_suffix(path).split("/")
    if not path.isascii():
        return Exclusion(printable(path), None, None, "non_ascii_name", "not ASCII")
    for part in parts:
        if part.startswith("._"):
            detail = "a leftover that macOS writes beside a file; delete it"
            return Exclusion(printable(path), None, None, "unsafe_name", detail)
        if not SAFE_NAME.fullmatch(part) or ".." in part:
            shown = printable(part if len(part) <= 80 else f"{part[:80]}..")
            detail = f"{shown!r} is not 1 to 200 letters, digits, '.', '_', '-'"
            return Exclusion(printable(path), None, None, "unsafe_name", detail)
    return None


def sex_note(path: str, speaker: str, sex: str) -> Exclusion:
    """Return the note about a speaker whose sex is written in no known way in a file."""
    detail = printable(unread_sex(sex))
    return Exclusion(path, None, printable(speaker), "unknown_sex", detail, is_kept=True)


def without_suffix(path: str) -> str:
    """Return a path without the suffix of its audio format, however that is written."""
    stem, dot, suffix = path.rpartition(".")
    return stem if dot + suffix.lower() in AUDIO_SUFFIXES else path


def utterance_of(path: str) -> str:
    """Return the utterance id of `<subset>/<speaker>/<chapter>/<utterance>.flac`."""
    return without_suffix(path.rsplit("/", 1)[-1])


def speaker_of(path: str) -> str:
    """Return the speaker id of `<subset>/<speaker>/<chapter>/<utterance>.flac`."""
    return path.split("/")[-3]


def seconds_by_speaker(utterances: pd.DataFrame) -> dict[str, float]:
    """Return each speaker's total duration, seconds, whatever the order of rows.

    Args:
        utterances: Columns speaker_id, duration_s.
    """
    durations: dict[str, list[float]] = {}
    for speaker, duration_s in zip(utterances["speaker_id"], utterances["duration_s"], strict=True):
        durations.setdefault(str(speaker), []).append(float(duration_s))
    # fsum: exactly rounded, so the same in any order
    return {speaker: math.fsum(durations[speaker]) for speaker in sorted(durations)}


def majority_rate(facts: Iterable[AudioFacts]) -> int | None:
    """Return the commonest sample rate of the usable files; the higher one of equals."""
    counts = Counter(f.sample_rate_hz for f in facts if f.failure is None and not _is_stereo(f))
    return max(counts, key=lambda rate: (counts[rate], rate)) if counts else None


def _is_stereo(fact: AudioFacts) -> bool:
    """Whether a file has more than one channel, which were not mixed down."""
    return fact.num_channels != 1 and "mixed_down" not in {reason for reason, _ in fact.notes}


class Index(NamedTuple):
    """Tables of a corpus: utterances sorted by speaker and id, exclusions sorted by path."""

    utterances: pd.DataFrame
    exclusions: pd.DataFrame


def build_index(
    root: str,
    facts: Sequence[AudioFacts],
    sexes: Mapping[str, str],
    transcripts: Mapping[str, Transcript],
    minimum_duration_s: float,
    exclusions: Iterable[Exclusion] = (),
    names: Mapping[str, AudioName] | None = None,
) -> Index:
    """Sort files into utterances and exclusions.

    Of files with the same id, or with the same samples, the first by path stays. A person has one
    folder: the folders, and SPEAKERS.TXT beside them, must not spell one id in two ways.

    Args:
        root: Folder that the paths are relative to; prefix of `audio_path`.
        facts: One item for each audio file.
        sexes: F, M or unknown by speaker id.
        transcripts: By utterance id.
        minimum_duration_s: Shorter files are excluded, seconds.
        exclusions: What was excluded, or noted, before any file was read.
        names: Whose utterance each path is; by default as LibriSpeech's layout says.

    Raises:
        InputError: Two folders, or a folder and SPEAKERS.TXT, have spellings of one speaker's id,
            or two files of one utterance's.
    """
    if names is None:
        names = {f.path: AudioName(utterance_of(f.path), speaker_of(f.path)) for f in facts}
    _require_distinct_names(root, names, sexes)
    rate = majority_rate(facts)
    dropped = list(exclusions)
    rows: dict[str, dict[str, object]] = {}
    first_by_samples: dict[str, str] = {}
    for fact in sorted(facts):
        identity, speaker = names[fact.path]
        problem = _problem(fact, rate, minimum_duration_s)
        if problem is None and identity in rows:
            problem = ("duplicate_id", f"the id of {rows[identity]['audio_path']}")
        samples = fact.pcm_sha256 or ""
        if problem is None and samples in first_by_samples:
            problem = ("duplicate", _same_samples(rows[first_by_samples[samples]], speaker))
        if problem is not None:
            dropped.append(Exclusion(fact.path, identity, speaker, *problem))
            continue
        dropped += [Exclusion(fact.path, identity, speaker, *note, True) for note in fact.notes]
        first_by_samples[samples] = identity
        transcript = transcripts.get(identity)
        rows[identity] = {
            "utterance_id": identity,
            "speaker_id": speaker,
            "sex": sexes.get(speaker, "unknown"),
            "duration_s": fact.num_samples / fact.sample_rate_hz,
            "sample_rate_hz": fact.sample_rate_hz,
            "num_samples": fact.num_samples,
            "audio_path": f"{root}/{fact.path}",
            "transcript": None if transcript is None else transcript.text,
            "pcm_sha256": samples,
        }
    dropped += _missing_audio(names, transcripts, dropped)
    dropped += _missing_speakers(rows.values(), sexes)
    return Index(_utterance_table(rows.values()), _exclusion_table(dropped))


def _same_samples(first: Mapping[str, object], speaker: str) -> str:
    """Return the detail of a file whose samples an earlier utterance has."""
    identity, other = first["utterance_id"], first["speaker_id"]
    if other == speaker:
        return f"the samples of {identity}"
    return f"the samples of {identity}, under another speaker; keep the one whose speaker is right"


def _require_distinct_names(
    root: str, names: Mapping[str, AudioName], sexes: Mapping[str, str]
) -> None:
    folders = {name.speaker_id for name in names.values()}
    have_audio = {identity_key(name) for name in folders}
    # SPEAKERS.TXT may list people twice who are not here: nothing of theirs is used
    listed = {name for name in sexes if identity_key(name) in have_audio}
    remedy = "give a person one folder, and one line in SPEAKERS.TXT with the same id"
    require_distinct(root, "speaker", folders | listed, remedy)
    utterances = [name.utterance_id for name in names.values()]
    require_distinct(root, "utterance", utterances, "rename one of the files")


def count_reasons(exclusions: pd.DataFrame) -> str:
    """Return one line: how often each reason occurs."""
    counts = Counter(str(reason) for reason in exclusions["reason"])
    words = [f"{reason} {count}" for reason, count in sorted(counts.items())]
    return ", ".join(words) or "nothing excluded"


def require_utterances(index: Index, key: str, root: str) -> None:
    """Check that a corpus has utterances.

    Args:
        index: Tables of the corpus.
        key: Configuration key of the root, for the message.
        root: Folder of the corpus.

    Raises:
        InputError: It has none; says why files were excluded.
    """
    if len(index.utterances) == 0:
        why = count_reasons(index.exclusions)
        raise InputError(
            f"{key}: no usable utterance under {root} ({why}); put speech of one sample "
            "rate there, or lower minimum_duration_s"
        )


def _problem(
    fact: AudioFacts, rate: int | None, minimum_duration_s: float
) -> tuple[ExclusionReason, str] | None:
    if fact.failure is not None:
        return fact.failure, fact.detail
    if _is_stereo(fact):
        return "stereo", f"{fact.num_channels} channels"
    if fact.sample_rate_hz != rate:
        return "wrong_rate", f"{fact.sample_rate_hz} Hz, most of the corpus has {rate} Hz"
    duration_s = fact.num_samples / fact.sample_rate_hz
    if duration_s < minimum_duration_s:
        return "too_short", f"{duration_s:.3f} s, the minimum is {minimum_duration_s:g} s"
    return None


def _missing_audio(
    names: Mapping[str, AudioName], transcripts: Mapping[str, Transcript], dropped: list[Exclusion]
) -> list[Exclusion]:
    present = {name.utterance_id for name in names.values()}
    present |= {utterance_of(exclusion.path) for exclusion in dropped}
    return [
        Exclusion(line.path, printable(name), None, "missing_audio", "a transcript without audio")
        for name, line in transcripts.items()
        if name not in present
    ]


def _missing_speakers(
    rows: Iterable[Mapping[str, object]], sexes: Mapping[str, str]
) -> list[Exclusion]:
    speakers = sorted({str(row["speaker_id"]) for row in rows} - set(sexes))
    detail = "not in SPEAKERS.TXT: utterances kept, sex unknown"
    return [
        Exclusion("SPEAKERS.TXT", None, speaker, "no_speaker_entry", detail, is_kept=True)
        for speaker in speakers
    ]


def _utterance_table(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=list(UTTERANCE_COLUMNS))
    table = table.astype(
        {"duration_s": "float64", "sample_rate_hz": "int64", "num_samples": "int64"}
    )
    return table.sort_values(["speaker_id", "utterance_id"], ignore_index=True)


def _with_remedy(row: Exclusion) -> Exclusion:
    return row._replace(detail=with_remedy(row.reason, row.detail))


def _exclusion_table(exclusions: Iterable[Exclusion]) -> pd.DataFrame:
    rows = sorted(exclusions, key=lambda row: (row.path, row.reason, str(row.utterance_id)))
    for row in rows:
        assert row.reason in get_args(ExclusionReason)
    rows = [row if row.is_kept else _with_remedy(row) for row in rows]
    table = pd.DataFrame(rows, columns=list(Exclusion._fields))
    # typed, also where there is nothing to infer a type from
    text = dict.fromkeys(Exclusion._fields[:-1], "string")
    return table.astype({**text, "is_kept": "bool"})
