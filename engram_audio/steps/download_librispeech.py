"""Download one LibriSpeech subset into the corpus's root, or recognise that it is there."""

import logging
import os
from pathlib import Path

from engram_audio.artifacts.download import download
from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.librispeech_archive import extract_subset, has_subset, locked
from engram_audio.corpus.config import LIBRISPEECH_MD5, LIBRISPEECH_URL, LibriSpeechCorpus
from engram_audio.steps import _cli
from engram_audio.steps._progress import ByteProgress

LOG = logging.getLogger(__name__)
URL_VARIABLE = "ENGRAM_LIBRISPEECH_URL"  # a mirror; the checksums stay the published ones


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "download_librispeech",
        __doc__,
        outputs=["receipt"],
        wildcards=["subset"],
        argv=argv,
    )
    section = arguments.load_section("section", LibriSpeechCorpus)
    root, subset = Path(section.root), arguments.subset
    url = f"{os.environ.get(URL_VARIABLE, LIBRISPEECH_URL).rstrip('/')}/{subset}.tar.gz"
    receipt = {"subset": subset, "url": None, "md5": None, "num_files": None, "num_bytes": None}
    with locked(root, subset):
        if has_subset(root, subset):
            LOG.info("%s is there, nothing to download", root / subset)
        else:
            archive = root / f"{subset}.tar.gz"
            if not archive.exists():
                LOG.info("downloading %s", url)
                download(url, archive, LIBRISPEECH_MD5[subset], ByteProgress(subset))
            extracted = extract_subset(archive, root, subset)
            archive.unlink()
            LOG.info("extracted %d files to %s", extracted.num_files, root / subset)
            receipt |= {"url": url, "md5": LIBRISPEECH_MD5[subset], **extracted._asdict()}
    write_json(arguments.receipt, {**arguments.manifest(), **receipt})


if __name__ == "__main__":
    _cli.run(main)
