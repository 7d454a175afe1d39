"""A user's zarr store: a lost chunk is not silence, offsets are counted without wrapping around."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

from engram_audio.artifacts.external_arrays import read_array_table, read_arrays
from engram_audio.errors import InputError

LENGTHS = (30, 30, 30)
NUM_FRAMES = sum(LENGTHS)
OFFSETS = np.cumsum([0, *LENGTHS])
LAYOUTS: dict[str, dict[str, Any]] = {
    "v3": {"zarr_format": 3, "chunks": (10, 2)},
    "v2": {"zarr_format": 2, "chunks": (10, 2)},
    "sharded": {"zarr_format": 3, "chunks": (10, 2), "shards": (30, 4)},
    "one shard": {"zarr_format": 3, "chunks": (10, 2), "shards": (90, 4)},
}


def latents(holes: bool = False) -> np.ndarray:
    """Frames of four dimensions; the holes are where chunks of ten frames would be all zero."""
    values = np.random.default_rng(0).normal(size=(NUM_FRAMES, 4)).astype(np.float32)
    if holes:
        values[40:50] = 0
    return values


def table(folder: Path, count: int = len(LENGTHS)) -> pd.DataFrame:
    path = folder / "table.csv"
    path.write_text("utterance_id,speaker_id\n" + "".join(f"u{n},s{n}\n" for n in range(count)))
    return read_array_table(path)


def write(
    folder: Path,
    layout: str = "v3",
    values: np.ndarray | None = None,
    offsets: np.ndarray = OFFSETS,
    fill: float = 0.0,
    with_all_chunks: bool = False,
    energy: np.ndarray | None = None,
) -> Path:
    """Write a store as the layout says; by default zarr leaves out chunks of the fill value."""
    settings = dict(LAYOUTS[layout])
    group = zarr.create_group(folder / "mine.zarr", zarr_format=settings.pop("zarr_format"))
    values = latents() if values is None else values
    with zarr.config.set({"array.write_empty_chunks": with_all_chunks}):
        array = group.create_array(
            "latents", shape=values.shape, dtype=values.dtype, fill_value=fill, **settings
        )
        array[:] = values
        group.create_array("offsets", data=offsets)
        if energy is not None:
            group.create_array("energy", data=energy, chunks=(10,))
    return folder / "mine.zarr"


def zipped(store: Path) -> Path:
    path = store.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(store.rglob("*")):
            if file.is_file():
                archive.write(file, str(file.relative_to(store)))
    return path


def read(store: Path, frame: pd.DataFrame) -> np.ndarray:
    rows = list(read_arrays(store, frame))
    assert [row.failure for row in rows] == [None] * len(rows)
    return np.concatenate([row.latents for row in rows if row.latents is not None])


@pytest.mark.parametrize("is_zip", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_whole_store_is_read_as_written(tmp_path: Path, layout: str, is_zip: bool):
    """With single zeros too: a value that equals the fill value is not a missing chunk."""
    values = latents()
    values[::7, 1] = 0
    store = write(tmp_path, layout, values)
    found = read(zipped(store) if is_zip else store, table(tmp_path))
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("is_zip", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_chunks_that_are_not_there_are_refused_unless_the_store_says_so(
    tmp_path: Path, layout: str, is_zip: bool
):
    """They would read as zeros: ten frames of silence that nobody encoded."""
    store = write(tmp_path, layout, latents(holes=True))
    path = zipped(store) if is_zip else store
    with pytest.raises(
        InputError, match=r"chunk of latents that holds row 40 .*write_empty_chunks"
    ):
        read(path, table(tmp_path))
    shutil.rmtree(store)
    whole = write(tmp_path, layout, latents(holes=True), with_all_chunks=True)
    np.testing.assert_array_equal(read(whole, table(tmp_path)), latents(holes=True))


@pytest.mark.parametrize("holder", ["latents", "group"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_store_may_say_that_chunks_were_left_out(tmp_path: Path, layout: str, holder: str):
    store = write(tmp_path, layout, latents(holes=True))
    group: Any = zarr.open_group(store)
    (group if holder == "group" else group["latents"]).attrs["write_empty_chunks"] = False
    np.testing.assert_array_equal(read(store, table(tmp_path)), latents(holes=True))


@pytest.mark.parametrize("value", [True, None, 0, "false"])
def test_only_a_plain_false_says_so(tmp_path: Path, value: Any):
    store = write(tmp_path, values=latents(holes=True))
    group: Any = zarr.open_group(store)
    group["latents"].attrs["write_empty_chunks"] = value
    with pytest.raises(InputError, match="is missing and reads as"):
        read(store, table(tmp_path))


@pytest.mark.parametrize("fill", [0.0, 1.0, -3.5, float("nan")])
@pytest.mark.parametrize("layout", ["v3", "v2", "sharded"])
def test_a_lost_chunk_is_found_whatever_the_fill_value(tmp_path: Path, layout: str, fill: float):
    store = write(tmp_path, layout, fill=fill)
    files = [file for file in (store / "latents").rglob("*") if file.is_file()]
    chunks = sorted(file for file in files if not file.name.startswith((".z", "zarr")))
    chunks[-1].unlink()
    with pytest.raises(InputError, match="is missing and reads as"):
        read(store, table(tmp_path))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_lost_chunk_is_found_in_every_type(tmp_path: Path, dtype: str):
    store = write(tmp_path, values=latents().astype(dtype))
    (store / "latents" / "c" / "8" / "0").unlink()
    with pytest.raises(InputError, match="holds row 80"):
        read(store, table(tmp_path))


def test_lost_energies_and_lost_offsets_are_refused(tmp_path: Path):
    """Without its first chunk, [0, 30 | 60, 90] would read as one utterance of sixty frames."""
    store = write(tmp_path, energy=np.ones(NUM_FRAMES, np.float32))
    (store / "energy" / "c" / "3").unlink()
    with pytest.raises(InputError, match="chunk of energy that holds row 30"):
        read(store, table(tmp_path))
    shutil.rmtree(store)
    group = zarr.create_group(store)
    group.create_array("latents", data=latents())
    group.create_array("offsets", data=OFFSETS, chunks=(2,))
    assert len(read(store, table(tmp_path))) == NUM_FRAMES
    (store / "offsets" / "c" / "0").unlink()
    with pytest.raises(InputError, match="chunk of offsets that holds row 1"):
        read(store, table(tmp_path))


def test_the_first_offset_needs_no_chunk_of_its_own(tmp_path: Path):
    """Chunks of one offset: zarr itself leaves out the first, which is 0 either way."""
    store = write(tmp_path)
    shutil.rmtree(store / "offsets")
    zarr.open_group(store).create_array("offsets", data=OFFSETS, chunks=(1,))
    assert not (store / "offsets" / "c" / "0").exists()
    assert len(read(store, table(tmp_path))) == NUM_FRAMES


BAD_OFFSETS = {
    "down": [0, 60, 30, 90],
    "below zero": [0, -30, 60, 90],
    "not from zero": [1, 30, 60, 90],
    "beyond the end": [0, 30, 60, 91],
    "short of the end": [0, 30, 60, 89],
    "far beyond": [0, 2**62, 2**62, 90],
    "down by one": [0, 31, 30, 90],
}


TYPES = ("uint64", "int64", "uint32", "uint8", "int16")
FITTING = [
    (case, dtype)
    for case, values in BAD_OFFSETS.items()
    for dtype in TYPES
    if all(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max for value in values)
]


@pytest.mark.parametrize(("case", "dtype"), FITTING)
def test_offsets_that_do_not_ascend_are_refused_in_every_type(
    tmp_path: Path, case: str, dtype: str
):
    """Unsigned differences are never negative: two speakers got the same frames."""
    store = write(tmp_path, offsets=np.array(BAD_OFFSETS[case], dtype))
    with pytest.raises(InputError, match=r"offsets must be 4 ascending integers.*offset \d is"):
        read(store, table(tmp_path))


@pytest.mark.parametrize(
    "offsets",
    [
        OFFSETS.astype(np.float64), OFFSETS[:, None], OFFSETS[:-1], OFFSETS.astype(bool),
        np.array([0, 30, np.nan, 90]), np.append(OFFSETS, 90), np.float64(3.0),
        np.array([2**64 - 30, 0, 30, 60], np.uint64),
    ],
)  # fmt: skip
def test_what_is_no_row_of_offsets_is_refused(tmp_path: Path, offsets: np.ndarray):
    store = write(tmp_path, offsets=np.asarray(offsets))
    with pytest.raises(InputError, match="offsets must be 4 ascending integers from 0 to 90"):
        read(store, table(tmp_path))


def test_arrays_of_another_kind_are_refused_in_one_line(tmp_path: Path):
    store = write(tmp_path, values=latents())
    shutil.rmtree(store / "latents")
    group = zarr.open_group(store)
    group.create_group("latents")
    with pytest.raises(InputError, match=r"lacks the array\(s\) latents"):
        read(store, table(tmp_path))
    shutil.rmtree(store / "latents")
    group.create_array("latents", data=np.zeros(NUM_FRAMES))
    with pytest.raises(InputError, match=r"latents has shape \(90,\), \[frames, dims\] is needed"):
        read(store, table(tmp_path))


def test_a_damaged_chunk_costs_its_utterance_and_names_it(tmp_path: Path):
    store = write(tmp_path)
    (store / "latents" / "c" / "1" / "0").write_bytes(b"damage")
    failures = [row.failure for row in read_arrays(store, table(tmp_path))]
    assert failures[0] is not None and failures[0][0] == "unreadable"
    assert failures[1:] == [None, None]


def test_a_chunk_larger_than_memory_should_hold_is_refused(tmp_path: Path):
    """A chunk is unpacked whole by zarr: a few bytes of it may stand for terabytes."""
    group = zarr.create_group(tmp_path / "mine.zarr")
    group.create_array("latents", shape=(NUM_FRAMES, 4), chunks=(2**40, 4), dtype="float32")
    group.create_array("offsets", data=OFFSETS)
    with pytest.raises(
        InputError, match=r"a chunk of latents unpacks to \d+ bytes.*smaller chunks"
    ):
        read(tmp_path / "mine.zarr", table(tmp_path))


def test_an_utterance_larger_than_memory_should_hold_is_excluded(tmp_path: Path):
    """Chunks that are not there claim any length: the others are read all the same."""
    group = zarr.create_group(tmp_path / "mine.zarr")
    length = 2**33
    array = group.create_array("latents", shape=(length + 30, 4), chunks=(30, 4), dtype="float32")
    array[:30] = latents()[:30]
    offsets = np.array([0, 30, length, length + 30])
    group.create_array("offsets", data=offsets)
    rows = read_arrays(tmp_path / "mine.zarr", table(tmp_path), ["u0", "u1"])
    first, second = rows
    np.testing.assert_array_equal(first.latents, latents()[:30])
    assert second.failure is not None and "at most" in second.failure[1]


@pytest.mark.parametrize("content", [b"PK\x03\x04 cut", b"", b"text"])
def test_a_file_that_is_no_zip_is_refused_in_one_line(tmp_path: Path, content: bytes):
    (tmp_path / "mine.zip").write_bytes(content)
    what = "is a damaged zip" if content[:2] == b"PK" else "is a file, and no zip"
    with pytest.raises(InputError, match=what):
        read(tmp_path / "mine.zip", table(tmp_path))
