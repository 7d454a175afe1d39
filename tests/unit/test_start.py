"""What would fail in every job, or disturb another run, is one line before the first job."""

import os
import re
import sys
from pathlib import Path

import pytest

from engram_audio import start
from engram_audio.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
VENV = str(Path(sys.executable).parent)


def fake_python(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "python").write_text(text)
    (folder / "python").chmod(0o755)


def test_the_python_of_this_environment_passes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", VENV, prepend=os.pathsep)
    start.refuse_other_python(ROOT)


def test_a_path_without_any_python_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"python: jobs cannot run it") as refused:
        start.refuse_other_python(ROOT)
    assert f"PATH={VENV}:$PATH" in str(refused.value) and "\n" not in str(refused.value)


def test_a_python_without_the_dependencies_is_named_with_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The bare interpreter of this environment, without its site-packages."""
    fake_python(tmp_path / "bin", f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(InputError, match=r"lacks \d+ package\(s\) \(pydantic, numpy, ") as refused:
        start.refuse_other_python(ROOT)
    assert f"PATH={VENV}:$PATH" in str(refused.value) and "\n" not in str(refused.value)


def test_a_python_that_no_step_starts_with_is_found_without_the_projects_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fake_python(tmp_path / "bin", f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(start, "dependencies", lambda home: [])
    with pytest.raises(InputError, match=r"fails .*No module named 'pydantic'"):
        start.refuse_other_python(ROOT)


@pytest.mark.parametrize("script", ["exit 3", "echo 'Traceback'; echo 'No module x' >&2; exit 1"])
def test_a_python_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
):
    fake_python(tmp_path / "bin", f"#!/bin/sh\n{script}\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    with pytest.raises(InputError, match=r"which jobs run, fails \(") as refused:
        start.refuse_other_python(ROOT)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("script", ["exit 0", "echo hello", "echo 7", "echo '[1, 2, 3]'"])
def test_what_is_no_python_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
):
    fake_python(tmp_path / "bin", f"#!/bin/sh\n{script}\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    with pytest.raises(InputError, match="which jobs run, is no Python") as refused:
        start.refuse_other_python(ROOT)
    assert "\n" not in str(refused.value)


def test_another_package_of_the_same_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A job looks into its own folder first, as `python -m` does."""
    (tmp_path / "engram_audio").mkdir()
    (tmp_path / "engram_audio" / "__init__.py").touch()
    monkeypatch.setenv("PATH", VENV, prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"jobs would import .*, but the workflow is that of"):
        start.refuse_other_python(ROOT)


def test_the_dependencies_are_the_projects_own_without_the_drivers():
    names = start.dependencies(ROOT)
    assert {"numpy", "torch", "pydantic", "pandas"} <= set(names)
    assert not {*start.OF_THE_DRIVER} & set(names)
    assert all(re.fullmatch(r"[\w-]+", name) for name in names)


def test_without_the_projects_list_only_the_package_is_asked_for(tmp_path: Path):
    assert start.dependencies(tmp_path) == []


@pytest.mark.parametrize("character", ["'", '"', "$", "`", "\\", "%", "\n", "\t"])
def test_a_name_that_a_slurm_job_cannot_be_given_is_refused_on_slurm_only(character: str):
    places = {"the folder": ["/home/me", f"/home/a{character}b"]}
    start.refuse_names(Path("/home"), places, "/bin/python", on_slurm=False)
    with pytest.raises(InputError) as refused:
        start.refuse_names(Path("/home"), places, "/bin/python", on_slurm=True)
    message = str(refused.value)
    assert f"the folder has {character!a} in its name" in message and "\n" not in message


@pytest.mark.parametrize("name", ["a b", "é", "日本", "a-b_c.d", "a(b)", "a&b;c", "a~b!#", "a{b}"])
def test_other_names_pass(name: str):
    start.refuse_names(
        Path(f"/home/{name}"), {"the folder": [f"/home/{name}"]}, "/bin/python", on_slurm=True
    )


@pytest.mark.parametrize("character", [" ", "'", "&", "(", "*", "[", "{", ";", "#", "~", "$"])
def test_the_path_of_python_stands_there_without_quotes(character: str):
    """As of a `.venv` in the workflow's own folder."""
    python = f"/home/a{character}b/.venv/bin/python"
    start.refuse_names(Path("/home"), {}, python, on_slurm=False)
    with pytest.raises(InputError, match=r"Snakemake's Python has .* in its name") as refused:
        start.refuse_names(Path("/home"), {}, python, on_slurm=True)
    assert ascii(character) in str(refused.value)


@pytest.mark.parametrize("name", ["é", "日本", "a-b_c.d", "a,b", "a+b", "a@b", "a=b"])
def test_other_paths_of_python_pass(name: str):
    start.refuse_names(Path("/home"), {}, f"/home/{name}/.venv/bin/python", on_slurm=True)


def test_a_colon_in_the_workflows_folder_would_cut_the_search_path():
    with pytest.raises(InputError, match="the workflow's folder has ':' in its name"):
        start.refuse_names(Path("/home/a:b"), {}, "/bin/python", on_slurm=False)


def test_what_is_cleared_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    start.clear_leftovers([tmp_path])
    assert caplog.text == ""
    (tmp_path / ".a.abcdefgh.part").touch()
    start.clear_leftovers([tmp_path, tmp_path / "absent"])
    assert f"removed 1 unfinished file(s) of killed jobs, the first {tmp_path}" in caplog.text
