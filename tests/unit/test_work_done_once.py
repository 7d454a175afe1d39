"""What is known is not computed again, and the cheaper way gives the same numbers."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import scipy.special
import torch
from scipy import stats

from engram_audio.artifacts import resident
from engram_audio.calibration import chains, registry
from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.world import simulate
from engram_audio.densities.base import LinearBase
from engram_audio.densities.comparison import Cell, SumTable, described
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.fit import head_task, own_base, untrained_head
from engram_audio.densities.gaussian_mixture import GaussianMixture
from engram_audio.densities.marginal_em import (
    MixtureParameters,
    component_log_densities,
    make_points,
    squared_distances,
)
from engram_audio.densities.student_t_mixture import StudentTMixture
from engram_audio.densities.trunks import FreeParameters
from engram_audio.latents.block import LatentBlock
from engram_audio.memory.families import widened
from engram_audio.numerics.grouped import add_grouped
from engram_audio.numerics.log_sums import log_sum_exp, log_sum_exp_of_rows
from engram_audio.numerics.remembered import remembered
from engram_audio.numerics.seeds import step_seed
from engram_audio.training.loop import train
from engram_audio.windows import target_rows
from tests.unit.memory_material import table_of
from tests.unit.prediction_material import World, head_settings, make_world, recipe

CPU = torch.device("cpu")


def test_a_result_is_remembered_by_owner_and_content():
    """Equal arrays of the same owner give the same result, and nobody can write into it."""
    calls: list[object] = []

    @remembered(max_bytes=10**6)
    def doubled(owner: object, array: np.ndarray) -> np.ndarray:
        calls.append(owner)
        return 2 * array

    first, second, values = object(), object(), np.arange(6.0)
    assert doubled(first, values) is doubled(first, values.copy())
    assert calls == [first]
    for owner, array in ((second, values), (first, values + 1), (first, values.reshape(2, 3)),
                         (first, values.view(np.int64))):  # fmt: skip
        assert np.array_equal(doubled(owner, array), 2 * array)
    assert len(calls) == 5
    with pytest.raises(ValueError, match="read-only"):
        doubled(first, values)[0] = 1


def test_the_results_used_last_stay_within_their_bytes():
    """Room for two of 80 bytes: the one unused for longest goes, and one too large still counts."""
    calls: list[int] = []

    @remembered(max_bytes=160)
    def row(owner: object, size: np.ndarray) -> np.ndarray:
        calls.append(int(size))
        return np.zeros(int(size))

    for size in (10, 9, 10, 8, 10, 9, 100, 100):
        row(row, np.array(size))
    assert calls == [10, 9, 8, 9, 100]


def test_all_questions_to_an_oracle_share_one_filter(monkeypatch: pytest.MonkeyPatch):
    """The law of the hidden state given the frames depends on neither lag, space nor question."""
    world = registry.make_world("type2", 0, num_dims=2, num_phases=4)
    block = simulate(world, WorldSize(1, 1, 2)).block
    oracle = world.oracle()
    assert oracle is not None
    targets = target_rows(block.offsets, 4, 2)
    oracle.log_density(block, targets, 1)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("filtered again")

    monkeypatch.setattr(chains, "log_sum_exp", never)
    oracle.mean(block, targets, 2, "position")
    oracle.sample(block, targets[::2], 1, np.random.default_rng(0), 3)
    with pytest.raises(AssertionError, match="again"):
        oracle.mean(block._replace(frames=block.frames + 1), targets, 1)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_log_sums_are_those_of_scipy(axis: int, keepdims: bool):
    """Ties of the largest, infinite and undefined values included; see its module on the bits."""
    values = np.random.default_rng(axis).normal(size=(40, 40)) * 20
    values[:, 3] = values[:, 4] = values.max()
    values[7] = values[:, 7] = -np.inf
    values[8, 9], values[10, 11] = np.inf, np.nan
    values[12, 12] = -np.inf
    with np.errstate(all="ignore"):
        expected = np.asarray(scipy.special.logsumexp(values, axis=axis, keepdims=keepdims))
    found = log_sum_exp(values, axis, keepdims)
    # 40 terms: both sum within 40 roundings
    np.testing.assert_allclose(found, expected, rtol=40 * np.finfo(float).eps)


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 16, 23, 32, 33, 128, 129, 300])
def test_log_sums_of_rows_are_those_of_scipy_at_every_length(size: int):
    """Rows of one number, of whole and of broken eights, and of more than one block."""
    values = np.random.default_rng(size).normal(size=(50, size)) * 20
    values[0], values[1, 0], values[2, -1] = -np.inf, np.inf, np.nan
    values[3] = values[3, 0]
    with np.errstate(all="ignore"):
        expected = np.asarray(scipy.special.logsumexp(values, axis=1))
    bound = max(size, 4) * np.finfo(float).eps  # both sum within `size` roundings
    for found in (log_sum_exp(values, 1), log_sum_exp_of_rows(values.T.copy())):
        np.testing.assert_allclose(found, expected, rtol=bound)


@pytest.mark.parametrize("freedom", [np.inf, 3.5])
def test_components_have_the_densities_of_their_family(freedom: float):
    """Log (weight x density) of normals and of multivariate t with diagonal scale, by scipy."""
    rng = np.random.default_rng(0)
    z, means, scales = (
        rng.normal(size=(30, 3)),
        rng.normal(size=(2, 3)),
        rng.uniform(0.5, 2, (2, 3)),
    )
    weights = np.array([0.3, 0.7])
    mixture = MixtureParameters(weights, means, scales, np.full(2, freedom))
    found = component_log_densities(squared_distances(make_points(z), mixture), mixture)
    for number in range(2):
        law = stats.multivariate_t(
            means[number],
            np.diag(scales[number] ** 2),  # type: ignore[arg-type]
            df=freedom,  # type: ignore[arg-type]
        )
        # distances are differences of numbers of size 10: a few times 1e-15 of that
        expected = np.log(weights[number]) + law.logpdf(z)
        np.testing.assert_allclose(found[number], expected, atol=1e-11)


def test_sums_by_group_keep_nothing_of_an_earlier_call():
    """Calls of the same sizes with other groups and values add their own rows."""
    rng = np.random.default_rng(0)
    for _ in range(3):
        codes, values = rng.integers(0, 4, 50), rng.normal(size=(50, 2))
        total, expected = np.zeros((4, 2)), np.zeros((4, 2))
        add_grouped(total, values, codes)
        np.add.at(expected, codes, values)
        np.testing.assert_allclose(total, expected, atol=50 * 4 * np.finfo(float).eps)


class Drawing:
    """A task that notes what a step draws."""

    frames_per_item, num_items = 1, 8

    def __init__(self) -> None:
        self.model = torch.nn.Linear(1, 1)
        self.details: dict[str, float] = {}
        self.drawn: list[torch.Tensor] = []

    def loss(self, items: torch.Tensor) -> torch.Tensor:
        self.drawn.append(torch.rand(3))
        return self.model(torch.ones(len(items), 1)).square().mean()

    def validate(self) -> float:
        return 1.0


def test_a_step_on_a_cpu_seeds_the_cpu_alone(monkeypatch: pytest.MonkeyPatch):
    """It draws what `torch.manual_seed` gives, and queues no call for a GPU that is not there."""
    task = Drawing()
    with monkeypatch.context() as patched:
        patched.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("seeds GPUs"))
        train(task, recipe(num_steps=3), 5, CPU)
    for step, drawn in enumerate(task.drawn):
        torch.manual_seed(step_seed(5, step))
        assert torch.equal(drawn, torch.rand(3))
    assert len(task.drawn) == 3


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(table_of(), 8, 6, 12)


def test_the_base_of_a_head_does_not_depend_on_its_width(world: World):
    """So one base serves all widths that are tried, and training starts from the same model."""
    settings = head_settings("gaussian_mixture", num_components=1, whitening="chosen")
    wide = widened(settings, 24)
    base = own_base(settings, world.material, 1, "position", 0)
    task, used = head_task(wide, world.material, 1, "position", 0, 64, CPU)
    for own, other in zip(base, used, strict=True):
        assert np.array_equal(own, other)
    alone = untrained_head(wide, base, world.material, 1, "position", 0).state_dict()
    assert alone.keys() == task.model.state_dict().keys()
    assert all(torch.equal(alone[name], value) for name, value in task.model.state_dict().items())


@pytest.mark.parametrize(("kept_bytes", "expected"), [(24, 1), (23, 3)])
def test_a_small_stream_is_read_once(
    kept_bytes: int, expected: int, monkeypatch: pytest.MonkeyPatch
):
    """Three frames of two dimensions take 24 bytes; a larger stream is read each time."""
    monkeypatch.setattr(resident, "KEPT_BYTES", kept_bytes)
    block = LatentBlock(
        frames=np.zeros((3, 2), np.float32), energy=np.ones(3, np.float32),
        offsets=np.array([0, 3]), utterance_ids=np.array(["u"], object),
        speaker_ids=np.array(["s"], object),
    )  # fmt: skip
    reads: list[int] = []

    def source() -> Iterator[LatentBlock]:
        reads.append(1)
        yield block

    stream = resident.kept_source(source, 3, 2)
    assert [len(list(stream())) for _ in range(3)] == [1, 1, 1]
    assert len(reads) == expected


def test_all_quotients_of_a_row_are_what_each_is_alone():
    """Together or one by one: the same bits; NaN without a column, its sums or its divisor."""
    rng, size = np.random.default_rng(0), 19  # speakers: above 8 and no multiple of it
    scores = pd.DataFrame(
        {
            "model": "m", "lag_frames": 1, "event": "delta", "part": "eval", "slice": "all",
            "speaker_id": [f"s{number:02d}" for number in range(size)],
            "nll": rng.normal(size=size), "num_frames": rng.integers(0, 50, size).astype(float),
            "cosine": rng.normal(size=size) * 1e6, "never": np.nan, "nothing": 0.0,
        }
    )  # fmt: skip
    table, cell = SumTable(scores), Cell(1, "delta", "eval", "all")
    tops, bottoms = ("nll", "cosine", "never", "absent"), ("num_frames", "nothing", "absent")
    pairs = tuple((top, bottom) for top in tops for bottom in bottoms)
    for model in ("m", "another"):
        found = table.quotients(model, cell, pairs)
        for pair in pairs:
            alone = described("x", table.ratio(model, cell, *pair))
            np.testing.assert_array_equal(found[pair], list(alone.values()), str(pair))
    assert np.isfinite(table.quotients("m", cell, pairs)["cosine", "num_frames"]).all()


@pytest.mark.parametrize("family", [GaussianMixture, StudentTMixture])
def test_a_law_without_context_scores_with_one_row_of_parameters(family: type, world: World):
    """The scores are those of one row for each target, alone and among candidates."""
    base = own_base(
        head_settings("gaussian_mixture", num_components=1), world.material, 1, "delta", 0
    )
    size = len(base.frame_mean)
    head = family(size, 3, (-5.0, 5.0))
    start = head.initial_parameters(torch.Generator().manual_seed(0))
    model = ConditionalDensity(LinearBase(base), FreeParameters(start), head)
    batch = world.material.data("train", 1, 40).batch(torch.arange(40), CPU)
    values = torch.randn((40, 5, size), generator=torch.Generator().manual_seed(1))
    repeated = model.log_prob(batch), model.log_prob_of(batch, values)
    with torch.no_grad():
        once = model.log_prob(batch), model.log_prob_of(batch, values)
    assert repeated[0].requires_grad and not once[0].requires_grad
    for one, other in zip(once, repeated, strict=True):
        # the same operations on the same numbers, at most in other lanes of the processor
        torch.testing.assert_close(one, other.detach(), rtol=1e-6, atol=1e-6)
