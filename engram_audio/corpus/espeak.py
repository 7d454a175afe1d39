"""Speech from espeak-ng, one forked process for each text: the same text gives the same bits.

espeak-ng keeps hidden state from one text to the next and seeds itself from the clock; seeding
alone does not undo the first, so a text is spoken by a process that has spoken nothing before.
"""

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
from typing import NamedTuple

import numpy as np

AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
PARAMETER_RATE, PARAMETER_PITCH = 1, 3
POSITION_CHARACTER = 1
CHARS_UTF8 = 1


class Speech(NamedTuple):
    """Samples as espeak-ng gave them.

    Attributes:
        samples: int16, shape [N].
        sample_rate_hz: 22050 for every voice of espeak-ng 1.52.
    """

    samples: np.ndarray
    sample_rate_hz: int


class EspeakError(RuntimeError):
    """espeak-ng refused a voice or a text, or its process died."""


def speak(
    text: str,
    voice: str,
    rate: int,
    pitch: int,
    seed: int,
    library_path: str,
    data_path: str,
) -> Speech:
    """Speak a text in a forked process of its own.

    Args:
        text: What to say.
        voice: espeak-ng voice, for example `en-us+f2`. An unknown variant is taken silently for the
            base voice, so the caller checks that the variant exists.
        rate: Speaking rate, nominally words per minute; voices differ in what they make of it.
        pitch: 0 .. 100, 50 is the voice's own.
        seed: Of the random numbers that some voices draw (roughness, breath), below 2**31.
        library_path: Shared library of espeak-ng.
        data_path: Its `espeak-ng-data` folder.

    Raises:
        EspeakError: The process ended without speech.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    settings = (text, voice, rate, pitch, seed, library_path, data_path)
    process = context.Process(target=_child, args=(sender, settings))
    process.start()
    sender.close()
    answer = b""
    with contextlib.suppress(EOFError):
        answer = receiver.recv_bytes()
    process.join()
    receiver.close()
    head, _, payload = answer.partition(b"\n")
    if not head.isdigit() or not payload:
        message = head.decode("utf-8", "replace") or f"exit code {process.exitcode}"
        raise EspeakError(f"espeak-ng voice {voice!r} said nothing: {message}")
    return Speech(np.frombuffer(payload, dtype="<i2").copy(), int(head))


def _child(sender: multiprocessing.connection.Connection, settings: tuple) -> None:
    try:
        sample_rate_hz, samples = _speak_here(*settings)
        sender.send_bytes(str(sample_rate_hz).encode() + b"\n" + samples)
    except (OSError, EspeakError) as error:
        sender.send_bytes(str(error).replace("\n", " ").encode())
    finally:
        sender.close()


def _speak_here(
    text: str,
    voice: str,
    rate: int,
    pitch: int,
    seed: int,
    library_path: str,
    data_path: str,
) -> tuple[int, bytes]:
    library = ctypes.CDLL(library_path)
    sample_rate_hz = library.espeak_Initialize(
        AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path.encode(), INITIALIZE_DONT_EXIT
    )
    if sample_rate_hz <= 0:
        raise EspeakError(f"espeak_Initialize gave {sample_rate_hz} for the data in {data_path}")
    # after Initialize, which seeds both from the clock
    library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
    ctypes.CDLL(None).srand(ctypes.c_uint(seed))
    pieces: list[bytes] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    def collect(samples: int | None, num_samples: int, _events: int | None) -> int:
        if samples and num_samples > 0:
            pieces.append(ctypes.string_at(samples, 2 * num_samples))
        return 0

    library.espeak_SetSynthCallback(collect)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise EspeakError("no such voice")
    library.espeak_SetParameter(PARAMETER_RATE, rate, 0)
    library.espeak_SetParameter(PARAMETER_PITCH, pitch, 0)
    encoded = text.encode() + b"\0"
    status = library.espeak_Synth(
        encoded, ctypes.c_size_t(len(encoded)), 0, POSITION_CHARACTER, 0, CHARS_UTF8, None, None
    )
    if status != 0 or library.espeak_Synchronize() != 0:
        raise EspeakError(f"espeak_Synth gave status {status}")
    return sample_rate_hz, b"".join(pieces)
