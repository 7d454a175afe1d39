"""A memory of bits of the state: the row that a frame reads, what moves the router, its start."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engram_audio.generation.arm_checks import require_arm
from engram_audio.generation.budget import budget_of
from engram_audio.generation.latent_ngrams import NONE, LatentReader, Router, symbols_of
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ArmName, LatentInsertion
from engram_audio.generation.sources import Keys, tables_of
from engram_audio.training.lazy_adam import LazyAdam
from tests.unit.generator_material import LATENT, MINIMAL, arm, frames, insertion, settings

PLACE = "before_block_2"


def latent(name: ArmName = "SM", is_stirred: bool = True, **changes: Any) -> Generator:
    return arm(name, memory=insertion(LATENT, **changes), is_stirred=is_stirred)


def reader_of(model: Generator, place: str = PLACE) -> LatentReader:
    assert model.memory is not None
    found = model.memory.readers[place]
    assert isinstance(found, LatentReader)
    return found


def router_of(model: Generator, place: str = PLACE) -> Router:
    assert model.memory is not None
    found = model.memory.sources[place]
    assert isinstance(found, Router)
    return found


def material(orders: tuple[int, ...] = (1, 2)) -> tuple[LatentReader, Tensor, Tensor]:
    """A reader, logits of 7 frames, and the gradient that its rows get."""
    reader = reader_of(latent(ngram_orders=orders))
    drawn = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 7, 6, generator=drawn).requires_grad_()
    return reader, logits, torch.randn(2, 7, len(orders), 3, 4, generator=drawn)


def row_by_hand(reader: LatentReader, symbols: Tensor, n: int, order: int, route: int) -> int:
    """The row of the n-gram that ends at the newest symbol, counted by the formula of the page."""
    start = sum((4**o) * 3 for o in (1, 2)[:n]) + route * 4**order
    return start + sum(int(own) * 4**age for age, own in enumerate(symbols.flip(0)[:order]))


def test_rows_are_those_of_the_formula():
    """Every route and order has a table of its own, one row per n-gram; none before it is whole."""
    reader, logits, _ = material()
    held = reader.held(logits, None)
    numbers, whole = reader.rows.numbers(held)
    symbols = symbols_of(logits, 3)
    assert (held[:, 0] == NONE).all() and torch.equal(held[:, 1:], symbols)
    for n, order in enumerate((1, 2)):
        for t in range(7):
            for route in range(3):
                assert bool(whole[0, t, n, route]) is (t >= order - 1)
                if t >= order - 1:
                    wanted = row_by_hand(reader, symbols[0, : t + 1, route], n, order, route)
                    assert int(numbers[0, t, n, route]) == wanted
    rows = reader.rows.rows(held, logits)
    assert not rows[:, 0, 1].any() and rows[:, 1:].abs().amin((1, 3)).min() > 0
    assert torch.equal(rows[0, 3, 0, 1], reader.rows.table.weight[numbers[0, 3, 0, 1]])


def test_the_gradient_of_a_bit_is_that_of_the_row_it_would_change_to():
    """dL/dz = p (1 - p) sum over the rows that the bit is in of g (row with it - row without)."""
    reader, logits, gradient = material()
    (reader.rows.rows(reader.held(logits, None), logits) * gradient).sum().backward()
    share = logits.detach().sigmoid()
    symbols = symbols_of(logits.detach(), 3)
    table = reader.rows.table.weight.detach()
    for t, route, bit in ((0, 1, 0), (3, 0, 1), (5, 2, 0), (6, 1, 1)):
        wanted = 0.0
        for n, order in enumerate((1, 2)):
            for end in range(max(t, order - 1), min(t + order, 7)):
                told = []
                for value in (1, 0):
                    own = symbols[0, : end + 1, route].clone()
                    own[t] = int(own[t]) & ~(1 << bit) | (value << bit)
                    told.append(table[row_by_hand(reader, own, n, order, route)])
                wanted += float(gradient[0, end, n, route] @ (told[0] - told[1]))
        place = route * 2 + bit
        p = float(share[0, t, place])
        assert logits.grad is not None
        assert float(logits.grad[0, t, place]) == pytest.approx(p * (1 - p) * wanted, rel=1e-4)


def test_the_gradient_changes_no_bit_of_what_is_read():
    """Rows read with and without it are the same bits, so training scores what is generated."""
    reader, logits, _ = material()
    held = reader.held(logits, None)
    trained = reader.rows.rows(held, logits)
    with torch.no_grad():
        assert torch.equal(trained, reader.rows.rows(held, logits))


@pytest.mark.parametrize("name", ["SM", "SMr", "SMu"])
def test_its_own_symbols_are_what_it_reads(name: ArmName):
    """Given as codes they change nothing; foreign ones do."""
    model, x = latent(name), frames()
    codes = model.codes(x)
    with torch.no_grad():
        own = model.features(x)
        assert codes.shape == (2, 30, 6) and int(codes.max()) < model.num_codes == 4
        assert torch.equal(model.features(x, codes), own)
        assert not torch.equal(model.features(x, codes.roll(1, 0)), own)


def test_no_symbol_is_read_as_no_row():
    """A frame whose codes are the number of codes reads zero rows, as before a sequence."""
    model, x = latent(places=[PLACE]), frames(length=4)
    none = torch.full((2, 4, 3), model.num_codes)
    with torch.no_grad():
        trace = model.trace(x, none)
    assert not trace.readings[PLACE].added.any()


def test_one_row_tells_nothing_of_the_state():
    """SM1: every whole frame reads the same rows, one for each route and order."""
    model = latent("SM1")
    seen: list[Tensor] = []
    hook = reader_of(model).token_norm.register_forward_hook(lambda _, i, __: seen.append(i[0]))
    with torch.no_grad():
        model.features(frames())
    hook.remove()
    whole = seen[0][:, 1:].flatten(0, 1)  # the first frame has no 2-gram yet
    assert (whole == whole[:1]).all()
    assert [table.num_rows for table in tables_of(model)] == [6, 6]


def test_it_starts_as_nothing_and_the_sink_has_its_share():
    """W_o is zero, and all routes have the weight f together, half here, up to small products."""
    model, x = latent(is_stirred=False), frames()
    plain = arm("S", is_stirred=False)
    with torch.no_grad():
        assert torch.equal(model.features(x), plain.features(x))
        trace = model.trace(x)
        reader_of(model).ask.weight.zero_()
        reader_of(model, "head").ask.weight.zero_()
        even = model.trace(x)
    for place in (PLACE, "head"):
        gate, exact = trace.readings[place].gate, even.readings[place].gate
        assert gate is not None and exact is not None
        assert torch.allclose(exact, torch.full_like(exact, 0.5), atol=1e-6)
        assert ((gate > 0.2) & (gate < 0.8)).all()


def gradient_of_router(model: Generator) -> Tensor | None:
    x = frames(length=12)
    codes = model.codes(x).roll(1, 0) if model.is_foreign else None
    model.train()
    model.zero_grad()
    model.features(x, codes).square().sum().backward()
    return router_of(model).project.weight.grad


def test_who_moves_the_router():
    """SM learns it for its share of the training; a random router and foreign symbols move none."""
    model = latent(router_share=0.5)
    router_of(model).expect_steps(4)
    for step in range(1, 5):
        router_of(model).count_step()
        found = gradient_of_router(model)
        assert (found is not None and bool(found.any())) is (step <= 2), step
    assert gradient_of_router(latent("SMr")) is None
    assert not latent("SMr").memory.sources[PLACE].project.weight.requires_grad  # type: ignore[union-attr]
    assert gradient_of_router(latent("SMx")) is None
    assert gradient_of_router(latent()) is not None


def test_bits_of_a_random_router_teach_the_state_as_those_of_a_learned_one():
    """SMr differs from SM in its planes alone: the rest of both is trained alike."""
    hidden = torch.randn(1, 5, 16, requires_grad=True)
    names: list[ArmName] = ["SM", "SMr"]
    for name in names:
        found = router_of(latent(name).train())(hidden, Keys(None, None, 5))
        (taught,) = torch.autograd.grad(found.sum(), hidden)
        assert taught.abs().sum() > 0, name


NUM_TELLING, NUM_STATE = 2, 16


def telling_share(router: Router) -> float:
    """Share of the planes' squared weight on the dimensions that tell the target."""
    squares = router.project.weight.detach().square()
    return float((squares[:, :NUM_TELLING].sum(1) / squares.sum(1)).mean())


def turned_router(router_sd: float, slope: float, num_steps: int = 200) -> tuple[float, float]:
    """Train a reader of 16 numbers, of which the signs of 2 tell the target; shares on these 2.

    Heads ask nothing of the state, so that rows alone tell. The router's gradient is `slope` times
    its own.
    """
    own = insertion(LATENT, num_routes=4, ngram_orders=[1], router_sd=router_sd)
    assert isinstance(own, LatentInsertion)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        router = Router(own, NUM_STATE, 0)
        reader = LatentReader(own, NUM_STATE, own.num_bits, 0, 0.02)
        nn.init.normal_(reader.output.weight, std=0.1)
        nn.init.zeros_(reader.ask.weight)
        first, target = telling_share(router), torch.randn(4, 4)
        rows = LazyAdam(reader.rows.table)
        trained = [router.project.weight, reader.tell.weight, reader.output.weight]
        network = torch.optim.AdamW(trained, lr=4e-3)
        for _ in range(num_steps):
            state = torch.randn(32, 8, NUM_STATE)
            symbol = (state[..., 0] > 0).long() + 2 * (state[..., 1] > 0).long()
            added = reader(state, router(state, Keys(None, None, 8)), None)[0][..., :4]
            network.zero_grad()
            rows.zero_grad()
            (added - target[symbol]).square().sum(-1).mean().backward()
            assert router.project.weight.grad is not None
            router.project.weight.grad *= slope
            network.step()
            rows.step(4e-3)
    return first, telling_share(router)


def test_a_router_turns_to_what_tells_the_target():
    """Random planes have 2 / 16 of their weight on what tells; learned ones have most of it.

    Each is the mean of 8 planes, whose share has an SD of about .1, so .25 is far from random. A
    router without its gradient keeps its share, and against it the planes turn away. Large planes
    turn less: a step of Adam moves a weight by the learning rate at most.
    """
    first, last = turned_router(0.2, 1.0)
    assert first < 0.25 and last > 0.6
    assert turned_router(0.2, 0.0)[1] == pytest.approx(first, abs=0.01)
    assert turned_router(0.2, -1.0)[1] < first
    assert first + 0.1 < turned_router(1.0, 1.0)[1] < last


def test_bits_are_told_in_full_precision():
    """Half precision would flip bits near zero between training and use."""
    model, x = latent(), frames(8, 40)
    hidden = model.trace(x).readings[PLACE].hidden
    with torch.autocast("cpu", torch.bfloat16):
        low = router_of(model).logits(hidden)
    assert low.dtype == torch.float32 and torch.equal(low, router_of(model).logits(hidden))


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [("SMc", LATENT, "has no gate"), ("SMl", LATENT, "reads no key"), ("SMa", LATENT, "reads no"),
     ("SMr", MINIMAL, "has no router"), ("SMu", MINIMAL, "has no n-grams")],
)  # fmt: skip
def test_arms_without_a_meaning_are_refused(name: ArmName, values: dict[str, Any], reason: str):
    """In one line that names arm, kind and remedy."""
    with pytest.raises(ValueError, match=f"arm {name}: a memory of kind .* {reason}.*drop the arm"):
        require_arm(name, insertion(values))


def test_tables_too_large_are_refused():
    """n-grams of all bits have a row each."""
    with pytest.raises(ValueError, match=r"num_bits: 8 bits and n-grams of 3 are 2 \*\* 24 rows"):
        insertion(LATENT, num_bits=8, ngram_orders=[2, 3])
    with pytest.raises(ValueError, match="num_value_heads: 3 do not divide num_heads 4"):
        insertion(LATENT, num_value_heads=3)


def test_controls_work_no_less():
    """SMm and SMf: at least SM's work, at most one hidden unit more at each place."""
    wanted = budget_of(latent("SM")).flops_generated
    inputs: tuple[tuple[ArmName, int], ...] = (("SMm", settings().width), ("SMf", 3))
    for name, num_inputs in inputs:
        more = budget_of(latent(name)).flops_generated - wanted
        assert 0 <= more < 2 * 2 * (num_inputs + 8), name
