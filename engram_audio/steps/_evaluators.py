"""Find the evaluators that `make audio` installs, check their weights, and load them."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from engram_audio.artifacts.digest import file_digest
from engram_audio.audio_scores.hearing import RATE_HZ, Evaluators
from engram_audio.audio_scores.installed import RUNTIME
from engram_audio.audio_scores.names import QUALITY, SPEAKER, WORDS
from engram_audio.audio_scores.pins import ASR_FOLDER, PINS
from engram_audio.audio_scores.quality import Network
from engram_audio.audio_scores.speaker_encoder import SpeakerEncoder
from engram_audio.errors import InputError

REMEDY = "run `make audio`"


def load_evaluators() -> Evaluators:
    """Return the evaluators that are installed.

    Raises:
        InputError: A package carries other weights than those that are pinned.
    """
    words, speaker, quality = (_folder(name) for name in (WORDS, SPEAKER, QUALITY))
    has_runtime = importlib.util.find_spec(RUNTIME) is not None
    return Evaluators(
        _transcriber(words / ASR_FOLDER) if words else None,
        _speaker(speaker / PINS[SPEAKER][0].path) if speaker else None,
        _network(quality / PINS[QUALITY][0].path) if quality and has_runtime else None,
        _normalizer(),
    )


def absent_evaluators(evaluators: Evaluators) -> list[str]:
    """Return the names of those that are not installed."""
    loaded = {
        WORDS: evaluators.transcribe, SPEAKER: evaluators.embed, QUALITY: evaluators.rate,
    }  # fmt: skip
    return [name for name, evaluator in loaded.items() if evaluator is None]


def _folder(name: str) -> Path | None:
    """Return the folder of an evaluator's package, its files checked; None without the package."""
    pins = PINS[name]
    spec = importlib.util.find_spec(pins[0].package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    for pin in pins:
        path = folder / pin.path
        if not path.is_file():
            raise InputError(f"{path}: missing, so that {name} cannot be scored; {REMEDY}")
        digest = file_digest(path)
        if digest != pin.sha256:
            raise InputError(
                f"{path}: SHA-256 {digest} is not the {pin.sha256} that is pinned; another "
                f"release of {pin.package} is installed, {REMEDY}"
            )
    return folder


def _transcriber(folder: Path) -> Callable[[np.ndarray], str]:
    # Not installed everywhere: `make audio`.
    from moonshine_voice.moonshine_api import (  # pyright: ignore[reportMissingImports]
        ModelArch,
    )
    from moonshine_voice.transcriber import (  # pyright: ignore[reportMissingImports]
        Transcriber,
    )

    # With its voice detector on, a clip's transcript begins with what the clip before left behind.
    transcriber = Transcriber(str(folder), ModelArch.TINY, options={"vad_threshold": 0.0})

    def transcribe(waveform: np.ndarray) -> str:
        lines = transcriber.transcribe_without_streaming(waveform.tolist(), RATE_HZ).lines
        return " ".join(line.text for line in lines)

    return transcribe


def _speaker(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    weights = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    return SpeakerEncoder(weights).embed


def _network(path: Path) -> Network:
    import onnxruntime  # pyright: ignore[reportMissingImports]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def network(waveform: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {"input_1": waveform[np.newaxis]})[0])[0]

    return network


def _normalizer() -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    return EnglishTextNormalizer({})
