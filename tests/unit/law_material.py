"""Small worlds for tests of keys and their laws."""

from typing import Any

import numpy as np
import torch

from engram_audio.keys.bank import Bank
from engram_audio.keys.config import LearnedKeys
from engram_audio.keys.law_config import LawPredictorSection
from engram_audio.keys.law_targets import LawTargets, index_targets
from engram_audio.keys.law_training import LawMaterial, feature_scale
from engram_audio.keys.learned_fit import LearnedFamily, Training, fit_learned, train_predictor
from engram_audio.latents.block import LatentBlock
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks

KINDS = (
    {"kind": "laws", "codebook_sizes": (4,)},
    {"kind": "tuned", "codebook_sizes": (4,), "recipe": "key", "first_beta": 5.0,
     "last_beta": 30.0, "speaker_weight": 0.1},
    {"kind": "vq", "codebook_sizes": (4,), "recipe": "key", "num_dims": 2},
    {"kind": "fsq", "levels": (2, 3), "recipe": "key"},
    {"kind": "product_laws", "num_codes": (2, 3)},
    {"kind": "residual_laws", "num_codes": (3, 2)},
    {"kind": "bits", "num_routes": 2, "num_bits": 1, "recipe": "key"},
    {"kind": "distilled", "teacher": "laws_4", "recipe": "key"},
)  # fmt: skip
PARTS = ("train", "train", "train", "train", "select", "eval", "eval")  # of each speaker


def recipe(**changes: Any) -> TrainingRecipe:
    """A training of seconds."""
    values: dict[str, Any] = {
        "num_steps": 150, "batch_frames": 64, "learning_rate": 5e-3, "weight_decay": 0.0,
        "warmup_steps": 0, "schedule": "constant", "final_learning_rate_fraction": 1.0,
        "gradient_clip": 1.0, "precision": "float32", "validation_interval_steps": 20,
        "patience_validations": None, "maximum_validation_frames": 256,
        "checkpoint_interval_steps": 1000, "is_tensorboard_logged": False,
    }  # fmt: skip
    return TrainingRecipe(**{**values, **changes})


def cycle(seed: int = 0, noise: float = 0.1) -> tuple[LatentBlock, dict[str, str]]:
    """Speakers who walk round four corners and jump now and then; one utterance in four is val."""
    rng = np.random.default_rng(seed)
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
    frames, names, speakers, part_of = [], [], [], {}
    for speaker, part in enumerate(PARTS):
        for number in range(4):
            jumps = rng.random(50) < 0.1
            phase = np.cumsum(np.where(jumps, rng.integers(4, size=50), 1)) + rng.integers(4)
            frames.append(corners[phase % 4] + noise * rng.standard_normal((50, 2)))
            names.append(f"s{speaker}-u{number}")
            speakers.append(f"s{speaker}")
            is_val = part == "train" and number == 3
            part_of[names[-1]] = "val" if is_val else part
    rows = np.concatenate(frames).astype(np.float32)
    offsets = np.arange(0, len(rows) + 1, 50)
    block = LatentBlock(
        rows, np.ones(len(rows), np.float32), offsets, np.array(names, object),
        np.array(speakers, object),
    )  # fmt: skip
    return block, part_of


def targets_of(block: LatentBlock, part_of: dict[str, str], window: int = 2) -> LawTargets:
    """Index all targets at lag 1."""
    return index_targets(block, part_of, window, 1, 1, 100_000)


def corner_bank() -> Bank:
    """Four narrow Gaussians at the corners of `cycle`, in its own units."""
    means = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
    return Bank(np.full(4, 0.25), means, np.full((4, 2), 0.1))


def material(seed: int = 0) -> LawMaterial:
    """Targets of `cycle` at lag 1 in its own units, with the bank of its corners."""
    return material_of(*cycle(seed))


def material_of(block: LatentBlock, part_of: dict[str, str]) -> LawMaterial:
    """The same of any block."""
    targets = targets_of(block, part_of)
    centre = np.zeros(2, np.float32)
    return LawMaterial(
        targets, targets.block.frames[targets.rows], corner_bank(), centre,
        feature_scale(targets, centre, 10_000), torch.device("cpu"),
    )  # fmt: skip


def training(**changes: Any) -> Training:
    """How small families are trained."""
    settings = LawPredictorSection(
        width=16, num_layers=1, dropout=0.0, recipe="key", cluster_frames=1000,
        cluster_restarts=2, cluster_iterations=5,
    )  # fmt: skip
    how = Training(settings, {"key": recipe()}, lambda label, fit: fit(None, Callbacks()), 0, 2, 2)
    return how._replace(**changes)


def family(*kinds: dict[str, Any]) -> LearnedKeys:
    """A learned family of some kinds."""
    values = {"kind": "learned", "inputs": ("raw",), "target": "position", "base": "none",
              "lag_frames": 1, "quantizers": kinds or KINDS}  # fmt: skip
    return LearnedKeys.model_validate(values, strict=False)


def learned(
    *kinds: dict[str, Any], own: LawMaterial | None = None, how: Training | None = None
) -> LearnedFamily:
    """Train a family on `cycle`."""
    own, how = own or material(), how or training()
    network, _ = train_predictor(own, how)
    return fit_learned("learned", family(*kinds), own, network, how)
