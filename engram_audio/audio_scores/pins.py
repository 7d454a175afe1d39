"""The files of evaluators that their wheels carry, by digest: nothing is fetched from a hub.

`envs/audio.txt` pins the wheels.
"""

from typing import NamedTuple

from engram_audio.audio_scores.names import QUALITY, SPEAKER, WORDS


class Pin(NamedTuple):
    """A file inside of an installed package.

    Attributes:
        package: The package.
        path: Where in its folder.
        sha256: Digest of its content.
    """

    package: str
    path: str
    sha256: str


ASR_FOLDER = "assets/tiny-en"
PINS = {
    WORDS: (
        Pin("moonshine_voice", f"{ASR_FOLDER}/encoder_model.ort",
            "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221"),
        Pin("moonshine_voice", f"{ASR_FOLDER}/decoder_model_merged.ort",
            "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0"),
        Pin("moonshine_voice", f"{ASR_FOLDER}/tokenizer.bin",
            "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d"),
    ),
    SPEAKER: (
        Pin("resemblyzer", "pretrained.pt",
            "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"),
    ),
    QUALITY: (
        Pin("speechmos", "dnsmos_models/sig_bak_ovr.onnx",
            "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd"),
    ),
}  # fmt: skip
