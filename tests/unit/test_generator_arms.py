"""What each arm is made of: what it shares with the others, and what it changes."""

from typing import Any, get_args

import pytest
import torch

from engram_audio.generation.arm_checks import allowed_places, check_insertion, insertion_of
from engram_audio.generation.arms import row_rms
from engram_audio.generation.insertion import GatedValue, Memory
from engram_audio.generation.model_config import (
    ARMS,
    ArmName,
)
from engram_audio.generation.sources import Keys, OneRow, Rows
from engram_audio.generation.storage import pack_generator, unpack_generator
from tests.unit.generator_material import (
    ARMS_AND_FORMS,
    ENGRAM,
    FORMS,
    MINIMAL,
    NGRAM,
    SIGNED,
    arm,
    foreign_codes,
    frames,
    insertion,
    key,
    settings,
)

ADDITIVE: dict[str, Any] = {
    name: NGRAM[name]
    for name in ("key", "ngram_orders", "num_hashes", "table_rows", "table_learning_rate_factor")
}


def memory_of(model: Any) -> Memory:
    assert model.memory is not None
    return model.memory


@pytest.mark.parametrize("form", FORMS)
def test_arms_of_a_seed_start_from_the_same_network(form: str):
    """Backbone and head are drawn apart from the memory, so that a seed makes a pair."""
    first = arm("S", is_stirred=False).state_dict()
    names: list[ArmName] = [name for name, of in ARMS_AND_FORMS if of == form]
    for name in names:
        model = arm(name, memory=insertion(FORMS[form]), is_stirred=False)
        own = {label.replace("head.inner.", "head."): v for label, v in model.state_dict().items()}
        assert all(torch.equal(values, own[label]) for label, values in first.items()), name
    assert not torch.equal(
        first["backbone.embed.weight"],
        arm("S", seed=1, is_stirred=False).state_dict()["backbone.embed.weight"],
    )


@pytest.mark.parametrize("form", [form for form in FORMS if form != "latent"])
def test_one_row_says_the_same_whatever_the_key(form: str):
    """SM1: frames of any code add the same vector up to the gate; SM does not."""
    sizes = {}
    for name in ("SM1", "SM"):
        model = arm(name, memory=insertion(FORMS[form]))
        place = model.spec.insertion.places_in(model.settings)[0]
        x = frames(length=40)
        with torch.no_grad():
            trace = model.trace(x)
        found = []
        hook = (
            memory_of(model)
            .source(place)
            .register_forward_hook(lambda _, __, output, found=found: found.append(output))
        )
        with torch.no_grad():
            model.features(x)
        hook.remove()
        assert place in trace.readings
        sizes[name] = len(found[0].flatten(0, 1).unique(dim=0))
    assert sizes["SM1"] == 1 < sizes["SM"]
    assert [type(s) for s in memory_of(arm("SM1")).sources.values()] == [OneRow]


def test_foreign_keys_close_nothing_by_construction():
    """SMx is SM in every weight; only the codes that the caller gives differ."""
    own, foreign = arm("SM", is_stirred=False), arm("SMx", is_stirred=False)
    left, right = own.state_dict(), foreign.state_dict()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    x = frames()
    with torch.no_grad():
        assert torch.equal(own.features(x), foreign.features(x, own.codes(x)))


@pytest.mark.parametrize("name", ["SMn", "SMnx"])
def test_frozen_rows_have_the_given_size_and_no_gradient(name: ArmName):
    """All else of the arm is trained."""
    model = arm(name, memory=insertion(NGRAM), is_stirred=False)
    frozen = {label for label, own in model.named_parameters() if not own.requires_grad}
    assert frozen == {"memory.sources.before_block_2.table.weight"}
    x = frames()
    model.train().features(x, foreign_codes(model, x)).square().sum().backward()
    assert model.get_parameter("memory.sources.before_block_2.table.weight").grad is None


def test_rms_of_rows_is_of_those_that_train_read():
    """Rows that nobody read still stand at their start, and say nothing of trained ones."""
    model = arm("SM", is_stirred=False)
    rows = memory_of(model).sources["before_block_2"]
    assert isinstance(rows, Rows)
    with pytest.raises(ValueError, match="no row that train has read"):
        row_rms(model)
    with torch.no_grad():
        rows.table.weight[2] = 3.0
    rows.count_visits(torch.tensor([[2], [2]]))
    assert row_rms(model) == pytest.approx(3.0)


def test_a_constant_gate_is_one_number_for_all_frames():
    """SMc: half at the start, the same at every frame when trained; SM asks the state."""
    for values in (MINIMAL, ENGRAM):
        model = arm("SMc", memory=insertion(values), is_stirred=False)
        gates = [own.gate for own in model.trace(frames()).readings.values()]
        assert all(gate is not None and (gate == 0.5).all() for gate in gates)
        stirred = arm("SMc", memory=insertion(values)).trace(frames()).readings.values()
        assert all(own.gate is not None and len(own.gate.unique()) == 1 for own in stirred)
        asked = arm("SM", memory=insertion(values)).trace(frames()).readings.values()
        assert all(own.gate is not None and len(own.gate.unique()) > 9 for own in asked)


def test_memory_starts_near_nothing():
    """The gate starts at a half and rows near zero; additive rows and values start near zero."""
    x = frames(length=40)
    plain = arm("S", is_stirred=False).features(x)
    for name in ("SM", "SM1", "SMc", "SMa", "SMv", "SMn"):
        gap = (arm(name, is_stirred=False).features(x) - plain).abs().max()
        assert gap < 0.1, name


@pytest.mark.parametrize("form", ["additive", "value"])
@pytest.mark.parametrize("name", ["SM", "SM1", "SMm", "SMf", "SMx", "SMn"])
def test_forms_without_places_have_every_control(name: ArmName, form: str):
    """The additive and the value form may be the memory itself: their controls are built too."""
    model, x = arm(name, memory=insertion({**ADDITIVE, "kind": form})), frames()
    with torch.no_grad():
        trace = model.trace(x, foreign_codes(model, x))
        assert set(trace.readings) == {"input", "before_block_2"}
        assert not torch.equal(trace.features, arm("S").features(x))


def test_a_gate_that_is_not_there_cannot_be_constant():
    """SMc of a form without a gate is refused in one line."""
    with pytest.raises(ValueError, match="arm SMc: a memory of kind additive has no gate"):
        insertion_of("SMc", insertion({**ADDITIVE, "kind": "additive"}))


@pytest.mark.parametrize(
    ("short", "place", "is_there"),
    [(None, "short", False), (3, "short", True), (None, "before_block_3", False),
     (None, "before_block_2", True), (None, "head", True)],
)  # fmt: skip
def test_places_are_those_of_the_generator(short: int | None, place: str, is_there: bool):
    """A place that does not exist names those that do."""
    own = settings(short_context_frames=short)
    assert (place in allowed_places(own)) is is_there
    if is_there:
        return check_insertion("x", insertion(places=[place]), own)
    with pytest.raises(ValueError, match=rf"insertion\.places: '{place}' is not one of input"):
        arm("SM", own, insertion(places=[place]))


@pytest.mark.parametrize(("name", "form"), ARMS_AND_FORMS)
def test_a_stored_arm_is_the_arm(name: ArmName, form: str):
    """Arrays and header give the same features, visits and buffers back."""
    model = arm(name, settings(short_context_frames=3), insertion(FORMS[form]), key(state_frames=2))
    for table in (own for own in model.modules() if isinstance(own, Rows)):
        table.count_visits(torch.arange(5))
    again = unpack_generator("m", *pack_generator("m", model))
    x = frames()
    with torch.no_grad():
        codes = foreign_codes(model, x)
        assert torch.equal(model.features(x, codes), again.features(x, codes))
    left, right = model.state_dict(), again.state_dict()
    assert left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)
    assert again.spec.arm == name and not again.training


def test_stored_weights_of_another_model_are_refused():
    """A file whose arrays do not fit its header is no model."""
    arrays, header = pack_generator("m", arm("SM"))
    del arrays["m/state/norm.weight"]
    with pytest.raises(ValueError, match=r"stored weights do not fit the model: \['norm.weight'\]"):
        unpack_generator("m", arrays, header)


def test_probes_clamp_mask_and_average():
    """A clamped gate of 0 is the small model, masked rows read 0, the mean row is weighted."""
    model, plain, x = arm("SM"), arm("S"), frames()
    memory = memory_of(model)
    rows, reader = memory.sources["before_block_2"], memory.readers["before_block_2"]
    assert isinstance(rows, Rows) and isinstance(reader, GatedValue)
    with torch.no_grad():
        plain.load_state_dict({k: v for k, v in model.state_dict().items() if "memory" not in k})
        reader.constant_gate = 0.0
        assert torch.equal(model.features(x), plain.features(x))
        reader.constant_gate = None
        own = model.features(x)
        assert not torch.equal(own, plain.features(x))
        rows.count_visits(torch.tensor([0, 0, 0, 4]))
        rows.minimum_visits = 1
        read = rows.read(torch.tensor([0, 1, 4]))
        assert torch.equal(read, rows.table.weight[[0, 1, 4]] * torch.tensor([[1.0], [0], [1]]))
        rows.minimum_visits, rows.is_averaged = 0, True
        mean = (3 * rows.table.weight[0] + rows.table.weight[4]) / 4
        assert torch.allclose(rows.mean_rows()[0], mean, atol=1e-6)
        assert not torch.equal(model.features(x), own)


def test_ngrams_that_share_a_row_read_it_under_patterns_of_their_own():
    """A pattern is fixed for an n-gram, has as many -1 as 1, and hardly agrees with another's."""
    model = arm("SM", memory=insertion(SIGNED, row_width=32))
    rows = memory_of(model).sources["before_block_2"]
    assert isinstance(rows, Rows) and rows.hash is not None
    codes = torch.randint(6, (1, 4000), generator=torch.Generator().manual_seed(0))
    keys = Keys(codes, None, 4000)
    signs, mixed = rows.signs(keys)[0], rows.hash.mixed(codes)[0]
    patterns: dict[int, torch.Tensor] = {}
    for own, pattern in zip(mixed.flatten().tolist(), signs.flatten(0, 1), strict=True):
        assert torch.equal(patterns.setdefault(own, pattern), pattern)
    found = torch.stack(list(patterns.values()))
    count, width = found.shape
    assert count > 60 and set(found.unique().tolist()) == {-1.0, 1.0}
    assert abs(float(found.mean())) < 5 / (count * width) ** 0.5
    apart = (found @ found.T / width)[~torch.eye(count, dtype=torch.bool)]
    assert float(apart.square().mean()) < 2 / width  # 1 / width for random signs
    plain = memory_of(arm("SM", memory=insertion(NGRAM, row_width=32))).sources["before_block_2"]
    assert isinstance(plain, Rows)
    plain.load_state_dict(rows.state_dict())
    read = plain.table(plain.numbers(keys)) * rows.signs(keys)
    assert torch.equal(rows(torch.empty(0), keys), read.flatten(-2))


def test_every_arm_says_what_it_is():
    """One line for the page, and no two alike."""
    meanings = [own.meaning for own in ARMS.values()]
    assert set(ARMS) == set(get_args(ArmName)) and len(set(meanings)) == len(ARMS)


@pytest.mark.parametrize("form", ["minimal", "n-grams"])
def test_a_late_arm_reads_the_code_of_the_frame_before(form: str):
    """SMl on its own codes is SM on the same codes one frame late; the first has none before it."""
    late, memory = (
        arm("SMl", memory=insertion(FORMS[form])),
        arm("SM", memory=insertion(FORMS[form])),
    )
    x = frames()
    codes = memory.codes(x)
    shifted = torch.nn.functional.pad(codes[:, :-1], (1, 0), value=memory.key.num_codes)
    with torch.no_grad():
        assert torch.equal(late.features(x)[:, 2:], memory.features(x, shifted)[:, 2:])
        assert not torch.equal(late.features(x), memory.features(x))
