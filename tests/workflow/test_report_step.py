"""The step reads files and writes the page: same files, same bytes; clear words if broken."""

from pathlib import Path

import pytest

from engram_audio.errors import InputError
from engram_audio.steps import render_report
from tests.frozen_argv import run_step
from tests.report_results import step_arguments, step_facts, write_results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    write_results(folder)
    return folder


def render(results: Path) -> None:
    run_step(render_report, step_arguments(results), **step_facts(results))


def test_page_is_written_with_the_timings_that_exist(results):
    render(results)
    page = (results / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "12.5 s" in page, "the benchmark that exists"
    assert "0123456789abcdef" in page, "the code digest of an input"


def test_same_inputs_same_bytes(results):
    render(results)
    first = (results / "report.html").read_bytes()
    render(results)
    assert (results / "report.html").read_bytes() == first


def test_missing_table_is_one_clear_line(results):
    arguments = step_arguments(results)
    (results / "tables" / "structure.csv").unlink()
    with pytest.raises(InputError, match=r"structure\.csv: no such file"):
        run_step(render_report, arguments, **step_facts(results))
    assert not (results / "report.html").exists()


def test_broken_cells_are_one_clear_line(results):
    (results / "structure" / "mel_pca" / "split-0" / "pca" / "cells.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match=r"cells\.parquet: its header is not readable"):
        render(results)
