"""Small worlds for tests of the prediction stage, from their equations."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter

from engram_audio.corpus.split_parts import choice_part
from engram_audio.densities.config import AnyHead, HeadSection
from engram_audio.densities.data import WindowData, window_data
from engram_audio.densities.fit import Material
from engram_audio.densities.nulls import NullMoments, fit_linear_nulls
from engram_audio.densities.reference import measure_reference
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.targets import targets_of
from engram_audio.training.config import TrainingRecipe

WINDOW = 4
LAGS = (1, 2)
Simulator = Callable[[np.random.Generator, int], np.ndarray]


def white_noise(num_dims: int) -> Simulator:
    return lambda generator, length: generator.standard_normal((length, num_dims))


def first_order(correlation: float, num_dims: int) -> Simulator:
    def simulate(generator: np.random.Generator, length: int) -> np.ndarray:
        noise = generator.standard_normal((length, num_dims))
        x = noise.copy()
        for t in range(1, length):
            x[t] = correlation * x[t - 1] + np.sqrt(1 - correlation**2) * noise[t]
        return x

    return simulate


def make_block(
    simulate: Simulator, num_speakers: int, num_utterances: int, seed: int, prefix: str = "s"
) -> LatentBlock:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(40, 81, size=num_speakers * num_utterances)
    frames = np.concatenate([simulate(generator, int(n)) for n in lengths]).astype(np.float32)
    speakers = np.repeat([f"{prefix}{n:02d}" for n in range(num_speakers)], num_utterances)
    names = [f"{speaker}-{n:03d}" for n, speaker in enumerate(speakers)]
    return LatentBlock(
        frames=frames,
        energy=np.abs(frames[:, 0]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        utterance_ids=np.array(names, dtype=object),
        speaker_ids=np.array(speakers, dtype=object),
    )


class World(NamedTuple):
    material: Material
    train: LatentBlock
    eval: LatentBlock
    part_of: dict[str, str]

    def eval_data(self, lag: int) -> WindowData:
        targets = targets_of(self.eval, self.material.window_frames, self.material.max_lag_frames)
        return window_data(
            self.eval, targets, lag, self.material.window_frames, self.material.reference.speakers
        )


def make_world(
    simulate: Simulator,
    num_train_speakers: int = 6,
    num_eval_speakers: int = 6,
    num_utterances: int = 10,
    window: int = WINDOW,
    lags: tuple[int, ...] = LAGS,
    seed: int = 0,
    change: Callable[[LatentBlock], LatentBlock] = lambda block: block,
    num_select_speakers: int = 0,
) -> World:
    """`num_select_speakers` of the train speakers are select; without any, choices are on val."""
    train = change(make_block(simulate, num_train_speakers, num_utterances, seed, "t"))
    held = change(make_block(simulate, num_eval_speakers, num_utterances, seed + 1000, "e"))
    part_of = {
        str(name): "val" if number % 10 == 0 else "train"
        for number, name in enumerate(train.utterance_ids)
    } | {str(name): "eval" for name in held.utterance_ids}
    first_select = len(train.utterance_ids) - num_select_speakers * num_utterances
    part_of |= dict.fromkeys(map(str, train.utterance_ids[first_select:]), "select")

    def source():
        return iter([train, held])

    reference = measure_reference(source, part_of, window, max(lags))
    moments = NullMoments(reference, window, lags, choice_part(part_of.values()))
    moments.accumulate(source, part_of, window)
    orders = [order for order in (1, 2, 4, 8) if order <= window]
    linear_nulls = fit_linear_nulls(moments, ("delta", "position"), orders, (1e-6, 1e-3, 1e-1))
    noise = np.zeros(train.frames.shape[1])
    material = Material(train, part_of, reference, linear_nulls, window, max(lags), noise)
    return World(material, train, held, part_of)


def recipe(**changes: object) -> TrainingRecipe:
    values: dict[str, object] = {
        "num_steps": 60,
        "batch_frames": 64,
        "learning_rate": 2e-3,
        "weight_decay": 1e-2,
        "warmup_steps": 5,
        "schedule": "cosine",
        "final_learning_rate_fraction": 0.0,
        "gradient_clip": 1.0,
        "precision": "float32",
        "validation_interval_steps": 10,
        "patience_validations": None,
        "maximum_validation_frames": 512,
        "checkpoint_interval_steps": 7,
        "is_tensorboard_logged": False,
    }
    return TrainingRecipe.model_validate({**values, **changes})


def head_settings(kind: str = "gaussian_mixture", **changes: object) -> AnyHead:
    trunk = {
        "kind": "shared_frames", "width": 32, "num_layers": 2, "frame_width": 8, "dropout": 0.1,
        "context": "increments", "input_clip": 5.0, "output_scale": 0.02,
    }  # fmt: skip
    trunk |= changes.pop("trunk", {})  # type: ignore[arg-type]
    values: dict[str, object] = {
        "kind": kind, "recipe": "r", "is_linear_skip": True, "whitening": "full", "trunk": trunk,
        "marginal": {
            "maximum_components": 8, "minimum_gain_nats": 0.01, "maximum_frames": 5000,
            "recipe": "r",
        },
    }  # fmt: skip
    if kind != "flow":
        values |= {"num_components": 4, "log_sigma_range": (-7.0, 7.0)}
    values |= {
        "student_t_mixture": {"tail": "shared"},
        "low_rank_mixture": {"rank": 2},
        "flow": {"num_transforms": 1, "hidden_features": 16, "context_features": 8},
    }.get(kind, {})
    return TypeAdapter(HeadSection).validate_python({**values, **changes})
