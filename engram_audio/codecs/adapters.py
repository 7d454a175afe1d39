"""Which adapter serves which kind of codec, by dotted name; imports nothing.

Codecs of other packages come through the kind `plugin` and its entry points.
"""

ADAPTERS = {
    "dac": "engram_audio.codecs.dac",
    "encodec": "engram_audio.codecs.encodec",
    "lyra": "engram_audio.codecs.lyra",
    "mel_pca": "engram_audio.codecs.mel_pca",
    "mimi": "engram_audio.codecs.mimi",
    "plugin": "engram_audio.codecs.plugin",
    "pocket_tts": "engram_audio.codecs.pocket_tts",
    "pocket_tts_package": "engram_audio.codecs.pocket_tts_package",
    "vibevoice": "engram_audio.codecs.vibevoice",
}


def adapter_module(kind: str) -> str:
    """Return the dotted name of the module that loads codecs of this kind.

    Raises:
        KeyError: No adapter serves the kind.
    """
    return ADAPTERS[kind]
