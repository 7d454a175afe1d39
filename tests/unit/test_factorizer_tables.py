"""Health, sweeps, storage, export, chunks and the published rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engram_audio import windows
from engram_audio.factorizer.columns import FACTORIZER
from engram_audio.factorizer.config import FactorizerHealthSection, FactorizerSweepSection
from engram_audio.factorizer.export import state_block
from engram_audio.factorizer.health import (
    batch_health,
    collapse_reason,
    effective_rank,
    movement,
    swap_utterances,
)
from engram_audio.factorizer.storage import pack_factorizer, unpack_factorizer
from engram_audio.factorizer.sweep import expand_sweep
from engram_audio.factorizer.tables import sweep_table
from engram_audio.factorizer.terms import Chunk
from engram_audio.latents.block import LatentBlock
from tests.unit.factorizer_material import CPU, DOCUMENT, settings, small_model

LIMITS = FactorizerHealthSection(
    minimum_effective_rank=0.5,
    minimum_state_sd=0.3,
    minimum_movement=0.05,
    minimum_state_use_nats=0.02,
    minimum_active_nats=0.1,
    minimum_prior_cost=0.1,
    action="fail",
)
HEALTHY = {
    "state_effective_rank": 2.0,
    "state_sd": 1.0,
    "state_movement": 0.5,
    "state_use_nats": 1.0,
    "innovation_nats": 2.0,
    "error_posterior": 0.1,
    "error_prior": 0.2,
}


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
    st.integers(2, 20),
    st.integers(0, 10),
)
def test_chunks_tile_what_follows_the_burn_in(lengths: list[int], extra: int, burn_in: int):
    """Every frame past its utterance's burn-in is scored in exactly one chunk of that utterance."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    used = np.arange(0, len(lengths), 2)
    length = burn_in + extra
    starts, stops = windows.chunks(offsets, used, length, burn_in)
    scored = np.zeros(offsets[-1], int)
    for start, stop in zip(starts, stops, strict=True):
        assert stop in offsets[used + 1]
        scored[start + burn_in : min(start + length, stop)] += 1
    expected = np.zeros(offsets[-1], int)
    for utterance in used:
        expected[offsets[utterance] + burn_in : offsets[utterance + 1]] = 1
    assert np.array_equal(scored, expected)


def several(lengths: list[int]) -> Chunk:
    """Sequences of six frames, so many of each utterance, the first frame of each unscored."""
    utterance = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    frames = torch.randn((len(utterance), 6, 4), generator=torch.Generator().manual_seed(0))
    is_scored = torch.ones(frames.shape[:2], dtype=torch.bool)
    is_scored[:, 0] = False
    return Chunk(frames, torch.ones_like(is_scored), is_scored, utterance)


def test_a_state_that_nothing_reads_is_of_no_use_and_counts_as_collapsed():
    """Weights from z_dyn are 0: lively, full rank, and 0 nats. Default limits name it."""
    model = small_model(decoder__kind="plain", innovation__prior="marginal").eval()
    chunk = several([2, 1, 2])
    torch.manual_seed(0)
    with torch.no_grad():
        for part, first in ((model.decoder.detail, 0), (model.innovation.posterior, 4)):
            for weight in (part.linear.weight, next(part.mlp.parameters())):
                weight[:, first : first + 2] = 0.0
        unused = batch_health(model, chunk)
        model.decoder.detail.linear.weight[:, :2] = 1.0
        read = batch_health(model, chunk)
    assert unused["state_use_nats"] == 0.0
    assert read["state_use_nats"] != 0.0
    document = yaml.safe_load(Path("workflow_config.yaml").read_text())["factorizer"]["health"]
    limits = FactorizerHealthSection.model_validate(document, strict=False)
    found = {**HEALTHY, "state_use_nats": unused["state_use_nats"]}
    assert "z_dyn is not used" in str(collapse_reason(found, model, limits))
    assert collapse_reason(HEALTHY, model, limits) is None


@pytest.mark.parametrize("lengths", [[2, 1, 2], [1, 1], [3, 3], [1, 4, 2, 1]])
def test_swapped_states_come_from_another_utterance(lengths: list[int]):
    """Every scored frame, where no utterance holds more than half; the others stay."""
    chunk = several(lengths)
    names = chunk.utterance[:, None, None].expand(-1, 6, 1).float()
    swapped = swap_utterances(names, chunk)
    is_moved = (swapped != names)[..., 0]
    assert torch.equal(is_moved, chunk.is_scored)


def test_in_a_single_utterance_frames_are_swapped_over_half_of_it():
    chunk = several([2])
    places = torch.arange(12.0).reshape(2, 6, 1)
    moved = swap_utterances(places, chunk)[..., 0]
    assert torch.equal((moved != places[..., 0]), chunk.is_scored)


@pytest.mark.parametrize(
    ("changes", "whitened", "words"),
    [
        ({}, True, None),
        ({"state_effective_rank": 0.9}, True, "effective rank"),
        ({"state_sd": 0.01}, False, "shrunk"),
        ({"state_sd": 0.01}, True, None),
        ({"state_movement": 0.0}, True, "frozen"),
        ({"state_use_nats": 0.0}, True, "z_dyn is not used"),
        ({"state_use_nats": -0.1}, True, "z_dyn is not used"),
        ({"innovation_nats": 0.01}, True, "z_rec is not used"),
        ({"error_prior": 0.105}, True, "redundant"),
    ],
)
def test_a_collapsed_run_is_told_by_name(changes: dict, whitened: bool, words: str | None):
    model = small_model(state__is_whitened=whitened)
    reason = collapse_reason({**HEALTHY, **changes}, model, LIMITS)
    assert reason is None if words is None else words in str(reason)


def test_a_deterministic_z_rec_is_judged_by_its_prior():
    model = small_model(innovation__prior="deterministic")
    assert collapse_reason({**HEALTHY, "innovation_nats": 0.0}, model, LIMITS) is None
    redundant = {**HEALTHY, "innovation_nats": 0.0, "error_prior": 0.1}
    assert "redundant" in str(collapse_reason(redundant, model, LIMITS))


def test_movement_and_rank_of_known_cases():
    torch.manual_seed(0)
    mask = torch.ones(50, 100, dtype=torch.bool)
    white = torch.randn(50, 100, 3)
    assert float(movement(white, mask)) == pytest.approx(1, abs=0.02)
    assert float(movement(white[:, :1].expand(-1, 100, -1), mask)) == pytest.approx(0, abs=1e-6)
    assert effective_rank(torch.eye(4)) == pytest.approx(4)
    assert effective_rank(torch.diag(torch.tensor([1.0, 0.0, 0.0]))) == pytest.approx(1)


def sweep(**changes) -> FactorizerSweepSection:
    document = {
        "variant": "v",
        "state_dims": [2, 4],
        "target_nats": [1.0, 2.5],
        "context_frames": [],
        "rollout_horizons_frames": [],
    }
    return FactorizerSweepSection.model_validate({**document, **changes}, strict=False)


def test_a_sweep_is_its_grid():
    points = expand_sweep("grid", sweep(), settings())
    assert list(points) == ["grid_d2_r1", "grid_d2_r2_5", "grid_d4_r1", "grid_d4_r2_5"]
    point = points["grid_d4_r2_5"]
    assert (point.state.num_dims, point.loss.kl.mode, point.loss.kl.target_nats) == (
        4, "target", 2.5,
    )  # fmt: skip


def test_context_and_horizon_are_axes_and_a_gru_has_no_context():
    transformer = settings(encoder={**DOCUMENT["encoder"], "kind": "transformer"})
    points = expand_sweep(
        "grid", sweep(context_frames=[2, 8], rollout_horizons_frames=[1, 4]), transformer
    )
    assert len(points) == 16
    point = points["grid_d2_r1_c8_h4"]
    assert (point.encoder.context_frames, point.loss.rollout_horizon_frames) == (8, 4)
    with pytest.raises(ValueError, match="context_frames"):
        expand_sweep("grid", sweep(context_frames=[2]), settings())


def test_the_pareto_front_has_what_nothing_beats():
    table = pd.DataFrame(
        {
            "representation": "x",
            "sweep": ["a", "a", "a", "b", ""],
            "factorizer": list("pqrst"),
            "seed": 0,
            "part": "eval",
            "slice": "all",
            "rate_nats": [1.0, 2.0, 2.0, 9.0, 0.1],
            "error_posterior": [0.5, 0.4, 0.6, 0.9, 0.1],
            **dict.fromkeys(
                ("state_dims", "target_nats", "context_frames", "rollout_horizon_frames",
                 "innovation_bits_per_s", "bound_nats", "information_nats", "state_movement",
                 "is_collapsed", "collapse"), 0,
            ),
        }
    )  # fmt: skip
    table = table.reindex(columns=FACTORIZER.names())
    found = sweep_table(table).set_index("factorizer")
    assert found["is_pareto"].to_dict() == {"p": True, "q": True, "r": False, "s": True}
    assert found["num_points"].to_dict() == {"p": 3, "q": 3, "r": 3, "s": 1}


@pytest.mark.parametrize("stride", [1, 4])
def test_a_stored_factoriser_is_the_same(stride: int):
    model = small_model(state__stride_frames=stride, state__upsampler="learned").train()
    model.states(torch.randn(3, 16, 4))  # moves the whitening
    again = unpack_factorizer(*pack_factorizer(model, 0.0))
    frames = torch.randn(2, 16, 4)
    torch.manual_seed(0)
    first = model.eval().states(frames)
    torch.manual_seed(0)
    second = again.states(frames)
    assert torch.equal(first.frames, second.frames)
    assert again.log_scale == model.log_scale


def test_exported_states_do_not_depend_on_neighbours():
    """An utterance has the same z_dyn alone and among longer ones; strides keep energies."""
    model = small_model(state__stride_frames=4).eval()
    generator = np.random.default_rng(0)
    lengths = [9, 16, 5]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    block = LatentBlock(
        generator.normal(size=(30, 4)).astype(np.float32),
        generator.random(30).astype(np.float32),
        offsets,
        np.array(["a", "b", "c"], dtype=object),
        np.array(["s", "s", "t"], dtype=object),
    )
    whole = state_block(model, block, CPU)
    assert np.diff(whole.offsets).tolist() == [3, 4, 2]
    alone = block._replace(
        frames=block.frames[9:25],
        energy=block.energy[9:25],
        offsets=np.array([0, 16]),
        utterance_ids=block.utterance_ids[1:2],
        speaker_ids=block.speaker_ids[1:2],
    )
    own = state_block(model, alone, CPU)
    np.testing.assert_allclose(own.frames, whole.frames[3:7], atol=1e-6)
    rms = np.sqrt(np.mean(block.energy[9:13] ** 2))
    assert whole.energy[3] == pytest.approx(rms, rel=1e-6)
    last = np.sqrt(np.mean(block.energy[8:9] ** 2))
    assert whole.energy[2] == pytest.approx(last, rel=1e-6)
