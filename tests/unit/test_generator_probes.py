"""What is asked of a trained generator: latency, replay with codes dealt anew, keys under noise."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from engram_audio.generation import latency
from engram_audio.generation.dynamics import QUANTILES, _corrupted, _gates_at
from engram_audio.generation.insertion import Reading
from engram_audio.generation.model import Trace
from engram_audio.generation.replay import Dealing, ReplayTask
from engram_audio.generation.sources import Rows
from engram_audio.rollout.paths import Starts
from tests.unit.generator_material import arm, data, frames

CPU = torch.device("cpu")
N, W, H, D = 3, 5, 6, 2


def test_latency_is_of_a_frame_drawn_and_read_after_the_warm_up(monkeypatch: pytest.MonkeyPatch):
    """By a clock that the model moves: frame i takes i ms, half of it for the draw."""
    model, now, drawn = arm("S"), [0.0], [0]
    sample, step = model.sample, model.step

    def half() -> None:
        number = drawn[0] - latency.WARM_FRAMES
        now[0] += 100.0 if number <= 0 else number / 2000

    def slow_sample(*given: Any) -> Tensor:
        drawn[0] += 1
        half()
        return sample(*given)

    def slow_step(*given: Any) -> Any:
        half()
        return step(*given)

    monkeypatch.setattr(model, "sample", slow_sample)
    monkeypatch.setattr(model, "step", slow_step)
    monkeypatch.setattr(latency, "clock_s", lambda: now[0])
    threads = torch.get_num_threads()
    found = latency.latency_of(model, CPU)
    assert torch.get_num_threads() == threads
    count = latency.NUM_FRAMES
    low, middle, high = (np.quantile(np.arange(1, count + 1), q) for q in (0.1, 0.5, 0.9))
    assert found["num_frames"] == count
    assert found["latency_ms"] == pytest.approx(middle)
    assert (found["latency_ms_p10"], found["latency_ms_p90"]) == pytest.approx((low, high))


def replay(is_permuted: bool) -> ReplayTask:
    model = arm("SM").train()
    return ReplayTask(model, data(), data(4, seed=2), CPU, Dealing(is_permuted, 2, seed=3))


def test_codes_are_dealt_anew_before_each_pass_and_not_inside_of_one():
    work, dealt = replay(True), []
    for _ in range(6):  # three passes of two steps
        work.loss(torch.arange(2))
        dealt.append(work.permutation())
    count = work.model.key.num_codes
    for rows in dealt:
        assert sorted(rows.tolist()) == list(range(count + 1))
        assert rows[-1] == count, "a key that is not whole keeps its row"
    same = [torch.equal(one, other) for one, other in pairwise(dealt)]
    assert same == [True, False, True, False, True]
    assert torch.equal(replay(False).permutation(), torch.arange(count + 1))


def test_a_replay_keeps_its_last_weights():
    """The loop keeps the lowest score: here each later one is lower, whatever the choice part."""
    work, scores = replay(True), []
    for _ in range(3):
        work.loss(torch.arange(2))
        scores.append(work.validate())
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 3
    assert work.details["choice_nll"] not in scores


def test_a_settled_replay_reads_by_plain_codes_what_it_read_by_dealt_ones():
    work, own = replay(True), frames()
    work.loss(torch.arange(2))
    model, rows = work.model.eval(), work.permutation()
    assert not torch.equal(rows[rows], torch.arange(len(rows))), "else both orders are one"
    codes = model.codes(own)
    before = model.features(own, rows[codes])
    assert not torch.equal(before, model.features(own, codes))
    work.settle()
    assert torch.equal(model.features(own, codes), before)
    assert any(isinstance(module, Rows) for module in model.modules())


def starts() -> Starts:
    history = torch.arange(N * W * D, dtype=torch.float32).view(N, W, D)
    names = np.array(["a"] * N)
    return Starts(
        history, torch.zeros(N, H, D), torch.full((N,), H), torch.zeros(N, D), names, names,
        np.zeros(N, np.int64),
    )  # fmt: skip


@pytest.mark.parametrize("step", [1, 2, 6])
def test_the_gate_of_a_step_is_that_of_the_newest_frame_of_its_context(step: int):
    """Step 1 goes on from the last true frame; of dead paths nothing is asked."""
    place = torch.arange(W + H, dtype=torch.float32).expand(N, -1)
    gate = place.clone()
    gate[1] = -100.0
    is_alive = torch.ones(N, H, dtype=torch.bool)
    is_alive[1] = step == 1  # its paths died at once, and before that they count
    if step == 1:
        gate[1] = place[1]
    size = gate.unsqueeze(-1).expand(-1, -1, D)
    trace = Trace(size, {"input": Reading(0.5 * size, gate, size)}, None)
    found = _gates_at(trace, starts(), is_alive, step)
    assert [found[name] for name in QUANTILES] == [W + step - 2] * len(QUANTILES)
    assert found["write_ratio"] == pytest.approx(0.5)


def test_noise_moves_the_keys_and_leaves_the_frame_to_be_told_clean():
    """A law that asks for the frame alone costs the same under every noise."""
    clean, first = starts().history, 2

    def codes(own: Tensor) -> Tensor:
        moved = (own != clean).any(-1).long()
        moved[:, :first] = 0  # no key is whole there
        return moved

    model = SimpleNamespace(
        frames_needed=first + 1, codes=codes, recent=lambda own: own.unsqueeze(2),
        features=lambda own, _: own, log_prob=lambda *given: -(given[2] ** 2).sum(-1),
        head=SimpleNamespace(HAS_DENSITY=True),
    )  # fmt: skip
    setup = SimpleNamespace(
        generator=lambda *_: torch.Generator().manual_seed(0),
        limits=SimpleNamespace(sd=torch.ones(D)),
    )
    expected = float((clean[:, first + 1 :] ** 2).sum(-1).mean())
    for sd, flips in ((0.0, 0.0), (0.7, 1.0)):
        found = _corrupted(cast(Any, model), starts(), cast(Any, setup), sd, 0)
        assert found["flip_rate"] == flips
        for name in ("own", "oracle", "foreign"):
            assert found[f"nll_{name}_nats"] == pytest.approx(expected)
