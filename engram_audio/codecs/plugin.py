"""A codec of another package: its settings checked by its own model, then loaded by its own code.

The entry point names a module, or an object, with

- `Settings`: a pydantic model of the section's `settings`, and
- `load(settings, files, device, num_workers)`, which gives a `Codec`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import PluginCodecSettings
from engram_audio.codecs.entry_points import plugin_entry
from engram_audio.errors import InputError


def load(
    settings: PluginCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> Codec:
    """Load the codec (the registry's entry point).

    Raises:
        InputError: The plugin is not installed, cannot be imported, refuses its settings, or gives
            something that is no codec.
    """
    name = settings.plugin
    entry = plugin_entry(name)
    try:
        plugin: Any = entry.load()
        model, loader = plugin.Settings, plugin.load
    except Exception as error:  # whatever its import raises
        raise InputError(
            f"codecs (kind plugin): {name!r} ({entry.value}) cannot be imported, or lacks Settings "
            f"or load ({type(error).__name__}: {error}); reinstall it"
        ) from error
    codec = loader(_validated(model, settings), files, device, num_workers)
    if not isinstance(codec, Codec):
        raise InputError(
            f"codecs (kind plugin): load of {name!r} gave a {type(codec).__name__}, not an "
            "engram_audio.codecs.base.Codec; correct the plugin"
        )
    return codec


def _validated(model: Any, settings: PluginCodecSettings) -> Any:
    try:
        return model.model_validate_json(json.dumps(settings.settings))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["settings", *map(str, first["loc"])])
        raise InputError(
            f"codecs (kind plugin, {settings.plugin}): {key}: {first['msg']}, found "
            f"{first['input']!r}"
        ) from error
