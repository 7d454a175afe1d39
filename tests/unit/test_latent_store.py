"""Latent shards and tensors: whole or absent, versioned, and refused with one line otherwise."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from engram_audio.artifacts.latents import (
    COMPRESSORS,
    LatentMetadata,
    LatentStore,
    write_latent_shard,
)
from engram_audio.artifacts.partial import PartialStore
from engram_audio.artifacts.tensors import read_tensors, write_tensors
from engram_audio.errors import InputError
from engram_audio.latents.block import LatentBlock

METADATA = LatentMetadata("rep", 3, 12.5, "test", "hash", True, 0)


def block(sizes: tuple[int, ...] = (4, 6), prefix: str = "u", seed: int = 0) -> LatentBlock:
    generator = np.random.default_rng(seed)
    total = sum(sizes)
    names = np.array([f"{prefix}{i}" for i in range(len(sizes))], dtype=object)
    return LatentBlock(
        frames=generator.normal(size=(total, 3)).astype(np.float32),
        energy=generator.random(total).astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64),
        utterance_ids=names,
        speaker_ids=np.array(["s"] * len(sizes), dtype=object),
    )


def write(path: Path, data: LatentBlock, metadata: LatentMetadata = METADATA) -> Path:
    write_latent_shard(path, data, np.arange(len(data.frames)) / 12.5, metadata, {"step": "test"})
    return path


def test_a_shard_comes_back_bit_for_bit_and_same_latents_are_same_bytes(tmp_path: Path):
    first, second = write(tmp_path / "a.zarr.zip", block()), write(tmp_path / "b.zarr.zip", block())
    assert first.read_bytes() == second.read_bytes()
    store = LatentStore([first])
    found = store.load()
    assert found.scored().all()
    for mine, theirs in zip(block()[:-1], found[:-1], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert store.metadata == METADATA
    assert store.manifests == [{"step": "test", "compression": "none"}]


@pytest.mark.parametrize("name", COMPRESSORS)
def test_compression_is_named_and_changes_no_number(tmp_path: Path, name: str):
    whole = block((4100, 300))
    path, again = tmp_path / "a.zarr.zip", tmp_path / "b.zarr.zip"
    times = np.arange(len(whole.frames)) / 12.5
    for one in (path, again):
        write_latent_shard(one, whole, times, METADATA, {"step": "test"}, compression=name)
    assert path.read_bytes() == again.read_bytes()
    store = LatentStore([path])
    assert (store.compression, store.manifests[0]["compression"]) == (name, name)
    for mine, theirs in zip(whole[:-1], store.load()[:-1], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    plain = write(tmp_path / "c.zarr.zip", whole).stat().st_size
    assert (path.stat().st_size < plain) == (name != "none")


def test_a_flipped_bit_of_a_compressed_chunk_is_an_error(tmp_path: Path):
    path = tmp_path / "a.zarr.zip"
    write_latent_shard(
        path, block((4000,)), np.arange(4000) / 12.5, METADATA, {}, compression="blosc"
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zarr\.zip: damaged"):
        LatentStore([path]).load()


def test_cold_start_frames_are_dropped_on_reading(tmp_path: Path):
    path = write(tmp_path / "a.zarr.zip", block(), METADATA._replace(cold_start_frames=3))
    found, whole = LatentStore([path]).load(), block()
    assert found.offsets.tolist() == [0, 1, 4]
    np.testing.assert_array_equal(found.frames, whole.frames[[3, 7, 8, 9]])
    np.testing.assert_array_equal(found.energy, whole.energy[[3, 7, 8, 9]])


def test_an_empty_shard_is_a_shard(tmp_path: Path):
    """All utterances of a shard excluded: nothing to read, nothing breaks."""
    path = write(tmp_path / "a.zarr.zip", block(()))
    assert LatentStore([path]).load().frames.shape == (0, 3)
    other = write(tmp_path / "b.zarr.zip", block())
    assert len(LatentStore([path, other]).load().frames) == 10


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("representation", "other"), ("frame_rate_hz", 50.0), ("latent_space", "codes"),
        ("weight_hash", "else"), ("is_causal", False), ("cold_start_frames", 1),
    ],
)  # fmt: skip
def test_shards_of_another_codec_are_refused(tmp_path: Path, field: str, value: object):
    first = write(tmp_path / "a.zarr.zip", block())
    second = write(tmp_path / "b.zarr.zip", block(prefix="v"), METADATA._replace(**{field: value}))
    with pytest.raises(InputError, match=rf"b\.zarr\.zip: {field} is"):
        LatentStore([first, second])


def test_an_utterance_in_two_shards_is_refused(tmp_path: Path):
    paths = [write(tmp_path / f"{name}.zarr.zip", block()) for name in "ab"]
    with pytest.raises(InputError, match="u0 is in two shards"):
        LatentStore(paths)


def test_a_truncated_shard_is_refused(tmp_path: Path):
    path = write(tmp_path / "a.zarr.zip", block((4000,)))
    content = path.read_bytes()
    for keep in (0, 100, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:keep])
        with pytest.raises(InputError, match=r"a\.zarr\.zip"):
            LatentStore([path]).load()


def test_a_flipped_bit_in_any_latent_is_an_error(tmp_path: Path):
    path = write(tmp_path / "a.zarr.zip", block((4000,)))
    content = bytearray(path.read_bytes())
    needle = block((4000,)).frames[2000].tobytes()
    content[content.index(needle)] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"a\.zarr\.zip: damaged"):
        LatentStore([path]).load()


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, contents: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def test_a_shard_has_as_many_chunks_as_its_shape_says(tmp_path: Path):
    """Also where all values of a chunk are zero, which zarr would leave out."""
    data = block((5000, 4000))
    data.frames[:] = 0.0
    names = entries(write(tmp_path / "a.zarr.zip", data))
    assert [name for name in sorted(names) if name.startswith("latents/c")] == [
        "latents/c/0/0", "latents/c/1/0", "latents/c/2/0",
    ]  # fmt: skip
    np.testing.assert_array_equal(LatentStore([tmp_path / "a.zarr.zip"]).load().frames, 0.0)


def test_a_lost_a_foreign_or_a_swapped_chunk_is_refused(tmp_path: Path):
    """A zip that is whole in itself, with other chunks than were written."""
    path = write(tmp_path / "a.zarr.zip", block((9000,)))
    whole = entries(path)
    first, second = (whole[f"latents/c/{n}/0"] for n in (0, 1))
    lost = {name: content for name, content in whole.items() if name != "latents/c/1/0"}
    swapped = {**whole, "latents/c/0/0": second, "latents/c/1/0": first}
    for damaged in (lost, swapped, {**whole, "latents/c/9/0": first}):
        pack(path, damaged)
        with pytest.raises(
            InputError, match=r"a\.zarr\.zip: damaged \((1 entries are lost|entries)"
        ):
            LatentStore([path])


def test_any_other_attribute_of_a_shard_is_refused(tmp_path: Path):
    """Names, rates and the manifest: the attributes carry their own digest."""
    path = write(tmp_path / "a.zarr.zip", block())
    whole = entries(path)
    for old, new in ((b"12.5", b"12.4"), (b'"u0"', b'"u9"'), (b'"step"', b'"stop"')):
        assert old in whole["zarr.json"]
        pack(path, {**whole, "zarr.json": whole["zarr.json"].replace(old, new)})
        with pytest.raises(InputError, match="its attributes differ from what was written"):
            LatentStore([path])


def test_another_schema_version_is_refused(tmp_path: Path):
    path = write(tmp_path / "a.zarr.zip", block())
    whole = entries(path)
    document = json.loads(whole["zarr.json"])
    document["attributes"]["schema_version"] = 99
    pack(path, {**whole, "zarr.json": json.dumps(document).encode()})
    with pytest.raises(InputError, match="schema_version 99, but this code reads 2"):
        LatentStore([path])


def test_values_that_are_not_finite_are_never_written(tmp_path: Path):
    data = block()
    data.frames[5, 1] = np.nan
    with pytest.raises(InputError, match="u1 has a NaN or infinite value at frame 1"):
        write(tmp_path / "a.zarr.zip", data)
    assert list(tmp_path.iterdir()) == []


TENSORS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([1], np.int64)}


def test_tensors_round_trip_with_the_same_bytes(tmp_path: Path):
    for name in ("x", "y"):
        write_tensors(tmp_path / name, TENSORS, {"step": "test"})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    found, header = read_tensors(tmp_path / "x", ["a", "b"])
    assert header["step"] == "test"
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)


def test_damaged_missing_or_foreign_tensors_are_refused(tmp_path: Path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(InputError, match="no such file"):
        read_tensors(path, ["a"])
    write_tensors(path, TENSORS, {})
    with pytest.raises(InputError, match=r"lacks the tensor\(s\) c"):
        read_tensors(path, ["a", "c"])
    content = path.read_bytes()
    path.write_bytes(content[:-4])
    with pytest.raises(InputError, match="not a readable safetensors"):
        read_tensors(path, ["a"])
    path.write_bytes(content.replace(b'schema_version\\": 2', b'schema_version\\": 7'))
    with pytest.raises(InputError, match="schema_version 7"):
        read_tensors(path, ["a"])
    write_tensors(path, {"a": np.array([np.inf], np.float32)}, {})
    with pytest.raises(InputError, match="a has a NaN or infinite value"):
        read_tensors(path, ["a"])


def test_another_setting_in_the_header_of_tensors_is_refused(tmp_path: Path):
    """The header has a digest of its own: a setting is as good as a weight."""
    path = tmp_path / "x.safetensors"
    write_tensors(path, TENSORS, {"step": 70, "best_score": 1.25})
    content = path.read_bytes()
    for old, new in ((b": 70", b": 71"), (b"1.25", b"1.26"), (b"best_score", b"best_scare")):
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, new))
        for names in (["a"], []):
            with pytest.raises(InputError, match="its header differs from what was written"):
                read_tensors(path, names)


def test_a_part_counts_only_with_its_key_and_its_own_digest(tmp_path: Path):
    """Other settings, a cut file or a flipped bit: the part is made again, never trusted."""
    folder = tmp_path / "parts" / "shard"
    store = PartialStore(folder, "key")
    assert store.get(0, ("a", "b")) is None
    store.put(0, TENSORS)
    found = store.get(0, ("a", "b"))
    assert found is not None
    np.testing.assert_array_equal(found["b"], TENSORS["b"])
    assert PartialStore(folder, "other").get(0, ("a", "b")) is None
    path = next(folder.iterdir())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    assert store.get(0, ("a", "b")) is None
    path.write_bytes(bytes(content)[:20])
    assert store.get(0, ("a", "b")) is None
    store.clear()
    assert not folder.exists()
