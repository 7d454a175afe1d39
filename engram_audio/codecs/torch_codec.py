"""What codecs that run in torch share: batches on a GPU, clips in threads on a CPU, weight checks.

Shapes: B clips, S samples, T frames, D dimensions.
"""

import abc
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch

from engram_audio.codecs.base import Codec
from engram_audio.codecs.pieces import PieceEncoder


class StagedBatch(NamedTuple):
    """A batch on its way to the GPU.

    Attributes:
        audio: Shape [B, 1, S], on the device once `arrival` is reached.
        arrival: Event of the copying stream.
    """

    audio: torch.Tensor
    arrival: Any


class TorchCodec(Codec):
    """A codec that is a `torch.nn.Module` in float32."""

    def __init__(self, model: Any, sha256: str, device: str, num_workers: int) -> None:
        """Keep a loaded model in evaluation mode."""
        self._model = model.to(device).eval()
        self._sha256 = sha256
        self._device = device
        self._num_workers = num_workers
        self._pieces: PieceEncoder | None = None
        self._copies = torch.cuda.Stream() if device == "cuda" else None
        if device == "cpu":
            torch.set_num_threads(1)  # the clips run side by side instead

    @abc.abstractmethod
    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        """Encode [B, 1, S], S a multiple of the hop, to [B, T, D]."""

    @abc.abstractmethod
    def _audio(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode [1, T, D] to about T * hop samples, any shape."""

    @abc.abstractmethod
    def _encoder_parts(self) -> Mapping[str, torch.nn.Module]:
        """Return the modules that latents go through, by name; none may be all zero."""

    def weight_hash(self) -> str:
        """Return the SHA-256 of the weight file."""
        return self._sha256

    def weight_fault(self) -> str | None:
        """Refuse an encoder of which a part is all zero or a weight is not finite."""
        for name, part in self._encoder_parts().items():
            matrices = [weight for weight in part.parameters() if weight.dim() > 1]
            if matrices and not any(bool(weight.any()) for weight in matrices):
                return f"all weights of {name} are zero (a checkpoint without its encoder?)"
            if not all(bool(torch.isfinite(weight).all()) for weight in part.parameters()):
                return f"a weight of {name} is NaN or infinite"
        return None

    def stage(self, waveforms: np.ndarray) -> np.ndarray | StagedBatch:
        """Start the copy to a GPU from pinned memory, beside the batch that is being encoded."""
        if self._copies is None:
            return waveforms
        pinned = torch.from_numpy(self._with_lookahead(waveforms)).pin_memory()
        with torch.cuda.stream(self._copies):
            audio = pinned.to(self._device, non_blocking=True)[:, None]
            return StagedBatch(audio, self._copies.record_event())

    def encode(self, waveforms: np.ndarray | StagedBatch, num_samples: np.ndarray) -> np.ndarray:
        """Encode a padded batch; no mask is relied on, callers pad to a hop multiple and crop.

        A GPU takes the batch at once. On a CPU threads share its clips; each goes one by one where
        padding and cache misses would cost more than batching saves.
        """
        staged = self.stage(waveforms) if isinstance(waveforms, np.ndarray) else waveforms
        if isinstance(staged, StagedBatch):
            torch.cuda.current_stream().wait_event(staged.arrival)
            staged.audio.record_stream(torch.cuda.current_stream())
            latents = self._encode(staged.audio)
            return latents[:, : latents.shape[1] - self.lookahead_frames]
        return self._encode_clips(staged, num_samples)

    def _encode_clips(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        num_frames = waveforms.shape[1] // self.hop_samples
        latents = np.zeros((len(waveforms), num_frames, self.num_dims), np.float32)
        counts = -(-num_samples // self.hop_samples)
        clips = [
            self._with_lookahead(waveforms[[clip], : count * self.hop_samples])
            for clip, count in enumerate(counts)
        ]
        audio = [torch.from_numpy(clip)[:, None] for clip in clips]
        with ThreadPoolExecutor(self._num_workers) as pool:
            if self._pieces is None:
                encoded = [rows[0] for rows in pool.map(self._encode, audio)]
            else:
                encoded = [rows.numpy() for rows in self._pieces.encode(audio, pool.map)]
        for rows, found, count in zip(latents, encoded, counts, strict=True):
            rows[:count] = found[:count]
        return latents

    def encode_plainly(self, waveform: np.ndarray) -> np.ndarray | None:
        """Encode one clip by the model's own call, where `encode` takes another way."""
        if self._pieces is None:
            return None
        audio = torch.from_numpy(self._with_lookahead(waveform[None]))[:, None]
        return self._encode(audio)[0, : len(waveform) // self.hop_samples]

    def _with_lookahead(self, waveforms: np.ndarray) -> np.ndarray:
        """Append silence as far as the encoder looks ahead: every clip then ends alike."""
        tail = self.lookahead_frames * self.hop_samples
        return np.pad(waveforms, ((0, 0), (0, tail))) if tail else np.ascontiguousarray(waveforms)

    @torch.inference_mode()
    def _encode(self, audio: torch.Tensor) -> np.ndarray:
        return self._latents(audio).float().cpu().numpy()

    @torch.inference_mode()
    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Decode one clip, shape [T * hop]; samples that a decoder leaves out are silence."""
        inputs = torch.from_numpy(np.array(latents, np.float32)).to(self._device)[None]
        audio = self._audio(inputs).reshape(-1).float().cpu().numpy()
        num_samples = len(latents) * self.hop_samples
        return np.pad(audio[:num_samples], (0, max(num_samples - len(audio), 0)))

    @torch.inference_mode()
    def stream(self, waveform: np.ndarray, chunk_frames: int) -> np.ndarray | None:
        """Encode a clip in pieces where the model carries state; None where it does not."""
        pieces = torch.from_numpy(waveform).to(self._device)[None, None]
        latents = self._streamed(pieces, chunk_frames * self.hop_samples)
        return None if latents is None else latents[0].float().cpu().numpy()

    def _streamed(self, audio: torch.Tensor, chunk_samples: int) -> torch.Tensor | None:
        """Encode [1, 1, S] in pieces to [1, T, D], or return None."""
        return None
