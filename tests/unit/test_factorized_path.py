"""The factorised path against closed forms: exact parts, no training, every sign of a planted bug.

Errors are over utterances; path and exact predictor score the same frames of `ssm`.
"""

import functools
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from engram_audio.calibration.kalman import KalmanOracle
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.worlds_linear import LinearGaussian
from engram_audio.factorizer.bound import frame_bounds
from engram_audio.factorizer.export import state_block
from engram_audio.factorizer.model import Factorizer
from engram_audio.factorizer.whitening import Units, unit_units
from engram_audio.factorizer.work import decoding_work
from engram_audio.generation.budget import budget_of
from engram_audio.generation.config import GeneratorSection
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.evaluation import Scope
from engram_audio.generation.factorized.continuation import continued_path
from engram_audio.generation.factorized.law import ArmLaw
from engram_audio.generation.factorized.path import StatePath, path_budget
from engram_audio.generation.factorized.runs import run_path
from engram_audio.generation.factorized.scores import path_sums
from engram_audio.generation.factorized.sizes import of_equal_work
from engram_audio.generation.matching import planned_budget
from engram_audio.latents.block import LatentBlock
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.simulate import Limits, Run
from tests.statistical.planted_paths import exact_law, step_covariances
from tests.unit import generator_material
from tests.unit.exact_paths import SHARE, exact_arm, exact_factorizer
from tests.unit.factorizer_material import small_model

CPU = torch.device("cpu")
UTTERANCES, FRAMES, WINDOW = 48, 44, 24
HEARD = 12  # utterances that go on frame by frame
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


def test_rates_are_those_of_the_exact_parts():
    """KL of both parts in bits per second, and of z_dyn alone, as derived; one particle too.

    A filter with one particle is the plain bound, from other samples.
    """
    law, found = exact_law(world().model, SHARE), sums(path(), 1)
    alone = over_exact(found, "nll")
    assert abs(alone.value - (law.plain - law.exact)) < 3 * alone.error < 0.15
    bits = RATE_HZ / np.log(2)
    count = found["num_frames"].to_numpy(float)
    for name, nats in (("rate", law.state_nats + law.innovation_nats),
                       ("state_rate", law.state_nats)):  # fmt: skip
        rate = Mean.of(found[name].to_numpy(float) / count)
        assert abs(rate.value - bits * nats) < 3 * rate.error
        assert rate.error < 0.05 * bits * nats


def test_a_heard_frame_is_drawn_from_the_newest_true_state():
    """Drawn less true frame: Cov(x_t | z_{t-1}) once for the law and once for the truth.

    One step too old, or z_rec left at 0, gives another trace.
    """
    errors = []
    for number in range(HEARD):
        true = block().frames[number * FRAMES : (number + 1) * FRAMES]
        drawn = continued_path(path(), true, 1, 1, number)
        assert drawn.num_replaced == 0 and drawn.num_drawn == FRAMES - 1
        assert (drawn.frames[:1] == true[:1]).all()
        errors.append(((drawn.frames - true)[WINDOW:] ** 2).sum(1).mean())
    found = Mean.of(np.array(errors))
    expected = float(sum(np.trace(one) for one in step_covariances(world().model)))
    assert abs(found.value - expected) < 3 * found.error
    assert found.error < 0.04 * expected


@pytest.mark.parametrize("form", ["minimal", "engram", "latent"])
def test_a_copied_particle_goes_on_with_its_own_past(form: str):
    """Keys, caches and convolutions of the arm are those of the particle that was copied."""
    material = generator_material
    memory = material.insertion(material.FORMS[form])
    own = material.arm("SM", material.settings(short_context_frames=3), memory)
    over: Any = SimpleNamespace(generator=own, units=unit_units(torch.zeros(1, material.NUM_DIMS)))
    order, steps = torch.tensor([2, 2, 0, 1]), material.frames(4, 7)
    copied, alone = ArmLaw(over, 1), ArmLaw(over, 1)
    nothing = torch.full((4,), torch.nan)
    with torch.no_grad():
        for step in range(5):
            copied.follow(steps[:, step])
            alone.follow(steps[order, step])
        copied.keep(order)
        for step in (5, 6):
            told = [law.log_prob(steps[:, step], nothing) for law in (copied, alone)]
            assert torch.allclose(told[0], told[1], atol=1e-5) and told[0].isfinite().all()
            for law in (copied, alone):
                law.follow(steps[:, step])


class OwnLaw:
    """The factoriser's own dynamics, told from outside: what it is asked is what is known."""

    def __init__(self, model: Factorizer, count: int) -> None:
        self.dynamics, self.largest = model.dynamics, 0.0
        self.parameters, self.carry = model.dynamics.first(count, CPU)

    def log_prob(self, state: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        found = self.dynamics.density.head.log_prob(self.parameters, state)
        self.largest = max(self.largest, float((found - own).abs().max()))
        return found

    def draw(self, known: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        raise AssertionError("a charged z_dyn has a posterior of its own")

    def follow(self, state: torch.Tensor) -> None:
        self.parameters, self.carry = self.dynamics.step(state, self.carry)

    def keep(self, order: torch.Tensor) -> None:
        self.carry = self.carry[order]


def test_another_law_follows_the_particles_wherever_they_are_copied():
    """The factoriser's own dynamics as another law give the same bound, particle by particle."""
    model, draws = small_model().eval(), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.dynamics.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=draws)
    some = 2 * torch.randn(4, 12, 4, generator=draws)
    law = OwnLaw(model, 4 * 8)
    is_real = torch.ones(some.shape[:2], dtype=torch.bool)
    both = [
        frame_bounds(model, some, is_real, 8, torch.Generator().manual_seed(0), one)
        for one in (None, law)
    ]
    assert law.largest < 1e-4 and torch.allclose(both[0], both[1], atol=1e-3)


PRIORS = ("gaussian", "mixture", "flow", "marginal", "deterministic")


@pytest.mark.parametrize("prior", PRIORS)
def test_frames_are_drawn_with_z_rec_of_its_own_prior(prior: str):
    """Their mean is the decoder's at the prior's mean, and they vary with z_rec beside the noise.

    Before training the decoder is linear in z_rec.
    """
    model = small_model(innovation__prior=prior, decoder__fixed_noise_sd=0.1).eval()
    own = model.innovation.prior
    with torch.no_grad():
        for parameter in own.parameters():
            parameter += 0.3 * torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(1)
            )
        states = torch.tensor([[0.5, -1.0]])
        many = states.expand(4096, -1)
        drawn = model.draw_frames(many, torch.Generator().manual_seed(0))
        told = own.sample(own.parameters_of(many), torch.Generator().manual_seed(2))
        means = model.unscaled(model.decoder(many, told))
    error = (drawn.var(0) + means.var(0)).div(4096).sqrt()
    assert ((drawn.mean(0) - means.mean(0)).abs() < 4 * error).all()
    noise = (0.1 * model.rms) ** 2
    ratio = drawn.var(0) / (means.var(0) + noise)
    assert (drawn.var(0) > 2 * noise).all() and ((ratio - 1).abs() < 0.25).all()


class Counting:
    """A path whose z_dyn is the number of the step, and whose frames are their own numbers."""

    def __init__(self, stride: int, rate: str) -> None:
        self.stride, self.device = stride, CPU
        state = SimpleNamespace(stride_frames=stride, rate=rate, num_dims=1)
        self.factorizer = SimpleNamespace(settings=SimpleNamespace(state=state), is_charged=False)
        known = Dimensions(np.zeros(1), np.full(1, 1e6), np.zeros(1))
        settings = SimpleNamespace(context_frames=5)
        spec = SimpleNamespace(dimensions=known, settings=settings)
        self.generator = SimpleNamespace(spec=spec)
        self.density = SimpleNamespace(
            generator=self.generator, target="position", has_moments=False,
            sample=lambda batch, count, generator: batch.context[None, :, -1] + 1,
        )  # fmt: skip
        self.units = unit_units(torch.zeros(1, 1))

    num_known = StatePath.num_known

    def steps_of(self, frames: torch.Tensor, names: np.ndarray) -> torch.Tensor:
        del names
        count = -(-frames.shape[1] // self.stride)
        return torch.arange(float(count)).expand(len(frames), -1).unsqueeze(-1)

    def frames_of(self, steps: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        del generator
        within = torch.arange(float(self.stride))
        return (steps * self.stride + within).flatten(1).unsqueeze(-1)


def free_frames(own: Any, first: np.ndarray, num_context: int) -> Run:
    """Runs of 8 frames, twice from each start, in an utterance whose frames are their numbers."""
    frames = np.arange(60, dtype=np.float32)[:, None]
    named, count = np.array(["u"]), len(first)
    starts = Starts(
        torch.stack([torch.from_numpy(frames[start - num_context : start]) for start in first]),
        torch.stack([torch.from_numpy(frames[start : start + 8]) for start in first]),
        torch.full((count,), 8), torch.zeros(count, 1), np.repeat("s", count),
        np.repeat("u", count), first,
    )  # fmt: skip
    source = LatentBlock(frames, np.ones(60, np.float32), np.array([0, 60]), named, named)
    setup: Any = SimpleNamespace(
        settings=SimpleNamespace(horizon_frames=8, num_long_samples=2, batch_paths=64),
        limits=Limits(torch.zeros(1), torch.full((1,), 1e6), 10.0),
        generator=lambda *names: torch.Generator().manual_seed(0),
    )
    return run_path(own, starts, lambda: iter([source]), setup)


@pytest.mark.parametrize("rate", ["charged", "strictly_past", "free"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_no_frame_is_early_or_late(stride: int, rate: str):
    """Wherever a run starts, its frames are those after the start, for every stride and rate."""
    own: Any = Counting(stride, rate)
    first = np.array([12, 13, 14, 17])
    run = free_frames(own, first, 6)
    expected = torch.from_numpy(first)[:, None] + torch.arange(8)
    assert (run.states[..., 0] == expected).all() and bool(run.is_alive.all())
    assert (run.before[..., 0] == expected - 1).all()
    frames = np.arange(60, dtype=np.float32)[:, None]
    for prompt in (1, 7):
        heard = continued_path(own, frames, prompt, None, 0)
        assert (heard.frames == frames).all()


@pytest.mark.parametrize("upsampler", ["learned", "cross_attention"])
@pytest.mark.parametrize("num_context", [8, 16])
def test_a_run_upsamples_all_real_steps_of_its_memory(num_context: int, upsampler: str):
    """Frames are those of the whole walk, however short the context and near the beginning.

    Context 8 is two steps of stride 4, fewer than the upsampler reads. A start at frame 8 has
    two steps before it, and before those the upsampler reads 0 in the networks' units.
    """
    own: Any = Counting(4, "charged")
    model = small_model(state__num_dims=1, state__stride_frames=4, state__upsampler=upsampler)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.upsampler.parameters():
            parameter += torch.randn(parameter.shape, generator=draws)
    own.factorizer.upsampler = model.upsampler
    own.factorizer.draw_frames = lambda states, generator: states
    own.units = Units(torch.full((1,), 3.0), torch.full((1, 1), 2.0), torch.zeros(()))
    own.frames_of = functools.partial(StatePath.frames_of, own)
    first = np.array([start for start in (8, 9, 14, 17, 21) if start >= num_context])
    run = free_frames(own, first, num_context)
    with torch.no_grad():
        whole = model.upsampler(own.units.undo(torch.arange(15.0).view(1, -1, 1)), 60)[0, :, 0]
    expected = whole[torch.from_numpy(first)[:, None] + torch.arange(8)]
    assert torch.allclose(run.states[..., 0], expected.expand(2, -1, -1), atol=1e-4)


def test_samples_are_exported_the_same_in_any_batch_and_have_unit_covariance():
    model = path().factorizer
    whole = state_block(model, block(), CPU, 3).frames
    part = block()._replace(
        frames=block().frames[FRAMES : 3 * FRAMES], energy=block().energy[FRAMES : 3 * FRAMES],
        offsets=block().offsets[:3], utterance_ids=block().utterance_ids[1:3],
        speaker_ids=block().speaker_ids[1:3],
    )  # fmt: skip
    again = state_block(model, part, CPU, 3).frames
    assert np.allclose(again, whole[FRAMES : 3 * FRAMES], atol=1e-5)
    assert np.abs(state_block(model, block(), CPU).frames - whole).mean() > 0.05
    undone = path().units.undo(torch.from_numpy(whole))
    assert torch.allclose(path().units.apply(undone), torch.from_numpy(whole), atol=1e-4)


UPSAMPLERS = ("piecewise_constant", "learned", "cross_attention")


@pytest.mark.parametrize("upsampler", UPSAMPLERS)
@pytest.mark.parametrize("prior", ["gaussian", "mixture", "marginal"])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_work_of_decoding_is_what_torch_counts(prior: str, stride: int, upsampler: str):
    """Units, upsampler, decoder and prior of one step.

    A flow's passes are counted one for each dimension, so no flow is compared.
    """
    changes = {
        "state__stride_frames": stride, "innovation__prior": prior, "state__upsampler": upsampler,
    }  # fmt: skip
    model = small_model(**changes).eval()
    units = model.exported_units()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        states = model.upsampler(torch.zeros(1, 1, 2), stride)
        model.draw_frames(states, torch.Generator().manual_seed(0))
    counted = counter.get_total_flops() + 2 * units.root.numel()  # the solver is not counted
    assert decoding_work(model).flops_generated * stride == counted


@pytest.mark.parametrize(("upsampler", "flops"), [
    ("piecewise_constant", 0), ("learned", 2 * 4 * 4 * 16 * 16), ("cross_attention", 5120),
])  # fmt: skip
def test_the_upsamplers_work_is_apart_from_the_numbers_it_holds(upsampler: str, flops: int):
    """Torch's count of a step of 4 frames, 16 dimensions; in training 3 times as much."""
    kinds = {
        kind: small_model(
            state__num_dims=16, state__stride_frames=4, state__upsampler=kind
        ).eval()
        for kind in ("piecewise_constant", upsampler)
    }  # fmt: skip
    model = kinds[upsampler]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.upsampler(torch.zeros(1, 1, 16), 4)
    assert counter.get_total_flops() == flops
    plain, own = (decoding_work(one) for one in (kinds["piecewise_constant"], model))
    assert 4 * (own.flops_generated - plain.flops_generated) == flops
    assert 4 * (own.flops_trained - plain.flops_trained) == 3 * flops
    numbers = sum(one.numel() for one in model.upsampler.parameters())
    assert own.num_resident - plain.num_resident == numbers


def test_dynamics_are_trained_once_a_step():
    once, half = (small_model(state__stride_frames=stride) for stride in (1, 2))
    weights = sum(one.numel() for one in once.dynamics.parameters() if one.dim() > 1)
    saved = decoding_work(once).flops_trained - decoding_work(half).flops_trained
    assert saved == 6 * weights / 2


def test_the_path_works_no_more_than_the_direct_generator_and_nearly_as_much():
    """Decoding counts: the generator over z_dyn is smaller by what decoding takes."""
    material = generator_material
    section = GeneratorSection.model_validate(
        {"recipe": "r", "arms": ["S", "SM", "F", "SMx"], "model": material.SETTINGS,
         "insertion": material.MINIMAL}, strict=False,
    )  # fmt: skip
    model = small_model(state__num_dims=3, state__stride_frames=2).eval()
    direct = budget_of(
        material.arm("SM", material.settings(width=32, mlp_units=64))
    ).flops_generated
    parts = material.key(), material.dimensions(), material.linear_base()
    own = of_equal_work(section, model, direct, *parts)
    key, known, base = parts
    arm = planned_budget("SM", own.model, section.insertion, key, known, base)
    whole = path_budget(arm, model).flops_generated
    unit = 4 * own.model.width * own.model.num_blocks / 2  # of one more MLP unit, per frame
    assert direct - unit <= whole <= direct
    assert whole == arm.flops_generated / 2 + decoding_work(model).flops_generated
    with pytest.raises(ValueError, match=r"decoding a frame takes .* take a smaller decoder"):
        of_equal_work(section, model, decoding_work(model).flops_generated, *parts)
