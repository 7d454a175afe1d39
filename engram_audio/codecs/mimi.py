"""Mimi through transformers: 512-d latents at 12.5 Hz from 24 kHz, in three spaces.

- `pre_quantizer`: what the encoder gives. The decoder was not trained on it.
- `projected`: the sum of the semantic and the acoustic quantiser's projections, without quantising;
  the space the decoder reads.
- `codebooks`: the same sum after quantising with the first n codebooks.

Shapes: B clips, S samples, T frames, D dimensions.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import MimiCodecSettings
from engram_audio.codecs.weights import file_sha256, require_file
from engram_audio.errors import InputError

WEIGHTS, CONFIG = "model.safetensors", "config.json"
ATTENTION = "sdpa"


class MimiCodec(Codec):
    """Adapter of `transformers.MimiModel` in float32; strictly causal."""

    is_causal = True

    def __init__(
        self,
        model: Any,
        settings: MimiCodecSettings,
        sha256: str,
        device: str,
        num_workers: int,
    ) -> None:
        """Keep a loaded model in evaluation mode."""
        self._model = model.to(device).eval()
        self._device = device
        self._num_workers = num_workers
        self._sha256 = sha256
        self._num_codebooks = settings.num_codebooks
        config = model.config
        self.sample_rate_hz = int(config.sampling_rate)
        self.hop_samples = samples_per_frame(config)
        self.nominal_frame_rate_hz = float(config.frame_rate)
        self.num_dims = int(config.hidden_size)
        self.cold_start_frames = convolution_cold_start(config, self.hop_samples)
        self._space = settings.latent_space
        self.latent_space = (
            f"{self._space}_{self._num_codebooks}" if self._num_codebooks else self._space
        )

        if self._num_codebooks:
            code_bits = float(np.log2(config.codebook_size))
            self.bits_per_s = self._num_codebooks * code_bits * self.frame_rate_hz

    def weight_hash(self) -> str:
        """Return the SHA-256 of model.safetensors."""
        return self._sha256

    def weight_fault(self) -> str | None:
        """Refuse an encoder (or, for codebooks, a quantiser) whose weights are all zero."""
        if all(not bool(weight.any()) for weight in self._model.encoder.parameters()):
            return "all encoder weights are zero (a checkpoint published without its encoder?)"
        if self._space == "codebooks":
            buffers = [
                buffer for name, buffer in self._model.quantizer.named_buffers() if "embed" in name
            ]
            if all(not bool(buffer.any()) for buffer in buffers):
                return "all codebooks are zero; this checkpoint cannot quantise"
        return None

    def encode(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Encode a padded batch; no mask is honoured, callers pad to a hop multiple and crop.

        A GPU takes the batch at once. On a CPU padding and cache misses cost more than batching
        saves (1.6 x the time at 60 s per batch), so clips go one by one, in parallel threads.
        """
        if self._device != "cpu":
            return self._encode(waveforms)
        num_frames = waveforms.shape[1] // self.hop_samples
        latents = np.zeros((len(waveforms), num_frames, self.num_dims), np.float32)

        def encode_clip(clip: int) -> None:
            count = -(-int(num_samples[clip]) // self.hop_samples)
            latents[clip, :count] = self._encode(waveforms[[clip], : count * self.hop_samples])[0]

        with ThreadPoolExecutor(self._num_workers) as pool:
            list(pool.map(encode_clip, range(len(waveforms))))
        return latents

    @torch.inference_mode()
    def _encode(self, waveforms: np.ndarray) -> np.ndarray:
        audio = torch.from_numpy(np.ascontiguousarray(waveforms)).to(self._device)[:, None]
        latents = self._model.encoder(audio).latents
        if self._space != "pre_quantizer":
            latents = self._quantizer_output(latents)
        return latents.transpose(1, 2).float().cpu().numpy()

    @torch.inference_mode()
    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Decode one clip; pre-quantiser latents are projected first."""
        inputs = torch.from_numpy(np.array(latents.T, np.float32)).to(self._device)[None]
        if self._space == "pre_quantizer":
            inputs = self._projected(inputs)
        audio = self._model.decoder(inputs).audio_values
        return audio.reshape(-1)[: len(latents) * self.hop_samples].float().cpu().numpy()

    def _quantizer_output(self, latents: torch.Tensor) -> torch.Tensor:
        if self._space == "projected":
            return self._projected(latents)
        codes = self._model.quantizer.encode(latents, self._num_codebooks).transpose(0, 1)
        return self._model.quantizer.decode(codes)

    def _projected(self, latents: torch.Tensor) -> torch.Tensor:
        """Pass both quantisers' projections, [B, D, T] to [B, D, T]; both read the same latents."""
        quantizer = self._model.quantizer
        halves = (
            quantizer.semantic_residual_vector_quantizer,
            quantizer.acoustic_residual_vector_quantizer,
        )
        return sum(half.output_proj(half.input_proj(latents)) for half in halves)  # type: ignore[return-value]


def samples_per_frame(config: Any) -> int:
    """Return the hop in samples: the strides of the encoder's convolutions, multiplied."""
    return int(np.prod(config.upsampling_ratios)) * _latent_stride(config)


def _latent_stride(config: Any) -> int:
    """Return the stride of the last convolution, from the encoder's rate to the frame rate."""
    encoder_rate = config.sampling_rate / np.prod(config.upsampling_ratios)
    return round(float(encoder_rate / config.frame_rate))


def convolution_cold_start(config: Any, hop_samples: int) -> int:
    """Return how many frames at the head have convolutions that reach before the first sample.

    The receptive field of the strided encoder is summed from its kernels; frame t is complete when
    its (t + 1) * hop samples cover it. Attention reaches further back (`sliding_window`), as in any
    utterance that the checkpoint was trained on.
    """
    field, step = int(config.kernel_size), 1
    for ratio in reversed(config.upsampling_ratios):
        for layer in range(config.num_residual_layers):
            dilation = int(config.dilation_growth_rate) ** layer
            field += (int(config.residual_kernel_size) - 1) * dilation * step
        field += (2 * ratio - 1) * step
        step *= ratio
    field += (int(config.last_kernel_size) - 1) * step
    stride = _latent_stride(config)
    field += (2 * stride - 1) * step if stride > 1 else 0
    return max(-(-field // hop_samples) - 1, 0)


def load(
    settings: MimiCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> MimiCodec:
    """Load the codec from a local folder (the registry's entry point); nothing is downloaded.

    Raises:
        InputError: A file is missing or damaged, or the weights are not the pinned ones.
    """
    from transformers import MimiModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32, on a GPU as well

    weights, config = require_file(files, WEIGHTS, "mimi"), require_file(files, CONFIG, "mimi")
    sha256 = file_sha256([weights])
    if settings.weights_sha256 not in (None, sha256):
        raise InputError(
            f"{weights}: SHA-256 is {sha256}, but {settings.weights_sha256} is pinned in "
            "weights_sha256; delete the file and download it again, or change the pin"
        )
    try:
        loaded: Any = MimiModel.from_pretrained(
            config.parent,
            dtype=torch.float32,
            attn_implementation=ATTENTION,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        model, report = loaded
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{weights}: cannot be loaded as Mimi ({error}); fetch it again"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise InputError(
            f"{weights}: lacks {len(missing)} weights of Mimi, for example {missing[0]}; "
            "fetch it again"
        )
    if device == "cpu" and num_workers > 1:
        torch.set_num_threads(1)  # the clips run side by side instead
    return MimiCodec(model, settings, sha256, device, num_workers)
