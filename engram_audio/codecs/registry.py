"""Load a codec; its adapter is imported by name, when it is needed.

No import statement leads from here to an adapter, so that a step's code digest covers the adapter
it runs and no other (`code_digest(step, adapter_module(kind))` in the rules).
"""

import importlib
from collections.abc import Sequence
from pathlib import Path

from engram_audio.codecs.adapters import adapter_module
from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import CodecSettings


def load_codec(
    settings: CodecSettings, files: Sequence[Path], device: str, num_workers: int = 1
) -> Codec:
    """Load a codec from the files that the rule names, in the order of `Study.codec_files`.

    Args:
        settings: The codec's section.
        files: Weights and what belongs to them.
        device: `cpu` or `cuda`; codecs without torch ignore it.
        num_workers: Threads a codec may encode clips of one batch with.

    Raises:
        InputError: A file is missing, damaged or not what the settings pin.
    """
    adapter = importlib.import_module(adapter_module(settings.kind))
    return adapter.load(settings, [Path(file) for file in files], device, num_workers)
