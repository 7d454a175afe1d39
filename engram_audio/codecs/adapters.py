"""Which adapter serves which kind of codec, and what trains it, by dotted name; imports nothing.

Codecs of other packages will be looked up in the entry-point group `engram_audio.codecs`, here.
"""

ADAPTERS = {
    "lyra": "engram_audio.codecs.lyra",
    "mel_pca": "engram_audio.codecs.mel_pca",
    "mel_vae": "engram_audio.codecs.mel_vae",
    "mimi": "engram_audio.codecs.mimi",
    "vae": "engram_audio.codecs.vae",
}
TRAINERS = {
    "mel_vae": "engram_audio.codecs.mel_vae_task",
    "vae": "engram_audio.codecs.vae_task",
}


def adapter_module(kind: str) -> str:
    """Return the dotted name of the module that loads codecs of this kind.

    Raises:
        KeyError: No adapter serves the kind.
    """
    return ADAPTERS[kind]


def trainer_module(kind: str) -> str:
    """Return the dotted name of the module that builds the training task of this kind.

    Raises:
        KeyError: Codecs of the kind are not trained here.
    """
    return TRAINERS[kind]
