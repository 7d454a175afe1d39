"""How far frames are from the data: the distance to the nearest of some train frames.

Shapes: R rows, C train frames, D dimensions.
"""

import torch
from torch import Tensor

HELD_OUT = 0.99  # share of true frames that count as on the support


def nearest_distances(frames: Tensor, train: Tensor, maximum_pairs: int) -> Tensor:
    """Return the distance of each frame [R, D] to the nearest train frame [C, D], [R].

    At most `maximum_pairs` distances are held at a time (one row of them at least).
    """
    parts = frames.split(max(maximum_pairs // len(train), 1))
    return torch.cat([torch.cdist(part, train).amin(1) for part in parts])


def support_radius(distances: Tensor) -> float:
    """Return the distance within which .99 of true frames have a train frame; NaN without any."""
    return float(torch.quantile(distances, HELD_OUT)) if len(distances) else float("nan")
