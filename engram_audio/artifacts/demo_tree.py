"""Write the demo corpus in LibriSpeech layout."""

import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import espeakng_loader

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.audio import write_flac
from engram_audio.artifacts.audio_source import SourceFile
from engram_audio.artifacts.librispeech_tree import digest_file
from engram_audio.artifacts.parallel import map_in_processes
from engram_audio.artifacts.regular_file import open_regular
from engram_audio.corpus.demo_speech import SAMPLE_RATE_HZ, SUBSET, DemoUtterance, synthesize
from engram_audio.corpus.librispeech import SPEAKERS_FILE, TRANSCRIPT_SUFFIX, format_speakers
from engram_audio.errors import InputError

HEAD = "engram_audio demo speech: espeak-ng voices, made by rule"


class SpokenFile(NamedTuple):
    """One synthesised file."""

    file: SourceFile
    duration_s: float


def espeak_variants() -> list[str]:
    """Names of the voice variants that the installed espeak-ng has."""
    folder = Path(espeakng_loader.get_data_path(), "voices", "!v")
    return sorted(path.name for path in folder.iterdir())


def require_own_root(root: Path) -> None:
    """Check that demo speech may be written to a folder.

    Raises:
        InputError: It holds another corpus.
    """
    if not root.exists():
        return
    if not root.is_dir():
        raise InputError(f"{root}: not a folder; give `root` a folder of its own")
    is_other = _begins_otherwise(root / SPEAKERS_FILE)
    strange = {path.name for path in root.iterdir()} - {SUBSET, SPEAKERS_FILE}
    if is_other or any(not name.startswith(".") for name in strange):
        raise InputError(
            f"{root}: holds something other than demo speech; give `root` a folder of its own"
        )


def _begins_otherwise(speakers: Path) -> bool:
    head = f"; {HEAD}".encode()
    try:
        with open_regular(speakers) as handle:
            return handle.read(len(head)) != head
    except FileNotFoundError:
        return False
    except OSError:  # nothing that this step writes
        return True


def write_speech(
    root: str, plan: Sequence[DemoUtterance], num_workers: int
) -> Iterator[SpokenFile]:
    """Synthesise and write the audio; yields in the order of the plan."""
    return map_in_processes(partial(_write_utterance, root), plan, num_workers)


def _write_utterance(root: str, utterance: DemoUtterance) -> SpokenFile:
    waveform = synthesize(
        utterance, espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    )
    path = f"{utterance.folder}/{utterance.utterance_id}.flac"
    write_flac(Path(root, path), waveform, SAMPLE_RATE_HZ)
    return SpokenFile(_digest(root, path), len(waveform) / SAMPLE_RATE_HZ)


def _digest(root: str, path: str) -> SourceFile:
    file = digest_file(root, path)
    assert isinstance(file, SourceFile)
    return file


def write_texts(
    root: str, plan: Sequence[DemoUtterance], durations_s: Sequence[float]
) -> list[SourceFile]:
    """Write the transcripts and SPEAKERS.TXT, SPEAKERS.TXT with the minutes spoken."""
    written = []
    minutes: dict[str, float] = {}
    for utterance, duration_s in zip(plan, durations_s, strict=True):
        minutes[utterance.speaker_id] = minutes.get(utterance.speaker_id, 0.0) + duration_s / 60
    chapters = itertools.groupby(plan, key=lambda utterance: utterance.folder)
    for folder, members in chapters:
        rows = list(members)
        name = f"{rows[0].speaker_id}-{rows[0].chapter_id}{TRANSCRIPT_SUFFIX}"
        lines = [f"{row.utterance_id} {row.transcript}\n" for row in rows]
        written.append(_write_text(root, f"{folder}/{name}", "".join(lines)))
    voices = {utterance.speaker_id: utterance.voice for utterance in plan}
    rows = [
        (speaker, voice.sex, SUBSET, minutes[speaker], f"espeak-ng en-us+{voice.variant}")
        for speaker, voice in sorted(voices.items())
    ]
    written.append(_write_text(root, SPEAKERS_FILE, format_speakers(rows, HEAD)))
    return written


def _write_text(root: str, path: str, text: str) -> SourceFile:
    with atomic_path(Path(root, path)) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return _digest(root, path)
