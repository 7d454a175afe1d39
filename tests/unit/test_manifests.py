"""The manifest inside any artifact is found by kind of file; other files have none."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.columns import Column, Table
from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.latents import LatentMetadata, write_latent_shard
from engram_audio.artifacts.manifests import read_manifest
from engram_audio.artifacts.table import write_csv, write_table
from engram_audio.errors import InputError
from engram_audio.latents.block import LatentBlock

MANIFEST = {"step": "test", "seed": 3, "sections": {"splits": "ab12"}, "absent": None}
FRAME = pd.DataFrame({"x": [1.0, 2.0]})
PLAIN = Table("a", "row", tuple(Column(name, "A column.") for name in FRAME.columns))


def write_shard(path: Path) -> None:
    names = np.array(["u"], dtype=object)
    values = np.ones((4, 2), np.float32)
    block = LatentBlock(values, values[:, 0], np.array([0, 4]), names, names)
    metadata = LatentMetadata("rep", 2, 12.5, "space", "hash", True, 0)
    write_latent_shard(path, block, np.arange(4.0), metadata, MANIFEST)


WRITERS = {
    "a.parquet": lambda path: write_table(path, FRAME, MANIFEST),
    "a.safetensors": lambda path: write_bundle(path, {"w": np.ones(3)}, MANIFEST),
    "a.zarr.zip": write_shard,
    "a.json": lambda path: write_json(path, {"manifest": MANIFEST, "mean": 1.0}),
    "flat.json": lambda path: write_json(path, {**MANIFEST, "kind": "x"}),
    "a.csv": lambda path: write_csv(path, FRAME, PLAIN, MANIFEST),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_was_written_is_read(tmp_path: Path, name: str):
    WRITERS[name](tmp_path / name)
    found = read_manifest(tmp_path / name)
    assert found is not None
    assert {key: found[key] for key in MANIFEST} == MANIFEST


@pytest.mark.parametrize("name", WRITERS)
def test_another_value_in_the_manifest_is_refused(tmp_path: Path, name: str):
    path = tmp_path / name
    WRITERS[name](path)
    damaged = path.with_name("a.csv.sha256") if name == "a.csv" else path
    content = damaged.read_bytes()
    assert content.count(b"ab12") == 1
    damaged.write_bytes(content.replace(b"ab12", b"ab13"))
    with pytest.raises(InputError, match=path.name.replace(".", r"\.")):
        read_manifest(path)


def foreign(folder: Path) -> list[Path]:
    """Files of the same kinds that this package did not write."""
    paths = [folder / name for name in ("f.parquet", "f.safetensors", "f.zarr.zip", "f.json",
                                        "f.csv", "f.flac", "f.yaml", "list.json")]  # fmt: skip
    FRAME.to_parquet(paths[0])
    save_file({"w": np.ones(3)}, paths[1], metadata={"format": "pt"})
    with zipfile.ZipFile(paths[2], "w") as archive:
        archive.writestr("zarr.json", json.dumps({"attributes": {"a": 1}}))
    paths[3].write_text('{"sampling_rate": 24000}')
    FRAME.to_csv(paths[4])
    paths[7].write_text("[1, 2]")
    return paths


def test_files_that_are_none_of_ours_have_no_manifest(tmp_path: Path):
    assert [read_manifest(path) for path in foreign(tmp_path)] == [None] * 8
    write_csv(tmp_path / "plain.csv", FRAME, PLAIN)
    assert read_manifest(tmp_path / "plain.csv") is None


@pytest.mark.parametrize("name", [*WRITERS])
@pytest.mark.parametrize("content", [b"", b"\xff" * 40])
def test_a_missing_or_unreadable_file_is_named(tmp_path: Path, name: str, content: bytes):
    path = tmp_path / name
    with pytest.raises(InputError, match="no such file; run the rule that makes it"):
        read_manifest(path)
    path.write_bytes(content)
    if path.suffix != ".csv":  # whose manifest lies beside it
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            read_manifest(path)


def test_it_imports_no_library_of_a_format():
    code = "import sys, engram_audio.artifacts.manifests; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "zarr", "pandas", "pyarrow"} & set(run.stdout.split())
