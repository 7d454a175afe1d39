"""What a generator's step holds and works, told from its settings: against the model itself."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engram_audio.cost import work
from engram_audio.cost.jobs import Job
from engram_audio.cost.laws import LAWS
from engram_audio.cost.study import TYPICAL_KEYS, Piece, Size, Study
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.budget import Budget
from engram_audio.generation.condition import Condition
from engram_audio.generation.flow_head import FlowHead
from engram_audio.generation.matching import planned_budget
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.sizes import BYTES, num_saved, num_weights, step_bytes
from engram_audio.generation.sources import tables_of
from tests import studies
from tests.unit.generator_material import (
    ENGRAM,
    HEADS,
    INSERTION,
    LATENT,
    MINIMAL,
    NGRAM,
    NUM_DIMS,
    arm,
    dimensions,
    frames,
    insertion,
    key,
    linear_base,
    settings,
)

WIDE: dict[str, Any] = {"context_frames": 24, "chunk_frames": 24}
SIZES = [(16, 32, 2), (64, 256, 1), (64, 128, 3)]


def kept(model: Generator, x: Tensor, told: Condition | None = None) -> int:
    """Numbers that the backward pass of a training step keeps, weights and buffers aside."""
    own = {part.untyped_storage().data_ptr() for part in (*model.parameters(), *model.buffers())}
    found: dict[int, tuple[Tensor, int]] = {}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = value, storage.nbytes()
        return value

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        features = model.features(x, None, told)
        recent = model.recent(x)
        model.head.loss(features[:, :-1], recent[:, :-1], x[:, 1:]).mean()
    return sum(size for _, size in found.values()) // BYTES


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("is_checkpointed", [False, True])
@pytest.mark.parametrize(("width", "units", "blocks"), SIZES)
def test_numbers_kept_are_those_of_the_formula(
    head: str, is_checkpointed: bool, width: int, units: int, blocks: int
):
    """Within 18 %, for every head; checkpointed, without the one block that is made anew."""
    rare = {"distilled_share": 1e-9} if head == "flow" else {}  # its slopes cannot be hooked
    own = settings(
        width=width, mlp_units=units, num_blocks=blocks, is_checkpointed=is_checkpointed,
        head={**HEADS[head], **rare}, **WIDE,
    )  # fmt: skip
    told = num_saved(own, NUM_DIMS)
    if is_checkpointed:
        told -= 11 * width + 2 * units
    if head == "flow":  # distillation keeps four times as much, in the steps that have it
        told -= 3 * own.head.num_saved(width, NUM_DIMS) // 4  # type: ignore[union-attr]
    x = frames(4, 24)
    assert kept(arm("S", own), x) / x[..., 0].numel() == pytest.approx(told, rel=0.18)


@pytest.mark.parametrize("head", HEADS)
def test_weights_are_those_of_the_maps(head: str):
    """Every linear map once, the network that weighs a flow's times aside."""
    own = settings(short_context_frames=3, head=HEADS[head])
    model = arm("S", own)
    maps = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    wanted = sum(part.weight.numel() for name, part in maps.items() if "head.weight" not in name)
    assert num_weights(own, NUM_DIMS) == wanted


def stepped(is_checkpointed: bool) -> tuple[Tensor, dict[str, Tensor]]:
    model = arm("SM", settings(is_checkpointed=is_checkpointed, dropout=0.3, num_blocks=3)).train()
    torch.manual_seed(3)
    found = model.features(frames()).square().mean()
    found.backward()
    return found, {n: p.grad.to_dense() for n, p in model.named_parameters() if p.grad is not None}


def test_checkpoints_change_no_bit():
    """Loss and gradients are the same bits, dropout and memory included."""
    (loss, plain), (other, again) = stepped(False), stepped(True)
    assert torch.equal(loss, other) and plain.keys() == again.keys()
    assert all(torch.equal(plain[name], again[name]) for name in plain)


def preset() -> tuple[GeneratorSettings, Any]:
    row = studies.study()["generation"]["library"]["pocket_tts_size"]
    model = GeneratorSettings.model_validate(row["model"], strict=False)
    return model, INSERTION.validate_python(row["insertion"], strict=False)


def planned(name: Any) -> Budget:
    model, memory = preset()
    return planned_budget(name, model, memory, key(1024, 32), dimensions(32), linear_base(32, 4))


def test_the_preset_is_as_large_as_the_published_model():
    """6 x 1024 and a head of 6 x 512: 86 M weights, 171 MFLOP a frame, 9 MFLOP of attention."""
    model, _ = preset()
    weights = num_weights(model, 32)
    assert weights == pytest.approx(86e6, rel=0.02) and 2 * weights == pytest.approx(
        171e6, rel=0.02
    )
    attention = 4 * 6 * model.context_frames * 1024
    assert attention == pytest.approx(9e6, rel=0.05)
    base = 2 * (4 * 32 * 32 + 32 * 32) + 2 * 32 * 32  # the linear null and two whitenings
    assert planned("S").flops_generated == 2 * weights + attention + base
    memory = planned("SM").num_resident - planned("S").num_resident
    rows = 16 * 50_021 * 16  # 16 hash heads of 50,021 rows of 16 numbers
    assert memory == pytest.approx(rows, rel=0.06) and memory > rows
    more = planned("SM").flops_generated / planned("S").flops_generated - 1
    assert 0 < more < 0.01  # storage is nearly free at this size: F is S but for a step


def test_a_step_of_the_preset_fits_a_gpu():
    """Weights, gradients and moments are 16 bytes a weight; checkpoints take most of the rest."""
    model, _ = preset()
    plain = model.model_copy(update={"is_checkpointed": False})
    held = [step_bytes(own, 32, 16_000, True, 0) for own in (plain, model)]
    fixed = 16 * num_weights(model, 32)
    assert held[1] < held[0] and fixed < held[1] < 40 * 2**30
    body = [one - fixed - 2.6 * 16_000 * model.head.num_saved(1024, 32) for one in held]  # type: ignore[union-attr]
    assert body[1] < body[0] / 2


@pytest.mark.parametrize(
    ("name", "values"),
    [("SM", MINIMAL), ("SM", {**MINIMAL, "places": ["input", "head"]}), ("SM", NGRAM),
     ("SM", ENGRAM), ("SM", LATENT), ("SMa", MINIMAL), ("SMv", MINIMAL)],
)  # fmt: skip
def test_make_cost_counts_the_rows_of_every_memory(name: ArmName, values: dict[str, Any]):
    """A row for each code is counted too; a hash head has the next free prime of rows."""
    model = arm(name, memory=insertion(values))
    held = sum(own.num_rows * own.row_width for own in tables_of(model))
    section = model.spec.insertion.model_dump(mode="json")
    told = work.row_numbers(section, settings(), model.key.num_codes)
    is_hashed = section.get("table_rows") is not None
    assert told <= held and told == pytest.approx(held, rel=0.2 if is_hashed else 0)


def test_make_cost_knows_the_codes_of_a_memory_s_key():
    """Of the job that fits its family, of the calibration's on a world, and typical without."""
    family = {"kind": "last_frame", "inputs": ["raw"],
              "quantizers": [{"kind": "kmeans", "codebook_sizes": [16, 4096]}]}  # fmt: skip

    def codes(rule: str, fitted: str) -> int:
        fit = Job(rule, {"family": fitted}, (), (), {}, {"family_section": [family]}, benchmark="a")
        row = {"insertion": {"key": "last_frame.raw.kmeans_4096"}}
        own = Job("train_generators", {}, (), (), {}, {"generator_section": [row]}, benchmark="b")
        return Study([fit, own]).piece(own).key_codes

    assert codes("fit_keys", "last_frame") == codes("fit_calibration_keys", "last_frame") == 4096
    assert codes("fit_keys", "pca") == max(TYPICAL_KEYS)


def test_make_cost_knows_a_generator_of_every_head():
    """Operations and memory of its training grow with the model and with the draws of its head."""
    law, found = LAWS["train_generators"], {}
    for name, head in HEADS.items():
        row = {"model": {**settings(width=256, head=head).model_dump(mode="json")},
               "insertion": INSERTION.validate_python(
                   studies.study()["generation"]["library"]["one_frame"]["insertion"],
                   strict=False,
               ).model_dump(mode="json")}  # fmt: skip
        job = Job(
            "train_generators", {}, (), (), {},
            {"generator_section": [row], "recipe_section": [{"num_steps": 10, "batch_frames": 100}],
             "protocol_section": [{"seeds": [0], "points": [1]}]}, benchmark="b",
        )  # fmt: skip
        piece = Piece(job, Size(1000.0, 32), 0.0, ())
        found[name] = law.work["flop"](piece), law.memory(piece)
    flow = settings(width=256, head=HEADS["flow"])
    head = flow.head.num_weights(256, 32)
    runs = flow.head.draws * (1 + 2 * 0.5)  # half of the steps distil, at thrice the work
    body = num_weights(flow, 32) - head
    assert found["flow"][0] == pytest.approx(10 * 100 * 6 * (body + runs * head))
    weights = num_weights(settings(width=256), 32)
    assert found["gaussian_mixture"][0] == pytest.approx(10 * 100 * 6 * weights)
    assert found["gaussian_mixture"][1] > 16 * weights
    assert all(own > 0 for pair in found.values() for own in pair)


@pytest.mark.slow
def test_the_preset_takes_a_step_of_training_and_of_streaming():
    """On random weights: a finite loss, weights that move, and a frame after a frame."""
    model_settings, memory = preset()
    few = model_settings.model_copy(update={"chunk_frames": 376})
    model = arm("SM", few, memory, key(1024, 32), is_stirred=False, dims=32).train()
    x = torch.randn(1, 24, 32, generator=torch.Generator().manual_seed(0))
    assert isinstance(model.head, FlowHead)
    last = model.head.velocity.leave.weight
    before = last.detach().clone()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 1e-3)
    loss = model.head.loss(model.features(x)[:, :-1], model.recent(x)[:, :-1], x[:, 1:]).mean()
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss) and not torch.equal(before, last)
    with torch.no_grad():
        features, state = model.eval().step(model.start(), x[:, 0])
        generator = torch.Generator().manual_seed(0)
        frame = x[:, 0]
        for _ in range(3):
            frame = model.sample(features, model.last(state), 1, generator)[0]
            features, state = model.step(state, frame)
    assert torch.isfinite(frame).all() and frame.shape == (1, 32)
