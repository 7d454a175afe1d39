"""Lyra 2 SoundStream: three TFLite graphs whose streaming state lives in the interpreter."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import LyraCodecSettings
from engram_audio.codecs.weights import file_sha256, require_file
from engram_audio.errors import InputError

SAMPLE_RATE_HZ = 16000  # the graphs do not state it; Lyra 2 is a 16 kHz codec
BITS_PER_QUANTIZER = 4  # codebooks of 16: 16, 30, 46 of them are 3.2, 6.0, 9.2 kb/s
COLD_START_FRAMES = 22  # transient of a fresh interpreter, from the published graphs
ENCODER, DECODER, QUANTIZER = "soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite"


class LyraCodec(Codec):
    """SoundStream latents, quantised or not; strictly causal."""

    latent_space = "encoder_output"
    sample_rate_hz = SAMPLE_RATE_HZ
    is_causal = True
    cold_start_frames = context_frames = COLD_START_FRAMES

    def __init__(self, files: Sequence[Path], num_quantizers: int | None, num_workers: int) -> None:
        """Read the graphs; interpreters are made for each clip."""
        names = (ENCODER, DECODER, QUANTIZER)
        paths = [require_file(files, name, "lyra") for name in names]
        self._encoder, self._decoder, self._quantizer = (path.read_bytes() for path in paths)
        self._num_quantizers = num_quantizers
        self._num_workers = num_workers
        self.is_quantized = num_quantizers is not None
        self._hash = file_sha256([paths[0], paths[2]] if num_quantizers else [paths[0]])
        if num_quantizers:
            self.latent_space = f"dequantized_{num_quantizers}_quantizers"
        probe = _interpreter(self._encoder)
        self.hop_samples = int(probe.get_input_details()[0]["shape"][-1])
        self.num_dims = int(probe.get_output_details()[0]["shape"][-1])
        if num_quantizers:
            self.bits_per_s = num_quantizers * BITS_PER_QUANTIZER * self.frame_rate_hz

    def weight_hash(self) -> str:
        """Return the SHA-256 of the encoder (and quantizer) graph and of the bit rate."""
        return (
            self._hash if self._num_quantizers is None else f"{self._hash}-{self._num_quantizers}"
        )

    def encode(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Encode each clip with a new interpreter, clips in parallel threads."""
        num_clips, width = waveforms.shape
        latents = np.zeros((num_clips, width // self.hop_samples, self.num_dims), np.float32)

        num_quantizers = self._num_quantizers

        def encode_clip(clip: int) -> None:
            count = -(-int(num_samples[clip]) // self.hop_samples)
            frames = waveforms[clip, : count * self.hop_samples].reshape(count, self.hop_samples)
            _stream(self._encoder, frames, latents[clip, :count])
            if num_quantizers is not None:
                self._quantize(latents[clip, :count], num_quantizers)

        with ThreadPoolExecutor(self._num_workers) as pool:
            list(pool.map(encode_clip, range(num_clips)))
        return latents

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Decode with LyraGAN, shape [T * hop]."""
        audio = np.zeros((len(latents), self.hop_samples), np.float32)
        _stream(self._decoder, np.ascontiguousarray(latents, np.float32), audio)
        return audio.reshape(-1)

    def _quantize(self, latents: np.ndarray, num_quantizers: int) -> None:
        """Replace latents [T, D] by their dequantised values, in place."""
        interpreter = _interpreter(self._quantizer)
        encode = interpreter.get_signature_runner("encode")
        decode = interpreter.get_signature_runner("decode")
        for row in latents:  # one frame per call is the graph's interface
            codes = encode(input_frames=row[None, None], num_quantizers=np.int32(num_quantizers))[
                "output_0"
            ]
            row[:] = decode(encoding_indices=codes)["output_0"].reshape(-1)


def _interpreter(graph: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=graph, num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"codecs (kind lyra): a .tflite graph is damaged ({error}); fetch the weights again"
        ) from error
    return interpreter


def _stream(graph: bytes, inputs: np.ndarray, outputs: np.ndarray) -> None:
    """Run a graph over the rows of `inputs`, state carried along, rows into `outputs`."""
    interpreter = _interpreter(graph)
    source_index = interpreter.get_input_details()[0]["index"]
    target_index = interpreter.get_output_details()[0]["index"]
    source: Callable[[], np.ndarray] = interpreter.tensor(source_index)
    target: Callable[[], np.ndarray] = interpreter.tensor(target_index)
    for row, result in zip(inputs, outputs, strict=True):  # the graph takes one frame per call
        source()[...] = row
        interpreter.invoke()
        result[:] = target().reshape(-1)


def load(
    settings: LyraCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> LyraCodec:
    """Load the codec (the registry's entry point); TFLite runs on the CPU whatever the device.

    Raises:
        InputError: The runtime is not installed, or a graph is missing or damaged.
    """
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError as error:
        raise InputError(
            "codecs (kind lyra): needs ai-edge-litert; install the extra: pip install .[lyra]"
        ) from error
    return LyraCodec(files, settings.num_quantizers, num_workers)
