"""Download a codec's checkpoint at its pinned commit and check its digest."""

import logging

from engram_audio.artifacts.hub import download_file, read_package_yaml
from engram_audio.artifacts.json_document import write_json
from engram_audio.codecs.config import (
    HubCodecSettings,
    PocketTtsPackageCodecSettings,
    codec_model,
)
from engram_audio.errors import InputError
from engram_audio.steps import _cli

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "download_codec",
        __doc__,
        outputs=["weights", "model_config"],
        wildcards=["codec"],
        argv=argv,
    )
    settings = arguments.load_section("section", codec_model(arguments.section_text("section")))
    key = arguments.section_name("section")
    if not isinstance(settings, HubCodecSettings):
        raise InputError(
            f"codecs.library.{arguments.codec}: kind {settings.kind} has nothing to download"
        )
    if settings.revision is None or settings.weights_sha256 is None:
        raise InputError(
            f"{key}: {settings.checkpoint} is not pinned; set revision to the "
            "commit (40 hex digits, the hub page's History) and weights_sha256 to the SHA-256 that "
            "the hub shows for the weight file, or set checkpoint to a local folder"
        )
    repository, revision = settings.checkpoint, settings.revision
    weights = "model.safetensors"
    if isinstance(settings, PocketTtsPackageCodecSettings):
        weights = settings.weights_file or weights
        name = f"pocket_tts/config/{settings.package_config}.yaml"
        write_json(arguments.model_config, read_package_yaml("pocket-tts", name))
    else:
        download_file(repository, revision, "config.json", arguments.model_config, None)
    download_file(repository, revision, weights, arguments.weights, settings.weights_sha256)
    LOG.info("%s at %s", repository, revision)


if __name__ == "__main__":
    _cli.run(main)
