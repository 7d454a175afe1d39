"""A training state as named arrays and a JSON header, and back: what a checkpoint file holds."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from engram_audio.training.loop import TrainingState

GROUPS = ("weights", "moments", "best_weights")
SCALARS = (
    "step", "best_score", "best_step", "num_since_best", "loss_sum", "loss_count", "history",
)  # fmt: skip


def pack_state(state: TrainingState) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays by `<group>/<name>` and the header; no pickled object anywhere."""
    arrays: dict[str, np.ndarray] = {}
    shapes: dict[str, list[int]] = {}
    for group in GROUPS:
        for name, tensor in getattr(state, group).items():
            label = f"{group}/{name}"
            arrays[label] = tensor.detach().cpu().numpy()
            shapes[label] = list(tensor.shape)
    header = {name: getattr(state, name) for name in SCALARS}
    return arrays, {**header, "shapes": shapes}


def unpack_state(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> TrainingState:
    """Return the state of `pack_state`'s arrays and header, bit for bit."""
    groups: dict[str, dict[str, Tensor]] = {group: {} for group in GROUPS}
    for label, shape in header["shapes"].items():
        group, name = label.split("/", 1)
        groups[group][name] = torch.from_numpy(arrays[label].copy()).reshape(shape)
    return TrainingState(**groups, **{name: header[name] for name in SCALARS})
