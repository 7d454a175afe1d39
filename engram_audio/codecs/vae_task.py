"""What the training loop trains for a vae: generator and discriminator in one loss.

The loop has one optimiser and one loss. The loss is the generator's plus the discriminator's, and
gradients are stopped so that each reaches its own parameters only: the generator is judged by a
frozen copy of the discriminator, the discriminator sees decoded audio as a constant. One step of
AdamW, whose scaling is per parameter, is then a simultaneous step of both; only the clipping of the
gradient's norm is shared.

Shapes: B crops, S samples, T frames, D dimensions.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.codecs.bottleneck import beta_at
from engram_audio.codecs.codec_health import HealthSums
from engram_audio.codecs.crops import Crops
from engram_audio.codecs.discriminator import (
    Discriminator,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
    judged_by_frozen,
)
from engram_audio.codecs.fitted_config import VaeCodecSettings
from engram_audio.codecs.mel import MelAnalysis, log_mel
from engram_audio.codecs.predictability import predictability_cost
from engram_audio.codecs.spectral_loss import spectral_loss
from engram_audio.codecs.vae_networks import WaveformVae

HEALTH_MELS, HEALTH_HOP_S, HEALTH_WINDOW_S = 80, 0.01, 0.04  # the yardstick of every codec here


class VaeModule(nn.Module):
    """Generator, discriminator and how far training is: what a checkpoint keeps."""

    step: Tensor

    def __init__(self, settings: VaeCodecSettings) -> None:
        super().__init__()
        self.codec = WaveformVae(settings)
        loss = settings.loss
        self.discriminator = (
            Discriminator(loss.discriminator_windows_samples, loss.discriminator_channels)
            if loss.adversarial_weight
            else None
        )
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))


class Terms(NamedTuple):
    """Losses of a batch, scalars: each reaches the parameters of its own network only."""

    generator: Tensor
    discriminator: Tensor


class VaeTask:
    """Reconstruction, rate and, after the warm-up, the adversarial game."""

    def __init__(
        self, settings: VaeCodecSettings, train: Crops, choice: Crops, device: torch.device
    ) -> None:
        self.model = VaeModule(settings).to(device)
        self._settings, self._device = settings, device
        self._train, self._choice = train, choice
        self._mean_mel: np.ndarray | None = None
        self.frames_per_item = settings.crop_frames
        self.details: dict[str, float] = {}

    @property
    def generator(self) -> nn.Module:
        """What is exported."""
        return self.model.codec

    @property
    def num_items(self) -> int:
        """Train crops."""
        return len(self._train)

    def loss(self, items: Tensor) -> Tensor:
        """Return the generator's plus the discriminator's loss of train crops."""
        terms = self.terms(self._train.draw(items).to(self._device))
        self.model.step += 1
        return terms.generator + terms.discriminator

    def terms(self, clean: Tensor) -> Terms:
        """Return both losses of waveforms [B, S] at the present step."""
        settings, step = self._settings, int(self.model.step)
        posterior = self.model.codec.encode(clean)
        decoded = self.model.codec.decode(posterior.sample())
        beta = beta_at(step, settings.beta, settings.beta_warmup_steps)
        rate = posterior.kl_nats().sum(-1).mean()
        generator = self._reconstruction(decoded, clean) + beta * rate
        generator = generator + predictability_cost(posterior.mean, settings.predictability)
        discriminator = self.model.discriminator
        loss = settings.loss
        if discriminator is None or step < loss.adversarial_warmup_steps:
            return Terms(generator, torch.zeros_like(generator))
        real = discriminator(clean)
        judged = judged_by_frozen(discriminator, decoded)
        generator = generator + loss.adversarial_weight * adversarial_loss(judged)
        if loss.feature_weight:
            generator = generator + loss.feature_weight * feature_loss(real, judged)
        return Terms(generator, discriminator_loss(real, discriminator(decoded.detach())))

    def _reconstruction(self, decoded: Tensor, clean: Tensor) -> Tensor:
        loss = self._settings.loss
        total = decoded.new_zeros(())
        if loss.waveform_weight:
            total = total + loss.waveform_weight * (decoded - clean).abs().mean()
        if loss.spectral_weight:
            total = total + loss.spectral_weight * self._spectral(decoded, clean)
        return total

    def _spectral(self, decoded: Tensor, clean: Tensor) -> Tensor:
        loss = self._settings.loss
        return spectral_loss(decoded, clean, loss.spectral_windows_samples, loss.magnitude_floor)

    def validate(self) -> float:
        """Return the score by which weights are kept; leaves reconstruction, rate and health.

        Measured on posterior means, which are what is exported. Where the last weights are kept the
        score is minus the step number, unless the measured one is not finite.
        """
        settings, codec = self._settings, self.model.codec
        sums, spectral, waveform, count = HealthSums(), 0.0, 0.0, 0
        means = []
        mean_mel = self._choice_mean_mel()
        for numbers in self._batches():
            clean = self._choice.fixed(numbers).to(self._device)
            posterior = codec.encode(clean)
            decoded = codec.decode(posterior.mean)
            spectral += float(self._spectral(decoded, clean)) * len(numbers)
            waveform += float((decoded - clean).abs().mean()) * len(numbers)
            count += len(numbers)
            means.append(posterior.mean)
            sums.add_latents(posterior.mean.cpu().numpy(), posterior.kl_nats().cpu().numpy())
            for found, wanted in zip(self._mels(decoded), self._mels(clean), strict=True):
                error, spread = np.square(found - wanted), np.square(wanted - mean_mel)
                sums.add_error(float(error.sum(dtype=float)), float(spread.sum(dtype=float)))
        self.details = sums.details(settings.frame_rate_hz)
        cost = float(predictability_cost(torch.cat(means), settings.predictability))
        self.details |= {"spectral_loss": spectral / count, "waveform_loss": waveform / count}
        self.details |= {"predictability_loss": cost}
        weights, found = settings.loss, self.details
        score = weights.waveform_weight * found["waveform_loss"]
        # Without a reconstruction loss the spectral error still says which weights are better.
        score += (weights.spectral_weight or 1.0) * found["spectral_loss"]
        score += settings.beta * found["rate_nats"] + cost
        is_last_kept = settings.keeps == "last" and math.isfinite(score)
        return -float(self.model.step) if is_last_kept else score

    def _batches(self) -> list[list[int]]:
        recipe, frames = self._settings.recipe, self.frames_per_item
        size = max(recipe.batch_frames // frames, 1)
        return self._choice.spread(recipe.maximum_validation_frames // frames, size)

    def _mels(self, waveforms: Tensor) -> list[np.ndarray]:
        rate = self._settings.sample_rate_hz
        analysis = MelAnalysis(
            sample_rate_hz=rate,
            hop_samples=round(HEALTH_HOP_S * rate),
            window_samples=round(HEALTH_WINDOW_S * rate),
            stack_hops=1,
            num_mels=HEALTH_MELS,
            magnitude_floor=self._settings.loss.magnitude_floor,
        )
        return [log_mel(waveform, analysis) for waveform in waveforms.cpu().numpy()]

    def _choice_mean_mel(self) -> np.ndarray:
        """Return the mean log-mel spectrum of the choice part, shape [N]: the best constant.

        It favours the mean, so a codec that beats it is not let off.
        """
        if self._mean_mel is None:
            mels = [
                mel for batch in self._batches() for mel in self._mels(self._choice.fixed(batch))
            ]
            self._mean_mel = np.asarray(np.concatenate(mels).mean(axis=0, dtype=np.float64))
        return self._mean_mel


def build_task(
    settings: VaeCodecSettings,
    train: Iterable[np.ndarray],
    choice: Iterable[np.ndarray],
    device: torch.device,
) -> VaeTask:
    """Build an untrained codec with its data (the trainers' entry point).

    Args:
        settings: The codec's section.
        train: Waveforms of train utterances at the settings' rate.
        choice: Waveforms of the choice part.
        device: Where to train.

    Raises:
        InputError: A part has no utterance as long as a crop.
    """
    crop_samples = settings.crop_frames * settings.hop_samples
    train_crops = Crops(list(train), crop_samples, "train")
    choice_crops = Crops(list(choice), crop_samples, "held-out")
    return VaeTask(settings, train_crops, choice_crops, device)
