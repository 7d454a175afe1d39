"""Audio files: read a mono waveform, find out what a file really holds, write FLAC.

Files are read in blocks to their end, never sought in: libsndfile fails to seek in some FLAC files
that it decodes well, and a header may declare any length, so nothing is allocated from it.
"""

import contextlib
import hashlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
import soundfile

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.regular_file import open_problem, open_regular
from engram_audio.artifacts.sound_headers import leading_tag_bytes, missing_data_bytes
from engram_audio.corpus.utterances import AudioFacts, AudioNote, ExclusionReason, IndexedAudio
from engram_audio.errors import ChangedInputError, InputError

BLOCK_FRAMES = 65536
MAXIMUM_DURATION_S = 3600.0
MAXIMUM_SAMPLES = 3600 * 48000  # one array in memory, whatever rate a header declares: 0.7 GB
HASH_BLOCK_BYTES = 1 << 20
UNKNOWN_FRAMES = 2**63 - 1  # what libsndfile reports for a stream without a declared length
FLAC_INFO_BYTES = 42  # marker, block header and STREAMINFO, which ends in the MD5 of the samples
FLAC_WIDTHS = {"PCM_16": 2, "PCM_24": 3}
FORMATS = {".flac": {"FLAC"}, ".wav": {"WAV", "WAVEX", "RF64"}, ".wave": {"WAV", "WAVEX", "RF64"}}
NOT_PCM = {"ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "MPEG_LAYER_III"}
STEP = 2.0**-15  # of 16-bit audio
STEPS = {"PCM_U8": 2.0**-7, "PCM_S8": 2.0**-7}
LOUDEST = 8.0  # of floats, whose full scale is 1: integers that were not scaled are far above
SampleType = Literal["int16", "int32", "float32"]


class _SequentialFile(soundfile.SoundFile):
    """A sound file that python-soundfile never seeks in."""

    def seekable(self) -> bool:
        return False


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_SequentialFile]:
    with contextlib.ExitStack() as stack:
        try:
            raw = stack.enter_context(open_regular(path))
            handle = stack.enter_context(_SequentialFile(raw.fileno(), closefd=False))
        except FileNotFoundError as error:
            raise InputError(
                f"{path}: no such audio file; restore it, or index the corpus again"
            ) from error
        except (soundfile.LibsndfileError, OSError) as error:
            raise InputError(
                f"{path}: not readable audio ({_reason(error)}); replace it"
            ) from error
        yield handle


def _reason(error: Exception) -> str:
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return " ".join(str(text).split()).rstrip(".")


def _blocks(handle: soundfile.SoundFile, dtype: SampleType) -> Iterator[np.ndarray]:
    """Yield [frames, channels] blocks until the decoder gives no more or the limit is passed."""
    limit, size = _limit(handle), max(1, BLOCK_FRAMES // handle.channels)
    total = 0
    while total <= limit:
        # no more than is declared: behind it may stand a tag (ID3v1), which is no audio
        wanted = min(size, handle.frames - total)
        block = handle.read(wanted, dtype=dtype, always_2d=True)
        if len(block) == 0:
            return
        total += len(block)
        yield block


def _limit(handle: soundfile.SoundFile) -> int:
    """Most samples of one file."""
    return min(int(MAXIMUM_DURATION_S * handle.samplerate), MAXIMUM_SAMPLES)


def _mono(block: np.ndarray) -> np.ndarray:
    """Return the mean over channels of float32 samples [frames, channels], shape [frames]."""
    if block.shape[1] == 1:
        return block[:, 0]
    with np.errstate(invalid="ignore"):  # infinity minus infinity; it is named as not finite
        return block.mean(axis=1, dtype=np.float64).astype(np.float32)


def read_waveform(path: Path, mix_down: bool = False) -> tuple[np.ndarray, int]:
    """Read a mono file whole, or the mean over channels of another one.

    Args:
        path: The file.
        mix_down: Take more than one channel.

    Returns:
        The waveform, float32 in [-1, 1], shape [num_samples], and its rate in Hz.

    Raises:
        InputError: Missing, unreadable, not mono, cut off, too long for one array, or not finite.
    """
    path = Path(path)
    with _opened(path) as handle:
        if handle.channels != 1 and not mix_down:
            raise InputError(f"{path}: {handle.channels} channels; the study takes mono audio")
        try:
            pieces = [_mono(block) for block in _blocks(handle, "float32")]
        except soundfile.LibsndfileError as error:
            raise InputError(f"{path}: does not decode ({_reason(error)}); replace it") from error
        declared, rate, limit = handle.frames, handle.samplerate, _limit(handle)
    waveform = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
    if len(waveform) > limit:
        raise InputError(f"{path}: longer than {limit / rate:g} s; cut it into utterances")
    if declared not in (len(waveform), UNKNOWN_FRAMES):
        raise InputError(
            f"{path}: declares {declared} samples and holds {len(waveform)}; replace it"
        )
    if not np.isfinite(waveform).all():
        raise InputError(f"{path}: holds NaN or infinite samples; replace it")
    return waveform, rate


def read_indexed(audio: IndexedAudio) -> tuple[np.ndarray, int]:
    """Read an utterance's file and check that it holds what was indexed.

    Whatever reads the audio of a corpus reads it here: a file that was replaced since would put
    another recording under this utterance's name, length and transcript.

    Returns:
        As `read_waveform`.

    Raises:
        InputError: As `read_waveform`.
        ChangedInputError: Another sample rate, number of samples or digest of the samples.
    """
    path = Path(audio.audio_path)
    waveform, rate = read_waveform(path, mix_down=True)  # the digest is that of the mean
    found = IndexedAudio(audio.audio_path, rate, len(waveform), _pcm_digest(waveform))
    if found != audio:
        raise ChangedInputError(
            f"{path}: not the audio that was indexed ({_difference(found, audio)}); restore the "
            "file, or delete source.json of its corpus and run again"
        )
    return waveform, rate


def _pcm_digest(waveform: np.ndarray) -> str:
    return hashlib.sha256(waveform.astype("<f4").tobytes()).hexdigest()


def _difference(found: IndexedAudio, indexed: IndexedAudio) -> str:
    if found.sample_rate_hz != indexed.sample_rate_hz:
        return f"{found.sample_rate_hz} Hz, {indexed.sample_rate_hz} Hz in the table"
    if found.num_samples != indexed.num_samples:
        return f"{found.num_samples} samples, {indexed.num_samples} in the table"
    digests = found.pcm_sha256[:12], indexed.pcm_sha256[:12]
    return "other samples, SHA-256 {}.. and {}.. in the table".format(*digests)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a regular file.

    Raises:
        FileNotFoundError: There is no such file.
    """
    with open_regular(path) as handle:
        return hash_bytes(handle)


def hash_bytes(handle: BinaryIO) -> str:
    """Return the SHA-256 of an open file, from where it is read on to its end."""
    digest = hashlib.sha256()
    while block := handle.read(HASH_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def probe_audio(root: str, path: str, mix_down: bool = False) -> AudioFacts:
    """Decode a file to its end and say what it holds; whatever is wrong is an answer, not an error.

    Args:
        root: Folder of the corpus.
        path: Relative to `root`.
        mix_down: Decode more than one channel too, and take the mean over them.
    """
    try:
        with open_regular(Path(root, path)) as raw:
            facts = AudioFacts(path, hash_bytes(raw))
            num_bytes = raw.tell()
            return _probe(facts, raw, num_bytes, mix_down) if num_bytes else _empty(facts)
    except OSError as error:
        return AudioFacts(path, None, *open_problem(error))


def _empty(facts: AudioFacts) -> AudioFacts:
    return facts._replace(failure="empty", detail="zero bytes")


def _probe(facts: AudioFacts, raw: BinaryIO, num_bytes: int, mix_down: bool) -> AudioFacts:
    raw.seek(0)
    try:
        handle = _SequentialFile(raw.fileno(), closefd=False)
    except (soundfile.LibsndfileError, OSError) as error:
        return facts._replace(failure="unreadable", detail=_reason(error))
    with handle:
        facts = facts._replace(
            sample_rate_hz=handle.samplerate,
            num_channels=handle.channels,
            notes=tuple(_notes(facts.path, handle, mix_down)),
        )
        if handle.channels != 1 and not mix_down:
            return facts
        missing = missing_data_bytes(raw.fileno(), num_bytes)
        if missing:
            detail = f"declares {missing} bytes of samples more than it has"
            return facts._replace(failure="truncated", detail=detail)
        try:
            found = _digest_samples(handle)
        except soundfile.LibsndfileError as error:
            # a decoder that read all there is was cut short; one that stopped before met damage
            is_cut = os.lseek(raw.fileno(), 0, os.SEEK_CUR) >= num_bytes
            detail = f"declares {handle.frames} samples, decoder stopped: {_reason(error)}"
            return facts._replace(failure="truncated" if is_cut else "corrupt", detail=detail)
        return _judge_samples(facts, found, handle, _flac_signature(raw))


def _notes(path: str, handle: soundfile.SoundFile, mix_down: bool) -> Iterator[AudioNote]:
    """Yield what is unusual about a file that can be used."""
    suffix = Path(path).suffix.lower()
    if handle.format not in FORMATS.get(suffix, {handle.format}) or handle.subtype in NOT_PCM:
        held = f"holds {handle.format} ({handle.subtype}), its name ends in {suffix}"
        yield "other_encoding", f"{held}: decoded by what it holds"
    if handle.channels != 1 and mix_down:
        yield "mixed_down", f"{handle.channels} channels: their mean is used"


class _Samples(NamedTuple):
    """Digest of the decoded samples; `md5` as FLAC defines it, None for other encodings."""

    num_samples: int
    pcm_sha256: str
    md5: str | None
    lowest: float
    highest: float
    is_finite: bool


def _judge_samples(
    facts: AudioFacts, found: _Samples, handle: soundfile.SoundFile, signature: str | None
) -> AudioFacts:
    facts = facts._replace(num_samples=found.num_samples, pcm_sha256=found.pcm_sha256)
    if found.num_samples > _limit(handle):
        detail = f"more than {_limit(handle) / handle.samplerate:g} s"
        return facts._replace(failure="too_long", detail=detail)
    if handle.frames not in (found.num_samples, UNKNOWN_FRAMES):
        detail = f"declares {handle.frames} samples, {found.num_samples} decoded"
        return facts._replace(failure="truncated", detail=detail)
    if found.num_samples == 0:
        return facts._replace(failure="empty", detail="no samples")
    if signature and found.md5 and signature != found.md5:
        return facts._replace(failure="corrupt", detail="samples differ from the file's own MD5")
    if not found.is_finite:
        return facts._replace(failure="not_finite", detail="NaN or infinite samples")
    problem = _level_problem(found, STEPS.get(handle.subtype, STEP))
    return facts if problem is None else facts._replace(failure=problem[0], detail=problem[1])


def _level_problem(found: _Samples, step: float) -> tuple[ExclusionReason, str] | None:
    """Return why no speech can be in the samples, or None.

    Silence is what stays within one step of 16-bit audio (of 8-bit audio where it has only 8 bits)
    around a constant: a constant itself, an offset, and dither.
    """
    low, high = found.lowest, found.highest
    if max(-low, high) > LOUDEST:
        return "out_of_range", f"samples from {low:g} to {high:g}, full scale is 1"
    if high - low > 2 * step:
        return None
    if low == high:
        return "silent", "all samples are zero" if low == 0 else f"all samples are {low:g}"
    return "silent", f"samples from {low:g} to {high:g}: no more than a step to each side"


def _digest_samples(handle: soundfile.SoundFile) -> _Samples:
    width = FLAC_WIDTHS.get(handle.subtype) if handle.format == "FLAC" else None
    dtype: SampleType = "float32" if width is None else "int16" if width == 2 else "int32"
    samples, signature = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    num_samples, lowest, highest, is_finite = 0, math.inf, -math.inf, True
    for block in _blocks(handle, dtype):
        if width is not None:
            signature.update(_packed(block, width))
            # exact: 16 and 24 bits fit into float32's 24-bit mantissa
            block = block.astype(np.float32) / np.float32(2 ** (8 * block.dtype.itemsize - 1))
        is_finite &= bool(np.isfinite(block).all())
        mono = _mono(block)
        num_samples += len(mono)
        lowest, highest = min(lowest, float(mono.min())), max(highest, float(mono.max()))
        samples.update(mono.astype("<f4").tobytes())
    return _Samples(
        num_samples,
        samples.hexdigest(),
        signature.hexdigest() if width is not None else None,
        lowest,
        highest,
        is_finite,
    )


def _packed(samples: np.ndarray, width: int) -> bytes:
    """Little-endian integers of `width` bytes, channels in turn; of 24 bits the top of 32."""
    if width == 2:
        return samples.astype("<i2").tobytes()
    little = (samples >> 8).astype("<i4")
    return little.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def _flac_signature(raw: BinaryIO) -> str | None:
    """Return the MD5 of the samples in a FLAC header, or None where the encoder left it out."""
    head = os.pread(raw.fileno(), FLAC_INFO_BYTES, leading_tag_bytes(raw.fileno()))
    if len(head) < FLAC_INFO_BYTES or head[:4] != b"fLaC" or head[4] & 0x7F != 0:
        return None
    signature = head[-16:]
    return signature.hex() if any(signature) else None


def write_flac(path: Path, waveform: np.ndarray, sample_rate_hz: int) -> None:
    """Write a mono waveform as 16-bit FLAC; the same samples give the same bytes.

    Args:
        path: Target.
        waveform: int16, or floats in [-1, 1] that are rounded to 16 bits and clipped; shape
            [num_samples].
        sample_rate_hz: Rate.
    """
    samples = np.asarray(waveform)
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(f"a finite mono waveform is wanted, got shape {samples.shape}")
    if samples.dtype != np.int16:
        samples = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    with atomic_path(Path(path)) as temporary:
        soundfile.write(str(temporary), samples, sample_rate_hz, format="FLAC", subtype="PCM_16")
