"""Which adapter serves which kind of codec, and what trains it, by dotted name; imports nothing.

Codecs of other packages come through the kind `plugin` and its entry points.
"""

ADAPTERS = {
    "dac": "engram_audio.codecs.dac",
    "encodec": "engram_audio.codecs.encodec",
    "lyra": "engram_audio.codecs.lyra",
    "mel_pca": "engram_audio.codecs.mel_pca",
    "mel_vae": "engram_audio.codecs.mel_vae",
    "mimi": "engram_audio.codecs.mimi",
    "plugin": "engram_audio.codecs.plugin",
    "pocket_tts": "engram_audio.codecs.pocket_tts",
    "pocket_tts_package": "engram_audio.codecs.pocket_tts_package",
    "vibevoice": "engram_audio.codecs.vibevoice",
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
