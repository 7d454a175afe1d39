"""Arrays that a user brings: usable ones come through unchanged, the others are listed with why."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from engram_audio.artifacts.external_arrays import read_array_table, read_arrays
from engram_audio.errors import InputError
from engram_audio.latents.arrays import collect_block, index_arrays, latent_energy


def array(seed: int, num_frames: int = 5, dims: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_frames, dims))


def table_of(folder: Path, rows: list[tuple[str, ...]], header: str) -> pd.DataFrame:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return read_array_table(path)


def test_every_kind_of_bad_array_is_listed_with_its_reason(tmp_path: Path):
    np.save(tmp_path / "good.npy", array(0))
    np.savez(tmp_path / "packed.npz", latents=array(1).astype(np.float16), energy=np.ones(5))
    np.save(tmp_path / "wide.npy", array(2, dims=4))
    np.save(tmp_path / "flat.npy", np.zeros(7))
    np.save(tmp_path / "row.npy", np.zeros((2, 2**16 + 1), np.float16))
    np.save(tmp_path / "whole.npy", np.zeros((5, 3), np.int32))
    np.save(tmp_path / "hole.npy", np.full((5, 3), np.nan))
    np.save(tmp_path / "huge.npy", np.full((5, 3), 1e300))
    np.save(tmp_path / "object.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "nameless.npz", z=array(3))
    np.savez(tmp_path / "loud.npz", latents=array(3), energy=np.ones(4))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:-8])
    np.save(tmp_path / "a b.npy", array(4))
    rows = [
        (name, "s1")
        for name in (
            "good", "packed", "wide", "row", "flat", "whole", "hole", "huge", "object", "nameless",
            "loud", "cut", "a b", "absent", "good",
        )
    ]  # fmt: skip
    table = table_of(tmp_path, rows, "utterance_id,speaker_id")
    index = index_arrays(read_arrays(tmp_path, table), 12.5, 2, "mine")
    assert index.utterances["utterance_id"].tolist() == ["good", "packed"]
    assert index.num_dims == 3
    assert not index.has_energy
    found = index.exclusions.groupby("utterance_id")["reason"].apply(list).to_dict()
    assert found == {
        "wide": ["wrong_dims"], "flat": ["wrong_shape"], "row": ["wrong_shape"],
        "whole": ["wrong_dtype"],
        "hole": ["not_finite"], "huge": ["not_finite"], "object": ["unreadable"],
        "nameless": ["missing_array"], "loud": ["wrong_energy"], "cut": ["unreadable"],
        "a b": ["unsafe_name"], "absent": ["missing_file"], "good": ["duplicate_id"],
    }  # fmt: skip
    assert len(index.utterances) + len(index.exclusions) == len(rows)


def test_what_no_study_could_use_is_listed_too(tmp_path: Path):
    """Wrong rate, no step, nothing that moves, and a copy under another speaker's name."""
    for name, values in {
        "good": array(0), "again": array(0), "one": array(1, 1), "three": array(2, 3),
        "still": np.full((5, 3), 2.0), "fast": array(3), "odd": array(4),
    }.items():  # fmt: skip
        np.save(tmp_path / f"{name}.npy", values)
    rates = {"good": "12.5", "again": "", "one": "", "three": "12.50", "still": "", "fast": "50",
             "odd": "twelve"}  # fmt: skip
    rows = [(name, "s2" if name == "again" else "s1", rate) for name, rate in rates.items()]
    table = table_of(tmp_path, rows, "utterance_id,speaker_id,frame_rate_hz")
    index = index_arrays(read_arrays(tmp_path, table), 12.5, 4, "mine")
    assert index.utterances["utterance_id"].tolist() == ["good"]
    found = index.exclusions.set_index("utterance_id")["reason"].to_dict()
    assert found == {
        "again": "duplicate", "one": "too_short", "three": "too_short", "still": "constant",
        "fast": "wrong_rate", "odd": "wrong_rate",
    }  # fmt: skip
    details = index.exclusions.set_index("utterance_id")["detail"].to_dict()
    assert details["again"] == "the values of good; keep one of them"


def test_values_sexes_and_durations_come_through(tmp_path: Path):
    np.save(tmp_path / "one.npy", array(0, 25))
    np.save(tmp_path / "two.npy", array(1, 25))
    rows = [("u1", "s2", "female", "one.npy"), ("u0", "s2", "", "two.npy")]
    table = table_of(tmp_path, rows, "utterance_id,speaker_id,sex,file")
    index = index_arrays(read_arrays(tmp_path, table), 12.5, 2, "mine")
    assert index.utterances["sex"].tolist() == ["unknown", "F"]
    assert index.utterances["duration_s"].tolist() == [2.0, 2.0]
    assert set(map(str, index.utterances["audio_path"].tolist())) <= {"None", "nan"}
    names = np.array(["u0", "u1"], dtype=object)
    block = collect_block(read_arrays(tmp_path, table), names, np.array(["s2", "s2"]), False)
    np.testing.assert_array_equal(block.frames[25:], array(0, 25).astype(np.float32))  # u1
    assert block.offsets.tolist() == [0, 25, 50]


OUTSIDE = (
    "../x.npy", "sub/../../x.npy", "{outside}/x.npy", "link.npy", "out/x.npy", "back/../x.npy",
    "../", "nul\0.npy",
)  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("column", ["file", "utterance_id"])
def test_no_array_is_read_from_outside_the_folder(tmp_path: Path, name: str, column: str):
    """Neither by `..`, nor by an absolute path, nor through a link, nor by the id."""
    outside, folder = tmp_path / "outside", tmp_path / "outside" / "data"
    (folder / "sub").mkdir(parents=True)
    np.save(outside / "x.npy", array(0))
    (folder / "link.npy").symlink_to(outside / "x.npy")
    (folder / "out").symlink_to(outside)
    (folder / "back").symlink_to(folder / "sub")
    np.save(folder / "good.npy", array(1))
    row = {"utterance_id": "bad", "speaker_id": "s", "file": ""}
    row[column] = name.format(outside=outside)
    if column == "utterance_id":
        row["utterance_id"] = row["utterance_id"].removesuffix(".npy")
    good = {"utterance_id": "good", "speaker_id": "s", "file": ""}
    found = list(read_arrays(folder, pd.DataFrame([row, good])))
    assert found[0].latents is None
    # what lies inside after all, and is not there, is missing
    expected = "missing_file" if name == "back/../x.npy" else "outside_folder"
    assert found[0].failure is not None and found[0].failure[0] == expected
    assert found[1].failure is None


def test_a_folder_may_be_a_link_and_hold_folders_and_links_of_its_own(tmp_path: Path):
    (tmp_path / "data" / "sub").mkdir(parents=True)
    np.save(tmp_path / "data" / "sub" / "x.npy", array(0))
    (tmp_path / "data" / "y.npy").symlink_to("sub/x.npy")
    (tmp_path / "way").symlink_to("data")
    names = ["sub/x.npy", "y.npy", "sub/../y.npy", str(tmp_path / "data" / "y.npy")]
    rows = [(f"u{n}", "s", name) for n, name in enumerate(names)]
    table = table_of(tmp_path, rows, "utterance_id,speaker_id,file")
    assert [row.failure for row in read_arrays(tmp_path / "way", table)] == [None] * len(names)


def test_a_zarr_store_gives_what_files_give(tmp_path: Path):
    arrays = [array(seed, 4 + seed) for seed in range(3)]
    for number, values in enumerate(arrays):
        np.save(tmp_path / f"u{number}.npy", values)
    rows = [(f"u{number}", f"s{number % 2}") for number in range(3)]
    table = table_of(tmp_path, rows, "utterance_id,speaker_id")
    group = zarr.create_group(tmp_path / "store.zarr")
    joined = np.concatenate(arrays)
    offsets = np.cumsum([0, *(len(values) for values in arrays)])
    for name, values in (("latents", joined), ("offsets", offsets), ("energy", joined[:, 0])):
        group.create_array(name, data=values)
    from_files = index_arrays(read_arrays(tmp_path, table), 12.5, 2, "mine")
    from_store = index_arrays(read_arrays(tmp_path / "store.zarr", table), 12.5, 2, "mine")
    assert from_files.content_hash == from_store.content_hash
    pd.testing.assert_frame_equal(from_files.utterances, from_store.utterances)
    assert from_store.has_energy
    names, speakers = np.array(["u2"], dtype=object), np.array(["s0"], dtype=object)
    rows_of_store = read_arrays(tmp_path / "store.zarr", table, ["u2"])
    block = collect_block(rows_of_store, names, speakers, True)
    np.testing.assert_array_equal(block.energy, arrays[2][:, 0].astype(np.float32))


def test_a_store_that_does_not_fit_the_table_is_refused(tmp_path: Path):
    table = table_of(tmp_path, [("u0", "s0")], "utterance_id,speaker_id")
    group = zarr.create_group(tmp_path / "store.zarr")
    group.create_array("latents", data=array(0))
    with pytest.raises(InputError, match=r"lacks the array\(s\) offsets"):
        list(read_arrays(tmp_path / "store.zarr", table))
    group.create_array("offsets", data=np.array([0, 9]))
    with pytest.raises(InputError, match="offsets must be 2 ascending integers from 0 to 5"):
        list(read_arrays(tmp_path / "store.zarr", table))


def test_without_energies_the_rms_of_the_vector_stands_in():
    np.testing.assert_allclose(latent_energy(np.array([[3.0, 4.0], [0.0, 0.0]])), [12.5**0.5, 0])


def test_nothing_usable_or_a_bad_table_is_an_error(tmp_path: Path):
    table = table_of(tmp_path, [("u0", "s0")], "utterance_id,speaker_id")
    with pytest.raises(
        InputError, match=r"representations\.library\.mine: none of 1 utterances is usable"
    ):
        index_arrays(read_arrays(tmp_path, table), 12.5, 2, "mine")
    with pytest.raises(InputError, match="no such folder or store"):
        list(read_arrays(tmp_path / "nowhere", table))
    with pytest.raises(InputError, match="lacks the column speaker_id"):
        table_of(tmp_path, [("u0",)], "utterance_id")
    with pytest.raises(InputError, match="row 2 has no speaker_id"):
        table_of(tmp_path, [("u0", "")], "utterance_id,speaker_id")
    with pytest.raises(InputError, match="has no rows"):
        table_of(tmp_path, [], "utterance_id,speaker_id")
    with pytest.raises(InputError, match="no such file"):
        read_array_table(tmp_path / "absent.csv")


def test_the_content_hash_follows_the_values(tmp_path: Path):
    table = table_of(tmp_path, [("u0", "s0")], "utterance_id,speaker_id")
    np.save(tmp_path / "u0.npy", array(0))
    first = index_arrays(read_arrays(tmp_path, table), 12.5, 2, "mine").content_hash
    changed = array(0)
    changed[0, 0] += 1e-3
    np.save(tmp_path / "u0.npy", changed)
    assert index_arrays(read_arrays(tmp_path, table), 12.5, 2, "mine").content_hash != first
