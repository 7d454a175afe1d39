"""What `bench/gpu.py` calls equal, and that it says so where there is no GPU."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file

from engram_audio.cost.jobs import Job
from engram_audio.steps import _device
from tests.unit.test_bench_structure import load

BENCH = load("gpu")


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([1.0, -4.0], [1.0, -4.1], 0.1 / 4.1),
        ([1.0, np.nan], [1.0, np.nan], 0.0),
        ([1.0, np.nan], [1.0, 2.0], np.inf),
        ([1.0, np.inf], [1.0, 2.0], np.inf),
        ([1.0], [1.0, 1.0], np.inf),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([0.0, 0.0], [0.0, 1e-9], 1.0),
    ],
)
def test_a_difference_is_seen_in_tables_and_arrays(tmp_path: Path, ours, theirs, expected):
    for number, values in enumerate((ours, theirs)):
        table = pd.DataFrame({"name": ["a"] * len(values), "nats": values})
        table.to_parquet(tmp_path / f"{number}.parquet")
        save_file({"weight": np.array(values)}, tmp_path / f"{number}.safetensors")
    for suffix in ("parquet", "safetensors"):
        found = BENCH.difference(tmp_path / f"0.{suffix}", tmp_path / f"1.{suffix}")
        assert found == pytest.approx(expected)


def test_an_absent_column_is_a_difference(tmp_path: Path):
    pd.DataFrame({"nats": [1.0]}).to_parquet(tmp_path / "0.parquet")
    pd.DataFrame({"bits": [1.0]}).to_parquet(tmp_path / "1.parquet")
    assert BENCH.difference(tmp_path / "0.parquet", tmp_path / "1.parquet") == np.inf


def test_a_rule_is_compared_file_by_file(tmp_path: Path):
    cpu, gpu = tmp_path / "cpu", tmp_path / "gpu"
    for folder, length, nats in ((cpu, 8.0, 1.0), (gpu, 2.0, 1.5)):
        for place in ("results", "logs", "benchmarks"):
            (folder / place).mkdir(parents=True)
        pd.DataFrame({"s": [length]}).to_csv(folder / "benchmarks" / "one.tsv", sep="\t")
        pd.DataFrame({"nats": [nats]}).to_parquet(folder / "results" / "one.parquet")
    (gpu / "logs" / "one.log").write_text("INFO device memory: 123 MiB at most\n")
    job = Job(
        "train", outputs=(str(gpu / "results" / "one.parquet"),),
        benchmark=str(gpu / "benchmarks" / "one.tsv"),
    )  # fmt: skip
    (row,) = BENCH.rows({"train": [job]}, cpu, gpu)
    assert (row.cpu_s, row.gpu_s, row.memory_mib) == (8.0, 2.0, 123.0)
    assert row.difference == pytest.approx(1 / 3)
    assert "| NO |" in row.line()


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpu.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    BENCH.main()
    assert capsys.readouterr().out.startswith("skipped: torch")


def test_a_step_on_a_gpu_notes_its_memory(monkeypatch, caplog):
    noted = []
    monkeypatch.setattr(_device.atexit, "register", noted.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 3 * 2**20)
    assert _device.resolve_device("auto", True) == "cuda"
    with caplog.at_level("INFO"):
        noted[0]()
    assert BENCH.MEMORY.findall(caplog.text) == ["3"]
    assert _device.resolve_device("cpu", True) == "cpu"
    assert len(noted) == 1
