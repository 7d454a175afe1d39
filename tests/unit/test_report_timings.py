"""Benchmarks are gathered by the rule whose path fits best; a rule without any has no row."""

from pathlib import Path

import pytest

from engram_audio.artifacts.published import list_benchmarks, read_benchmark
from engram_audio.report.timings import JobTiming, gather_timings

PATTERNS = {
    "score": r"b/structure/(?P<representation>[a-z-]+)/split-(?P<s>\d+)/(?P<family>\w+)\.tsv",
    "linear": r"b/structure/(?P<representation>[a-z-]+)/split-(?P<s>\d+)/linear\.tsv",
    "decide": r"b/decision\.tsv",
}


def test_jobs_are_summed_by_rule_and_the_most_literal_pattern_wins():
    jobs = [
        JobTiming("b/structure/mimi/split-0/pca.tsv", 2.0, 100.0),
        JobTiming("b/structure/mimi/split-0/mean_pool.tsv", 3.0, 300.0),
        JobTiming("b/structure/mimi/split-0/linear.tsv", 1.0, 50.0),
    ]
    rows = gather_timings(PATTERNS, jobs).set_index("rule")
    assert rows.loc["score", ["num_jobs", "total_s", "longest_s", "peak_mib"]].tolist() == [
        2, 5.0, 3.0, 300.0
    ]  # fmt: skip
    assert rows.loc["linear", "num_jobs"] == 1
    assert "decide" not in rows.index


def test_a_file_of_no_rule_is_counted_not_lost():
    rows = gather_timings(PATTERNS, [JobTiming("b/old.tsv", 1.0, 1.0)]).set_index("rule")
    assert rows.loc["(no rule of this workflow)", "num_jobs"] == 1


@pytest.mark.parametrize(
    "content",
    [b"s\tmax_rss\nfast\t3\n", b"s\tmax_rss\n1\tmuch\n", b"s\n", b"[]", b"no table\n1\n",
     b"\xff\xfe\0", b"s\ts\n1\n2\t3\t4\t5\n", b"\0\0"],
)  # fmt: skip
def test_a_benchmark_file_without_numbers_counts_as_absent(tmp_path: Path, content: bytes):
    """Somebody's text in it costs the page one line of timings, never the page."""
    (tmp_path / "a.tsv").write_bytes(content)
    assert read_benchmark(tmp_path / "a.tsv") is None
    assert read_benchmark(tmp_path) is None  # a folder of that name


def test_benchmark_files_absent_empty_or_without_memory_are_survived(tmp_path: Path):
    assert read_benchmark(tmp_path / "absent.tsv") is None
    assert list_benchmarks(tmp_path / "absent") == []
    empty = tmp_path / "empty.tsv"
    empty.write_text("")
    assert read_benchmark(empty) is None
    short = tmp_path / "short.tsv"  # a job too short for Snakemake to sample its memory
    short.write_text("s\th:m:s\tmax_rss\n0.4\t0:00:00\t-\n")
    found = read_benchmark(short)
    assert found is not None
    assert found[0] == pytest.approx(0.4)
    assert list_benchmarks(tmp_path) == [empty, short]
