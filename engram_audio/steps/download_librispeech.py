"""Download one LibriSpeech subset into the corpus's root, or recognise that it is there."""

import logging
import os
from pathlib import Path

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.librispeech_archive import (
    clear_leftovers,
    extract_subset,
    has_subset,
    locked,
)
from engram_audio.artifacts.published_archive import obtain_archive, remove_download
from engram_audio.corpus.config import LIBRISPEECH_MD5, LIBRISPEECH_URL, LibriSpeechCorpus
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._progress import ByteProgress

LOG = logging.getLogger(__name__)
RECEIPT = ("origin", "url", "archive_md5", "archive_bytes", "num_files", "num_bytes")
URL_VARIABLE = "ENGRAM_LIBRISPEECH_URL"  # a mirror; the checksums stay the published ones


class Files(StepFiles):
    subset: Wildcard[str]
    section: Frozen[LibriSpeechCorpus]
    receipt: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    root, subset = Path(files.section.root), files.subset
    url = f"{os.environ.get(URL_VARIABLE, LIBRISPEECH_URL).rstrip('/')}/{subset}.tar.gz"
    receipt = _put_there(root, subset, url)
    write_json(files.receipt, {**files.manifest(), "subset": subset, **receipt})


def _put_there(root: Path, subset: str, url: str) -> dict[str, object]:
    """Return what was verified; of a folder that lies there already, nothing was."""
    if not has_subset(root, subset):
        with locked(root, subset):
            clear_leftovers(root, subset)
            if not has_subset(root, subset):  # another process may have put it there
                return _unpack(root, subset, url)
    LOG.info("%s is there, nothing to download; it is used as it is", root / subset)
    remove_download(root, subset)
    return {**dict.fromkeys(RECEIPT), "origin": "folder"}


def _unpack(root: Path, subset: str, url: str) -> dict[str, object]:
    archive = obtain_archive(root, subset, url, LIBRISPEECH_MD5, ByteProgress(subset))
    LOG.info("%s: %s, its MD5 is the published one", archive.path, archive.origin)
    extracted = extract_subset(archive.path, root, subset)
    LOG.info("extracted %d files to %s", extracted.num_files, root / subset)
    remove_download(root, subset)
    return {
        "origin": archive.origin,
        "url": url if archive.origin == "downloaded" else None,
        "archive_md5": archive.md5,
        "archive_bytes": archive.num_bytes,
        **extracted._asdict(),
    }


if __name__ == "__main__":
    run(main)
