"""Files that a configuration names by path: pinned at first use, compared at every later one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engram_audio.artifacts import pinned
from engram_audio.artifacts.checksum import write_checksum
from engram_audio.artifacts.digest import file_digest
from engram_audio.artifacts.pinned import pinned_digests
from engram_audio.codecs.config import EncodecCodecSettings, LyraCodecSettings
from engram_audio.codecs.registry import load_codec
from engram_audio.errors import InputError

LATER_NS = 1_000_000_000


@pytest.fixture
def weights(tmp_path: Path) -> list[Path]:
    files = [tmp_path / name for name in ("model.safetensors", "config.json")]
    for file in files:
        file.write_bytes(file.name.encode() * 9)
    return files


def rewrite(file: Path, content: bytes) -> None:
    """Write at a later date than before, whatever the clock's grain."""
    date = file.stat().st_mtime_ns + LATER_NS
    file.write_bytes(content)
    os.utime(file, ns=(date, date))


def test_the_first_use_pins_and_the_same_bytes_pass(weights: list[Path], tmp_path: Path):
    record = tmp_path / "pins" / "mimi.json"
    found = pinned_digests(record, weights)
    assert found == {str(file): file_digest(file) for file in weights}
    rewrite(weights[0], weights[0].read_bytes())  # a copy with another date
    assert pinned_digests(record, weights) == found


def test_other_bytes_are_refused_with_both_digests_and_the_remedy(
    weights: list[Path], tmp_path: Path
):
    record = tmp_path / "mimi.json"
    before = pinned_digests(record, weights)[str(weights[1])]
    rewrite(weights[1], b"config.jsom" * 9)
    after = file_digest(weights[1])
    with pytest.raises(InputError) as caught:
        pinned_digests(record, weights)
    for word in (str(weights[1]), before, after, f"delete {record}", "restore the file"):
        assert word in str(caught.value)
    record.unlink()
    assert pinned_digests(record, weights)[str(weights[1])] == after


def test_an_unchanged_file_is_hashed_once(
    weights: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Snakemake reads the workflow once for each job; gigabytes are not hashed every time."""
    hashed: list[Path] = []
    monkeypatch.setattr(pinned, "file_digest", lambda file: hashed.append(file) or "0" * 64)
    for _ in range(3):
        pinned_digests(tmp_path / "mimi.json", weights)
    assert hashed == weights
    rewrite(weights[0], weights[0].read_bytes())
    for _ in range(2):
        pinned_digests(tmp_path / "mimi.json", weights)
    assert hashed == [*weights, weights[0]], "a new date is looked into once"


def test_a_file_that_comes_later_is_pinned_then_and_an_absent_one_is_left_out(
    weights: list[Path], tmp_path: Path
):
    record, late = tmp_path / "mimi.json", tmp_path / "late.bin"
    assert str(late) not in pinned_digests(record, [*weights, late])
    late.write_bytes(b"late")
    assert set(pinned_digests(record, [late])) == {str(late)}
    rewrite(weights[0], b"other")
    with pytest.raises(InputError, match="was pinned at first use"):
        pinned_digests(record, weights)


def test_the_first_of_two_runs_wins(
    weights: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another run pins while this one hashes: its pin counts."""
    record = tmp_path / "mimi.json"

    def slowly(file: Path) -> str:
        monkeypatch.undo()
        pinned_digests(record, weights)
        rewrite(file, b"swapped")
        return file_digest(file)

    monkeypatch.setattr(pinned, "file_digest", slowly)
    with pytest.raises(InputError, match="was pinned at first use"):
        pinned_digests(record, weights[:1])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 1}'])
def test_a_damaged_record_is_refused_with_its_remedy(
    weights: list[Path], tmp_path: Path, content: str
):
    record = tmp_path / "mimi.json"
    record.write_text(content)
    with pytest.raises(InputError, match=r"mimi\.json: not a record .* delete it to pin the files"):
        pinned_digests(record, weights)


def test_it_imports_nothing_heavy():
    """The Snakemake driver runs it for every job."""
    code = "import sys, engram_audio.artifacts.pinned; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "zarr", "pandas", "pyarrow"} & set(run.stdout.split())


def test_a_codec_checks_every_pinned_file_before_it_loads_one(tmp_path: Path):
    """Also files that the adapter does not open for these settings."""
    names = ("soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite")
    files = [tmp_path / name for name in names]
    for file in files:
        file.write_bytes(b"graph" * 9)
    digests = pinned_digests(tmp_path / "lyra.json", files)
    settings = LyraCodecSettings(kind="lyra", weights_dir=str(tmp_path), num_quantizers=None)
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + b"i")
        with pytest.raises(InputError, match=rf"{file.name}: SHA-256 is .* was pinned"):
            load_codec(settings, files, "cpu", weight_digests=digests)
        file.write_bytes(whole)
    with pytest.raises(InputError, match=r"other\.bin: pinned, but not among the codec's files"):
        load_codec(settings, files, "cpu", weight_digests={"other.bin": "0" * 64})


def test_the_record_is_one_of_ours(weights: list[Path], tmp_path: Path):
    pinned_digests(tmp_path / "mimi.json", weights)
    document = json.loads((tmp_path / "mimi.json").read_text())
    assert set(document["files"][str(weights[0])]) == {"num_bytes", "mtime_ns", "sha256"}


def test_a_downloaded_configuration_needs_the_digest_beside_it(tmp_path: Path):
    """A changed hop in config.json makes other latents, as a changed weight does."""
    files = [tmp_path / "model.safetensors", tmp_path / "config.json"]
    files[0].write_bytes(b"weights")
    files[1].write_text('{"sampling_rate": 24000}')
    settings = EncodecCodecSettings(
        kind="encodec", checkpoint="facebook/encodec_24khz", revision="a" * 40,
        weights_sha256=file_digest(files[0]),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"config\.json\.sha256 is missing .* download_codec"):
        load_codec(settings, files, "cpu")
    write_checksum(files[1], file_digest(files[1]))
    files[1].write_text('{"sampling_rate": 24001}')
    with pytest.raises(InputError, match=r"config\.json: differs from what was written"):
        load_codec(settings, files, "cpu")
