"""Every term and schedule of the loss does its work: each test fails with the term switched off.

Trained on a slow two-dimensional state seen through noise: 50 utterances of 40 frames, 100 steps.
"""

import itertools

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from engram_audio.densities.gaussian_mixture import GaussianMixture
from engram_audio.factorizer.config import KlSettings
from engram_audio.factorizer.densities import Conditional, Posterior, divergence
from engram_audio.factorizer.health import batch_health
from engram_audio.factorizer.price import RatePrice, balanced
from engram_audio.factorizer.rollout_loss import curriculum, rollout_loss
from engram_audio.factorizer.task import FactorizerTask
from engram_audio.factorizer.terms import Chunk, Terms, compute_terms, total_loss
from engram_audio.training.loop import Callbacks, Interrupted, TrainingState, train
from tests.unit.factorizer_material import (
    CPU,
    DOCUMENT,
    recipe,
    settings,
    small_task,
    trained,
)

SLOW = pytest.mark.slow
FEW = 15  # steps after which whatever trains at all scores better
DENSITIES = ("gaussian", "mixture", "student_t")
PRIORS = ("gaussian", "mixture", "flow", "marginal", "deterministic")
RATES = ("charged", "strictly_past", "free")
UPSAMPLERS = ("piecewise_constant", "learned", "cross_attention")
# Each density, prior, rate and upsampler once; all pairs of them are slow.
PAIRS = {*zip(("gaussian", "mixture", "student_t", "gaussian", "mixture"), PRIORS, strict=True)}
SLOWER = {*zip(RATES, UPSAMPLERS, strict=True)}


def all_choice(task: FactorizerTask) -> Chunk:
    return task._choice.batch(torch.arange(len(task._choice)), CPU)


def kl(**changes) -> KlSettings:
    return KlSettings.model_validate({**DOCUMENT["loss"]["kl"], **changes}, strict=False)


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_the_loss_pays_both_rates_at_the_price(beta: float):
    """The ELBO: distortion + price x (rate of z_dyn + rate of z_rec); nothing else is weighted."""
    model = small_task(settings(state__rate="charged", loss__dynamics_weight=0.0)).model.model
    zero, one = torch.zeros(()), torch.ones(())
    terms = Terms(one, 2 * one, torch.tensor([3.0, 4.0]), zero, zero, zero, zero, zero)
    price = RatePrice(kl(mode="beta", beta=beta, warmup_steps=0))
    assert float(total_loss(terms, model, price)) == 1 + beta * (2 + 3 + 4)


def test_the_rate_of_a_slow_state_is_counted_per_frame():
    """A state of four frames: the nats of a step are shared by the frames that it serves."""
    task = small_task(settings(state__stride_frames=4))
    model, chunk = task.model.model, all_choice(task)
    with torch.no_grad():
        torch.manual_seed(0)
        found = compute_terms(model, chunk, 0, None).state_rate
        torch.manual_seed(0)
        states = model.states(chunk.frames, chunk.is_real)
        nats = divergence(
            states.posterior, states.steps, model.dynamics.density, states.parameters
        ).sum(-1)
    expected = (nats * chunk.is_scored[:, ::4]).sum() / chunk.is_scored.sum()
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


@SLOW
def test_reconstruction_and_rate_fall_short_of_an_untrained_model():
    before = small_task(settings())
    with torch.no_grad():
        start = before.validate()
    task = trained(settings())
    assert task.details["distortion_nats"] + task.details["state_nats"] < start - 1
    assert task.details["error_posterior"] < 0.5
    assert task.details["state_use_nats"] > 0.1  # what z_dyn tells of x_t is that utterance's own


@SLOW
def test_a_target_rate_is_reached_and_without_it_is_not():
    """Price follows to 3 nats within 20 %; at a fixed price the rate is elsewhere."""

    def rate(**changes) -> float:
        details = trained(settings(**changes), num_steps=300).details
        return details["state_nats"] + details["innovation_nats"]

    assert rate(loss__kl__mode="target", loss__kl__target_nats=3.0) == pytest.approx(3.0, rel=0.2)
    assert rate() < 2.0


def test_free_bits_cost_nothing_below_the_threshold_and_groups_count_alone():
    price = RatePrice(kl(mode="free_bits", free_nats=0.5, num_groups=2))
    state = torch.tensor(0.1, requires_grad=True)
    innovation = torch.tensor([0.4, 0.0, 2.0, 0.0], requires_grad=True)
    price.charge(state, innovation).backward()
    assert state.grad is not None and innovation.grad is not None
    assert float(state.grad) == 0.0
    assert innovation.grad.tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("prior", ["gaussian", "marginal", "mixture"])
def test_every_prior_has_as_many_free_groups_as_were_asked_for(prior: str):
    """The rate of z_rec comes by dimension; the gradient stops in groups below the limit."""
    section = settings(
        innovation__prior=prior, innovation__num_dims=4, loss__kl__mode="free_bits",
        loss__kl__num_groups=4, loss__kl__free_nats=0.5,
    )  # fmt: skip
    task = small_task(section)
    terms = compute_terms(task.model.model, all_choice(task), 0, None)
    assert terms.innovation_rate.shape == (4,)
    parts = terms.innovation_rate.detach().requires_grad_()
    task.model.price.charge(torch.tensor(0.0), parts).backward()
    assert parts.grad is not None
    assert parts.grad.tolist() == (parts.detach() > 0.5).float().tolist()


def test_the_rate_of_a_mixture_by_dimension_sums_to_the_whole_and_is_never_negative():
    """One part is E KL of its dimension given those before it: 40,000 samples, five errors."""
    prior = Conditional(GaussianMixture(3, 4, (-7.0, 3.0)), 0, 8, torch.Generator().manual_seed(0))
    with torch.no_grad():
        prior.free.add_(torch.randn(prior.free.shape, generator=torch.Generator().manual_seed(1)))
    generator = torch.Generator().manual_seed(2)
    posterior = Posterior(torch.tensor([0.3, -1.0, 0.5]), torch.tensor([-0.5, 0.1, -1.0]))
    many = Posterior(*(part.expand(40_000, 3) for part in posterior))  # type: ignore[union-attr]
    value = many.sample(generator)
    parameters = prior.parameters_of(value[:, :0])
    parts = divergence(many, value, prior, parameters).detach()
    whole = many.log_prob(value).sum(-1) - prior.head.log_prob(parameters, value)
    torch.testing.assert_close(parts.sum(-1), whole.detach(), atol=1e-4, rtol=1e-4)
    assert (parts.mean(0) > -5 * parts.std(0) / 200).all()
    # the first dimension alone is the prior's own first dimension
    log_weights, means, log_sd, _ = prior.head.split(parameters[:1])  # type: ignore[operator]
    first = torch.distributions.Normal(means[0, :, 0], log_sd[0, :, 0].exp())
    marginal = torch.logsumexp(log_weights[0] + first.log_prob(value[:, :1]), -1)
    torch.testing.assert_close(
        parts[:, 0], (many.log_prob(value)[:, 0] - marginal).detach(), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("prior", ["flow", "deterministic"])
def test_groups_of_a_rate_without_parts_are_refused(prior: str):
    with pytest.raises(ValidationError, match=r"num_groups 2.*has no parts.*write 1"):
        settings(
            innovation__prior=prior, loss__kl__mode="free_bits", loss__kl__num_groups=2,
        )  # fmt: skip
    settings(innovation__prior=prior, loss__kl__mode="free_bits")


def test_more_groups_than_dimensions_are_refused():
    with pytest.raises(ValidationError, match=r"num_groups 4 is more than the 3 dimensions"):
        settings(loss__kl__mode="free_bits", loss__kl__num_groups=4)


@SLOW
def test_free_bits_keep_a_rate_alive_that_a_high_price_kills():
    def innovation(mode: str) -> float:
        section = settings(
            loss__kl__mode=mode, loss__kl__beta=30.0, loss__kl__free_nats=0.5,
            state__rate="strictly_past",
        )  # fmt: skip
        return trained(section).details["innovation_nats"]

    assert innovation("beta") < 0.05
    assert innovation("free_bits") > 0.3


def test_the_price_warms_up_and_a_target_moves_it_only_then():
    price = RatePrice(kl(mode="target", target_nats=1.0, warmup_steps=4))
    shares = []
    for _ in range(4):
        shares.append(price.warmup())
        price.follow(5.0)
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert float(price.log_price) > 0  # one full-price step with too much rate
    for _ in range(10):
        price.follow(0.0)
    assert float(price.log_price) < 0


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
def test_balancing_shares_the_gradient_and_keeps_the_value(weight: float):
    """KL of two unit Gaussians, (q - p)^2 / 2: gradients w (q - p) and -(1 - w) (q - p)."""
    q, p = (torch.tensor(value, requires_grad=True) for value in (2.0, 0.5))
    value = balanced((q - p) ** 2 / 2, (q.detach() - p) ** 2 / 2, weight)
    value.backward()
    assert q.grad is not None and p.grad is not None
    assert float(value.detach()) == pytest.approx(1.125)
    assert float(q.grad) == pytest.approx(weight * 1.5)
    assert float(p.grad) == pytest.approx(-(1 - weight) * 1.5)


def test_balanced_training_differs_from_plain_training():
    plain = trained(settings(), num_steps=20).model.state_dict()
    shared = trained(settings(loss__kl__posterior_weight=0.2), num_steps=20).model.state_dict()
    assert not torch.equal(
        plain["model.encoder.output.weight"], shared["model.encoder.output.weight"]
    )


def test_dynamics_weight_makes_z_dyn_more_predictable():
    """-log p(z_t | z_<t) of a z_dyn that sees x_t for nothing, in whitened units."""

    def nll(weight: float) -> float:
        section = settings(state__rate="free", loss__dynamics_weight=weight)
        return trained(section).details["dynamics_nats"]

    assert nll(3.0) < nll(0.0) - 0.2


def test_utility_teaches_z_dyn_about_later_frames():
    def utility(weight: float) -> float:
        section = settings(
            loss__utility_weight=weight, loss__utility_horizons_frames=[1, 2],
            state__rate="strictly_past",
        )  # fmt: skip
        task = trained(section)
        measured = settings(loss__utility_weight=1.0, loss__utility_horizons_frames=[1, 2])
        task.model.model.settings = measured.model_copy(
            update={"state": section.state, "innovation": section.innovation}
        )
        with torch.no_grad():
            return float(compute_terms(task.model.model, all_choice(task), 0, None).utility)

    assert utility(3.0) < utility(0.0) - 0.05


def rollout_error(task: FactorizerTask, feature_map: torch.Tensor | None = None) -> list[float]:
    model, chunk = task.model.model, all_choice(task)
    found = []
    with torch.no_grad():
        steps = model.states(chunk.frames, chunk.is_real).steps
        for seed in range(8):
            torch.manual_seed(seed)
            terms = rollout_loss(model, chunk.frames, chunk.is_scored, steps, 8, feature_map)
            found.append([float(term) for term in terms])
    return np.mean(found, axis=0).tolist()


@SLOW
def test_rollout_training_lowers_the_error_of_free_running():
    changes = {"loss__rollout_horizon_frames": 8, "state__rate": "free"}
    on = trained(settings(loss__rollout_weight=1.0, **changes))
    off = trained(settings(**changes))
    assert rollout_error(on)[0] < rollout_error(off)[0] - 0.1


@SLOW
def test_feature_loss_lowers_the_log_mel_error_of_free_running():
    """A feature that is one dimension of x, far stronger than the others."""
    feature_map = torch.tensor([[3.0], [0.0], [0.0], [0.0]])
    changes = {"loss__rollout_horizon_frames": 8, "state__rate": "free"}
    on = trained(settings(loss__feature_weight=3.0, **changes), feature_map)
    off = trained(settings(**changes), feature_map)
    weighted = settings(loss__feature_weight=1.0, **changes)
    for task in (on, off):
        task.model.model.settings = weighted
    assert rollout_error(on, feature_map)[1] < 0.9 * rollout_error(off, feature_map)[1]


def test_teacher_forcing_takes_the_encoders_steps():
    """A fully taught rollout is the encoder's z_dyn, so its score does not depend on dynamics."""
    task = small_task(settings(loss__teacher_fraction=1.0, loss__rollout_horizon_frames=8))
    model, chunk = task.model.model.eval(), all_choice(task)
    steps = model.states(chunk.frames, chunk.is_real).steps.detach()

    def score() -> float:
        torch.manual_seed(3)
        return float(rollout_loss(model, chunk.frames, chunk.is_scored, steps, 8, None)[0].detach())

    first = score()
    with torch.no_grad():
        assert model.dynamics.density.trunk is not None
        model.dynamics.density.trunk.linear.bias.add_(2.0)
    assert score() == pytest.approx(first)
    model.settings = settings(loss__rollout_horizon_frames=8)
    assert score() != pytest.approx(first)


@SLOW
def test_prior_sampled_frames_teach_the_decoder_to_live_with_the_prior():
    def gap(fraction: float) -> float:
        details = trained(settings(loss__prior_sampled_fraction=fraction)).details
        return details["error_prior"] - details["error_posterior"]

    assert gap(0.7) < gap(0.0)


def test_curriculum_doubles_from_one_to_the_longest():
    assert [curriculum(step, 16, 100) for step in (0, 19, 20, 40, 60, 80, 100)] == [
        1, 1, 2, 4, 8, 16, 16,
    ]  # fmt: skip
    assert curriculum(0, 16, 0) == 16
    assert curriculum(0, 1, 100) == 1


@pytest.mark.parametrize(
    ("density", "prior"),
    [
        pytest.param(density, prior, marks=() if (density, prior) in PAIRS else SLOW)
        for density, prior in itertools.product(DENSITIES, PRIORS)
    ],
)
def test_every_family_trains(prior: str, density: str):
    section = settings(
        innovation__prior=prior, dynamics__density=density, dynamics__num_components=2,
        state__rate="free" if density == "student_t" else "charged",
    )  # fmt: skip
    task = small_task(section)
    with torch.no_grad():
        start = task.validate()
    assert train(task, recipe(num_steps=FEW), 0, CPU).best_score < start
    health = batch_health(task.model.model.eval(), all_choice(task))
    assert (health["innovation_nats"] == 0.0) == (prior == "deterministic")


@pytest.mark.parametrize(
    ("rate", "upsampler"),
    [
        pytest.param(rate, upsampler, marks=() if (rate, upsampler) in SLOWER else SLOW)
        for rate, upsampler in itertools.product(RATES, UPSAMPLERS)
    ],
)
def test_slower_states_train(upsampler: str, rate: str):
    section = settings(
        state__stride_frames=4, state__upsampler=upsampler, state__rate=rate,
        loss__rollout_weight=0.1, loss__rollout_horizon_frames=2,
    )  # fmt: skip
    task = small_task(section)
    with torch.no_grad():
        start = task.validate()
    assert train(task, recipe(num_steps=FEW), 0, CPU).best_score < start


def test_transformers_train():
    network = {**DOCUMENT["encoder"], "kind": "transformer"}
    section = settings(
        encoder=network, dynamics__network=network,
        loss__rollout_weight=0.1, loss__rollout_horizon_frames=4,
    )  # fmt: skip
    task = small_task(section)
    with torch.no_grad():
        start = task.validate()
    assert train(task, recipe(num_steps=FEW), 0, CPU).best_score < start


@pytest.mark.parametrize("stop_at", [pytest.param(1, marks=SLOW), 15, pytest.param(26, marks=SLOW)])
def test_a_resumed_run_ends_with_the_same_bits(stop_at: int):
    """Target rate, warm-up, curriculum and prior samples: all that carries lies in the state."""
    section = settings(
        loss__kl__mode="target", loss__kl__target_nats=1.0, loss__kl__warmup_steps=5,
        loss__rollout_weight=0.1, loss__rollout_horizon_frames=8,
        loss__rollout_curriculum_steps=20, loss__prior_sampled_fraction=0.2,
    )  # fmt: skip
    how = recipe(num_steps=30, validation_interval_steps=25)
    whole = train(small_task(section), how, 0, CPU)
    saved: list[TrainingState] = []
    count = iter(range(1, 1000))
    callbacks = Callbacks(save=saved.append, should_stop=lambda: next(count) == stop_at)
    with pytest.raises(Interrupted):
        train(small_task(section), how, 0, CPU, callbacks=callbacks)
    resumed = train(small_task(section), how, 0, CPU, state=saved[-1])
    assert resumed.history == whole.history
    for name, values in whole.weights.items():
        assert torch.equal(values, resumed.weights[name]), name
