"""Results have one driver at a time, whatever folder names them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engram_audio.errors import InputError
from engram_audio.results_lock import hold_results

HOLDER = """
import signal, sys
from pathlib import Path
from engram_audio.results_lock import hold_results
hold_results(Path(sys.argv[1]), Path(sys.argv[2]))
print("held", flush=True)
signal.pause()
"""


def test_a_second_driver_is_refused_until_the_first_is_gone_however_it_ends(tmp_path: Path):
    """Also by a link, and from another folder; SIGKILL leaves nothing to unlock."""
    results, link = tmp_path / "results", tmp_path / "link"
    results.mkdir()
    link.symlink_to(results)
    command = [sys.executable, "-c", HOLDER, str(results), "/first"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout is not None and first.stdout.readline() == "held\n"
            with pytest.raises(InputError) as refused:
                hold_results(link, tmp_path)
            assert f"another Snakemake works on these results (/first, process {first.pid}" in str(
                refused.value
            )
            first.send_signal(signal.SIGKILL)
            first.wait()
        finally:
            first.kill()
    descriptor, before = hold_results(link, tmp_path)
    assert before is not None and (before.folder, before.pid) == ("/first", first.pid)
    os.close(descriptor)


def test_a_shorter_name_leaves_nothing_of_a_longer_one(tmp_path: Path):
    for folder in ("/long" * 50, "/short", "/é'\"\\"):
        descriptor, _ = hold_results(tmp_path, Path(folder))
        os.close(descriptor)
        descriptor, before = hold_results(tmp_path, Path("/next"))
        os.close(descriptor)
        assert before is not None and before.folder == folder


def test_a_damaged_record_holds_nobody_up(tmp_path: Path):
    for damaged in (b"", b"{", b"[1]", b'{"folder": 1}', b"\xff\xfe"):
        (tmp_path / ".driver").write_bytes(damaged)
        descriptor, before = hold_results(tmp_path, Path("/x"))
        os.close(descriptor)
        assert before is None


def test_results_that_cannot_be_written_are_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written .*pathvars\.results"):
        hold_results(tmp_path / "file", tmp_path)
