"""Download a codec's checkpoint at its pinned commit and check its digest.

Fails where the codec has nothing to download, its checkpoint is not pinned, or a digest differs.
"""

import logging

from engram_audio.artifacts.hub import download_file, read_package_yaml
from engram_audio.artifacts.json_document import write_json
from engram_audio.codecs.config import (
    CodecSection,
    HubCodecSettings,
    PocketTtsPackageCodecSettings,
)
from engram_audio.errors import InputError
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    codec: Wildcard[str]
    section: Frozen[CodecSection]
    weights: Output
    model_config: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    settings = files.section
    if not isinstance(settings, HubCodecSettings):
        raise InputError(
            f"codecs.library.{files.codec}: kind {settings.kind} has nothing to download"
        )
    if settings.revision is None or settings.weights_sha256 is None:
        raise InputError(
            f"codecs.library.{files.codec}: {settings.checkpoint} is not pinned; set revision to "
            "the commit (40 hex digits, the hub page's History) and weights_sha256 to the SHA-256 "
            "that the hub shows for the weight file, or set checkpoint to a local folder"
        )
    repository, revision = settings.checkpoint, settings.revision
    weights = "model.safetensors"
    if isinstance(settings, PocketTtsPackageCodecSettings):
        weights = settings.weights_file or weights
        name = f"pocket_tts/config/{settings.package_config}.yaml"
        write_json(files.model_config, read_package_yaml("pocket-tts", name))
    else:
        download_file(repository, revision, "config.json", files.model_config, None)
    download_file(repository, revision, weights, files.weights, settings.weights_sha256)
    LOG.info("%s at %s", repository, revision)


if __name__ == "__main__":
    run(main)
