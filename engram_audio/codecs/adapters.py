"""Which adapter serves which kind of codec, by dotted name; imports nothing.

Codecs of other packages will be looked up in the entry-point group `engram_audio.codecs`, here.
"""

ADAPTERS = {
    "lyra": "engram_audio.codecs.lyra",
    "mel_pca": "engram_audio.codecs.mel_pca",
    "mimi": "engram_audio.codecs.mimi",
}


def adapter_module(kind: str) -> str:
    """Return the dotted name of the module that loads codecs of this kind.

    Raises:
        KeyError: No adapter serves the kind.
    """
    return ADAPTERS[kind]
