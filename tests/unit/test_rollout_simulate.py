"""Free running: causal, the same one by one, honest about paths that are gone."""

import numpy as np
import pytest
import torch

from engram_audio.latents.block import LatentBlock
from engram_audio.rollout.forecasts import Forecast, Gaussians, Marginals, moment_matched
from engram_audio.rollout.paths import PathData, collect_starts, other_starts
from engram_audio.rollout.scores import climatology_score, energy_score, pair_distance
from engram_audio.rollout.simulate import (
    Limits,
    Run,
    Settings,
    earlier_log_density,
    free_run,
)
from tests.unit.rollout_material import (
    LinearStep,
    eval_others,
    eval_starts,
    flat_starts,
    limits_of,
    unit_limits,
)

MEAN = Settings(8, False, None, 64)
SAMPLED = Settings(8, True, None, 4096)


def test_starts_lie_inside_utterances_and_hold_true_frames(world):
    """History ends right before the future; a future that is short is marked as such."""
    starts = eval_starts(world, horizon=30, count=50)
    block = world.eval
    assert int(starts.lengths.min()) < 30
    for number, name in enumerate(starts.utterance_ids):
        place = [str(other) for other in block.utterance_ids].index(name)
        low, high = block.offsets[place], block.offsets[place + 1]
        first, length = int(starts.first_frames[number]), int(starts.lengths[number])
        own = torch.from_numpy(block.frames[low:high])
        window = starts.history.shape[1]
        assert torch.equal(starts.history[number], own[first - window : first])
        assert torch.equal(starts.future[number, :length], own[first : first + length])
        assert length == min(30, high - low - first)
        assert str(block.speaker_ids[place]) == starts.speaker_ids[number]


def halves_of(block: LatentBlock) -> list[LatentBlock]:
    """A stream of one block as two."""
    cut = len(block.utterance_ids) // 3
    offset = int(block.offsets[cut])
    return [
        block._replace(
            frames=block.frames[:offset], energy=block.energy[:offset],
            offsets=block.offsets[: cut + 1], utterance_ids=block.utterance_ids[:cut],
            speaker_ids=block.speaker_ids[:cut],
        ),
        block._replace(
            frames=block.frames[offset:], energy=block.energy[offset:],
            offsets=block.offsets[cut:] - offset,
            utterance_ids=block.utterance_ids[cut:], speaker_ids=block.speaker_ids[cut:],
        ),
    ]  # fmt: skip


def test_starts_do_not_depend_on_how_the_stream_is_cut(world):
    """Two blocks of one stream give the starts of one block, and their others."""
    speakers, halves = world.material.reference.speakers, halves_of(world.eval)
    starts = collect_starts(lambda: iter(halves), speakers, 4, 8, 4, 40)
    others = other_starts(lambda: iter(halves), speakers, starts, 4)
    whole = eval_starts(world)
    for parts, one_block in ((starts, whole), (others, eval_others(world, whole))):
        for one, other in zip(one_block, parts, strict=True):
            assert np.array_equal(np.asarray(one), np.asarray(other))


def test_other_starts_are_half_an_utterance_away(world):
    """Same utterance, true frames of it, half of its starts apart; none where there is one only."""
    starts = eval_starts(world)
    others, block = eval_others(world, starts), world.eval
    assert np.array_equal(starts.utterance_ids, others.utterance_ids)
    names = [str(name) for name in block.utterance_ids]
    for number, name in enumerate(starts.utterance_ids):
        low, high = block.offsets[names.index(name) :][:2]
        count = high - low - 4 - 4 + 1  # window and the shortest future fit
        moved = abs(others.first_frames[number] - starts.first_frames[number])
        assert moved in (count // 2, count - count // 2)
        first, length = low + others.first_frames[number], int(others.lengths[number])
        assert length == min(8, high - first)
        future = others.future[number, :length].numpy()
        assert np.array_equal(future, block.frames[first : first + length])
    lengths = np.diff(block.offsets)
    shortest = int(lengths.max()) - 4  # of the longest utterances one start is left
    alone = eval_starts(world, horizon=shortest, minimum=shortest)
    assert not bool(eval_others(world, alone, shortest).lengths.any())


def test_too_short_utterances_are_refused_in_words(world):
    with pytest.raises(ValueError, match="no utterance has 4 \\+ 200 frames"):
        eval_starts(world, horizon=300, minimum=200)


def test_training_paths_never_cross_an_utterance(world):
    """Every path of W + K frames is a stretch of one chosen utterance."""
    block = world.material.block
    data = PathData(block, np.array([0, 2]), world.material.reference.speakers, 4, 6)
    frames, _ = data.batch(torch.arange(len(data)), torch.device("cpu"))
    lengths = np.diff(block.offsets)[[0, 2]]
    assert len(data) == (lengths - 10 + 1).sum()
    own = np.concatenate([block.frames[block.offsets[u] : block.offsets[u + 1]] for u in (0, 2)])
    assert np.isin(frames.numpy()[..., 0], own[:, 0]).all()
    assert torch.equal(frames[0], torch.from_numpy(block.frames[:10]))


def test_running_is_causal(head, world):
    """True frames after the start, and histories of other starts, change nothing."""
    starts = eval_starts(world)
    limits = limits_of(world.material)
    run = free_run(head, starts, MEAN, limits, 1, torch.Generator())
    other = starts._replace(future=torch.randn_like(starts.future))
    again = free_run(head, other, MEAN, limits, 1, torch.Generator())
    assert torch.equal(run.states, again.states)
    changed = starts.history.clone()
    changed[1:] += 1.0
    third = free_run(head, starts._replace(history=changed), MEAN, limits, 1, torch.Generator())
    assert torch.allclose(run.states[:, :1], third.states[:, :1], atol=1e-6)


def test_the_mean_run_is_the_same_one_by_one_and_in_any_order(head, world):
    """All starts at once, in small batches, alone and permuted: the same paths."""
    starts = eval_starts(world, count=12)
    limits = limits_of(world.material)
    whole = free_run(head, starts, MEAN, limits, 1, torch.Generator()).states[0]
    small = MEAN._replace(batch_paths=5)
    batched = free_run(head, starts, small, limits, 1, torch.Generator()).states[0]
    assert torch.allclose(whole, batched, atol=1e-5)
    order = np.random.default_rng(0).permutation(len(whole))
    mixed = free_run(head, starts.rows(order), MEAN, limits, 1, torch.Generator()).states[0]
    assert torch.allclose(whole[order], mixed, atol=1e-5)
    for number in range(len(whole)):
        alone = starts.rows(slice(number, number + 1))
        path = free_run(head, alone, MEAN, limits, 1, torch.Generator()).states[0, 0]
        assert torch.allclose(whole[number], path, atol=1e-5)


def test_a_run_by_hand():
    """X = .5 x' - .25 x'', step by step."""
    starts = flat_starts(5, 8)
    run = free_run(LinearStep(0.5, -0.25), starts, MEAN, unit_limits(), 1, torch.Generator())
    before, newest = starts.history[:, -2], starts.history[:, -1]
    for step in range(8):
        before, newest = newest, 0.5 * newest - 0.25 * before
        assert torch.allclose(run.states[0, :, step], newest, atol=1e-6)
    assert torch.equal(run.before[0, :, 0], starts.history[:, -1])
    assert torch.equal(run.before[:, :, 1:], run.states[:, :, :-1])


def test_sampled_paths_have_the_law_of_the_model():
    """AR(1), a = .8: mean a^h x_0 and variance (1 - a^2h) / (1 - a^2), within 5 standard errors."""
    starts = flat_starts(3, 8)
    count = 20_000
    generator = torch.Generator().manual_seed(0)
    run = free_run(LinearStep(0.8), starts, SAMPLED, unit_limits(factor=1e3), count, generator)
    for step in (1, 3, 8):
        variance = (1 - 0.8 ** (2 * step)) / (1 - 0.64)
        drawn = run.states[:, :, step - 1]
        expected = 0.8**step * starts.history[:, -1]
        assert float((drawn.mean(0) - expected).abs().max()) < 5 * (variance / count) ** 0.5
        assert float((drawn.var(0) / variance - 1).abs().max()) < 5 * (2 / count) ** 0.5


def test_injection_puts_the_true_frame_in_and_no_later():
    """After every second step the next one starts from the true frame, where there is one."""
    starts = flat_starts(4, 8)._replace(lengths=torch.tensor([8, 8, 3, 1]))
    run = free_run(
        LinearStep(0.5), starts, MEAN._replace(inject_frames=2), unit_limits(), 1,
        torch.Generator(),
    )  # fmt: skip
    assert torch.equal(run.before[0, 0, 2], starts.future[0, 1])
    assert torch.equal(run.before[0, 0, 4], starts.future[0, 3])
    assert torch.equal(run.before[0, 3, 2], run.states[0, 3, 1])
    assert torch.allclose(run.states[0, 0, 2], 0.5 * starts.future[0, 1])


def test_blown_paths_stay_where_they_were_and_are_counted():
    """X = 4 x': every path leaves 10 SD; no value is infinite, death is for ever."""
    starts = flat_starts(6, 8)
    run = free_run(LinearStep(4.0), starts, MEAN, unit_limits(), 1, torch.Generator())
    assert bool(torch.isfinite(run.states).all())
    alive = run.is_alive[0]
    assert not bool(alive[:, -1].any())
    assert bool((alive[:, 1:] <= alive[:, :-1]).all())
    assert bool((run.states.abs() < 10 * 2).all())


def test_the_earlier_score_is_asked_of_the_dreamt_state():
    """Log p(true step | mean path): by hand for AR(1) with unit noise."""
    starts = flat_starts(4, 8)
    model = LinearStep(0.5)
    run = free_run(model, starts, MEAN, unit_limits(), 1, torch.Generator())
    found = earlier_log_density(model, starts, run, 3)
    dreamt = starts.history[:, -1]
    truth = torch.cat([starts.history[:, -1:], starts.future], 1)
    for step in range(8):
        moved = truth[:, step + 1] - truth[:, step]
        law = Gaussians(-0.5 * dreamt, torch.ones_like(dreamt))
        assert torch.allclose(found[:, step], law.log_prob(moved), atol=1e-5)
        dreamt = 0.5 * dreamt


class Half:
    """A guard that keeps frames whose first value is below a half, and moves the rest to zero."""

    num_attempts = 3

    def keeps(self, states, generator):
        return states[:, 0] < 0.5

    def project(self, states):
        return torch.zeros_like(states)


def test_a_guard_redraws_and_then_moves():
    """Draws inside keep the law cut to the support; nothing outside is left; shares are counted."""
    starts = flat_starts(50, 8)
    generator = torch.Generator().manual_seed(0)
    run = free_run(LinearStep(0.0), starts, SAMPLED, unit_limits(), 40, generator, Half())
    first = run.states[..., 0].flatten()
    assert float(first.max()) < 0.5
    inside = torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(0.5))
    assert run.guarded[0] == pytest.approx(1 - float(inside), abs=0.02)
    assert run.guarded[1] == pytest.approx((1 - float(inside)) ** 4, abs=0.01)
    below = (first[first != 0] < -1).double().mean()
    expected = torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(-1.0)) / inside
    assert float(below) == pytest.approx(float(expected), abs=0.02)


def test_moment_matching_loses_what_finite_samples_cost():
    """Exact model, D = 16, M = 256: the excess NLL is D / M within 25 %, as theory has it.

    The mean of M draws costs 1 / 2M nats per dimension, their variance another 1 / 2M.
    """
    torch.manual_seed(0)
    count, dims, samples = 2000, 16, 256
    states = torch.randn(samples, count, 1, dims)
    run = Run(states, torch.zeros_like(states), torch.ones(states.shape[:3]).bool(), (0.0, 0.0))
    truth = torch.randn(count, 1, dims)
    unit = Gaussians(torch.zeros(dims), torch.ones(dims))
    matched = moment_matched(run, 1, Marginals(unit, unit)).position
    excess = (unit.log_prob(truth) - matched.log_prob(truth)).double()
    expected = dims / samples
    assert float(excess.mean()) == pytest.approx(expected, rel=0.25)


def test_the_energy_score_is_fair_and_proper():
    """Its expectation does not depend on the number of samples, and the truth scores best."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.ones(3)
    truth = torch.randn((40_000, 1, 3), generator=generator)

    def mean(count: int, spread: float, shift: float) -> float:
        drawn = shift + spread * torch.randn((count, 40_000, 1, 3), generator=generator)
        return float(energy_score(drawn, truth, scale).double().mean())

    honest = [mean(count, 1.0, 0.0) for count in (2, 5, 16)]
    assert max(honest) - min(honest) < 0.02
    for spread, shift in ((0.5, 0.0), (1.6, 0.0), (1.0, 0.5), (0.01, 0.0)):
        assert mean(8, spread, shift) > max(honest)
    with pytest.raises(ValueError, match="two samples"):
        pair_distance(truth[:1], scale)


def test_climatology_scores_as_samples_of_it_do():
    generator = torch.Generator().manual_seed(0)
    climate = torch.randn((500, 3), generator=generator)
    truth = torch.randn((300, 2, 3), generator=generator)
    scale = torch.full((3,), 2.0)
    found = climatology_score(climate, truth, scale)
    drawn = climate.view(500, 1, 1, 3).expand(500, 300, 2, 3)
    assert torch.allclose(found, energy_score(drawn, truth, scale), atol=2e-3)


def test_a_forecast_of_chosen_horizons_is_scored_at_these():
    starts = flat_starts(4, 8)
    law = Gaussians(torch.zeros(4, 2, 2), torch.ones(4, 2, 2))
    found = Forecast(law, law, (2, 5)).log_prob(starts)
    unit = Gaussians(torch.zeros(2), torch.ones(2))
    assert torch.allclose(found["position"], unit.log_prob(starts.future[:, [1, 4]]))
    assert torch.allclose(found["delta"], unit.log_prob(starts.true_steps()[:, [1, 4]]))


def test_a_sampled_run_is_repeated_by_its_seed(head, world):
    starts = eval_starts(world, count=12)
    limits = limits_of(world.material)
    runs = [
        free_run(head, starts, SAMPLED, limits, 3, torch.Generator().manual_seed(seed)).states
        for seed in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_limits_count_what_is_not_finite_as_gone():
    limits = Limits(torch.zeros(2), torch.ones(2), 3.0)
    states = torch.tensor([[0.0, 1.0], [float("nan"), 0.0], [float("inf"), 0.0], [9.0, 9.0]])
    assert limits.is_inside(states).tolist() == [True, False, False, False]
