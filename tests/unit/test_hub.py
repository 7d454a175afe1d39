"""Downloads from the hub: nothing is asked offline, nothing is left behind."""

import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest

from engram_audio.artifacts.hub import download_file
from engram_audio.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
REVISION = "a" * 40
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of b"test"


def served(monkeypatch: pytest.MonkeyPatch, content: bytes | Exception) -> list[Path]:
    """Let the hub library write this; return the folders that it was given."""
    folders: list[Path] = []

    def download(repository: str, name: str, revision: str, local_dir: Path) -> str:
        folders.append(Path(local_dir))
        path = Path(local_dir) / name
        path.write_bytes(b"some" if isinstance(content, Exception) else content)
        if isinstance(content, Exception):
            raise content
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return folders


def test_a_download_leaves_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    served(monkeypatch, b"test")
    target = tmp_path / "mimi" / "model.safetensors"
    download_file("kyutai/mimi", REVISION, "model.safetensors", target, SHA256)
    assert [(path.name, path.read_bytes()) for path in target.parent.iterdir()] == [
        ("model.safetensors", b"test")
    ]


@pytest.mark.parametrize("content", [b"other", OSError("no route")])
def test_a_failed_download_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | Exception
):
    served(monkeypatch, content)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        download_file("a/b", REVISION, "model.safetensors", tmp_path / "model.safetensors", SHA256)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_download_left_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its folder has the same name each time, so that no other run's is mistaken for it."""
    target = tmp_path / "model.safetensors"
    folders = served(monkeypatch, b"test")
    download_file("a/b", REVISION, target.name, target, SHA256)
    (folder,) = folders
    folder.mkdir()
    (folder / "model.safetensors.incomplete").write_bytes(b"x" * 1000)
    download_file("a/b", REVISION, target.name, target, SHA256)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_the_hub_is_not_asked_and_the_variable_stays(tmp_path: Path, variable: str):
    """In a process of its own: the library reads the variable when it is imported."""
    code = (
        "import os, sys; from pathlib import Path\n"
        "from engram_audio.artifacts.hub import download_file\n"
        "from engram_audio.errors import InputError\n"
        "try: download_file('a/b', 'a' * 40, 'x', Path(sys.argv[1]) / 'x', None)\n"
        f"except InputError as error: print(error, os.environ[{variable!r}])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), variable: "1"},
    )  # fmt: skip
    (line,) = done.stdout.splitlines()
    assert "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids" in line and line.endswith(" 1")
    assert list(tmp_path.iterdir()) == []
