"""Load a codec; its adapter is imported by name, when it is needed.

No import statement leads from here to an adapter, so that a step's code digest covers the adapter
it runs and no other (`code_digest(step, adapter_module(kind))` in the rules).
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from engram_audio.codecs.adapters import adapter_module
from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import CodecSettings
from engram_audio.codecs.weights import require_digests


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
        InputError: A file is missing, damaged or not what the settings pin.
    """
    paths = [Path(file) for file in files]
    require_digests(paths, weight_digests or {})
    adapter = importlib.import_module(adapter_module(settings.kind))
    return adapter.load(settings, paths, device, num_workers)
