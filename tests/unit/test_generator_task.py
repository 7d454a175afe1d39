"""Training generators: what is scored, whose codes are read, what moves, and resuming."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engram_audio.artifacts.bundle import read_bundle, write_bundle
from engram_audio.generation.data import GeneratorData, codes_of_rows
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.sources import Rows, sources_of, tables_of
from engram_audio.generation.task import GeneratorTask, count_visits
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.training.loop import (
    Callbacks,
    Interrupted,
    TrainingState,
    build_optimizers,
    train,
)
from engram_audio.training.loop import _train_step as train_step
from engram_audio.training.order import ShuffledOrder
from engram_audio.training.packing import pack_state, unpack_state
from tests.unit.generator_material import (
    ENGRAM,
    FORMS,
    HEADS,
    LATENT,
    MINIMAL,
    NGRAM,
    arm,
    data,
    insertion,
    key,
    settings,
)
from tests.unit.prediction_material import recipe

CPU = torch.device("cpu")
GMM = "gaussian_mixture"
NOISY: dict[str, Any] = {"noise": {"kind": "uniform"}, "dropout": 0.2}
SHORT: dict[str, Any] = {"num_steps": 12, "validation_interval_steps": 6, "batch_frames": 48}


def task(name: ArmName, memory: dict[str, Any] = NGRAM, **changes: Any) -> GeneratorTask:
    model = arm(name, settings(**changes), insertion(memory), is_stirred=False)
    return GeneratorTask(model, data(), data(4, seed=2), CPU)


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def utterance_of(own: GeneratorData, rows: Tensor) -> Tensor:
    return torch.searchsorted(own.offsets, rows.contiguous(), right=True) - 1


def test_every_frame_after_the_burn_in_is_scored_once():
    """The loss of all chunks is the mean over such frames of whole utterances.

    Chunks no shorter than what the model looks back on score as whole utterances do.
    """
    own = settings(num_blocks=1, context_frames=4)
    model = arm("SM", own, insertion(places=["input"])).eval()
    block = data()
    work = GeneratorTask(model, block, block, CPU)
    found = work.validate()
    scores = []
    with torch.no_grad():
        for start, stop in itertools.pairwise(block.offsets.tolist()):
            x = block.frames[start:stop].unsqueeze(0)
            log = model.log_prob(model.features(x)[:, :-1], model.recent(x)[:, :-1], x[:, 1:])
            scores.append(-log[0, own.burn_in_frames - 1 :])
    assert found == pytest.approx(float(torch.cat(scores).mean()), abs=1e-5)


def test_training_is_validated_on_the_part_that_choices_are_made_on():
    """Whatever it is trained on: the score of another train part is the same, bit for bit."""
    model, train_part, choice = arm("SM").eval(), data(), data(4, seed=2)
    score = GeneratorTask(model, train_part, choice, CPU).validate()
    assert score == GeneratorTask(model, choice, choice, CPU).validate()
    assert score != GeneratorTask(model, train_part, train_part, CPU).validate()


def test_frames_that_decide_nothing_are_no_targets():
    """They are read as context and never scored."""
    block = data()
    decides = np.arange(len(block.frames)) % 3 == 0
    own = settings()
    part = GeneratorData(
        block.frames, block.offsets.numpy(), np.arange(6), decides, own.chunk_frames,
        own.burn_in_frames,
    )  # fmt: skip
    batch = part.batch(torch.arange(len(part)), CPU)
    assert (
        batch.is_scored.any() and not batch.is_scored[~torch.from_numpy(decides)[batch.rows]].any()
    )


@pytest.mark.parametrize("state_frames", [1, 3])
def test_codes_of_rows_are_those_of_whole_utterances(state_frames: int):
    """No key reaches into the utterance before."""
    block, encoder = data(), KeyEncoder(key(state_frames=state_frames))
    model = arm("SM", of=encoder.fitted)
    found = codes_of_rows(encoder, block.frames, block.offsets.numpy())
    for start, stop in itertools.pairwise(block.offsets.tolist()):
        own = model.codes(block.frames[start:stop].unsqueeze(0))[0]
        assert torch.equal(found[start:stop], own)
        assert (own[: state_frames - 1] == encoder.num_codes).all()


def test_donors_are_other_utterances_at_the_same_place():
    """Whatever is drawn, and where nothing is; every other utterance may be one."""
    block = data(5, length=20)
    rows = block.batch(torch.arange(len(block)), CPU).rows
    own = utterance_of(block, rows[:, 0])
    met: dict[int, set[int]] = {number: set() for number in range(5)}
    for draw in (0.0, 0.24, 0.26, 0.5, 0.76, 0.9999999):
        found = block.foreign_rows(rows, torch.full((len(rows),), draw))
        donor = utterance_of(block, found)
        assert (donor == donor[:, :1]).all() and (donor[:, 0] != own).all()
        length = (block.offsets[donor + 1] - block.offsets[donor])[:, 0]
        place = (rows - block.offsets[own][:, None]) % length[:, None]
        assert torch.equal(found - block.offsets[donor], place)
        for one, other in zip(own.tolist(), donor[:, 0].tolist(), strict=True):
            met[one].add(other)
    assert all(others == set(range(5)) - {number} for number, others in met.items())
    assert torch.equal(block.foreign_rows(rows), block.foreign_rows(rows))


def test_one_utterance_has_no_donor():
    """Its own keys are no foreign ones."""
    block = data(1)
    with pytest.raises(ValueError, match="one utterance alone"):
        block.foreign_rows(block.batch(torch.arange(1), CPU).rows)


class Seen:
    """What a model's passes were given: codes, and the frames as the backbone reads them."""

    def __init__(self, model: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
        self.codes: list[Tensor | None] = []
        self.frames: list[Tensor] = []
        inner = model._pass

        def outer(state: Any, seen: Tensor, clean: Tensor, codes: Tensor | None) -> Any:
            self.frames.append(seen)
            trace, after = inner(state, seen, clean, codes)
            self.codes.append(trace.codes)
            return trace, after

        monkeypatch.setattr(model, "_pass", outer)


@pytest.mark.parametrize("noise", ["none", "uniform"])
def test_arms_of_a_seed_read_the_same_noise_and_foreign_ones_other_codes(
    noise: str, monkeypatch: pytest.MonkeyPatch
):
    """A seed pairs the arms: the same noised frames. SMx reads codes that are those of donors."""
    seen = {}
    for name in ("S", "SM", "SMx"):
        work = task(name, noise={"kind": noise})
        work.model.train()
        torch.manual_seed(5)
        seen[name] = Seen(work.model, monkeypatch)
        work.loss(torch.arange(12))
    assert all(torch.equal(own.frames[0], seen["S"].frames[0]) for own in seen.values())
    own, foreign = seen["SM"].codes[0], seen["SMx"].codes[0]
    assert own is not None and foreign is not None
    agreement = float((own == foreign).float().mean())
    chance = float(own.flatten().bincount().float().div(own.numel()).square().sum())
    assert agreement < chance + 4 * (chance / own.numel()) ** 0.5
    clean = task("SM").model.codes(work.train_data.batch(torch.arange(12), CPU).frames[:, :-1])
    assert torch.equal(own, clean) is (noise == "none")


def test_foreign_codes_are_drawn_anew_at_each_step(monkeypatch: pytest.MonkeyPatch):
    """A fixed pairing could be learned by heart."""
    work = task("SMx")
    work.model.train()
    seen = Seen(work.model, monkeypatch)
    torch.manual_seed(5)
    for _ in range(2):
        work.loss(torch.arange(12))
    first, second = seen.codes
    assert first is not None and second is not None and not torch.equal(first, second)


def run(work: GeneratorTask, state: TrainingState | None = None, **how: Any) -> TrainingState:
    return train(work, recipe(**SHORT), 3, CPU, state, Callbacks(**how))


@pytest.mark.parametrize(
    ("name", "form", "stop_after", "head"),
    [("SM", "n-grams", 1, GMM), ("SM", "n-grams", 7, GMM), ("SMx", "n-grams", 7, GMM),
     ("SMn", "n-grams", 1, GMM), ("SMm", "n-grams", 7, GMM), ("SMa", "n-grams", 1, GMM),
     ("SMv", "n-grams", 7, GMM), ("SM", "latent", 3, GMM), ("SMx", "latent", 7, GMM),
     ("SMr", "latent", 1, GMM), ("SM", "signed", 5, GMM),
     ("S", "n-grams", 7, "energy"), ("SM", "n-grams", 3, "flow")],
)  # fmt: skip
def test_a_stopped_training_resumes_to_the_same_bits(
    name: ArmName, form: str, stop_after: int, head: str, tmp_path
):
    """Through the file, with noise, dropout, donors and lazy rows: weights, moments, history.

    The router of the latent form learns for half of the steps, which a resumed training counts on.
    """

    def made() -> GeneratorTask:
        work = task(name, FORMS[form], head=HEADS[head], **NOISY)
        for source in sources_of(work.model):
            source.expect_steps(SHORT["num_steps"] // 2)
        return work

    whole = run(made())
    steps, saved = itertools.count(1), []
    with pytest.raises(Interrupted):
        run(made(), save=saved.append, should_stop=lambda: next(steps) == stop_after)
    write_bundle(tmp_path / "state.safetensors", *pack_state(saved[-1]))
    again = run(made(), unpack_state(*read_bundle(tmp_path / "state.safetensors")))
    assert same(whole.weights, again.weights) and same(whole.moments, again.moments)
    assert whole.history == again.history


def test_rows_stand_beside_the_clip_and_the_decay():
    """The gradient's norm is the network's, rows that nobody reads keep every bit, others move."""
    work = task("SM")
    table = next(own for own in work.model.modules() if isinstance(own, Rows))
    start = table.table.weight.detach().clone()
    with torch.no_grad():  # gradients of rows as large as those of the network
        work.model.get_parameter("memory.readers.before_block_2.value.weight").mul_(100)
    optimizers = build_optimizers(work.model, recipe(weight_decay=0.5), CPU)
    order = ShuffledOrder(work.num_items, 4, 0)
    _, norm = train_step(work, optimizers, recipe(gradient_clip=1e9), order, 3, 0, CPU)
    rows = table.table.weight.grad
    assert rows is not None and rows.is_sparse
    dense = [p.grad for p in work.model.parameters() if p.grad is not None and not p.grad.is_sparse]
    assert float(norm) == pytest.approx(float(nn.utils.get_total_norm(dense)), rel=1e-5)
    assert float(rows.coalesce().values().norm()) > 0.1 * float(norm)
    read = torch.zeros(len(start), dtype=torch.bool)
    read[rows.coalesce().indices()[0]] = True
    moved = (table.table.weight.detach() != start).any(1)
    assert moved.any() and not read.all() and not moved[~read].any()


def test_rows_learn_at_their_own_rate():
    """The first step of Adam is the rate itself: five times the network's."""
    work = task("SM")
    table = next(own for own in work.model.modules() if isinstance(own, Rows))
    start = table.table.weight.detach().clone()
    settings_of = recipe(learning_rate=1e-3, warmup_steps=0, schedule="constant")
    optimizers = build_optimizers(work.model, settings_of, CPU)
    train_step(work, optimizers, settings_of, ShuffledOrder(work.num_items, 8, 0), 3, 0, CPU)
    step = (table.table.weight.detach() - start).abs()
    assert float(step.max()) == pytest.approx(5e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "memory", "head"),
    [("SM", ENGRAM, GMM), ("SMm", NGRAM, GMM), ("SMa", NGRAM, GMM), ("SMv", NGRAM, GMM),
     ("SM", LATENT, GMM), ("S", NGRAM, "energy"), ("S", NGRAM, "flow")],
)  # fmt: skip
def test_arms_train_in_bfloat16(
    name: ArmName, memory: dict[str, Any], head: str, monkeypatch: pytest.MonkeyPatch
):
    """Weights stay in float32, and the features that the head reads are no rounded sums."""
    monkeypatch.setattr(
        "engram_audio.training.loop.autocast", lambda *_: torch.autocast("cpu", torch.bfloat16)
    )
    work = task(name, memory, head=HEADS[head], short_context_frames=2, **NOISY)
    few = recipe(num_steps=2, batch_frames=48, validation_interval_steps=2)
    state = train(work, few, 0, CPU)
    assert all(torch.isfinite(own.float()).all() for own in state.weights.values())
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        trace = work.model.trace(work.train_data.batch(torch.arange(2), CPU).frames)
    assert trace.features.dtype == torch.float32


@pytest.mark.parametrize("name", ["SM", "SMx"])
def test_visits_count_each_train_frame_once(name: ArmName):
    """Every frame reads a row of each hash head; a foreign arm those of its donors."""
    work = task(name)
    count_visits(work)
    count_visits(work)
    table = next(own for own in work.model.modules() if isinstance(own, Rows))
    assert int(table.visits.sum()) == len(work.train_data.frames) * table.rows_per_frame
    own = next(t for t in task("SM").model.modules() if isinstance(t, Rows))
    assert own.rows_touched == 0 < table.rows_touched


@pytest.mark.parametrize("name", ["SM", "SMx"])
def test_visits_of_routed_rows_are_those_of_whole_ngrams(name: ArmName):
    """Each frame reads a row of each route and order, but for 2-grams at an utterance's start."""
    work = task(name, LATENT, dropout=0.5)
    count_visits(work)
    first = [table.visits.clone() for table in tables_of(work.model)]
    count_visits(work)
    num_frames, num_starts = len(work.train_data.frames), len(work.train_data.utterances)
    for before, table in zip(first, tables_of(work.model), strict=True):
        assert torch.equal(before, table.visits)
        assert int(table.visits.sum()) == 3 * (2 * num_frames - num_starts)


def test_visits_of_a_late_arm_are_those_of_the_frame_before():
    """An utterance begins with the row of no key; nothing reads the code of its last frame."""
    work = task("SMl", MINIMAL)
    count_visits(work)
    own, count = work.train_data, work.model.key.num_codes
    (table,) = (module for module in work.model.modules() if isinstance(module, Rows))
    codes = own.codes(work.model.key)
    read = np.delete(codes.numpy(), own.offsets[1:].numpy() - 1)
    expected = np.bincount(read, minlength=count + 1)
    expected[count] += len(own.utterances)
    np.testing.assert_array_equal(table.visits.numpy(), expected)


def test_a_base_that_looks_past_the_burn_in_is_refused():
    """Its oldest frames would be made up at a chunk's head."""
    with pytest.raises(ValueError, match="burn_in_frames: 1 are fewer than the 2 frames"):
        task("S", burn_in_frames=1)


def test_training_finds_what_a_table_holds_and_foreign_keys_do_not():
    """A cycle through a random order of six points: SM learns the order, SMx has nothing to learn.

    Attention is cut to the frame itself and the network is frozen, so only rows can tell.
    """
    gains = {}
    own_recipe = recipe(
        num_steps=150, learning_rate=0.02, batch_frames=96, validation_interval_steps=50
    )
    for name in ("SM", "SMx"):
        own = settings(num_blocks=1, mlp_units=1, context_frames=2)
        model = arm(name, own, insertion(places=["head"]), is_stirred=False)
        block = _cycles(model)
        for label, parameter in model.named_parameters():
            parameter.requires_grad_("memory" in label or "head.output" in label)
        work = GeneratorTask(model, block, block, CPU)
        state = train(work, own_recipe, 0, CPU)
        gains[name] = state.history[0]["held_out_score"] - state.best_score
    assert gains["SM"] > gains["SMx"] + 1.0, gains


def _cycles(model: Generator) -> GeneratorData:
    """Utterances whose frames are centroids of the key in a random cyclic order, with noise."""
    rng = np.random.default_rng(0)
    order = rng.permutation(6)
    points = np.asarray(model.spec.key.cells["centroids"])
    lengths = np.full(12, 24)
    rows = np.concatenate([points[order[(rng.integers(6) + np.arange(n)) % 6]] for n in lengths])
    rows = rows + 0.05 * rng.normal(size=rows.shape)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    own = settings()
    return GeneratorData(
        torch.from_numpy(rows.astype(np.float32)), offsets, np.arange(12),
        np.ones(len(rows), bool), own.chunk_frames, own.burn_in_frames,
    )  # fmt: skip
