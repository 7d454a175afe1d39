"""Trainings on targets and a bank: batches, the task of the one training loop, predicted laws.

Shapes: M targets, D dimensions, Q features, G components, B batch.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio.corpus.split_parts import TRAIN
from engram_audio.keys.bank import Bank
from engram_audio.keys.features import newest_and_steps
from engram_audio.keys.law_networks import LawModel, run_network
from engram_audio.keys.law_targets import LawTargets
from engram_audio.numerics.units import LOG_2PI

BATCH = 4096
SMALLEST_SCALE = 1e-6  # of a feature, as a share of the largest


class LawMaterial(NamedTuple):
    """What predictors and learned keys are trained on.

    Attributes:
        targets: Of one representation at one lag.
        y: In units of the bank, [M, D], float32.
        bank: Shared components.
        centre: Mean of the train frames, [D], float32.
        scale: Train SD of each feature, [Q], float32.
        device: Where networks run.
    """

    targets: LawTargets
    y: np.ndarray
    bank: Bank
    centre: np.ndarray
    scale: np.ndarray
    device: torch.device

    def features(self, items: np.ndarray) -> np.ndarray:
        """Return the features of some contexts, [m, Q], float32."""
        contexts = self.targets.contexts(items) - self.centre
        return (newest_and_steps(contexts) / self.scale).astype(np.float32, copy=False)


def feature_scale(targets: LawTargets, centre: np.ndarray, maximum: int) -> np.ndarray:
    """Return the SD of each feature over train contexts, thinned to `maximum`, [Q], float32."""
    items = targets.of_part(TRAIN)
    size = min(maximum, len(items))
    items = items[(np.arange(size) * len(items)) // max(size, 1)]
    sd = newest_and_steps(targets.contexts(items) - centre).std(0, dtype=np.float64)
    least = max(SMALLEST_SCALE * float(sd.max(initial=0.0)), np.finfo(np.float32).tiny)
    return np.maximum(sd, least).astype(np.float32)


class _Densities:
    """log N_g(y) on a device: in float64, because narrow components cancel in float32."""

    def __init__(self, bank: Bank, device: torch.device) -> None:
        precision = bank.sds**-2
        self._linear = torch.as_tensor((bank.means * precision).T.copy(), device=device)
        self._precision = torch.as_tensor(precision.T.copy(), device=device)
        constant = -0.5 * (bank.means**2 * precision).sum(1) - np.log(bank.sds).sum(1)
        constant -= 0.5 * bank.means.shape[1] * LOG_2PI
        self._constant = torch.as_tensor(constant, device=device)

    def of(self, y: Tensor) -> Tensor:
        """Return log N_g(y), [B, G], float32."""
        scores = y @ self._linear - 0.5 * (y * y) @ self._precision + self._constant
        return scores.float()


class LawBatches:
    """Batches of some targets."""

    def __init__(self, material: LawMaterial, items: np.ndarray) -> None:
        """Take the numbers of the targets, [m]."""
        self._material, self.items = material, items
        self._densities = _Densities(material.bank, material.device)

    def __len__(self) -> int:
        """M."""
        return len(self.items)

    def batch(self, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features [B, Q], log N_g(y) [B, G] and speakers [B] of some of the targets."""
        material, items = self._material, self.items[numbers.numpy()]
        y = torch.as_tensor(material.y[items], device=material.device, dtype=torch.float64)
        features = torch.as_tensor(material.features(items), device=material.device)
        speakers = torch.as_tensor(material.targets.speaker[items].astype(np.int64))
        return features, self._densities.of(y), speakers.to(material.device)


class LawTask:
    """The mean loss of a model on train targets, and its NLL on those of the choice part."""

    frames_per_item = 1

    def __init__(self, model: LawModel, material: LawMaterial, maximum_validation: int) -> None:
        """Put the model on the device of the material."""
        targets = material.targets
        self.model = model.to(material.device)
        self._train = LawBatches(material, targets.of_part(TRAIN))
        choice = targets.of_part(targets.choice_part)
        size = min(len(choice), maximum_validation)
        self._choice = LawBatches(material, choice[(np.arange(size) * len(choice)) // max(size, 1)])
        self.details: dict[str, float] = {}

    @property
    def num_items(self) -> int:
        """Train targets."""
        return len(self._train)

    def loss(self, items: Tensor) -> Tensor:
        """Return the mean loss of train targets."""
        return self.model.loss(*self._train.batch(items))

    def validate(self) -> float:
        """Return the mean NLL of the choice part in nats."""
        total = 0.0
        for start in range(0, len(self._choice), BATCH):
            numbers = torch.arange(start, min(start + BATCH, len(self._choice)))
            features, scores, _ = self._choice.batch(numbers)
            total += float(self.model.nll(features, scores).double().sum())
        return total / max(len(self._choice), 1)


def predicted_laws(
    material: LawMaterial, network: dict[str, np.ndarray], items: np.ndarray
) -> np.ndarray:
    """Return q(g | context) of some targets, [m, G], float32."""
    arrays = {name: torch.as_tensor(one, device=material.device) for name, one in network.items()}
    found = np.empty((len(items), material.bank.num_components), np.float32)
    with torch.no_grad():
        for start in range(0, len(items), BATCH):
            part = slice(start, start + BATCH)
            features = torch.as_tensor(material.features(items[part]), device=material.device)
            found[part] = run_network(features, arrays).softmax(1).cpu().numpy()
    return found
