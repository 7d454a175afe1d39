"""Checkpoints from the Hugging Face hub, at a pinned commit, with a checked digest."""

import contextlib
import importlib.metadata
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.audio import hash_file
from engram_audio.artifacts.checksum import write_checksum
from engram_audio.errors import InputError


def download_file(
    repository: str, revision: str, name: str, target: Path, sha256: str | None
) -> None:
    """Download one file of a hub repository to `target`.

    Args:
        repository: Hub id, for example `kyutai/mimi`.
        revision: Commit, 40 hex digits.
        name: File in the repository.
        target: Where to put it; nothing is left there on failure.
        sha256: Digest that it must have. None: the digest found is kept beside it, for readers.

    Raises:
        InputError: The hub cannot be reached or must not be asked (HF_HUB_OFFLINE), has no such
            file, or the digest differs.
    """
    from huggingface_hub import constants, hf_hub_download

    if constants.HF_HUB_OFFLINE:
        raise InputError(
            f"{repository} at {revision}: {name} is not there yet, and HF_HUB_OFFLINE or "
            "TRANSFORMERS_OFFLINE forbids to download it; make "
            f"{target} without that variable first, or set `checkpoint` to a local folder"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with _download_folder(target) as folder:
        try:
            found = Path(hf_hub_download(repository, name, revision=revision, local_dir=folder))
        except Exception as error:  # the library raises some thirty classes
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{repository} at {revision}: cannot download {name} ({type(error).__name__}: "
                f"{reason}); check the network, or set `checkpoint` to a local folder"
            ) from error
        digest = hash_file(found)
        if sha256 not in (None, digest):
            raise InputError(
                f"{repository} at {revision}: {name} has SHA-256 {digest}, but {sha256} is pinned "
                "in weights_sha256; correct the pin or the revision"
            )
        with atomic_path(target) as temporary:
            shutil.copyfile(found, temporary)
        if sha256 is None:
            write_checksum(target, digest)


@contextlib.contextmanager
def _download_folder(target: Path) -> Iterator[Path]:
    """Yield a hidden folder beside the target; what a killed download has left there goes first."""
    folder = target.parent / f".download-{target.name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_package_yaml(distribution: str, name: str) -> Any:
    """Read a YAML file that an installed distribution ships; the package is not imported.

    Raises:
        InputError: The distribution is not installed, or ships no such file.
    """
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(f"{distribution}: not installed; pip install {distribution}") from error
    path = Path(str(found.locate_file(name)))
    if not path.is_file():
        others = ", ".join(sorted(other.stem for other in path.parent.glob(f"*{path.suffix}")))
        raise InputError(
            f"{distribution} {found.version} has no {name}; it has {others or 'none there'}"
        )
    return yaml.safe_load(path.read_text(encoding="utf-8"))
