"""The optimiser of sparse tables against torch's own class."""

import copy

import torch

from engram_audio.training.lazy_adam import LazyAdam
from engram_audio.training.tables import SparseTable

FACTOR = 5.0


def read(table: SparseTable, step: int) -> None:
    """Give the table the gradient of a step that reads some rows, some of them twice."""
    generator = torch.Generator().manual_seed(step)
    rows = torch.randint(step + 2, (9,), generator=generator)
    table.weight.grad = None
    (table(rows) * torch.randn(9, table.embedding_dim, generator=generator)).sum().backward()


def test_steps_are_those_of_torch_bit_for_bit():
    """Weights and moments agree after steps at changing rates; rows never read stay."""
    own = SparseTable(13, 4, FACTOR)
    other, start = copy.deepcopy(own), own.weight.detach().clone()
    optimizer, reference = LazyAdam(own), torch.optim.SparseAdam([other.weight])
    for step in range(10):
        rate = 1e-2 / (1 + step)
        read(own, step)
        read(other, step)
        optimizer.step(rate)
        reference.param_groups[0]["lr"] = FACTOR * rate
        reference.step()
    assert torch.equal(own.weight, other.weight)
    for name, value in reference.state[other.weight].items():
        assert torch.equal(torch.as_tensor(optimizer.state[own.weight][name]),
                           torch.as_tensor(value))  # fmt: skip
    moved = (own.weight != start).any(1)
    assert not moved[11:].any() and moved[:2].all()


def test_a_step_without_a_gradient_moves_nothing():
    """As with torch: no state, no error."""
    table = SparseTable(3, 2, FACTOR)
    optimizer = LazyAdam(table)
    read(table, 0)
    optimizer.zero_grad()
    optimizer.step(0.1)
    assert table.weight.grad is None and optimizer.state == {}


def test_row_moments_keep_one_number_for_each_row():
    """By hand: v += (1 - b)(mean g^2 - v) of the rows read, and a step along g itself."""
    table = SparseTable(13, 4, FACTOR, has_row_moments=True)
    optimizer = LazyAdam(table)
    weight, second = table.weight.detach().clone().double(), torch.zeros(13, 1).double()
    for step in range(6):
        read(table, step)
        assert table.weight.grad is not None
        gradient = table.weight.grad.coalesce()
        rows, values = gradient.indices()[0], gradient.values().double()
        optimizer.step(0.01)
        second[rows] += 0.001 * (values.square().mean(1, keepdim=True) - second[rows])
        level = (second[rows] / (1 - 0.999 ** (step + 1))).sqrt()
        weight[rows] -= FACTOR * 0.01 * values / (level + 1e-8)
    state = optimizer.state[table.weight]
    assert set(state) == {"step", "exp_avg_sq"} and state["exp_avg_sq"].shape == (13, 1)
    assert torch.allclose(table.weight.double(), weight, atol=1e-5)
