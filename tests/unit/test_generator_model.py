"""Generators: a step is the whole pass, no frame is seen early, noise is for training alone."""

from typing import Any

import pytest
import torch
from torch import Tensor

from engram_audio.generation import backbone
from engram_audio.generation.backbone_config import FixedNoise, NoNoise, UniformNoise
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ARMS, ArmName
from engram_audio.generation.noise import noised
from engram_audio.generation.stream import lay_out_for_steps
from tests.unit.generator_material import (
    ARMS_AND_FORMS,
    ENGRAM,
    LATENT,
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

EVERYWHERE: dict[str, Any] = {**MINIMAL, "places": ["input", "before_block_2", "short", "head"]}
FORMS = {"minimal": EVERYWHERE, "n-grams": NGRAM, "engram": ENGRAM, "latent": LATENT,
         "signed": SIGNED}  # fmt: skip
FRAMES = {"minimal": 2, "n-grams": 3, "engram": 1, "latent": 2, "signed": 1}  # of a key
TOLERANCE = 1e-5  # float32 sums of a few hundred terms of unit size, in another order


def built(name: ArmName, form: str) -> Generator:
    return arm(
        name, settings(short_context_frames=3), insertion(FORMS[form]),
        key(state_frames=FRAMES[form]),
    )  # fmt: skip


@torch.no_grad()
def stepped(model: Generator, x: Tensor, codes: Tensor | None, prompt: int = 0) -> Tensor:
    """Features of sequences that go in frame by frame, after a prompt that goes in at once."""
    state, parts = model.start(), []
    if prompt:
        own = None if codes is None else codes[:, :prompt]
        features, state = model.extend(state, x[:, :prompt], own)
        parts.append(features)
    for t in range(prompt, x.shape[1]):
        features, state = model.step(state, x[:, t], None if codes is None else codes[:, t])
        parts.append(features.unsqueeze(1))
    assert torch.equal(model.last(state), model.recent(x)[:, -1])
    return torch.cat(parts, 1)


@pytest.mark.parametrize(("name", "form"), ARMS_AND_FORMS)
def test_steps_give_the_whole_pass(name: ArmName, form: str):
    """Sequences far longer than the context, every arm, every form, keys of several frames."""
    model, x = built(name, form), frames(length=26)
    codes = foreign_codes(model, x)
    with torch.no_grad():
        whole = model.features(x, codes)
    assert (stepped(model, x, codes) - whole).abs().max() < TOLERANCE
    assert (stepped(model, x, codes, prompt=11) - whole).abs().max() < TOLERANCE


@pytest.mark.parametrize(("name", "form"), ARMS_AND_FORMS)
def test_a_later_frame_changes_no_bit(name: ArmName, form: str):
    """Features up to t are the same bits whatever comes after t, through the memory too."""
    model, x = built(name, form), frames(length=20)
    other = x.clone()
    other[:, 13:] = 5 * torch.randn_like(other[:, 13:])
    with torch.no_grad():
        whole = model.features(x, foreign_codes(model, x))
        changed = model.features(other, foreign_codes(model, other))
    assert torch.equal(whole[:, :13], changed[:, :13])
    assert not torch.equal(whole[:, 13], changed[:, 13])


@pytest.mark.parametrize("name", ["SM", "SMx"])
def test_a_frame_reads_the_key_of_its_own_frame_and_no_later_one(name: ArmName):
    """Another code at one frame changes its features, and none before it."""
    model, x = arm(name), frames(length=16)
    codes = model.codes(x)
    other = codes.clone()
    other[:, 9] = (other[:, 9] + 1) % model.key.num_codes
    with torch.no_grad():
        before, after = model.features(x, codes), model.features(x, other)
    assert torch.equal(before[:, :9], after[:, :9])
    assert (before[:, 9] - after[:, 9]).abs().amax(-1).min() > 1e-4


def test_attention_sees_the_context_and_nothing_older():
    """One block: a frame that left the window changes nothing, the oldest inside it does."""
    own = settings(num_blocks=1, context_frames=5)
    model = arm("S", own)
    x = frames(length=12)
    for age, is_seen in ((4, True), (5, False)):
        other = x.clone()
        other[:, 11 - age] += 3
        with torch.no_grad():
            same = torch.equal(model.features(x)[:, 11], model.features(other)[:, 11])
        assert same is not is_seen, age


def test_positions_of_a_long_stream_keep_their_digits():
    """Attention sees ages: frames repeated after many hours give the same features."""
    model, x = arm("S"), frames(length=16)
    with torch.no_grad():
        features, state = model.extend(model.start(), x)
        far = state._replace(num_positions=state.num_positions + 10**7)
        turned = tuple(_turned(cache, 10**7) for cache in far.caches)
        here, _ = model.extend(state, x)
        there, _ = model.extend(far._replace(caches=turned), x)
    assert features.shape == here.shape
    assert (here - there).abs().max() < TOLERANCE


def test_a_step_turns_as_the_whole_pass_does_also_across_pages():
    """Turns of single positions are kept by the page: the same bits as those of a whole pass."""
    whole = backbone._rotation(0, 2 * backbone.PAGE + 3, 4, torch.zeros(1))
    for place in (0, 1, backbone.PAGE - 1, backbone.PAGE, 2 * backbone.PAGE + 2):
        assert torch.equal(backbone._rotation(place, 1, 4, torch.zeros(1))[0], whole[place])


def _turned(cache: Any, steps: int) -> Any:
    """Keys as they would stand `steps` positions later."""
    rotation = backbone._rotation(steps, 1, cache.keys.shape[-1] // 2, cache.keys)
    return cache._replace(keys=backbone._rotated(cache.keys, rotation))


@pytest.mark.parametrize("noise", [NoNoise(kind="none"), FixedNoise(kind="fixed", share=0.3),
                                   UniformNoise(kind="uniform")])  # fmt: skip
def test_noise_preserves_the_variance(noise: Any):
    """Mean and SD of noised frames are those of the frames; a fixed share is their correlation."""
    torch.manual_seed(0)
    mean, sd = torch.tensor([2.0, -1.0]), torch.tensor([3.0, 0.5])
    x = mean + sd * torch.randn(60, 500, 2)
    seen = noised(x, mean, sd, noise)
    count = x[..., 0].numel()
    assert torch.allclose(seen.mean((0, 1)), mean, atol=float(5 * sd.max() / count**0.5))
    assert torch.allclose(seen.std((0, 1)), sd, rtol=5 / (2 * count) ** 0.5)
    kept = {"none": 1.0, "fixed": 0.7**0.5, "uniform": 2 / 3}[noise.kind]  # E sqrt(1 - k)
    correlation = (((seen - mean) / sd) * ((x - mean) / sd)).mean()
    assert abs(float(correlation) - kept) < 5 / (2 * count) ** 0.5


@pytest.mark.parametrize("kind", ["fixed", "uniform"])
def test_noise_stays_out_of_scoring_and_out_of_the_short_context(kind: str):
    """In evaluation nothing is drawn. In training only the short context sees clean frames."""
    noise = {"kind": kind, "share": 0.5} if kind == "fixed" else {"kind": kind}
    model, x = arm("S", settings(noise=noise, short_context_frames=2)), frames()
    with torch.no_grad():
        assert torch.equal(model.features(x), model.features(x))
        model.train()
        assert not torch.equal(model.features(x), model.features(x))
        model.backbone.embed.weight.zero_()  # what is left comes from the short context
        assert torch.equal(model.features(x), model.features(x))


@pytest.mark.parametrize(("reads", "is_clean"), [("noised", False), ("clean", True)])
@pytest.mark.parametrize("name", ["SM", "SMf"])
def test_the_key_reads_what_the_settings_say(name: ArmName, reads: str, is_clean: bool):
    """Under noise a key of noised frames changes from pass to pass, that of clean ones never."""
    own = settings(noise={"kind": "fixed", "share": 0.9}, key_reads=reads)
    model, x = arm(name, own).train(), frames(length=40)
    seen = []
    for _ in range(2):
        with torch.no_grad():
            trace = model.trace(x)
        source = model.get_submodule("memory.sources.before_block_2")
        seen.append(trace.codes if name == "SM" else _network_input(model, source, x))
    assert torch.equal(seen[0], seen[1]) is is_clean
    if name == "SM" and is_clean:
        assert torch.equal(seen[0], model.codes(x))


def _network_input(model: Generator, source: Any, x: Tensor) -> Tensor:
    found = []
    hook = source.register_forward_hook(lambda _, inputs, __: found.append(inputs[1].frames))
    with torch.no_grad():
        model.features(x)
    hook.remove()
    return found[0]


def test_a_foreign_arm_wants_codes():
    """It never falls back on its own: that would be the memory itself."""
    foreign: tuple[ArmName, ...] = ("SMx", "SMnx")
    assert {name for name, own in ARMS.items() if own.is_foreign} == set(foreign)
    for name in foreign:
        with pytest.raises(ValueError, match=f"arm {name} reads the codes of another utterance"):
            arm(name).features(frames())


def test_temperature_scales_the_spread_of_draws_alone():
    """Draws at temperature 1/4 lie half as far from their component, which is chosen alike."""
    model, x = arm("S"), frames(length=5)
    with torch.no_grad():
        features, last = model.features(x)[:, -1], model.recent(x)[:, -1]

        def draws(temperature: float) -> Tensor:
            generator = torch.Generator().manual_seed(3)
            return model.sample(features, last, 64, generator, temperature)

        zero = draws(0.0)
        half, one = draws(0.25) - zero, draws(1.0) - zero
    assert torch.allclose(2 * half, one, atol=1e-4)
    assert float(one.abs().mean()) > 0.05


@torch.no_grad()
def test_weights_that_are_laid_out_for_steps_keep_values_and_features():
    """Every map is read by its inputs, nothing of the model changes but the order in memory."""
    model, x = built("SM", "minimal").eval(), frames(2, 12)
    whole = model.features(x)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    lay_out_for_steps(model)
    for name, values in model.state_dict().items():
        assert torch.equal(values, before[name]), name
    maps = [part for part in model.modules() if isinstance(part, torch.nn.Linear)]
    assert maps and all(part.weight.t().is_contiguous() for part in maps)
    torch.testing.assert_close(stepped(model, x, None), whole, atol=TOLERANCE, rtol=0)
