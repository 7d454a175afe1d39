"""Files with any header: an answer or one clean error, never a crash or another exception."""

import io
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engram_audio.artifacts.audio import probe_audio, read_waveform
from engram_audio.artifacts.tensors import read_tensors, write_tensors
from engram_audio.errors import InputError

RATE = 8000


def _encoded(container: str) -> bytes:
    buffer = io.BytesIO()
    wave = 0.1 * np.sin(np.arange(2000) / 5.0)
    soundfile.write(buffer, wave, RATE, format=container, subtype="PCM_16")
    return buffer.getvalue()


def _tensors() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        write_tensors(path, {"a": np.arange(6.0)}, {})
        return path.read_bytes()


SOURCES = {".flac": _encoded("FLAC"), ".wav": _encoded("WAV"), ".safetensors": _tensors()}
HEADER_BYTES = 64
MUTATIONS = st.lists(
    st.tuples(st.integers(0, HEADER_BYTES - 1), st.integers(0, 255)), min_size=1, max_size=8
)


def mutated(kind: str, mutations: list[tuple[int, int]], keep: float) -> bytes:
    content = bytearray(SOURCES[kind])
    for place, value in mutations:
        content[place % len(content)] = value
    return bytes(content[: max(1, int(keep * len(content)))])


@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([".flac", ".wav"]), MUTATIONS, st.sampled_from([1.0, 1.0, 0.5, 0.02]))
def test_audio_with_any_header_is_read_or_refused(kind, mutations, keep):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{kind}"
        path.write_bytes(mutated(kind, mutations, keep))
        facts = probe_audio(folder, path.name)  # never raises: a failure is a fact
        assert facts is not None
        try:
            waveform, rate = read_waveform(path)
        except InputError as error:
            assert path.name in str(error)
            return
        assert waveform.ndim == 1 and rate > 0


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(MUTATIONS, st.sampled_from([1.0, 0.5]))
def test_tensors_with_any_header_are_the_same_or_refused(mutations, keep):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        path.write_bytes(mutated(".safetensors", mutations, keep))
        try:
            arrays, _ = read_tensors(path, ["a"])
        except InputError as error:
            assert path.name in str(error)
            return
        assert arrays["a"].tolist() == list(range(6))
