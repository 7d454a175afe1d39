"""Text and speaker prompt: what sees them, where they stand, what they cost, and guidance."""

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from engram_audio.densities.base import Batch
from engram_audio.generation.budget import budget_of
from engram_audio.generation.condition import Condition, guided
from engram_audio.generation.density import GeneratorDensity, Sampling, as_step_density
from engram_audio.generation.evaluation import Scope, frame_nll
from engram_audio.generation.matching import match_arms
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.prompts import prompts_of
from engram_audio.generation.sizes import num_saved
from engram_audio.generation.sources import tables_of
from engram_audio.generation.task import GeneratorTask, count_visits
from engram_audio.training.loop import train
from tests.unit.condition_material import (
    CONDITION,
    TEXT,
    block,
    condition,
    of_sequence,
    swapped,
    targets,
    texts,
    told_data,
    told_settings,
    world_of_texts,
)
from tests.unit.generator_material import (
    ARMS_AND_FORMS,
    FORMS,
    HEADS,
    LATENT,
    arm,
    dimensions,
    frames,
    insertion,
    key,
    linear_base,
    settings,
)
from tests.unit.prediction_material import recipe
from tests.unit.test_generator_budget import MATH
from tests.unit.test_generator_sizes import kept

CPU = torch.device("cpu")
GMM = "gaussian_mixture"
TOLERANCE = 1e-5  # float32 sums of a few hundred terms of unit size, in another order


def told_arm(name: ArmName, form: str = "minimal") -> Generator:
    return arm(name, told_settings(short_context_frames=3), insertion(FORMS[form]))


def codes_of(model: Generator, x: Tensor, told: Condition | None) -> Tensor | None:
    return model.codes(x, told).roll(1, 0) if model.is_foreign else None


@torch.no_grad()
def features(model: Generator, x: Tensor, told: Condition | None) -> Tensor:
    return model.features(x, codes_of(model, x, told), told)


@pytest.mark.parametrize(("name", "form"), ARMS_AND_FORMS)
def test_steps_after_text_and_prompt_give_the_whole_pass(name: ArmName, form: str):
    """Far beyond the context of attention; the texts are of two lengths."""
    model, x, told = told_arm(name, form), frames(length=26), condition()
    codes = codes_of(model, x, told)
    with torch.no_grad():
        whole, state, parts = model.features(x, codes, told), model.start(told), []
        for t in range(x.shape[1]):
            own = None if codes is None else codes[:, t]
            found, state = model.step(state, x[:, t], own)
            parts.append(found)
    assert (torch.stack(parts, 1) - whole).abs().max() < TOLERANCE
    assert (whole - features(model, x, None)).abs().amax((0, 2)).min() > TOLERANCE


@pytest.mark.parametrize(("name", "form"), ARMS_AND_FORMS)
def test_a_later_frame_changes_no_bit_beside_a_text(name: ArmName, form: str):
    """Frames are told the text, and no frame after them."""
    model, x, told = told_arm(name, form), frames(length=20), condition()
    other = x.clone()
    other[:, 13:] += 5
    whole, changed = features(model, x, told), features(model, other, told)
    assert torch.equal(whole[:, :13], changed[:, :13])
    assert not torch.equal(whole[:, 13], changed[:, 13])


@pytest.mark.parametrize("part", ["symbols", "prompt"])
def test_every_frame_sees_each_position(part: str):
    """The first character or frame of the prompt changes all frames, however far back it is."""
    model, x, told = told_arm("S"), frames(length=26), condition()
    values = getattr(told, part).clone()
    values[:, 0] = (values[:, 0] + 1) % 4 if part == "symbols" else values[:, 0] + 1
    change = features(model, x, told) - features(model, x, told._replace(**{part: values}))
    assert change.abs().amax(-1).min() > TOLERANCE


def test_what_is_dropped_tells_nothing():
    """Neither text, prompt nor the length of the text; of the others nothing changes."""
    model, x, told = told_arm("S"), frames(length=20), condition()
    dropped = features(model, x, told.dropped(torch.tensor([True, False])))
    assert (dropped - features(model, x, None)).abs()[0].max() < TOLERANCE
    assert (dropped - features(model, x, told)).abs()[1].max() < TOLERANCE
    assert (dropped - features(model, x, None)).abs()[1].amax(-1).min() > TOLERANCE


def test_padding_of_a_shorter_text_is_not_seen():
    """Each sequence of a batch has the features that it has alone."""
    model, x, told = told_arm("S"), frames(length=20), condition()
    whole = features(model, x, told)
    for number in range(2):
        alone = features(model, x[number : number + 1], of_sequence(told, number))
        assert (alone - whole[number]).abs().max() < TOLERANCE


@pytest.mark.parametrize("is_placed", [True, False])
def test_a_chunk_is_as_far_from_the_text_as_the_whole_utterance(is_placed: bool):
    """One block: frames with a whole context have the same features, if the chunk knows its place.

    So has a window that a free run draws from.
    """
    own = told_settings(num_blocks=1, context_frames=4)
    model, x, told, first = arm("S", own), frames(length=20), condition(), 9
    whole = features(model, x, told)[:, first + 4 :]
    chunk = features(model, x[:, first:], told.at(first if is_placed else 0))[:, 4:]
    assert bool((whole - chunk).abs().max() < TOLERANCE) is is_placed
    density = as_step_density(model)
    density.condition, density.first_frame = told, first if is_placed else 0
    window = density._features(x[:, first : first + 5])
    assert bool((whole[:, 0] - window).abs().max() < TOLERANCE) is is_placed


def test_all_chunks_score_as_whole_utterances_do():
    """No position is a target, and each chunk is told the text and prompt of its utterance."""
    own = told_settings(num_blocks=1, context_frames=4)
    model, of = arm("S", own), block()
    data = told_data(own, of, texts(of))
    found = GeneratorTask(model, data, data, CPU).validate()
    scores = []
    for start, stop in zip(of.offsets[:-1], of.offsets[1:], strict=True):
        rows = torch.arange(start, stop).unsqueeze(0)
        assert data.conditions is not None
        told, x = data.conditions.of(rows, CPU), data.frames_of(rows, CPU)
        with torch.no_grad():
            score = model.score(features(model, x, told)[:, :-1], model.recent(x)[:, :-1], x[:, 1:])
        scores.append(score[0, own.burn_in_frames - 1 :])
    assert found == pytest.approx(float(torch.cat(scores).mean()), abs=TOLERANCE)


def test_evaluation_tells_what_the_scope_says():
    """Told, its frames score as they do by hand; untold, as without a condition."""
    own = told_settings()
    model, of = arm("SM", own), block(3)
    everyone = Scope(1, 2, CPU, texts(of), prompts_of(own.condition, [of]))
    [told] = frame_nll(model, lambda: iter([of]), everyone)
    [untold] = frame_nll(model, lambda: iter([of]), everyone._replace(is_told=False))
    data = told_data(own, of, texts(of))
    rows = torch.arange(of.offsets[1]).unsqueeze(0)
    assert data.conditions is not None
    for found, condition_read in ((told, data.conditions.of(rows, CPU)), (untold, None)):
        x = data.frames_of(rows, CPU)
        with torch.no_grad():
            by_hand = features(model, x, condition_read)
            score = model.score(by_hand[:, :-1], model.recent(x)[:, :-1], x[:, 1:])[0]
        assert torch.allclose(found[: len(score)][-20:], score[-20:], atol=1e-4)


def trained(name: ArmName, head: str, num_steps: int = 80) -> tuple[Generator, GeneratorTask]:
    one = {"num_components": 1} if head == GMM else {}  # two would know both frames without a text
    own = told_settings(
        {**CONDITION, "prompt_frames": None}, head={**HEADS[head], **one}, num_blocks=1
    )
    memory = insertion(places=["head"])
    model, data = arm(name, own, memory, is_stirred=False), world_of_texts(own)
    task = GeneratorTask(model, data, data, CPU)
    if num_steps:
        few = recipe(
            num_steps=num_steps, learning_rate=0.02, batch_frames=240,
            validation_interval_steps=40,
        )  # fmt: skip
        train(task, few, 0, CPU)
    return model.eval(), task


@torch.no_grad()
def losses(model: Generator, task: GeneratorTask) -> dict[str, float]:
    """Mean scores of the decided frames under the right text, the other one, and none."""
    rows, x, following = targets(task.train_data, model.settings)
    assert task.train_data.conditions is not None
    told = task.train_data.conditions.of(rows, CPU)
    found = {"right": told, "other": swapped(told), "none": None}
    codes = model.codes(x).roll(1, 0) if model.is_foreign else None
    return {
        key: float(model.score(
            model.features(x, codes, one)[:, -1], model.recent(x)[:, -1], following
        ).mean())
        for key, one in found.items()
    }  # fmt: skip


@pytest.mark.parametrize(("name", "head"), [("S", GMM), ("SMx", GMM),
                                            ("S", "energy")])  # fmt: skip
def test_a_text_decides_the_law_once_it_is_trained(name: ArmName, head: str):
    """Before, no text changes anything. After, the right one is best and the other one worst."""
    before = losses(*trained(name, head, 0))
    assert before["right"] == pytest.approx(before["other"], abs=TOLERANCE)
    after = losses(*trained(name, head))
    assert after["right"] < after["none"] - 0.5 < after["other"] - 1.0, after


def test_data_without_a_condition_are_refused():
    """A generator that is trained with texts is never trained without."""
    own = told_settings()
    plain = told_data(settings(), block(), None)
    with pytest.raises(ValueError, match="needs data that have one"):
        GeneratorTask(arm("S", own), plain, plain, CPU)
    with pytest.raises(ValueError, match="without a text and without a prompt"):
        arm("S").features(frames(), None, condition())


def test_visits_of_routed_rows_are_those_under_the_text():
    """Bits of the state find other rows where the text is another one."""
    own, counts = told_settings(), []
    of = block()
    for said in (texts(of), dict.fromkeys(texts(of), "b")):
        data = told_data(own, of, said)
        task = GeneratorTask(arm("SM", own, insertion(LATENT)), data, data, CPU)
        count_visits(task)
        counts.append(torch.cat([table.visits for table in tables_of(task.model)]))
    assert counts[0].sum() == counts[1].sum() and not torch.equal(counts[0], counts[1])


def steps_of(model: Generator, guidance: float, told: Condition | None) -> GeneratorDensity:
    density = as_step_density(model, Sampling(guidance=guidance))
    density.condition = told
    return density


def contexts(num: int = 2) -> Batch:
    x = frames(num, 8)
    return Batch(x, x[:, -1], x[:, -1], x[:, -1])


@pytest.mark.parametrize("head", HEADS)
def test_guidance_of_one_is_none_and_of_zero_is_no_text(head: str):
    """Bit for bit at 1. In between and beyond, features lie on the line through both."""
    model, batch, told = arm("S", told_settings(head=HEADS[head])), contexts(), condition()
    with torch.no_grad():
        right = model.features(batch.context, None, told)[:, -1]
        none = model.features(batch.context)[:, -1]
        found = {
            scale: steps_of(model, scale, told)._features(batch.context)
            for scale in (0.0, 1.0, 1.5)
        }
        assert torch.equal(found[1.0], right)
        assert (found[0.0] - none).abs().max() < TOLERANCE
        assert (found[1.5] - right - 0.5 * (right - none)).abs().max() < TOLERANCE
        for scale, features_drawn in found.items():
            drawn = steps_of(model, scale, told).sample(batch, 4, torch.Generator().manual_seed(0))
            last = model.recent(batch.context)[:, -1]
            again = model.sample(features_drawn, last, 4, torch.Generator().manual_seed(0))
            assert torch.equal(drawn, again)


def test_guidance_goes_on_away_from_the_law_without_the_text():
    """Means under `a` are up: guided they are further up, and 1 is between 0 and 2."""
    model, task = trained("S", GMM)
    rows, x, _ = targets(task.train_data, model.settings)
    assert task.train_data.conditions is not None
    told, batch = task.train_data.conditions.of(rows, CPU), Batch(x, x[:, -1], x[:, -1], x[:, -1])
    signs = 1 - 2 * told.symbols.float()
    with torch.no_grad():
        means = [float((signs * steps_of(model, scale, told).mean(batch)).mean())
                 for scale in (0.0, 1.0, 1.5)]  # fmt: skip
    assert means[0] + 0.5 < means[1] < means[2] - 0.1, means


def test_the_guided_mixture_has_parameters_on_the_line_of_both():
    """Log weights, means, log SDs and releases, since the head is linear in its features."""
    head = arm("S", told_settings()).head
    right, none = torch.randn(2, 5, 16)
    for part in (head.get_submodule("output"), head.get_submodule("release")):
        line = part(none) + 2.5 * (part(right) - part(none))
        assert (part(guided(right, none, 2.5)) - line).abs().max() < TOLERANCE


def test_a_guided_law_is_not_scored():
    """An NLL is that of the model."""
    batch = contexts()
    for guidance in (1.0, 2.0):
        density = steps_of(arm("S", told_settings()), guidance, condition())
        assert density.has_log_prob is (guidance == 1)
        if guidance != 1:
            for score in (density.log_prob, density.log_prob_and_mean):
                with pytest.raises(NotImplementedError, match="guided law"):
                    score(batch)


@pytest.mark.parametrize(
    ("name", "own", "said"),
    [("S", settings(), "has no model.condition.text"),
     ("S", told_settings({**CONDITION, "text": None}), "has no model.condition.text"),
     ("SMo", told_settings(), "mixes two laws in output space")],
)  # fmt: skip
def test_guidance_is_refused_where_it_has_no_meaning(name: ArmName, own, said: str):
    """One line names the arm and what it lacks."""
    with pytest.raises(ValueError, match=f"arm {name} {said}"):
        as_step_density(arm(name, own), Sampling(guidance=2.0))


def whole_condition() -> Condition:
    """The longest text and the whole prompt of one sequence."""
    return condition((TEXT["maximum_characters"],), CONDITION["prompt_frames"])


def test_work_and_numbers_of_a_condition_are_counted():
    """Products by torch's count: of a frame, and of the positions that a chunk encodes once."""
    model, plain, x = arm("S", told_settings()), budget_of(arm("S")), frames(1, 20)
    own, sizes = budget_of(model), model.settings
    with torch.no_grad(), torch.nn.attention.sdpa_kernel(MATH):
        with FlopCounterMode(display=False) as encoding:
            state = model.start(whole_condition())
        _, state = model.extend(state, x[:, :-1])
        with FlopCounterMode(display=False) as counter:
            found, state = model.step(state, x[:, -1])
            model.sample(found, model.last(state), 1, torch.Generator().manual_seed(0))
    assert own.flops_generated == counter.get_total_flops()
    attended = 4 * sizes.num_blocks * sizes.prefix_length * sizes.width
    assert own.flops_generated - plain.flops_generated == attended
    encoded = round(encoding.get_total_flops() / sizes.chunk_frames)
    assert own.flops_trained - plain.flops_trained == 3 * (attended + encoded)
    symbols = (len(TEXT["alphabet"]) + 1) * sizes.width
    assert own.num_resident - plain.num_resident == symbols + sizes.width
    assert own.num_read == plain.num_read
    cached = 2 * sizes.num_blocks * sizes.prefix_length * sizes.width
    assert own.bytes_per_frame - plain.bytes_per_frame == 4 * cached


def test_every_arm_is_told_the_same():
    """Matched arms too, whose work beside SM's then has the same texts in it."""
    own = told_settings()
    found = match_arms(own, insertion(), key(), dimensions(), linear_base())
    assert all(sizes.condition == own.condition for sizes in found.values())
    assert (
        budget_of(arm("F", found["F"])).flops_generated >= budget_of(arm("SM", own)).flops_generated
    )


@pytest.mark.parametrize("is_checkpointed", [False, True])
def test_texts_and_prompts_are_kept_for_the_backward_pass(is_checkpointed: bool):
    """As many numbers as the formula says more, within a quarter."""
    changes = {"context_frames": 24, "chunk_frames": 24, "width": 64, "mlp_units": 128,
               "is_checkpointed": is_checkpointed}  # fmt: skip
    own, x = told_settings(**changes), frames(1, 24)
    told = num_saved(own, 3) - num_saved(settings(**changes), 3)
    counted = kept(arm("S", own), x, whole_condition()) - kept(arm("S", settings(**changes)), x)
    assert counted / 24 == pytest.approx(told, rel=0.25)
