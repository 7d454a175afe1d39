"""Load a codec through the adapter of its kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import CodecSettings
from engram_audio.codecs.weights import require_digests
from engram_audio.errors import InputError


def load_codec(
    settings: CodecSettings,
    files: Sequence[Path],
    device: str,
    num_workers: int = 1,
    weight_digests: Mapping[str, str] | None = None,
) -> Codec:
    """Load a codec from the files that the rule names, in the order of `Study.codec_files`.

    Args:
        settings: The codec's section.
        files: Weights and what belongs to them.
        device: `cpu` or `cuda`; codecs without torch ignore it.
        num_workers: Threads a codec may encode clips of one batch with.
        weight_digests: Path -> SHA-256 of the files that were pinned; each is checked before the
            adapter sees it. Files that the workflow makes carry their own digest.

    Raises:
        InputError: A file is missing, damaged or not what the settings pin, or a plugin gives
            something that is no codec.
    """
    paths = [Path(file) for file in files]
    require_digests(paths, weight_digests or {})
    adapter, own = settings.behaviour()
    codec = adapter.load(own, paths, device, num_workers)
    if not isinstance(codec, Codec):
        raise InputError(
            f"codecs (kind {settings.kind}): load gave a {type(codec).__name__}, not an "
            "engram_audio.codecs.base.Codec; correct the plugin"
        )
    return codec
