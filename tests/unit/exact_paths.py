"""A factoriser and an arm whose weights are set to the exact parts of a linear Gaussian world.

No training stands between the code of the factorised path and closed forms
(`tests.statistical.planted_paths`). Coordinates of the state are those in which its noise is
N(0, I) and what a frame says of it is diagonal.
"""

from typing import Any, NamedTuple

import numpy as np
import torch

from engram_audio.calibration.kalman import StateSpace
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.factorizer.model import Factorizer, FrameScales
from engram_audio.generation.arms import build_arm
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.head import MixtureHead
from engram_audio.generation.model import Generator
from tests.unit import factorizer_material, generator_material

SHARE = 0.64  # of the observation noise's variance that z_rec carries


class Coordinates(NamedTuple):
    """The world in the factoriser's coordinates: transition [n, n], output [D, n], noise SD."""

    transition: np.ndarray
    output: np.ndarray
    noise_sd: float
    stationary: np.ndarray


def coordinates(world: StateSpace) -> Coordinates:
    """Return coordinates with unit state noise and diagonal evidence."""
    root = np.linalg.cholesky(world.state_noise)
    _, turn = np.linalg.eigh(root.T @ world.output.T @ world.output @ root)
    change = root @ turn
    back = np.linalg.inv(change)
    return Coordinates(
        back @ world.transition @ change, world.output @ change,
        float(world.noise[0, 0] ** 0.5), back @ world.stationary() @ back.T,
    )  # fmt: skip


def exact_factorizer(world: StateSpace, prior: str = "gaussian") -> Factorizer:
    """Return the best factoriser of a world, its z_dyn charged."""
    own = coordinates(world)
    dims, size = own.output.shape
    changes: dict[str, Any] = {
        "state__num_dims": size, "state__linear_context_frames": 1, "innovation__num_dims": dims,
        "innovation__prior": prior, "decoder__kind": "plain", "decoder__noise": "shared",
        "decoder__fixed_noise_sd": own.noise_sd * (1 - SHARE) ** 0.5,
    }  # fmt: skip
    scales = FrameScales(torch.zeros(dims), torch.ones(dims))
    model = Factorizer(factorizer_material.settings(**changes), scales, 0.0, 0)
    _set_encoder(model, own)
    _set_dynamics(model, own)
    _set_innovation(model, own)
    with torch.no_grad():
        detail = np.hstack([own.output, SHARE**0.5 * own.noise_sd * np.eye(dims)])
        _set(model.decoder.detail.linear, detail, np.zeros(dims))
        model.whitening.covariance.copy_(torch.from_numpy(own.stationary))
    return model.eval()


def _set(layer: torch.nn.Linear, weight: np.ndarray, bias: np.ndarray) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))


def _set_encoder(model: Factorizer, own: Coordinates) -> None:
    """Evidence of one frame: mean (C'C)^-1 C' x with variances R / (C'C)."""
    precision = np.diag(own.output.T @ own.output) / own.noise_sd**2
    size = len(precision)
    bias = np.concatenate([np.zeros(size), -0.5 * np.log(precision)])
    _set(model.encoder.output, np.zeros(model.encoder.output.weight.shape), bias)
    assert model.encoder.linear is not None
    reads = own.output.T / own.noise_sd**2 / precision[:, None]
    with torch.no_grad():
        model.encoder.linear.convolution.weight.copy_(torch.from_numpy(reads).unsqueeze(-1))


def _set_dynamics(model: Factorizer, own: Coordinates) -> None:
    """N(A z, I): the parameters are a weight, means and log SDs."""
    trunk, size = model.dynamics.density.trunk, len(own.transition)
    assert trunk is not None
    weight = np.zeros(trunk.linear.weight.shape)
    weight[1 : 1 + size, -size:] = own.transition
    _set(trunk.linear, weight, np.zeros(len(weight)))


def _set_innovation(model: Factorizer, own: Coordinates) -> None:
    """q(z_rec | x, z) = N(b (x - C z) / R, 1 - b^2 / R), prior N(0, I)."""
    dims = len(own.output)
    reads = SHARE**0.5 / own.noise_sd * np.hstack([np.eye(dims), -own.output])
    weight = np.vstack([reads, np.zeros(reads.shape)])
    bias = np.concatenate([np.zeros(dims), np.full(dims, 0.5 * np.log(1 - SHARE))])
    _set(model.innovation.posterior.linear, weight, bias)
    prior = model.innovation.prior
    if prior.trunk is None:
        with torch.no_grad():
            prior.free.zero_()
    else:
        shape = prior.trunk.linear.weight.shape
        _set(prior.trunk.linear, np.zeros(shape), np.zeros(shape[0]))


def exact_arm(model: Factorizer, world: StateSpace) -> Generator:
    """Return arm S whose law of exported z_dyn is the world's own."""
    own, units = coordinates(world), model.exported_units()
    root = units.root.double().numpy()
    step = root @ own.transition @ np.linalg.inv(root)
    values, vectors = np.linalg.eigh(root @ root.T)
    size = len(step)
    base = BaseArrays(
        target="position", frame_mean=np.zeros(size), intercept=np.zeros(size), weight=step.T,
        speaker_weight=np.zeros(size), scale=(vectors * values**0.5) @ vectors.T,
    )  # fmt: skip
    head = {**generator_material.SETTINGS["head"], "num_components": 1}
    key = generator_material.key(num_dims=size)
    known = Dimensions(np.zeros(size), np.ones(size), np.zeros(size))
    arm = build_arm(
        "S", generator_material.settings(head=head), generator_material.insertion(), base, key,
        known, torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert isinstance(arm.head, MixtureHead)
    with torch.no_grad():
        arm.head.output.weight.zero_()
        arm.head.output.bias.zero_()
    return arm.eval()
