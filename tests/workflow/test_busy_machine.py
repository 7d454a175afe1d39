"""A busy machine makes tests slower, never red: only a hang meets a limit of time."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.conftest import HANG_S, ROOT
from tests.workflow import lab

# Waiting ends with a hang only, and nothing compares a measured time with a number.
CLOCKS = re.compile(
    r"timeout=(?!HANG_S\b)|perf_counter|process_time|thread_time|time_ns\(|getrusage"
    r"|monotonic\(\)(?! \+ HANG_S\b|\)$)|mark\.timeout\((?!6 \* 3600\))"
)


def clocks(text: str) -> list[str]:
    """Lines that look at a clock."""
    return [line for line in text.splitlines() if CLOCKS.search(line)]


def test_no_test_looks_at_a_clock():
    paths = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    found = {str(path): clocks(path.read_text(encoding="utf-8")) for path in paths}
    assert not {path: lines for path, lines in found.items() if lines}


@pytest.mark.parametrize(
    "line",
    [
        "text, _ = driver.communicate(timeout=400)",
        "deadline = time.monotonic() + 120",
        "assert time.process_time() - before < MAXIMUM_S",
        "pytestmark = pytest.mark.timeout(1200, func_only=True)",
    ],
)
def test_what_made_tests_red_counts_as_a_clock(line: str):
    assert clocks(line) == [line]


def test_pytest_ends_hangs_only_and_its_limit_leaves_out_what_fixtures_wait_for():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    options = tomllib.loads(text)["tool"]["pytest"]["ini_options"]
    assert options["timeout"] == HANG_S >= 3600
    assert options["timeout_func_only"] is True


def test_a_process_that_failed_to_build_the_study_leaves_it_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It does not keep the others waiting for what will never be there."""

    def fails(folder: Path) -> Path:
        folder.mkdir()
        (folder / "half").touch()
        raise RuntimeError("no space")

    monkeypatch.setattr(lab, "build_finished", fails)
    with pytest.raises(RuntimeError, match="no space"):
        lab.finished_once(tmp_path)
    built: list[Path] = []
    monkeypatch.setattr(lab, "build_finished", built.append)
    folder = lab.finished_once(tmp_path)
    assert built == [folder] and not folder.exists(), "half a study is not built upon"
    assert lab.finished_once(tmp_path) == folder
    assert built == [folder], "once"
