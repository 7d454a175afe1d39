"""The Engram form: hashes, gate, convolution, sparse training, matched sizes, k-NN."""

import numpy as np
import pytest
import torch

from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.fit import head_task
from engram_audio.memory.datastore import KernelChoice, Neighbours, choose_kernel, kernel_log
from engram_audio.memory.engram import EngramModule
from engram_audio.memory.evaluation import mean_gate
from engram_audio.memory.fit import mean_nll
from engram_audio.memory.hashing import NgramHash, next_primes
from engram_audio.memory.joint import Trained, controls, pack, train_memory, unpack
from engram_audio.training.loop import Callbacks, Interrupted, TrainingState
from engram_audio.training.packing import pack_state, unpack_state
from tests.unit.memory_material import engram, key_of, table_of
from tests.unit.prediction_material import World, head_settings, make_world, recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(table_of(), 8, 6, 12)


def trained(world: World, state: TrainingState | None = None, stop: int | None = None, **changes):
    steps: list[int] = []
    saved: list[TrainingState] = []
    wired = Callbacks(
        progress=steps.append, save=saved.append, should_stop=lambda: len(steps) + 1 == stop
    )
    settings = head_settings("gaussian_mixture", num_components=1)
    changes = {"num_steps": 150, "learning_rate": 5e-3, **changes}
    try:
        return train_memory(
            engram(), key_of(world.material), settings, recipe(**changes), world.material, 1,
            "position", 0, CPU, state, wired,
        )  # fmt: skip
    except Interrupted:
        return unpack_state(*pack_state(saved[-1]))


@pytest.fixture(scope="module")
def memory(world: World) -> Trained:
    found = trained(world)
    assert isinstance(found, Trained)
    return found


def test_primes_are_the_next_ones():
    assert next_primes(10, 4) == [11, 13, 17, 19]
    assert next_primes(2, 3) == [2, 3, 5]


def test_hashes_see_their_suffix_only_and_heads_have_rows_of_their_own():
    """A row depends on the newest n codes; equal suffixes, equal rows; heads do not overlap."""
    hashed = NgramHash((2, 3), 2, 101, 50, 0)
    generator = np.random.default_rng(0)
    codes = torch.from_numpy(generator.integers(0, 50, (40, 9)))
    rows = hashed(codes)
    other = codes.clone()
    other[:, :-2] = torch.from_numpy(generator.integers(0, 50, (40, 7)))
    assert torch.equal(hashed(other)[:, -1, :2], rows[:, -1, :2])
    assert not torch.equal(hashed(other)[:, -1, 2:], rows[:, -1, 2:])
    bounds = np.cumsum([0, *hashed.primes.tolist()])
    for head in range(4):
        own = rows[..., head]
        assert bounds[head] <= int(own.min()) and int(own.max()) < bounds[head + 1]
    assert len(set(hashed.primes.tolist())) == 4


def test_the_module_is_causal_and_starts_as_the_gated_value():
    module = EngramModule(engram(kernel_frames=3, dilation_frames=2), 8, 16, 0)
    hidden, codes = torch.randn(5, 7, 8), torch.randint(0, 16, (5, 7))
    out, gate = module(hidden, codes)
    embedded = module.embed(module.hash(codes))
    assert torch.allclose(out, gate * module.value(embedded), atol=1e-6)  # zero convolution
    torch.nn.init.normal_(module.convolution.weight)
    out, _ = module(hidden, codes)
    later_hidden, later_codes = hidden.clone(), codes.clone()
    later_hidden[:, 5:] += 1
    later_codes[:, 5:] = 3
    changed, _ = module(later_hidden, later_codes)
    assert torch.equal(changed[:, :5], out[:, :5])
    assert not torch.allclose(changed[:, 5:], out[:, 5:])


def test_the_two_published_gates_differ_by_a_signed_root():
    gates = []
    for kind in ("paper", "signed_sqrt"):
        torch.manual_seed(0)
        module = EngramModule(engram(gate=kind), 8, 16, 0)
        hidden = torch.linspace(-1, 1, 24).reshape(1, 3, 8)
        embedded = module.embed(module.hash(torch.arange(3)[None]))
        gates.append(torch.logit(module.gate(hidden, embedded), eps=1e-7).squeeze())
    plain, rooted = gates
    expected = plain.sign() * plain.abs().sqrt()
    assert rooted.detach().numpy() == pytest.approx(expected.detach().numpy(), abs=1e-3)


def no_base(name: str) -> ConditionalDensity:
    raise AssertionError(f"an Engram memory has its base with it, not {name}")


def test_the_table_is_learned_and_used(world: World, memory: Trained):
    """Knocking the table out of the trained model costs; swapping its rows costs."""
    data = world.eval_data(1)
    own = mean_nll(memory.model, data, CPU)
    arrays, header = pack("memory", memory)
    scales = world.material.reference.input_scales
    again, _ = unpack(engram(), "memory", arrays, header, no_base, scales)
    assert mean_nll(again, data, CPU) == pytest.approx(own, abs=1e-5)
    gate = mean_gate(memory.model, data, CPU)
    assert 0 < gate < 1
    held = controls(again, np.zeros(0), lambda: gate, 0)
    assert mean_nll(again, data, CPU) == pytest.approx(own, abs=1e-5)  # copies are changed
    assert mean_nll(held["knock_out"], data, CPU) > own + 0.1
    assert mean_nll(held["random_values"], data, CPU) > own + 0.1
    batch = data.batch(torch.arange(30), CPU)
    assert torch.allclose(held["constant_gate"].gate(batch), torch.tensor(gate))
    # 8 symbols in 16 codes: train has shown all single codes and nearly all pairs that occur
    assert bool(memory.model.is_hit(batch).all())
    assert float(memory.model.is_first_hit(batch).float().mean()) > 0.8
    unseen = batch._replace(context=torch.randn_like(batch.context) * 5)
    first = memory.model.is_first_hit(unseen).float().mean()
    assert float(first) < float(memory.model.is_first_hit(batch).float().mean())


def test_a_stopped_run_resumes_with_the_same_bits(world: World):
    """The sparse table's lazy Adam is part of the checkpoint."""
    whole = trained(world, num_steps=30)
    state = trained(world, num_steps=30, stop=17)
    assert isinstance(whole, Trained) and isinstance(state, TrainingState)
    resumed = trained(world, state, num_steps=30)
    assert isinstance(resumed, Trained)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_only_touched_rows_move(world: World):
    settings = head_settings("gaussian_mixture", num_components=1)
    changes = recipe(num_steps=1, weight_decay=0.5)
    args = (
        engram(table_rows=5003), key_of(world.material), settings, changes, world.material, 1,
        "position", 0, CPU, None,
    )  # fmt: skip
    start = train_memory(
        *args[:3], recipe(num_steps=1, learning_rate=1e-12), *args[4:], Callbacks()
    )
    after = train_memory(*args, Callbacks())
    moved = (start.model.engram_trunk.engram.table.weight
             - after.model.engram_trunk.engram.table.weight).abs().sum(1) > 1e-6  # fmt: skip
    # one batch of 64 targets of 4 positions reads at most 1,024 of some 20,000 rows
    assert 0 < int(moved.sum()) <= 64 * 4 * 4


def test_budgets_count_what_is_there(world: World):
    """A linear trunk's work is two operations per weight, those of shared layers per frame."""
    settings = head_settings("gaussian_mixture", num_components=1, trunk={"kind": "mlp"})
    model = head_task(settings, world.material, 1, "position", 0, 256, CPU)[0].model
    assert model.trunk is not None
    linear = [m for m in model.trunk.modules() if isinstance(m, torch.nn.Linear)]
    base = model.base.weight.numel()
    assert model.budget().flops == 2 * (sum(m.weight.numel() for m in linear) + base)
    assert model.budget().parameters == base + sum(p.numel() for p in model.parameters())


def test_the_kernel_choice_keeps_the_base_where_neighbours_know_nothing():
    """Neighbours' residuals independent of the query's: val gives them no weight (n = 2,000)."""
    generator = torch.Generator().manual_seed(0)
    own = torch.randn((2000, 4), generator=generator)
    near = torch.randn((2000, 8, 4), generator=generator)
    base_log = -0.5 * own.square().sum(1) - 2 * np.log(2 * np.pi)
    distances = (near - own.unsqueeze(1)).square().sum(-1)
    found = Neighbours(torch.rand((2000, 8), generator=generator), distances, base_log, 4)
    choice = choose_kernel(found)
    gain = float((kernel_log(found, choice) - base_log).mean())
    assert choice.weight <= 0.3 and gain < 0.02
    exact = found._replace(distances=0.01 * torch.ones((2000, 8)))
    assert choose_kernel(exact).weight > 0.9
    off = KernelChoice(1.0, 1.0, 0.0)
    assert torch.equal(kernel_log(found, off), base_log)
