"""The page of real size: what is beyond a limit is named, growth is that of its rows."""

import sys
from typing import Any

import pytest

from tests.unit.test_bench_structure import load

BENCH = load("real_size")


def row(frames: int, cpu_s: float, peak_mib: int, rule: str = "fit_keys") -> dict[str, Any]:
    return {
        "rule": rule, "job": f"{rule} (family=pca)", "frames": frames, "cpu_s": cpu_s,
        "peak_mib": peak_mib, "estimated_cpu_s": 10.0, "estimated_mib": 500, "limit_s": 100,
        "limit_mib": 1000, "date": "2026-11-30",
    }  # fmt: skip


def test_growth_leaves_out_the_size_with_larger_books():
    rows = [row(n, 2e-5 * n**1.1, round(0.01 * n**0.5)) for n in (500_000, 1_000_000, 2_000_000)]
    (time, peak) = BENCH.growth([*rows, row(4_500_000, 1e9, 10**9)])["fit_keys (family=pca)"]
    assert time == pytest.approx(1.1)
    assert peak == pytest.approx(0.5, abs=0.01)
    assert BENCH.growth(rows[:1]) == {}


@pytest.mark.parametrize(
    ("cpu_s", "peak_mib", "said"), [(99.0, 999, "yes"), (101.0, 10, "NO"), (10.0, 1001, "NO")]
)
def test_a_job_beyond_a_limit_is_named(cpu_s: float, peak_mib: int, said: str):
    assert f"| {said} |" in BENCH.page([row(500_000, cpu_s, peak_mib)])


def test_rows_stand_by_rule_then_size():
    rows = [row(2, 1, 1, "evaluate_nulls"), row(2, 1, 1), row(1, 1, 1)]
    lines = [line for line in BENCH.page(rows).splitlines() if line.startswith(("| fit", "| eval"))]
    assert [line.split("|")[1:3] for line in lines] == [
        [" fit_keys (family=pca) ", " 1 "],
        [" fit_keys (family=pca) ", " 2 "],
        [" evaluate_nulls (family=pca) ", " 2 "],
    ]


def test_a_smaller_corpus_is_the_beginning_of_a_larger_one(tmp_path, monkeypatch):
    monkeypatch.setattr(BENCH, "SPEAKERS", 2)
    BENCH.write_arrays(tmp_path, 1)
    before = {path: path.read_bytes() for path in (tmp_path / "arrays").iterdir()}
    table = BENCH.write_arrays(tmp_path, 2)
    assert table.read_text().splitlines()[1:] == [
        "s000-u000,s000", "s000-u001,s000", "s001-u000,s001", "s001-u001,s001"
    ]  # fmt: skip
    assert len(before) == 2
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_peak_is_that_of_all_that_a_command_starts():
    hold = "print(len(bytearray(b'1' * (300 << 20))))"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}], check=True)"
    is_made, large = BENCH.run([sys.executable, "-c", outer])
    assert is_made
    assert large > 300
    is_made, small = BENCH.run([sys.executable, "-c", "raise SystemExit(3)"])
    assert not is_made
    assert small <= large  # equal where this process is larger than both
