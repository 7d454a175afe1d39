"""What the training loop trains: a factoriser on chunks of utterances.

Shapes: N frames, C chunks, T frames of a chunk, D latent dimensions.
"""

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.factorizer.health import batch_health
from engram_audio.factorizer.model import Factorizer
from engram_audio.factorizer.price import RatePrice
from engram_audio.factorizer.rollout_loss import curriculum
from engram_audio.factorizer.terms import Chunk, compute_terms, total_loss
from engram_audio.latents.chunks import Chunks


class ChunkData:
    """Chunks of some utterances of a block, by index arithmetic."""

    def __init__(
        self,
        frames: Tensor,
        offsets: np.ndarray,
        utterances: np.ndarray,
        chunk_frames: int,
        burn_in_frames: int,
        maximum_frames: int | None = None,
        is_scored: np.ndarray | None = None,
    ) -> None:
        """Index the chunks.

        Args:
            frames: Shape [N, D], float32.
            offsets: Utterance offsets, shape [U + 1].
            utterances: Numbers of the utterances used.
            chunk_frames: T; chunks start every T - burn-in frames, so that each frame after an
                utterance's own burn-in is scored once.
            burn_in_frames: Frames at a chunk's head that carry no loss.
            maximum_frames: Scored frames at most, in evenly spread chunks.
            is_scored: Which frames decide, shape [N], by default all.
        """
        decides = np.ones(len(frames), dtype=bool) if is_scored is None else is_scored
        self.frames = frames
        self._chunks = Chunks(
            offsets, utterances, chunk_frames, burn_in_frames, decides, maximum_frames
        )

    def __len__(self) -> int:
        """C."""
        return len(self._chunks)

    def batch(self, items: Tensor, device: torch.device) -> Chunk:
        """Return the chunks of numbers `items`."""
        own = self._chunks.of(items)
        frames = self.frames.index_select(0, own.rows.flatten()).view(*own.rows.shape, -1)
        parts = (frames, own.is_real, own.is_scored, own.utterances)
        return Chunk(*(part.to(device) for part in parts))


class FactorizerModule(nn.Module):
    """Model and price in one module: what a checkpoint keeps."""

    def __init__(self, model: Factorizer) -> None:
        super().__init__()
        self.model = model
        self.price = RatePrice(model.settings.loss.kl)


class FactorizerTask:
    """The weighted loss on train chunks; distortion plus priced rate on the choice part."""

    def __init__(
        self,
        model: Factorizer,
        train: ChunkData,
        choice: ChunkData,
        device: torch.device,
        feature_map: Tensor | None = None,
    ) -> None:
        self.model = FactorizerModule(model).to(device)
        self._train, self._choice, self._device = train, choice, device
        self._feature_map = None if feature_map is None else feature_map.to(device)
        self.frames_per_item = model.settings.chunk_frames
        self.details: dict[str, float] = {}

    @property
    def num_items(self) -> int:
        """Train chunks."""
        return len(self._train)

    def loss(self, items: Tensor) -> Tensor:
        """Return the mean loss of train chunks, nats per frame; moves the price of rate."""
        model, price = self.model.model, self.model.price
        settings = model.settings.loss
        steps = curriculum(
            int(price.step), settings.rollout_horizon_frames, settings.rollout_curriculum_steps
        )
        chunk = self._train.batch(items, self._device)
        terms = compute_terms(model, chunk, steps, self._feature_map)
        loss = total_loss(terms, model, price)
        price.follow(float(terms.rate().detach()))
        return loss

    def validate(self) -> float:
        """Return distortion plus priced rate, nats per frame; leaves health in `details`."""
        model, price = self.model.model, self.model.price
        totals: dict[str, float] = {}
        weight = 0
        size = max(8192 // model.settings.chunk_frames, 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same noise at every validation
            for start in range(0, len(self._choice), size):
                items = torch.arange(start, min(start + size, len(self._choice)))
                chunk = self._choice.batch(items, self._device)
                count = int(chunk.is_scored.sum())
                for name, value in batch_health(model, chunk).items():
                    totals[name] = totals.get(name, 0.0) + value * count
                weight += count
        self.details = {name: value / max(weight, 1) for name, value in totals.items()}
        self.details["price"] = float(price.log_price.exp())
        rate = self.details["state_nats"] + self.details["innovation_nats"]
        score = price.score(self.details["distortion_nats"], rate)
        if not model.is_charged:
            score += model.settings.loss.dynamics_weight * self.details["dynamics_nats"]
        return score
