"""Which evaluators are installed, by version: what a plan may know of them."""

import importlib.metadata

from engram_audio.audio_scores.pins import PINS

RUNTIME = "onnxruntime"


def installed_evaluators() -> dict[str, str]:
    """Return the version of each package of evaluators; "" for one that is not installed."""
    packages = dict.fromkeys(pin.package for pins in PINS.values() for pin in pins)
    return {name: _version(name) for name in (*packages, RUNTIME)}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
