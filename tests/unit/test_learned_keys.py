"""Learned quantisers: what is trained, how its codes are read, and what a killed run loses."""

import dataclasses

import numpy as np
import pytest
import torch

from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.features import WholeContext
from engram_audio.keys.fitted import EVERY_LAG
from engram_audio.keys.law_networks import (
    Perceptron,
    RoutedBits,
    SoftCells,
    VectorQuantized,
    symbols_of,
    unit_rms,
)
from engram_audio.keys.law_scores import codes_of
from engram_audio.keys.law_training import LawTask, predicted_laws
from engram_audio.keys.storage import pack_family, unpack_family
from engram_audio.training.loop import Callbacks, Interrupted, train
from tests.unit.law_material import KINDS, learned, material, recipe, training


@pytest.fixture(scope="module")
def trained():
    """One key of each kind."""
    return learned()


def test_every_kind_makes_a_key(trained):
    """None is missing, and each can be read at every lag."""
    assert trained.fitted.missing == {}
    assert len(trained.fitted.keys) == len(KINDS)
    assert {key.lag_frames for key in trained.fitted.keys} == {EVERY_LAG}


def test_codes_agree_between_stream_batches_and_modules(trained):
    """A code must not depend on who asks: arrays of a stream, of contexts, or tensors."""
    own = material()
    items = np.arange(len(own.targets.rows))
    contexts = own.targets.contexts(items)
    streamed = codes_of(own.targets, trained.fitted.keys)
    for key, codes in zip(trained.fitted.keys, streamed, strict=True):
        assert codes.min() >= 0 and codes.max() < key.num_codes
        assert (key.codes(contexts) == codes).all(), key.name
        module = KeyEncoder(key).codes(torch.from_numpy(contexts), 1)[:, 0]
        assert (module.numpy() == codes).all(), key.name


def test_the_numbers_of_the_network_are_counted(trained):
    """The key's network is part of the budget: scale, two layers and centroids."""
    (key,) = (key for key in trained.fitted.keys if key.name == "learned.raw.laws_4")
    assert KeyEncoder(key).num_values == 4 + (4 * 16 + 16) + (16 * 4 + 4) + 4 * 4
    assert KeyEncoder(key).flops == 2 * KeyEncoder(key).num_values


def test_a_family_is_stored_and_read_back(trained):
    """Arrays, kinds and settings."""
    arrays, header = pack_family(trained.fitted)
    found = unpack_family(arrays, header)
    contexts = material().targets.contexts(np.arange(50))
    for before, after in zip(trained.fitted.keys, found.keys, strict=True):
        assert after.quantizer == before.quantizer
        assert (after.codes(contexts) == before.codes(contexts)).all()


def test_a_learned_key_sees_the_corner(trained):
    """Four laws for four corners: the code tells the newest corner."""
    own = material()
    (key,) = (key for key in trained.fitted.keys if key.name == "learned.raw.laws_4")
    contexts = own.targets.contexts(np.arange(len(own.targets.rows)))
    corner = (contexts[:, -1] > 0) @ np.array([2, 1])
    codes = key.codes(contexts)
    joint = np.unique(np.stack([codes, corner], 1), axis=0)
    assert len(joint) == 4


def test_a_distilled_key_names_its_agreement(trained):
    """The share of choice frames with the teacher's code: a linear layer tells corners apart."""
    assert trained.agreement["learned.raw.distilled_laws_4"] > 0.9


def test_too_few_frames_make_no_key():
    """A key of more cells than train can fill is listed with its reason."""
    found = learned({"kind": "laws", "codebook_sizes": (4, 2048)}).fitted
    assert [key.name for key in found.keys] == ["learned.raw.laws_4"]
    assert "not_attempted: 2048 cells need 4096 train frames" in found.missing[
        "learned.raw.laws_2048"
    ][1]  # fmt: skip


def test_features_are_the_newest_frame_and_the_steps_before_it():
    """Contexts, rows of a stream and tensors give the same; a centre has no steps."""
    contexts = np.random.default_rng(0).normal(size=(5, 3, 2)).astype(np.float32)
    feature, arrays = WholeContext(), {"scale": np.arange(1, 7, dtype=np.float32)}
    wanted = np.concatenate(
        [contexts[:, 2], contexts[:, 2] - contexts[:, 1], contexts[:, 1] - contexts[:, 0]], 1
    ) / arrays["scale"]  # fmt: skip
    np.testing.assert_allclose(feature.of_contexts(contexts, arrays), wanted, rtol=1e-6)
    tensors = {"scale": torch.from_numpy(arrays["scale"])}
    found = feature.of_contexts(torch.from_numpy(contexts), tensors).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    frames, rows = contexts.reshape(-1, 2), np.array([3, 6])
    np.testing.assert_allclose(
        feature.of_rows(frames, rows, 1, 3, arrays),
        feature.of_contexts(np.stack([frames[0:3], frames[3:6]]), arrays),
        rtol=1e-6,
    )
    centre = contexts[:, -1]
    shifted = feature.of_contexts(contexts - centre[:, None], arrays)
    np.testing.assert_allclose(shifted, wanted - feature.of_centres(centre, arrays), atol=1e-5)


def test_a_bit_is_charged_what_its_other_value_would_have_read():
    """dL/dz_j = p (1 - p) <g, E(bit 1) - E(bit 0)>, rows get their plain gradient."""
    torch.manual_seed(0)
    model = RoutedBits(num_inputs=3, num_routes=2, num_bits=2, num_out=4)
    features, scores = torch.randn(6, 3), torch.randn(6, 4)
    model.nll(features, scores).sum().backward()
    z = (unit_rms(features) @ model.router.T).unflatten(1, (2, 2)).detach()
    symbols, routes = symbols_of(z), torch.arange(2)
    rows = model.table.detach()[routes, symbols].requires_grad_()
    weights = torch.log_softmax(model.bias.detach() + rows.sum(1), 1)
    (-torch.logsumexp(weights + scores, 1)).sum().backward()
    assert rows.grad is not None and model.table.grad is not None
    table = torch.zeros_like(model.table)
    for item in range(6):
        for route in range(2):
            table[route, symbols[item, route]] += rows.grad[item, route]
    torch.testing.assert_close(model.table.grad, table)
    change = torch.zeros_like(z)
    for bit in range(2):
        on, off = symbols | (1 << bit), symbols & ~(1 << bit)
        difference = (model.table[routes, on] - model.table[routes, off]).detach()
        change[:, :, bit] = (rows.grad * difference).sum(2)
    p = torch.sigmoid(z)
    wanted = (p * (1 - p) * change).flatten(1).T @ unit_rms(features)
    torch.testing.assert_close(model.router.grad, wanted)


def test_the_soft_loss_is_the_expectation_over_the_codes():
    """sum_k r(k | c) (-log p(y | k)), with r and p written out."""
    torch.manual_seed(0)
    network = Perceptron(3, 8, 1, 0.0, 5)
    centroids = torch.softmax(torch.randn(4, 5), 1)
    model = SoftCells(network, centroids, (2.0, 2.0), 10, 3, 0.0)
    features, scores = torch.randn(7, 3), torch.randn(7, 5)
    laws = torch.softmax(network(features), 1)
    soft = torch.softmax(2.0 * laws @ centroids.log().T, 1)
    dense = torch.log(torch.exp(scores) @ centroids.T)
    wanted = -(soft * dense).sum(1).mean()
    torch.testing.assert_close(model.loss(features, scores, torch.zeros(7).long()), wanted)
    hard = dense[torch.arange(7), (laws @ centroids.log().T).argmax(1)]
    torch.testing.assert_close(model.nll(features, scores), -hard)


def test_the_speaker_term_turns_the_gradient_round():
    """The classifier learns the speaker, the key unlearns it: opposite signs, by the weight."""
    torch.manual_seed(0)
    features, scores = torch.randn(7, 3), torch.zeros(7, 5)
    speakers = torch.arange(7) % 3
    gradients = []
    for weight in (1e-9, 1.0, 2.0):
        torch.manual_seed(1)
        model = SoftCells(
            Perceptron(3, 8, 1, 0.0, 5), torch.softmax(torch.randn(4, 5), 1), (5.0, 5.0), 10, 3,
            weight,
        )  # fmt: skip
        model.loss(features, scores, speakers).backward()
        grad = model.log_centroids.grad
        assert grad is not None
        gradients.append(grad)
    torch.testing.assert_close(gradients[2] - gradients[0], 2 * (gradients[1] - gradients[0]))
    assert gradients[1].abs().max() > 0


def test_idle_codes_restart_on_inputs():
    """With all codes but one far away, the key still comes to use several."""
    torch.manual_seed(0)
    model = VectorQuantized(Perceptron(4, 16, 1, 0.0, 2), 8, 2, 4)
    with torch.no_grad():
        model.codebook[1:] = torch.tensor([-1.0, 0.0])
        model.codebook[0] = torch.tensor([1.0, 0.0])
    own = material()
    task = LawTask(model, own, 256)
    train(task, recipe(num_steps=60), 0, torch.device("cpu"))
    features = torch.from_numpy(own.features(np.arange(200)))
    assert len(model._encoded(features)[2].unique()) >= 3


class _StopAt:
    """Asks a training to stop after some steps."""

    def __init__(self, steps: int) -> None:
        self.left, self.saved = steps, None

    def save(self, state) -> None:
        self.saved = dataclasses.replace(state)

    def stop(self) -> bool:
        self.left -= 1
        return self.left == 0


@pytest.mark.parametrize("kind", ["vq", "tuned"])
def test_a_killed_training_ends_with_the_same_bits(kind):
    """Restarts of codes and the growing sharpness are part of the state."""
    own, how = material(), recipe(num_steps=50, learning_rate=1e-2)

    def fresh():
        torch.manual_seed(3)
        network = Perceptron(4, 16, 1, 0.1, 2 if kind == "vq" else 4)
        if kind == "vq":
            return VectorQuantized(network, 16, 2, 4)
        return SoftCells(network, torch.softmax(torch.randn(8, 4), 1), (1.0, 30.0), 50, 7, 0.1)

    device = torch.device("cpu")
    whole = train(LawTask(fresh(), own, 256), how, 5, device)
    asked = _StopAt(27)
    with pytest.raises(Interrupted):
        train(
            LawTask(fresh(), own, 256), how, 5, device,
            callbacks=Callbacks(save=asked.save, should_stop=asked.stop),
        )  # fmt: skip
    resumed = train(LawTask(fresh(), own, 256), how, 5, device, asked.saved)
    assert whole.weights.keys() == resumed.weights.keys()
    for name, values in whole.weights.items():
        assert torch.equal(values, resumed.weights[name]), name


def test_predicted_laws_are_laws():
    """Rows of positive numbers that sum to 1, in any batch."""
    own, how = material(), training()
    network = Perceptron(4, 16, 1, 0.0, 4).arrays()
    laws = predicted_laws(own, network, np.arange(100))
    np.testing.assert_allclose(laws.sum(1), 1, atol=1e-5)
    assert (laws > 0).all()
    assert how.settings.recipe == "key"
