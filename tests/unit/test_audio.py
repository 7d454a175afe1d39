"""Audio files: what is written is read, and whatever is wrong with a file is named."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engram_audio.artifacts import audio
from engram_audio.artifacts.audio import MAXIMUM_DURATION_S, probe_audio, read_waveform, write_flac
from engram_audio.errors import InputError

RATE = 16000


def noise(num_samples: int = 2 * RATE, seed: int = 0) -> np.ndarray:
    """16-bit samples that FLAC cannot shrink away."""
    generator = np.random.default_rng(seed)
    return generator.integers(-8000, 8000, num_samples).astype(np.int16)


def flac_bytes(folder: Path) -> bytearray:
    """A good FLAC file of `noise()`."""
    write_flac(folder / "good.flac", noise(), RATE)
    return bytearray((folder / "good.flac").read_bytes())


def declare(content: bytearray, num_samples: int) -> bytearray:
    """Write another number of samples (36 bits) into the FLAC header."""
    content = bytearray(content)
    content[21] = (content[21] & 0xF0) | (num_samples >> 32)
    content[22:26] = struct.pack(">I", num_samples & 0xFFFFFFFF)
    return content


def probe(folder: Path, content: bytes) -> tuple[str | None, int]:
    """Probe a file of these bytes: the failure and the number of samples."""
    (folder / "x.flac").write_bytes(content)
    facts = probe_audio(str(folder), "x.flac")
    assert facts.failure is None or facts.detail
    assert "\n" not in facts.detail
    return facts.failure, facts.num_samples


def test_integers_survive_and_bytes_repeat(tmp_path: Path):
    """16-bit samples come back exactly, and writing them twice gives the same bytes."""
    samples = np.concatenate([noise(), [-32768, 32767, 0]]).astype(np.int16)
    write_flac(tmp_path / "a.flac", samples, RATE)
    write_flac(tmp_path / "b.flac", samples, RATE)
    waveform, rate = read_waveform(tmp_path / "a.flac")
    assert rate == RATE and waveform.dtype == np.float32
    assert np.array_equal(waveform * 32768, samples)
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()


def test_floats_are_rounded_and_clipped(tmp_path: Path):
    """A float is off by at most half a step of 1/32768; too loud is clipped, not wrapped."""
    generator = np.random.default_rng(1)
    waveform = generator.uniform(-1, 1, 5000)
    waveform[:2] = [-3.0, 3.0]
    write_flac(tmp_path / "a.flac", waveform, RATE)
    found, _ = read_waveform(tmp_path / "a.flac")
    # half a step, and one step at the positive end, where 1.0 has no 16-bit number
    assert np.abs(found - np.clip(waveform, -1, 32767 / 32768)).max() <= 0.5 / 32768 + 1e-7


@pytest.mark.parametrize("waveform", [np.zeros((3, 2)), np.array([0.0, np.nan])])
def test_only_finite_mono_is_written(tmp_path: Path, waveform: np.ndarray):
    with pytest.raises(ValueError, match="finite mono"):
        write_flac(tmp_path / "a.flac", waveform, RATE)
    assert list(tmp_path.iterdir()) == []


def test_a_good_file_has_no_failure(tmp_path: Path):
    write_flac(tmp_path / "a.flac", noise(), RATE)
    facts = probe_audio(str(tmp_path), "a.flac")
    assert facts.failure is None
    assert (facts.num_samples, facts.sample_rate_hz, facts.num_channels) == (2 * RATE, RATE, 1)


def test_samples_decide_the_digest_not_the_container(tmp_path: Path):
    """The same samples as FLAC, WAV and 24 bits have one PCM digest; other samples another."""
    soundfile.write(tmp_path / "a.flac", noise(), RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "b.wav", noise(), RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "c.flac", noise() / 32768.0, RATE, subtype="PCM_24")
    soundfile.write(tmp_path / "d.flac", noise(seed=1), RATE, subtype="PCM_16")
    facts = [probe_audio(str(tmp_path), f"{n}") for n in ("a.flac", "b.wav", "c.flac", "d.flac")]
    assert [fact.failure for fact in facts] == [None] * 4
    assert facts[0].pcm_sha256 == facts[1].pcm_sha256 == facts[2].pcm_sha256
    assert facts[3].pcm_sha256 != facts[0].pcm_sha256
    assert len({fact.file_sha256 for fact in facts}) == 4


def flipped(content: bytearray) -> bytearray:
    content[len(content) // 3] ^= 4
    return content


def other_signature(content: bytearray) -> bytearray:
    content[30] ^= 1
    return content


DAMAGE: dict[str, tuple[Callable[[bytearray], bytes | bytearray], str]] = {
    "no bytes": (lambda c: b"", "empty"),
    "not audio": (lambda c: b"<html>404</html>" * 50, "unreadable"),
    "header only": (lambda c: c[:60], "unreadable"),
    "cut in half": (lambda c: c[: len(c) // 2], "truncated"),
    "last bytes missing": (lambda c: c[:-5], "truncated"),
    "declares more": (lambda c: declare(c, 2 * RATE + 1), "truncated"),
    "declares 2**36 - 1": (lambda c: declare(c, 2**36 - 1), "truncated"),
    "declares less": (lambda c: declare(c, RATE), "corrupt"),
    "a flipped bit": (flipped, "corrupt"),
    "other samples than signed": (other_signature, "corrupt"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(tmp_path: Path, name: str):
    """Each kind of damage gets its reason, and reading such a file refuses in one line."""
    damage, reason = DAMAGE[name]
    assert probe(tmp_path, bytes(damage(flac_bytes(tmp_path))))[0] == reason
    if name not in ("declares less", "other samples than signed"):  # read_waveform takes no digest
        with pytest.raises(InputError, match=r"x\.flac: ") as caught:
            read_waveform(tmp_path / "x.flac")
        assert "\n" not in str(caught.value)


def test_an_undeclared_length_is_no_damage(tmp_path: Path):
    """A stream without a length (libsndfile: 2**63 - 1 frames) is read to its end."""
    content = declare(flac_bytes(tmp_path), 0)
    assert soundfile.info(str(tmp_path / "good.flac")).frames == 2 * RATE
    assert probe(tmp_path, bytes(content)) == (None, 2 * RATE)
    assert len(read_waveform(tmp_path / "x.flac")[0]) == 2 * RATE


def test_silence_and_nan_are_named(tmp_path: Path):
    soundfile.write(tmp_path / "a.flac", np.zeros(RATE), RATE)
    assert probe_audio(str(tmp_path), "a.flac").failure == "silent"
    bad = np.full(RATE, 0.1, np.float32)
    bad[7] = np.inf
    soundfile.write(tmp_path / "b.wav", bad, RATE, subtype="FLOAT")
    assert probe_audio(str(tmp_path), "b.wav").failure == "not_finite"
    with pytest.raises(InputError, match="NaN or infinite"):
        read_waveform(tmp_path / "b.wav")


SIXTEEN_BIT = 2.0**-15
SILENCE: dict[str, tuple[np.ndarray, str, str | None]] = {
    "zeros": (np.zeros(RATE), "PCM_16", "silent"),
    "an offset": (np.full(RATE, 0.25), "PCM_16", "silent"),
    "one step up": (SIXTEEN_BIT * (np.arange(RATE) % 2), "PCM_16", "silent"),
    "dither": (SIXTEEN_BIT * (np.arange(RATE) % 3 - 1), "PCM_16", "silent"),
    "dither on an offset": (0.5 + SIXTEEN_BIT * (np.arange(RATE) % 3 - 1), "PCM_16", "silent"),
    "two steps": (2 * SIXTEEN_BIT * (np.arange(RATE) % 3 - 1), "PCM_16", None),
    "24 bits below a step of 16": (SIXTEEN_BIT / 4 * (np.arange(RATE) % 5), "PCM_24", "silent"),
    "a step of 8 bits": ((np.arange(RATE) % 2) / 128, "PCM_S8", "silent"),
    "three steps of 8 bits": ((np.arange(RATE) % 4) / 128, "PCM_S8", None),
}


@pytest.mark.parametrize("name", SILENCE)
def test_silence_is_what_stays_within_a_step_of_a_constant(tmp_path: Path, name: str):
    samples, subtype, failure = SILENCE[name]
    soundfile.write(tmp_path / "a.flac", samples, RATE, subtype=subtype)
    facts = probe_audio(str(tmp_path), "a.flac")
    assert facts.failure == failure and (facts.detail or failure is None)


def test_floats_on_the_scale_of_integers_are_named(tmp_path: Path):
    """Floats that overshoot are speech. Floats up to 3,000 are integers that nobody scaled."""
    for scale, failure in ((1.5, None), (3000.0, "out_of_range")):
        wave = scale * np.sin(np.arange(RATE) / 9)
        soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
        assert probe_audio(str(tmp_path), "a.wav").failure == failure


ID3V1 = b"TAG" + b"title".ljust(125, b"\0")
ID3V2 = b"ID3\x03\0\0\0\0\1\0" + bytes(128)


@pytest.mark.parametrize(
    ("head", "tail"),
    [(b"", ID3V1), (ID3V2, b""), (ID3V2, ID3V1), (b"", bytes(4096)), (b"", os.urandom(4096))],
)
def test_tags_around_a_flac_are_no_damage(tmp_path: Path, head: bytes, tail: bytes):
    """All declared samples are there, and the file's own MD5 says that they are the right ones."""
    content = flac_bytes(tmp_path)
    (tmp_path / "x.flac").write_bytes(head + content + tail)
    good, found = (probe_audio(str(tmp_path), name) for name in ("good.flac", "x.flac"))
    assert found.failure is None and found.pcm_sha256 == good.pcm_sha256
    expected, _ = read_waveform(tmp_path / "good.flac")
    np.testing.assert_array_equal(read_waveform(tmp_path / "x.flac")[0], expected)


def test_a_tag_hides_no_damage(tmp_path: Path):
    """A cut file stays cut, and other samples than signed stay other, with tags around them too."""
    content = flac_bytes(tmp_path)
    assert probe(tmp_path, ID3V2 + bytes(content[:-500]) + ID3V1)[0] in ("truncated", "corrupt")
    assert probe(tmp_path, ID3V2 + bytes(other_signature(content)) + ID3V1)[0] == "corrupt"


ENCODINGS = [
    ("x.flac", "MP3", "MPEG_LAYER_III", True), ("x.flac", "OGG", "VORBIS", True),
    ("x.flac", "WAV", "PCM_16", True), ("x.wav", "FLAC", "PCM_16", True),
    ("x.wav", "WAV", "ULAW", True), ("x.wav", "WAV", "MS_ADPCM", True),
    ("x.wav", "WAV", "PCM_24", False), ("x.WAV", "RF64", "PCM_16", False),
    ("x.wav", "WAVEX", "FLOAT", False), ("x.FLAC", "FLAC", "PCM_S8", False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "container", "subtype", "is_noted"), ENCODINGS)
def test_what_is_not_what_its_name_says_is_noted(
    tmp_path: Path, name: str, container: str, subtype: str, is_noted: bool
):
    soundfile.write(tmp_path / name, noise() / 32768, RATE, format=container, subtype=subtype)
    facts = probe_audio(str(tmp_path), name)
    assert facts.failure is None
    assert [reason for reason, _ in facts.notes] == ["other_encoding"] * is_noted
    assert all(subtype in detail for _, detail in facts.notes)


def test_channels_are_averaged_where_that_is_asked_for(tmp_path: Path):
    """The mean; two equal channels are the one, and opposite ones are silence."""
    left, right = noise(seed=1) / 32768, noise(seed=2) / 32768
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), RATE, subtype="DOUBLE")
    soundfile.write(tmp_path / "b.wav", np.stack([left, left], axis=1), RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "c.wav", np.stack([left, -left], axis=1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "d.flac", left, RATE, subtype="PCM_16")
    mixed, _ = read_waveform(tmp_path / "a.wav", mix_down=True)
    np.testing.assert_allclose(mixed, (left + right) / 2, atol=1e-7)
    facts = {n: probe_audio(str(tmp_path), n, mix_down=True) for n in ("a.wav", "b.wav", "c.wav")}
    assert facts["a.wav"].notes == (("mixed_down", "2 channels: their mean is used"),)
    assert facts["b.wav"].pcm_sha256 == probe_audio(str(tmp_path), "d.flac").pcm_sha256
    assert facts["c.wav"].failure == "silent"


def test_a_wav_that_is_cut_is_truncated_and_a_piped_one_is_not(tmp_path: Path):
    """The decoder takes what is there. A program that writes to a pipe declares no length."""
    soundfile.write(tmp_path / "a.wav", noise(), RATE, subtype="PCM_16")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    (tmp_path / "x.wav").write_bytes(content[:-100])
    facts = probe_audio(str(tmp_path), "x.wav")
    assert (facts.failure, facts.detail) == (
        "truncated", "declares 100 bytes of samples more than it has",
    )  # fmt: skip
    start = content.index(b"data")
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # a chunk of odd length has a byte behind it
    (tmp_path / "x.wav").write_bytes(content[:start] + odd + content[start:-100])
    assert probe_audio(str(tmp_path), "x.wav").detail == facts.detail
    place = start + 4
    for size in (0xFFFFFFFF, 0x7FFFF000):
        content[place : place + 4] = struct.pack("<I", size)
        (tmp_path / "x.wav").write_bytes(content)
        facts = probe_audio(str(tmp_path), "x.wav")
        assert (facts.failure, facts.num_samples) == (None, 2 * RATE)


def test_the_limit_counts_samples_whatever_rate_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An hour at 655 kHz is 9 GB of float32: a few MB of FLAC must not ask for them."""
    monkeypatch.setattr(audio, "MAXIMUM_SAMPLES", RATE)
    soundfile.write(tmp_path / "a.flac", noise(10 * RATE), 655350)
    facts = probe_audio(str(tmp_path), "a.flac")
    assert facts.failure == "too_long" and facts.num_samples <= RATE + audio.BLOCK_FRAMES
    with pytest.raises(InputError, match="longer than"):
        read_waveform(tmp_path / "a.flac")
    assert audio.MAXIMUM_SAMPLES * 4 < 2**30


def test_more_than_an_hour_is_not_held_in_memory(tmp_path: Path):
    """Hours of one sample value are a few kilobytes of FLAC; decoding stops at the limit."""
    rate, hours = 1000, 3
    long = np.full(int(hours * MAXIMUM_DURATION_S * rate), 0.25, np.float32)
    soundfile.write(tmp_path / "a.flac", long, rate)
    facts = probe_audio(str(tmp_path), "a.flac")
    assert facts.failure == "too_long"
    assert facts.num_samples < 1.1 * MAXIMUM_DURATION_S * rate < len(long)
    with pytest.raises(InputError, match="longer than"):
        read_waveform(tmp_path / "a.flac")


def test_two_channels_are_reported_and_refused(tmp_path: Path):
    soundfile.write(tmp_path / "a.flac", np.zeros((RATE, 2)), RATE)
    assert probe_audio(str(tmp_path), "a.flac").num_channels == 2
    with pytest.raises(InputError, match="2 channels"):
        read_waveform(tmp_path / "a.flac")


def test_files_are_never_sought_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The decoder library fails to seek in some FLAC files that it decodes well."""
    write_flac(tmp_path / "a.flac", noise(), RATE)

    def refuse(*_: object) -> int:
        raise RuntimeError("Internal psf_fseek() failed.")

    monkeypatch.setattr(soundfile.SoundFile, "seek", refuse)
    assert len(read_waveform(tmp_path / "a.flac")[0]) == 2 * RATE
    assert probe_audio(str(tmp_path), "a.flac").failure is None


def test_a_missing_file_is_an_answer_and_an_input_error(tmp_path: Path):
    facts = probe_audio(str(tmp_path), "nothing.flac")
    assert facts.failure == "unreadable" and facts.file_sha256 is None
    with pytest.raises(InputError, match="no such audio file"):
        read_waveform(tmp_path / "nothing.flac")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_forbidden_file_is_an_answer(tmp_path: Path):
    write_flac(tmp_path / "a.flac", noise(), RATE)
    (tmp_path / "a.flac").chmod(0)
    assert probe_audio(str(tmp_path), "a.flac").failure == "unreadable"
