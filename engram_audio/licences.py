"""Under which terms the data and the weights of a study stand, as far as it is known here."""

from collections.abc import Mapping
from typing import Any

OF_CORPUS = {
    "librispeech": "LibriSpeech (Panayotov et al. 2015): CC BY 4.0",
    "demo_speech": "made here by espeak-ng, a program under GPL-3.0-or-later",
    "directory": "your own: whoever owns the folder decides",
}
MADE_HERE = "made here from the data above"
OF_CODEC = {
    "mimi": "kyutai/mimi: CC BY 4.0",
    "lyra": "Lyra 2: Apache-2.0",
    "mel_pca": MADE_HERE,
    "mel_vae": MADE_HERE,
    "vae": MADE_HERE,
}
OF_CODE = "engram_audio: Apache-2.0 (LICENSE)"


def licence_lines(sections: Mapping[str, Any]) -> list[str]:
    """Return one line for each corpus, each codec's weights and each folder of arrays.

    Args:
        sections: Configuration sections by dotted name, as plain documents.
    """
    lines = [OF_CODE]
    for name, section in sorted(sections.items()):
        if name.startswith("corpora."):
            lines.append(f"data {name}: {OF_CORPUS.get(section['kind'], _unknown(section))}")
        elif name.startswith("codecs.library."):
            lines.append(f"weights {name}: {OF_CODEC.get(section['kind'], _unknown(section))}")
        elif name.startswith("representations.library.") and section["kind"] == "arrays":
            lines.append(f"data {name}: {OF_CORPUS['directory']}")
    return lines


def _unknown(section: Mapping[str, Any]) -> str:
    where = section.get("checkpoint") or section["kind"]
    return f"not recorded here: read the card of {where} before you publish"
