"""Keys of planted worlds, scored by their laws: from a world to nats by key and part."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.world import World, simulate
from engram_audio.corpus.split_parts import TRAIN
from engram_audio.keys.bank import BankSection, fit_bank
from engram_audio.keys.config import LastFrameKeys, LearnedKeys
from engram_audio.keys.fit import KeyMaterial, fit_family
from engram_audio.keys.fitted import FittedFamily
from engram_audio.keys.law_config import LawPredictorSection, LawSection
from engram_audio.keys.law_scores import Scoring, score_all
from engram_audio.keys.law_targets import Aim, LawTargets, fit_whitening, index_targets
from engram_audio.keys.law_training import LawMaterial, feature_scale, predicted_laws
from engram_audio.keys.learned_fit import Training, fit_learned, train_predictor
from engram_audio.keys.quantizers import KMeans
from engram_audio.latents.block import LatentBlock
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks
from tests.unit.key_material import keys_section

FULL = WorldSize(60, 20, 25)
TRAIN_FRAMES = 30_000
RECIPE = TrainingRecipe(
    num_steps=1000, batch_frames=512, learning_rate=2e-3, weight_decay=0.05, warmup_steps=50,
    schedule="cosine", final_learning_rate_fraction=0.0, gradient_clip=1.0, precision="float32",
    validation_interval_steps=100, patience_validations=None, maximum_validation_frames=4096,
    checkpoint_interval_steps=1000, is_tensorboard_logged=False,
)  # fmt: skip
TUNING = RECIPE.model_copy(update={"num_steps": 300, "batch_frames": 384, "learning_rate": 5e-4})


def law_section(**changes: Any) -> LawSection:
    """Settings of the scorer."""
    settings = {
        "window_frames": 4, "slices": ("all",), "medial_range": (0.17, 0.83),
        "speech_range_db": 35.0, "lags_frames": (1,),
        "prior_strengths": (1.0, 10.0, 100.0, 1000.0, 10_000.0), "ridges": (1e-6, 1e-2),
        "num_folds": 3, "maximum_frames": TRAIN_FRAMES, "memory_gib": 1.0, "maximum_codes": 4096,
        "oracle_sizes": (), "direction_keys": (), "num_directions": 4, "flip_noise": 0.1, "seed": 0,
    }  # fmt: skip
    return LawSection(**{**settings, **changes})


def bank_section(**changes: Any) -> BankSection:
    """Settings of the bank."""
    settings = {
        "num_components": (128, 256, 512), "minimum_gain_nats": 0.02, "maximum_frames": 30_000,
        "iterations": 12, "shrinkage_frames": 20.0, "noise_fraction": 0.01,
    }  # fmt: skip
    return BankSection(**{**settings, **changes})


def predictor_section(**changes: Any) -> LawPredictorSection:
    """Settings of the predictor."""
    settings = {
        "width": 256, "num_layers": 2, "dropout": 0.0, "recipe": "key", "cluster_frames": 20_000,
        "cluster_restarts": 5, "cluster_iterations": 12,
    }  # fmt: skip
    return LawPredictorSection(**{**settings, **changes})


class Planted(NamedTuple):
    """A simulated world with a part for each utterance."""

    block: LatentBlock
    part_of: dict[str, str]


def planted(world: World, size: WorldSize = FULL) -> Planted:
    """Simulate a world: every tenth train speaker is select, every tenth utterance val."""
    draw = simulate(world, size)
    block, part_of = draw.block, {}
    names = sorted({str(one) for one, role in zip(block.speaker_ids, draw.split_hint, strict=True)
                    if role == "train"})  # fmt: skip
    chosen, count = set(names[::10]), dict.fromkeys(map(str, block.speaker_ids), 0)
    for utterance, speaker, role in zip(
        block.utterance_ids, block.speaker_ids, draw.split_hint, strict=True
    ):
        name = str(speaker)
        count[name] += 1
        known = "val" if count[name] % 10 == 3 else "train"
        part = "select" if name in chosen else known
        part_of[str(utterance)] = part if role == "train" else "eval"
    return Planted(block, part_of)


class Prepared(NamedTuple):
    """Targets of a world in the units of its bank."""

    world: Planted
    targets: LawTargets
    scoring: Scoring
    material: LawMaterial


def prepared(world: Planted, aim: Aim, section: LawSection, bank: BankSection) -> Prepared:
    """Index the targets, fit units and bank."""
    targets = index_targets(
        world.block, world.part_of, section.window_frames, aim.lag_frames, aim.lag_frames,
        section.maximum_frames,
    )  # fmt: skip
    whitening = fit_whitening(
        targets, world.part_of, aim, section.ridges, section.num_folds, bank.noise_fraction
    )
    y = whitening.y(targets)
    train, choice = (y[targets.of_part(part)] for part in (TRAIN, targets.choice_part))
    fitted = fit_bank(train, choice, whitening.floor, bank, 0)
    masks = {"all": np.ones(len(y), bool)}
    centre = whitening.centre.astype(np.float32)
    material = LawMaterial(
        targets, y, fitted.bank, centre, feature_scale(targets, centre, 20_000),
        torch.device("cpu"),
    )  # fmt: skip
    return Prepared(
        world, targets, Scoring(targets, whitening, y, fitted.bank, section, masks), material
    )


def newest_frame(ready: Prepared, sizes: tuple[int, ...]) -> FittedFamily:
    """Fit k-means of the newest frame."""
    family = LastFrameKeys(
        kind="last_frame", inputs=("raw",),
        quantizers=(KMeans(kind="kmeans", codebook_sizes=sizes),),
    )  # fmt: skip
    window = ready.scoring.section.window_frames
    material = KeyMaterial(
        lambda: iter([ready.world.block]), ready.world.part_of, keys_section(window_frames=window)
    )
    return fit_family("last_frame", family, (1,), material)


def nats_of(
    ready: Prepared, aim: Aim, sizes: tuple[int, ...], quantizers: tuple[Any, ...],
    predictor: LawPredictorSection, recipe: TrainingRecipe = RECIPE,
) -> pd.DataFrame:  # fmt: skip
    """Train learned keys and score them beside k-means; return nats by key and part."""
    how = Training(
        predictor, {"key": recipe, "key_tuning": TUNING},
        lambda label, fit: fit(None, Callbacks()), 0, 10, ready.scoring.section.window_frames,
    )  # fmt: skip
    network, _ = train_predictor(ready.material, how)
    family = LearnedKeys(
        kind="learned", inputs=("raw",), target=aim.target, base=aim.base,
        lag_frames=aim.lag_frames, quantizers=quantizers,
    )  # fmt: skip
    learned = fit_learned("learned", family, ready.material, network, how)
    families = [learned.fitted, newest_frame(ready, sizes)]
    names = [key.name for one in families for key in one.keys]
    found = score_all(
        ready.scoring, families, names,
        lambda items: predicted_laws(ready.material, network, items), learned.agreement,
    ).scores  # fmt: skip
    frame = found.loc[:, ["key", "part", "nats", "num_frames"]]
    sums = pd.DataFrame(frame.groupby(["key", "part"], as_index=False).sum())
    sums = sums.assign(mean=sums["nats"] / sums["num_frames"])
    return sums.pivot(index="key", columns="part", values="mean")
