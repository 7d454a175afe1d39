"""The factorised path against closed forms: exact parts, no training, every sign of a planted bug.

Errors are over utterances; path and exact predictor score the same frames of `ssm`.
"""

import functools
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch

from engram_audio.calibration.kalman import KalmanOracle
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.worlds_linear import LinearGaussian
from engram_audio.factorizer.evaluation import pad_utterances
from engram_audio.factorizer.export import state_block
from engram_audio.factorizer.work import decoding_work
from engram_audio.generation.budget import budget_of
from engram_audio.generation.evaluation import Scope
from engram_audio.generation.factorized.continuation import continued_path
from engram_audio.generation.factorized.path import StatePath, path_budget
from engram_audio.generation.factorized.scores import path_sums
from engram_audio.generation.factorized.sizes import of_equal_work
from engram_audio.latents.block import LatentBlock
from tests.statistical.planted_paths import exact_law
from tests.unit import generator_material
from tests.unit.exact_paths import SHARE, exact_arm, exact_factorizer
from tests.unit.factorizer_material import small_model

CPU = torch.device("cpu")
UTTERANCES, FRAMES, WINDOW = 48, 44, 24
RATE_HZ = 12.5


@functools.cache
def world() -> LinearGaussian:
    found = make_world("ssm", 0)
    assert isinstance(found, LinearGaussian)
    return found


@functools.cache
def block() -> LatentBlock:
    """Utterances of as many speakers, so that sums by speaker are those of utterances."""
    lengths = np.full(UTTERANCES, FRAMES)
    frames = world().model.simulate(lengths, np.random.default_rng(0)).astype(np.float32)
    names = np.array([f"u{number:02d}" for number in range(UTTERANCES)])
    offsets = np.arange(UTTERANCES + 1, dtype=np.int64) * FRAMES
    return LatentBlock(frames, np.ones(len(frames), np.float32), offsets, names, names)


@functools.cache
def path() -> StatePath:
    model = exact_factorizer(world().model)
    return StatePath(model, exact_arm(model, world().model), 0, CPU)


def sums(own: StatePath, num_particles: int) -> pd.DataFrame:
    scope = Scope(WINDOW, 16, CPU)
    return path_sums(own, lambda: iter([block()]), RATE_HZ, scope, num_particles, 0)


class Mean(NamedTuple):
    value: float
    error: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Mean":
        return cls(float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5))


def over_exact(found: pd.DataFrame, name: str) -> Mean:
    """A score less the exact predictor's, nats per frame."""
    rows = np.arange(UTTERANCES * FRAMES).reshape(UTTERANCES, FRAMES)[:, WINDOW:].ravel()
    exact = -KalmanOracle(world().model).log_density(block(), rows, 1, "position")
    exact = exact.reshape(UTTERANCES, -1).mean(1)
    return Mean.of(found[name].to_numpy(float) / found["num_frames"].to_numpy(float) - exact)


def test_the_exact_path_has_the_exact_law_within_the_gap_of_its_particles():
    """The plain bound loses .593 nats, as derived; 64 particles get nearly all of it back."""
    law, found = exact_law(world().model, SHARE), sums(path(), 64)
    assert set(found["num_frames"]) == {FRAMES - WINDOW}
    plain, bound = over_exact(found, "plain"), over_exact(found, "nll")
    assert law.plain - law.exact == pytest.approx(0.593, abs=1e-3)
    assert abs(plain.value - (law.plain - law.exact)) < 3 * plain.error
    assert -3 * bound.error < bound.value < 0.1 * (law.plain - law.exact) + 3 * bound.error
