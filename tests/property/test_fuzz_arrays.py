"""A user's arrays, damaged at random: one excluded row with its reason, or the values themselves.

Each example damages the first of three utterances and runs an import as the steps do. The rule: the
other two come through unchanged, and the first one is either excluded with one printable line, or
holds what the damaged file says by the standard of its format. A store whose common parts are
damaged is refused in one line.
"""

import io
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.storage import ZipStore

from engram_audio.artifacts.array_file import read_array_file
from engram_audio.artifacts.external_arrays import read_array_table, read_arrays
from engram_audio.errors import InputError
from engram_audio.latents.arrays import collect_block, index_arrays
from tests.fuzz_budget import budget

NAMES = ("a", "b", "c")
NUM_FRAMES, NUM_DIMS = 20, 3
VALUES = {
    name: np.random.default_rng(seed).normal(size=(NUM_FRAMES, NUM_DIMS))
    for seed, name in enumerate(NAMES)
}
ENERGY = np.linspace(1.0, 2.0, NUM_FRAMES)
HEADER_PARTS = {
    b"'<f8'": (
        b"'>f8'", b"'|O'", b"'<f4'", b"'<M8[s]'", b"'<c16'", b"'|b1'", b"'<f2'", b"'<f16'",
        b"'<U2'", b"'|S0'", b"'|V8'", b"'x'", b"8", b"None", b"[('a','<f8')]", b"('<f8',(3,))",
        b"('<f8',-1)", b"'" + b"(" * 30, b"'\\d'", b"[" * 40, b"b'<f8'",
    ),
    b"False": (b"True", b"None", b"0", b"'x'", b"[]", b"2 is 2"),
    b"(20, 3)": (
        b"(-20, 3)", b"(-1, 3)", b"(20, -1)", b"(-4, -15)", b"(20, 3, 0)", b"(0, 3)", b"()",
        b"(60,)", b"(19, 3)", b"(21, 3)", b"(9999999999, 3)", b"(4611686018427387904, 4)",
        b"(20L, 3L)", b"20", b"None", b"(2e1, 3)", b"(True, 60)", b"(20, 3, 1)", b"(6, 10)",
    ),
    b"descr": (b"shape", b"", b"Descr", b"\xff\xfe"),
    b"{": (b"", b"{{", b"[{", b"{'x': 1, "),
}  # fmt: skip
METADATA_VALUES = (b"null", b"-1", b"[]", b"{}", b'"x"', b"1e9", b"99999999999", b"true", b"0")


def npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def npz(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, latents=values, energy=ENERGY)
    return buffer.getvalue()


def flipped(rng: np.random.Generator, content: bytes, places: int | None = None) -> bytes:
    """Some bytes replaced, one in five cut short."""
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        damaged[rng.integers(places or len(damaged))] = rng.integers(256)
    return bytes(damaged[: rng.integers(len(damaged)) if rng.random() < 0.2 else None])


def other_header(rng: np.random.Generator, content: bytes) -> bytes:
    """A part of an .npy header replaced so that the header stays whole, or bytes of it flipped."""
    if rng.random() < 0.3:
        return flipped(rng, content, 128)
    header, values = content[10:128].rstrip(), content[128:]
    for part in rng.permutation(np.array(list(HEADER_PARTS), dtype=object))[: rng.integers(1, 3)]:
        choices = HEADER_PARTS[part]
        header = header.replace(part, choices[rng.integers(len(choices))])
    length = max(118, len(header) + 1)
    return content[:8] + length.to_bytes(2, "little") + header.ljust(length - 1) + b"\n" + values


def other_zip(rng: np.random.Generator, content: bytes) -> bytes:
    """Mostly the headers of members and of the directory."""
    places = [found.start() for found in re.finditer(b"PK", content)]
    damaged = bytearray(flipped(rng, content) if rng.random() < 0.3 else content)
    for _ in range(rng.integers(1, 5)):
        place = places[rng.integers(len(places))] + rng.integers(46)
        damaged[min(place, len(damaged) - 1)] = rng.integers(256)
    return bytes(damaged)


def write_files(folder: Path, suffix: str, content: bytes) -> Path:
    for name in NAMES[1:]:
        np.save(folder / f"{name}.npy", VALUES[name])
    (folder / f"a{suffix}").write_bytes(content)
    return folder


def imported(folder: Path, source: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Index, write and collect as the steps do; latents and reasons by utterance."""
    table = folder / "table.csv"
    table.write_text("utterance_id,speaker_id\n" + "".join(f"{n},s{n}\n" for n in NAMES))
    rows = read_array_table(table)
    index = index_arrays(read_arrays(source, rows), 12.5, 2, "mine")
    excluded = index.exclusions
    for detail in excluded["detail"]:
        assert detail.isprintable() and len(detail) < 300, detail
    names = index.utterances["utterance_id"].to_numpy()
    speakers = index.utterances["speaker_id"].to_numpy()
    block = collect_block(read_arrays(source, rows, names), names, speakers, index.has_energy)
    parts = np.split(block.frames, block.offsets[1:-1])
    found = dict(zip(map(str, block.utterance_ids), parts, strict=True))
    assert len(names) + len(excluded) == len(NAMES)
    return found, dict(zip(excluded["utterance_id"], excluded["reason"], strict=True))


def meant(content: bytes) -> np.ndarray:
    """What numpy itself reads from an .npy that it takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.load(io.BytesIO(content))


def check_files(folder: Path, suffix: str, content: bytes, values: np.ndarray | None) -> None:
    """The others as saved, whatever became of the damaged one: `values`, or what numpy reads."""
    found, reasons = imported(folder, write_files(folder, suffix, content))
    assert set(found) | set(reasons) == set(NAMES)
    for name in found:
        damaged = meant(content) if name == "a" and values is None else values
        expected = damaged if name == "a" and damaged is not None else VALUES[name]
        np.testing.assert_array_equal(found[name], expected.astype(np.float32))
    if "a" in found and found["a"].shape[1] != NUM_DIMS:
        raise AssertionError("one damaged file decides how many dimensions there are")
    assert {"b", "c"} <= set(found)


def each(examples: range, folder: Path, check: Callable[[np.random.Generator, Path], None]) -> None:
    """Run an example in a folder of its own; a failure names its seed."""
    for seed in examples:
        place = folder / str(seed)
        place.mkdir()
        try:
            check(np.random.default_rng(seed), place)
        except Exception as error:
            raise AssertionError(f"example {seed}: {type(error).__name__}: {error}") from error


@budget("headers")
def test_an_npy_with_any_header_is_read_as_numpy_would_or_excluded(tmp_path: Path, examples: range):
    def check(rng: np.random.Generator, folder: Path) -> None:
        check_files(folder, ".npy", other_header(rng, npy(VALUES["a"])), None)

    each(examples, tmp_path, check)


@budget("arrays")
def test_an_npz_with_any_damage_is_the_same_or_excluded(tmp_path: Path, examples: range):
    """A member's checksum covers its values: what is read at all is what was saved."""

    def check(rng: np.random.Generator, folder: Path) -> None:
        content = other_zip(rng, npz(VALUES["a"]))
        check_files(folder, ".npz", content, VALUES["a"])

    each(examples, tmp_path, check)


def write_store(folder: Path, layout: int, is_zip: bool) -> Path:
    path = folder / ("store.zip" if is_zip else "store")
    store = ZipStore(path, mode="w") if is_zip else str(path)
    group = zarr.open_group(store, mode="w", zarr_format=2 if layout == 2 else 3)
    joined = np.concatenate(list(VALUES.values()))
    offsets = NUM_FRAMES * np.arange(len(NAMES) + 1)
    with zarr.config.set({"array.write_empty_chunks": True}):
        group.create_array("latents", data=joined, chunks=(NUM_FRAMES, NUM_DIMS))
        group.create_array("offsets", data=offsets)
        group.create_array("energy", data=np.tile(ENERGY, len(NAMES)), chunks=(NUM_FRAMES,))
    if isinstance(store, ZipStore):
        store.close()
    return path


def damage_store(rng: np.random.Generator, store: Path) -> None:
    """A byte of the zip; else one file lost, a value of its metadata replaced, or bytes of it."""
    files = [store] if store.is_file() else sorted(p for p in store.rglob("*") if p.is_file())
    file = files[rng.integers(len(files))]
    content = file.read_bytes()
    numbers = list(re.finditer(rb"(?<=: )[^,{}\[\]\n]+|\d+", content))
    is_metadata = file.suffix == ".json" or file.name.startswith(".z")
    if is_metadata and numbers and rng.random() < 0.6:
        place = numbers[rng.integers(len(numbers))]
        value = METADATA_VALUES[rng.integers(len(METADATA_VALUES))]
        file.write_bytes(content[: place.start()] + value + content[place.end() :])
    elif file != store and rng.random() < 0.15:
        file.unlink()
    else:
        file.write_bytes(flipped(rng, content))


@budget("stores")
def test_a_store_with_any_damage_is_read_excluded_or_refused_in_one_line(
    tmp_path: Path, examples: range
):
    """A zip has checksums, so what is read is what was saved. The chunks of a folder have none."""

    def check(rng: np.random.Generator, folder: Path) -> None:
        store = write_store(folder, int(rng.integers(2, 4)), bool(rng.integers(2)))
        damage_store(rng, store)
        try:
            found, _ = imported(folder, store)
        except InputError as error:
            assert str(error).isprintable() and "Traceback" not in str(error)
            return
        for name, values in found.items() if store.is_file() else ():
            np.testing.assert_array_equal(values, VALUES[name].astype(np.float32))

    each(examples, tmp_path, check)


@pytest.mark.parametrize("shape", [b"(19, 3)", b"(21, 3)", b"(20, 2)", b"(1, 60)", b"(0, 3)"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_shape_that_does_not_fit_the_file_is_excluded(tmp_path: Path, shape: bytes, suffix: str):
    """By itself numpy reads the first rows where a header declares fewer: the end gets lost."""
    content = npy(VALUES["a"]).replace(b"(20, 3)", shape.ljust(7))
    if suffix == ".npz":
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("latents.npy", content)
        content = (tmp_path / "a.npz").read_bytes()
    found, reasons = imported(tmp_path, write_files(tmp_path, suffix, content))
    fits = shape == b"(1, 60)"  # all values are there; it is excluded for its length
    assert set(found) == {"b", "c"} and reasons == {"a": "too_short" if fits else "unreadable"}


def bomb(folder: Path) -> Path:
    """Two GiB of zeros in two MB."""
    path = folder / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        header = io.BytesIO()
        shape = (2**31 // 24, 3)
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f8", "fortran_order": False, "shape": shape}
        )
        with archive.open("latents.npy", "w", force_zip64=True) as member:
            member.write(header.getvalue())
            for _ in range(2**31 // 2**24):
                member.write(bytes(2**24))
    return path


@pytest.mark.slow
def test_a_bomb_is_excluded_before_it_is_unpacked(tmp_path: Path):
    """A few MB that unpack to GiB: the size is read, the content is not."""
    assert bomb(tmp_path).stat().st_size < 2**24
    np.save(tmp_path / "b.npy", VALUES["b"])
    np.save(tmp_path / "c.npy", VALUES["c"])
    found, reasons = imported(tmp_path, tmp_path)
    assert set(found) == {"b", "c"} and reasons == {"a": "unreadable"}


def test_a_size_that_is_declared_is_believed_and_not_tried(tmp_path: Path):
    """The directory of a zip says 4 GiB: refused by what it says, whatever is behind it."""
    path = tmp_path / "a.npz"
    content = npz(VALUES["a"])
    size = len(npy(VALUES["a"])).to_bytes(4, "little")
    path.write_bytes(content.replace(size, (2**32 - 2).to_bytes(4, "little")))
    with open(path, "rb") as handle, pytest.raises(ValueError, match=r"unpacks to 4294967294"):
        read_array_file(handle)


@pytest.mark.parametrize("name", ["x" * 256, "x" * 5000, "é" * 128])
def test_an_id_that_no_file_can_have_is_one_excluded_row(tmp_path: Path, name: str):
    for other in ("b", "c"):
        np.save(tmp_path / f"{other}.npy", VALUES[other])
    table = tmp_path / "table.csv"
    table.write_text(f"utterance_id,speaker_id\n{name},s\nb,s\nc,t\n", encoding="utf-8")
    index = index_arrays(read_arrays(tmp_path, read_array_table(table)), 12.5, 2, "mine")
    assert index.exclusions["reason"].tolist() == ["unsafe_name"]
    assert index.utterances["utterance_id"].tolist() == ["b", "c"]
