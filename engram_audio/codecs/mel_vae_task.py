"""What the training loop trains for a mel_vae: Gaussian reconstruction plus beta times the KL.

Shapes: B crops, T frames, V values of a log-mel stack, D dimensions.
"""

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.codecs.bottleneck import beta_at
from engram_audio.codecs.codec_health import HealthSums
from engram_audio.codecs.crops import Crops
from engram_audio.codecs.fitted_config import MelVaeCodecSettings
from engram_audio.codecs.mel import analysis_of, log_mel_stacks
from engram_audio.codecs.mel_vae_networks import MelVae
from engram_audio.codecs.predictability import predictability_cost
from engram_audio.errors import InputError


class MelVaeModule(nn.Module):
    """The codec and how far training is: what a checkpoint keeps."""

    step: Tensor

    def __init__(self, codec: MelVae) -> None:
        super().__init__()
        self.codec = codec
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))


class MelVaeTask:
    """Distortion plus weighted rate, nats per frame; beta 1 is the negative evidence bound.

    The likelihood is Gaussian with one noise SD for all values, at its optimum: the RMS error
    itself (Rybkin et al. 2021, arXiv 2006.13202). Nothing has to be tuned or learned for it, and a
    larger beta always buys less rate with more noise.
    """

    def __init__(
        self,
        settings: MelVaeCodecSettings,
        codec: MelVae,
        train: Crops,
        choice: Crops,
        device: torch.device,
    ) -> None:
        self.model = MelVaeModule(codec).to(device)
        self._settings, self._device = settings, device
        self._train, self._choice = train, choice
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
        """Return distortion plus weighted rate of train crops, nats per frame."""
        settings = self._settings
        codec, stacks = self.model.codec, self._train.draw(items).to(self._device)
        posterior = codec.encode(stacks)
        error = squared_errors(codec, stacks, posterior.sample()).mean()
        distortion = gaussian_nats(error, stacks.shape[-1])
        rate = posterior.kl_nats().sum(-1).mean()
        beta = beta_at(int(self.model.step), settings.beta, settings.beta_warmup_steps)
        self.model.step += 1
        cost = predictability_cost(posterior.mean, settings.predictability)
        return distortion + beta * rate + cost

    def validate(self) -> float:
        """Return the same on the choice part with the full beta; fills `details`."""
        settings, codec = self._settings, self.model.codec
        sums, error, count = HealthSums(), 0.0, 0
        means = []
        most = settings.recipe.maximum_validation_frames // settings.crop_frames
        size = max(settings.recipe.batch_frames // settings.crop_frames, 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same noise at every validation
            for numbers in self._choice.spread(most, size):
                stacks = self._choice.fixed(numbers).to(self._device)
                posterior = codec.encode(stacks)
                found = squared_errors(codec, stacks, posterior.sample())
                error += float(found.double().sum())
                count += found.numel()
                means.append(posterior.mean)
                _add_health(sums, codec, stacks, posterior.mean, posterior.kl_nats())
        self.details = sums.details(settings.frame_rate_hz)
        mean_error = torch.tensor(error / count, dtype=torch.float64)
        distortion = float(gaussian_nats(mean_error, len(codec.frame_mean)))
        self.details |= {"distortion_nats": distortion, "noise_sd": float(mean_error.sqrt())}
        cost = float(predictability_cost(torch.cat(means), settings.predictability))
        self.details |= {"predictability_loss": cost}
        return distortion + settings.beta * self.details["rate_nats"] + cost


def squared_errors(codec: MelVae, stacks: Tensor, latents: Tensor) -> Tensor:
    """Return squared errors of decoded latents in standardised units, shape [B, T, V]."""
    return ((stacks - codec.decode(latents).float()) / codec.frame_scale).square()


def gaussian_nats(mean_square: Tensor, num_values: int) -> Tensor:
    """Return -ln N(error; 0, noise^2) of V values at the noise that fits best, nats per frame."""
    return 0.5 * num_values * (1 + (2 * math.pi * mean_square.clamp_min(1e-12)).log())


def _add_health(sums: HealthSums, codec: MelVae, stacks: Tensor, means: Tensor, kl: Tensor) -> None:
    """Add what is exported: the error of the mean latents, beside that of the mean train stack."""
    error = (stacks - codec.decode(means).float()).double().square().sum()
    spread = (stacks - codec.frame_mean).double().square().sum()
    sums.add_latents(means.float().cpu().numpy(), kl.float().cpu().numpy())
    sums.add_error(float(error), float(spread))


def frame_statistics(stacks: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean stack [V] and the RMS of a value about its mean [1], float32.

    Raises:
        InputError: There is no frame, or no variance.
    """
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for frames in stacks:
        rows = frames.astype(np.float64)
        count += len(rows)
        total = total + rows.sum(axis=0)
        squares = squares + np.square(rows).sum(axis=0)
    mean = total / max(count, 1)
    variance = float(np.mean(squares / max(count, 1) - mean**2))
    if not variance > 1e-12:
        raise InputError(
            "codecs (kind mel_vae): the train speech has no variance (silence?); check the corpus"
        )
    return mean.astype(np.float32), np.array([math.sqrt(variance)], np.float32)


def build_task(
    settings: MelVaeCodecSettings,
    train: Iterable[np.ndarray],
    choice: Iterable[np.ndarray],
    device: torch.device,
) -> MelVaeTask:
    """Build an untrained codec with its data (the trainers' entry point).

    Args:
        settings: The codec's section.
        train: Waveforms of train utterances at the settings' rate.
        choice: Waveforms of the choice part.
        device: Where to train.

    Raises:
        InputError: A part has no utterance as long as a crop, or train is silent.
    """
    analysis = analysis_of(settings)
    train_stacks = [log_mel_stacks(waveform, analysis) for waveform in train]
    train_crops = Crops(train_stacks, settings.crop_frames, "train")
    choice_stacks = [log_mel_stacks(waveform, analysis) for waveform in choice]
    choice_crops = Crops(choice_stacks, settings.crop_frames, "held-out")
    mean, scale = frame_statistics(train_stacks)
    codec = MelVae(settings, torch.from_numpy(mean), torch.from_numpy(scale))
    return MelVaeTask(settings, codec, train_crops, choice_crops, device)
