"""A memory in output space: the law it mixes, its draws, and what a key can tell by it alone."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engram_audio.generation.arm_checks import require_model
from engram_audio.generation.arms import fit_contents
from engram_audio.generation.model import Generator
from engram_audio.generation.output_memory import OutputHead
from engram_audio.generation.probes.clamp import clamped
from engram_audio.keys.bank import Bank
from tests.unit.generator_material import HEADS, arm, data, frames, insertion, settings

OUTPUT: dict[str, Any] = {
    "kind": "output", "key": "f.raw.kmeans_6", "ngram_orders": [1], "num_hashes": 1,
    "table_rows": None, "table_learning_rate_factor": 5.0, "num_components": 5,
}  # fmt: skip
BANK = Bank(
    np.array([0.1, 0.2, 0.3, 0.25, 0.15]),
    np.random.default_rng(0).normal(size=(5, 3)),
    0.5 + np.random.default_rng(1).random((5, 3)),
)


def model_of(name: Any = "SM", is_stirred: bool = True) -> Generator:
    model = arm(name, memory=insertion(OUTPUT), is_stirred=is_stirred)
    head_of(model).set_bank(BANK)
    return model


def head_of(model: Generator) -> OutputHead:
    assert isinstance(model.head, OutputHead)
    return model.head


def asked(model: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Told features of a pass, the newest frames, and frames that follow."""
    x = frames(3, 20)
    with torch.no_grad():
        return model.features(x)[:, :-1], model.recent(x)[:, :-1], x[:, 1:]


def test_the_law_is_that_of_the_formula():
    """Mixed by hand from the head's own law and five Gaussians in train SD, frame by frame."""
    model = model_of()
    told, recent, following = asked(model)
    head, spec = head_of(model), model.spec.dimensions
    mean, sd = torch.tensor(spec.frame_mean).float(), torch.tensor(spec.frame_sd).float()
    own = torch.distributions.Independent(
        torch.distributions.Normal(
            mean + sd * torch.from_numpy(BANK.means).float(),
            sd * torch.from_numpy(BANK.sds).float(),
        ), 1,
    )  # fmt: skip
    with torch.no_grad():
        found = head.log_prob(told, recent, following)
        plain = head.inner.log_prob(told[..., :16], recent, following)
    for b, t in ((0, 0), (1, 7), (2, 18)):
        share = torch.sigmoid(told[b, t, 16])
        weights = torch.tensor(BANK.weights).float() * told[b, t, 17:].exp()
        kept = (weights / weights.sum()) @ own.log_prob(following[b, t]).exp()
        wanted = torch.log((1 - share) * plain[b, t].exp() + share * kept)
        assert float(found[b, t]) == pytest.approx(float(wanted), rel=1e-4)


def test_without_content_it_is_the_bank_s_own_marginal():
    """Rows start at 0, so all codes say the weights without a code; only l tells frames apart."""
    model = model_of(is_stirred=False)
    told, recent, following = asked(model)
    with torch.no_grad(), clamped(model, 1.0):
        told = model.features(frames(3, 20))[:, :-1]
        found = head_of(model).log_prob(told, recent, following)
    y = following.double().numpy() - model.spec.dimensions.frame_mean
    y = (y / model.spec.dimensions.frame_sd).reshape(-1, 3)
    wanted = np.logaddexp.reduce(BANK.log_densities(y) + np.log(BANK.weights), axis=1)
    wanted = wanted.reshape(found.shape) - np.log(model.spec.dimensions.frame_sd).sum()
    assert np.allclose(found.numpy(), wanted, atol=1e-4)


def test_closed_it_is_the_model_without_memory():
    """Nothing is added to the state: l = 0 gives S's own law, bit for bit the same features."""
    model, plain = model_of(), arm("S")
    told, recent, following = asked(model)
    with torch.no_grad(), clamped(model, 0.0):
        closed = model.log_prob(model.features(frames(3, 20))[:, :-1], recent, following)
        own = model.head.inner.log_prob(told[..., :16], recent, following)  # type: ignore[operator]
    assert torch.allclose(closed, own, atol=1e-6)
    unstirred = arm("SM", memory=insertion(OUTPUT), is_stirred=False)
    with torch.no_grad():
        features = unstirred.features(frames())[..., :16]
        assert torch.equal(features, arm("S", is_stirred=False).features(frames()))
    assert plain.head.flops == model.head.flops and model.head.num_fixed > plain.head.num_fixed


def test_draws_have_its_moments():
    """100,000 draws of one frame: means and variances within five standard errors."""
    model = model_of()
    told, recent, _ = asked(model)
    own, last = told[:1, 5], recent[:1, 5]
    with torch.no_grad():
        mean, variance = model.head.moments(own, last)
        drawn = model.head.sample(own, last, 100_000, torch.Generator().manual_seed(0))[:, 0]
        told_mean = model.head.mean(own, last)
    assert torch.allclose(told_mean, mean, atol=1e-5)
    error = (variance / len(drawn)).sqrt()
    assert ((drawn.mean(0) - mean).abs() < 5 * error).all()
    fourth = (drawn - mean).pow(4).mean(0)
    error = ((fourth - variance.square()) / len(drawn)).sqrt()
    assert ((drawn.var(0) - variance).abs() < 5 * error).all()


def test_only_the_code_tells_the_kept_law_apart():
    """Frames of one code have one law of the bank, whatever their state; foreign codes change it.

    So what it gains over foreign keys is the content of its rows, and no branch of the state.
    """
    model, x = model_of(), frames(3, 40)
    codes = model.codes(x)
    with torch.no_grad():
        rows = model.features(x)[..., 17:]
        for code in codes.unique():
            assert len(rows[codes == code].unique(dim=0)) == 1
        assert not torch.equal(model.features(x, codes.roll(1, 0))[..., 17:], rows)
        assert torch.equal(
            model.features(x, codes.roll(1, 0))[..., :17], model.features(x)[..., :17]
        )


def test_the_bank_is_fitted_to_train():
    """Not empty, the same twice, and no more Gaussians than frames."""
    model, own = arm("SMo"), data()
    with pytest.raises(ValueError, match="num_components: 256 exceed the 195 train frames"):
        fit_contents(model, own, own)
    found = []
    for _ in range(2):
        model = arm("SM", memory=insertion(OUTPUT))
        fit_contents(model, own, own)
        found.append(head_of(model).means.clone())
    assert torch.equal(*found) and found[0].abs().max() > 0


def test_a_head_without_density_is_refused():
    """In one line that names the arm and the remedy."""
    own = settings(head=HEADS["energy"])
    with pytest.raises(ValueError, match=r"mixes exact densities; found the head energy.*drop arm"):
        require_model("generation.library.x.arms", "SMo", insertion(), own)
