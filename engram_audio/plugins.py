"""What decides a rerun beside this package's code: the code of a codec that another one brings."""

from engram_audio.codecs.config import CodecSettings, PluginCodecSettings
from engram_audio.codecs.entry_points import plugin_entry
from engram_audio.provenance import foreign_digest


def code_suffix(settings: CodecSettings) -> str:
    """Return what is appended to the digest of a step that loads this codec: "" for our own.

    For a plugin, its version and the digest of its code: an edit makes its latents again.
    """
    if not isinstance(settings, PluginCodecSettings):
        return ""
    entry = plugin_entry(settings.plugin)
    version = entry.dist.version if entry.dist else "unknown"
    return f"-{version}-{foreign_digest(entry.module.split('.')[0])}"
