"""A fitted key as a module: codes of batches of contexts, on any device. Nothing is trained.

A key that is centred by speaker also reads `so_far`, [B, W, D + 1]: at each frame of the
context the mean of the speaker's frames so far, and their number (`keys/so_far.py`).

Shapes: B contexts, W frames of a context, D dimensions, Q features, K codes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engram_audio.keys.fitted import FittedKey, context_features
from engram_audio.numerics.precision import full_precision

SCORES = 1 << 22  # held at a time
SMALLEST_SQUARE = 1e-30  # of a distance, in the units of the data


class KeyEncoder(nn.Module):
    """Codes of the states of a context: of its newest frames, or of those some frames earlier.

    Attributes:
        state_frames: How many frames a state has.
    """

    train_mean: Tensor

    def __init__(self, key: FittedKey) -> None:
        """Keep the arrays as buffers."""
        super().__init__()
        self.fitted, self.state_frames = key, key.state_frames
        self.register_buffer("train_mean", torch.as_tensor(key.train_mean), persistent=False)
        for part, arrays in (("features", key.features), ("cells", key.cells)):
            for name, values in arrays.items():
                self.register_buffer(f"{part}_{name}", torch.as_tensor(values), persistent=False)

    @property
    def num_codes(self) -> int:
        """How many codes there can be."""
        return self.fitted.num_codes

    @property
    def num_values(self) -> int:
        """Numbers that a code is computed with, the train mean aside."""
        return sum(v.numel() for n, v in self.named_buffers() if n != "train_mean")

    @property
    def flops(self) -> int:
        """Multiplications and additions of one code."""
        return 2 * self.num_values

    @property
    def nearest_square(self) -> float:
        """Mean squared distance to the nearest centroid on train."""
        return float(self.fitted.cells["mean_square"])

    def _arrays(self, part: str) -> Mapping[str, Tensor]:
        names = self.fitted.features if part == "features" else self.fitted.cells
        return {name: getattr(self, f"{part}_{name}") for name in names}

    # In full precision also where training is not: a code must not depend on who asks.
    @full_precision
    def features(self, context: Tensor, age: int = 0, so_far: Tensor | None = None) -> Tensor:
        """Return features of the state that ends `age` frames before the newest, shape [B, Q].

        Raises:
            ValueError: The key is centred by speaker, and `so_far` is None.
        """
        stop = context.shape[1] - age
        centres = self._centres(so_far, stop - 1) if self.fitted.is_centred else None
        state = context[:, stop - self.state_frames : stop].float()
        arrays = self._arrays("features")
        return context_features(self.fitted, state, centres, self.train_mean, arrays)

    def _centres(self, so_far: Tensor | None, place: int) -> Tensor:
        """Return the mean so far, shrunk to the train mean and less it, [B, D]."""
        if so_far is None:
            raise ValueError(f"{self.fitted.name}: a context alone does not know its speaker")
        mean, count = so_far[:, place, :-1], so_far[:, place, -1:]
        shrunk = (self.fitted.pseudo_frames + count).clamp_min(1)  # 1 is of nothing counted yet
        return (mean - self.train_mean) * (count / shrunk)

    def codes(self, context: Tensor, count: int, so_far: Tensor | None = None) -> Tensor:
        """Return the codes of the newest `count` states, newest first, shape [B, count], int64."""
        found = [self._code(self.features(context, age, so_far)) for age in range(count)]
        return torch.stack(found, 1) if count > 1 else found[0].unsqueeze(1)

    @full_precision
    def _code(self, features: Tensor) -> Tensor:
        quantizer, arrays = self.fitted.quantizer, self._arrays("cells")
        rows = max(SCORES // quantizer.num_scores(arrays), 1)
        if len(features) <= rows:
            return quantizer.codes(features, arrays)
        return torch.cat([quantizer.codes(part, arrays) for part in features.split(rows)])

    @full_precision
    def nearest(
        self, context: Tensor, count: int, so_far: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the nearest codes of the newest state and their squared distances, [B, count]."""
        features, arrays = self.features(context, 0, so_far), self._arrays("cells")
        relative = self.fitted.quantizer.squares(features, arrays)
        found = relative.topk(count, 1, largest=False)
        squares = (found.values + features.square().sum(1, keepdim=True)).clamp_min(0)
        return found.indices, squares


def following(so_far: Tensor, frame: Tensor) -> Tensor:
    """Return the mean so far and its number after one more frame, [..., D + 1]."""
    count = so_far[..., -1:] + 1
    mean = so_far[..., :-1]
    return torch.cat([mean + (frame - mean) / count, count], -1)


def continued(so_far: Tensor, frames: Tensor) -> Tensor:
    """Return the rows [N, W, D + 1] with those of the frames [N, H, D] that come after them."""
    rows = [so_far]
    for step in range(frames.shape[1]):
        rows.append(following(rows[-1][:, -1:], frames[:, step : step + 1]))
    return torch.cat(rows, 1)
