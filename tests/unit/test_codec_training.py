"""Training of codecs: whose gradients go where, resuming to the same bits, and the gates."""

import itertools
import math

import numpy as np
import pytest
import torch

from engram_audio.codecs.codec_health import HealthSums, collapse_reason
from engram_audio.codecs.crops import Crops, choose_utterances
from engram_audio.codecs.discriminator import (
    Discriminator,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
    judged_by_frozen,
)
from engram_audio.codecs.mel_vae_task import gaussian_nats
from engram_audio.codecs.spectral_loss import magnitudes, spectral_loss
from engram_audio.codecs.training import CodecTask, build_task, pack_codec, train_codec
from engram_audio.codecs.vae_task import VaeTask
from engram_audio.codecs.vae_task import build_task as build_vae_task
from engram_audio.errors import InputError
from engram_audio.training.loop import Callbacks, Interrupted, TrainingState
from engram_audio.training.packing import pack_state, unpack_state
from tests.unit.trained_codec_material import (
    CPU,
    RATE_HZ,
    mel_vae_settings,
    vae_settings,
    voice,
    voices,
)

KINDS = {"mel_vae": mel_vae_settings, "vae": vae_settings}


def task_of(settings) -> CodecTask:
    return build_task(settings, voices(0, 6), voices(6, 2), CPU)


def vae_task(**changes) -> VaeTask:
    torch.manual_seed(0)
    return build_vae_task(vae_settings(**changes), voices(0, 4), voices(4, 2), CPU)


def clean_batch() -> torch.Tensor:
    return torch.from_numpy(np.stack([voice(seed)[:2560] for seed in range(3)]))


def gradients(loss: torch.Tensor, network: torch.nn.Module) -> list[torch.Tensor | None]:
    parameters = list(network.parameters())
    return list(torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True))


def test_each_loss_reaches_its_own_network_only():
    """Generator's and discriminator's terms have no gradient in the other's parameters."""
    task = vae_task()
    discriminator = task.model.discriminator
    assert discriminator is not None
    terms = task.terms(clean_batch())
    assert all(g is None for g in gradients(terms.generator, discriminator))
    assert all(g is None for g in gradients(terms.discriminator, task.model.codec))
    for loss, network in (
        (terms.discriminator, discriminator),
        (terms.generator, task.model.codec),
    ):
        found = gradients(loss, network)
        assert all(g is not None for g in found) and any(g is not None and g.any() for g in found)


def test_the_sum_gives_both_networks_the_gradients_of_their_own_losses():
    """One backward pass of the loop's single loss equals two separate ones."""
    task = vae_task()
    torch.manual_seed(1)
    terms = task.terms(clean_batch())
    for own, network in (
        (terms.generator, task.model.codec),
        (terms.discriminator, task.model.discriminator),
    ):
        assert network is not None
        alone = gradients(own, network)
        together = gradients(terms.generator + terms.discriminator, network)
        for first, second in zip(alone, together, strict=True):
            assert first is not None and second is not None
            torch.testing.assert_close(first, second)


def test_the_frozen_discriminator_pulls_the_generators_audio():
    """Following its gradient raises the score of the audio and leaves the judge as it was."""
    torch.manual_seed(0)
    judge = Discriminator([64, 256], 4)
    audio = clean_batch().requires_grad_()
    loss = adversarial_loss(judged_by_frozen(judge, audio))
    loss.backward()
    assert audio.grad is not None and audio.grad.any()
    assert all(parameter.grad is None for parameter in judge.parameters())
    moved = (audio - 0.05 * audio.grad / audio.grad.std()).detach()
    with torch.no_grad():
        assert float(adversarial_loss(judge(moved))) < float(loss)


def test_hinge_losses_at_known_scores():
    """Undecided: 2 for the judge, 1 for the generator; a perfect judge: 0 and 2."""
    torch.manual_seed(0)
    judge = Discriminator([64], 2)
    audio = clean_batch()
    with torch.no_grad():
        [judgement] = judge(audio)
    at = [judgement._replace(score=torch.full_like(judgement.score, s)) for s in (-1.0, 0.0, 1.0)]
    assert float(discriminator_loss([at[1]], [at[1]])) == 2.0
    assert float(discriminator_loss([at[2]], [at[0]])) == 0.0
    assert float(adversarial_loss([at[0]])) == 2.0
    assert float(feature_loss([judgement], [judgement])) == 0.0


def test_the_warm_up_leaves_the_discriminator_alone():
    """Before it ends the discriminator has no gradient and no voice; from then on it has both."""
    task = vae_task(loss={"adversarial_warmup_steps": 2})
    discriminator = task.model.discriminator
    assert discriminator is not None
    for is_warm in (False, False, True):
        terms = task.terms(clean_batch())
        assert bool(terms.discriminator.detach() > 0) == is_warm
        task.loss(torch.arange(2))
    plain = vae_task(loss={"adversarial_weight": 0.0, "feature_weight": 0.0})
    assert plain.model.discriminator is None


def test_the_spectral_loss_is_zero_for_a_copy_and_grows_with_noise():
    clean = clean_batch()
    copy = clean.clone().requires_grad_()
    loss = spectral_loss(copy, clean, [64, 256], 1e-4)
    loss.backward()
    loss = loss.detach()
    assert float(loss) < 1e-3
    assert copy.grad is not None and torch.isfinite(copy.grad).all()
    noise = torch.randn_like(clean)
    losses = [
        float(spectral_loss(clean + sd * noise, clean, [64, 256], 1e-4)) for sd in (0.01, 0.1)
    ]
    assert float(loss) < losses[0] < losses[1]


def test_magnitudes_are_in_units_of_full_scale():
    """A sine of amplitude 0.5 on a bin's centre reads 0.5 there."""
    time = torch.arange(RATE_HZ) / RATE_HZ
    tone = 0.5 * torch.sin(2 * math.pi * 1000 * time)  # bin 32 of 256 at 8 kHz
    assert magnitudes(tone[None], 256)[0, 32].numpy() == pytest.approx(0.5, abs=1e-4)


def test_gaussian_nats_are_those_of_the_best_noise():
    """-ln N at noise^2 = mean square, against torch.distributions; any other noise costs more."""
    errors = torch.randn(50, 160, generator=torch.Generator().manual_seed(0)) * 0.3
    square = errors.square().mean()
    found = float(gaussian_nats(square, 160))

    def cost(sd: float) -> float:
        normal = torch.distributions.Normal(0.0, sd)
        return -float(normal.log_prob(errors).sum(-1).mean())

    best = float(square.sqrt())
    assert found == pytest.approx(cost(best), rel=1e-5)
    assert found < min(cost(1.1 * best), cost(0.9 * best))


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_changes_the_loss_by_its_rounding_only(kind: str):
    """Spectra, the KL and the hinge losses stay in float32 under autocast."""
    task = task_of(KINDS[kind]())
    losses = []
    for is_enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_enabled):
            loss = task.loss(torch.arange(4))
        assert loss.dtype == torch.float32
        loss.backward()
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop_after", [3, 9, 14])
def test_a_stopped_training_ends_with_the_same_bits(kind: str, stop_after: int):
    """Interrupt, pack, start a new process's worth of objects, go on: all weights are equal."""
    settings = KINDS[kind](recipe={"num_steps": 20, "batch_frames": 8})
    whole, state = task_of(settings), None
    finished = train_codec(settings, whole, CPU, state, Callbacks())
    steps, saved = itertools.count(1), list[TrainingState]()
    callbacks = Callbacks(save=saved.append, should_stop=lambda: next(steps) == stop_after)
    with pytest.raises(Interrupted):
        train_codec(settings, task_of(settings), CPU, None, callbacks)
    resumed = task_of(settings)
    state = unpack_state(*pack_state(saved[-1]))
    again = train_codec(settings, resumed, CPU, state, Callbacks())
    assert finished.history == again.history
    assert whole.details == resumed.details
    for name, values in pack_codec(whole.model).items():
        assert np.array_equal(values, pack_codec(resumed.model)[name]), name


def test_the_seed_decides_the_weights():
    first, second, other = (
        pack_codec(task_of(mel_vae_settings(seed=seed)).generator) for seed in (0, 0, 1)
    )
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not all(np.array_equal(first[name], other[name]) for name in first)


def trained(settings) -> CodecTask:
    task = task_of(settings)
    train_codec(settings, task, CPU, None, Callbacks())
    return task


def test_a_healthy_mel_vae_passes_the_gates_and_a_collapsed_one_does_not():
    """A beta that no reconstruction can pay for empties the latents; the gate says so."""
    steps = {"num_steps": 200}
    settings = mel_vae_settings(recipe=steps)
    task = trained(settings)
    assert collapse_reason(task.details, settings) is None, task.details
    settings = mel_vae_settings(beta=1e4, recipe=steps)
    task = trained(settings)
    reason = collapse_reason(task.details, settings)
    assert reason is not None and "\n" not in reason
    assert task.details["rate_nats"] < 0.1
    assert task.details["relative_error"] > 0.9


def test_each_gate_fires_alone():
    """One direction only: rank. Nothing reconstructed: error. A NaN passes neither."""
    settings = mel_vae_settings()
    good = {"effective_rank": 3.0, "relative_error": 0.3}
    assert collapse_reason(good, settings) is None
    for changed, word in (
        ({"effective_rank": 0.9}, "effective rank 0.9 of 4"),
        ({"relative_error": 0.71}, "0.71 of that of predicting the mean"),
        ({"effective_rank": math.nan}, "effective rank"),
        ({"relative_error": math.nan}, "predicting the mean"),
    ):
        reason = collapse_reason({**good, **changed}, settings)
        assert reason is not None and word in reason


def test_health_is_counted_over_all_batches():
    """Two batches give the rate, rank and error of both together."""
    generator = np.random.default_rng(0)
    latents = generator.normal(size=(40, 3)) * [1.0, 1.0, 0.0]
    kl = np.abs(generator.normal(size=(40, 3))) * [1.0, 1.0, 0.0]
    sums = HealthSums()
    for part in (slice(0, 10), slice(10, 40)):
        sums.add_latents(latents[part], kl[part])
        sums.add_error(1.0, 4.0)
    found = sums.details(12.5)
    assert found["rate_nats"] == pytest.approx(kl.sum(axis=1).mean())
    assert found["rate_bits_per_s"] == pytest.approx(found["rate_nats"] * 12.5 / math.log(2))
    assert found["active_dims"] == 2
    assert found["relative_error"] == 0.25
    values = np.linalg.eigvalsh(np.cov(latents.T, bias=True))[1:]
    share = values / values.sum()
    assert found["effective_rank"] == pytest.approx(np.exp(-np.sum(share * np.log(share))))


def test_more_beta_buys_less_rate_with_more_error():
    """Three members of a ladder on the same data."""
    tasks = [
        trained(mel_vae_settings(beta=beta, recipe={"num_steps": 200}))
        for beta in (0.1, 10.0, 100.0)
    ]
    rates = [task.details["rate_nats"] for task in tasks]
    errors = [task.details["relative_error"] for task in tasks]
    assert rates[0] > rates[1] > rates[2]
    assert errors[0] < errors[1] < errors[2]


def bursts(seed: int) -> np.ndarray:
    """A voice whose level swings over 40 dB: what a codec must carry is more than a mean."""
    wave = voice(seed)
    time = np.arange(len(wave)) / RATE_HZ
    level = 10 ** (-1 - np.cos(2 * np.pi * (1.5 + 0.5 * seed) * time + seed))
    return (level * wave).astype(np.float32)


@pytest.mark.slow
def test_the_waveform_vae_learns_a_few_seconds_of_audio():
    """A short run on the audio it is scored on beats the mean spectrum, silence, and its start.

    The judge, which trains in the second half, beats one that cannot decide (2).
    """
    settings = vae_settings(
        recipe={"num_steps": 150, "batch_frames": 16, "learning_rate": 5e-3, "gradient_clip": 5.0},
        loss={"adversarial_warmup_steps": 75},
    )
    audio = [bursts(0), bursts(1)]
    torch.manual_seed(0)
    task = build_vae_task(settings, audio, audio, CPU)
    state = train_codec(settings, task, CPU, None, Callbacks())
    first, best = state.history[0], task.details
    assert best["relative_error"] < 0.8
    clean = torch.from_numpy(np.stack(audio))
    silence = spectral_loss(torch.zeros_like(clean), clean, [64, 256], 1e-4)
    assert best["spectral_loss"] < 0.6 * min(float(silence), first["spectral_loss"])
    assert best["waveform_loss"] < first["waveform_loss"]
    task.model.load_state_dict(state.weights)
    assert float(task.terms(clean[:, :2560]).discriminator.detach()) < 2.0


def test_the_last_weights_are_kept_where_the_settings_say_so():
    settings = vae_settings(keeps="last", recipe={"num_steps": 20, "learning_rate": 0.05})
    task = task_of(settings)
    state = train_codec(settings, task, CPU, None, Callbacks())
    assert state.best_step == 20 and int(task.model.state_dict()["step"]) == 20
    with pytest.raises(ValueError, match="patience_validations must be null"):
        vae_settings(keeps="last", recipe={"patience_validations": 2})


@torch.no_grad()
def test_last_weights_are_not_kept_where_their_score_is_not_finite(
    monkeypatch: pytest.MonkeyPatch,
):
    """A decoder that gives NaN has no score, whatever the number of its step."""
    task = task_of(vae_settings(keeps="last"))
    task.model.get_buffer("step").add_(3)
    assert task.validate() == -3.0
    monkeypatch.setattr(task, "_spectral", lambda decoded, clean: torch.tensor(math.nan))
    assert math.isnan(task.validate())


def test_crops_are_whole_and_lie_inside_their_recording():
    """Random and fixed crops of ramps: consecutive values of one recording, all reachable."""
    ramps = [100.0 * n + np.arange(length) for n, length in enumerate((5, 9, 30))]
    crops = Crops(ramps, 8, "train")
    assert len(crops) == 1 + 3  # the first is too short; 9 holds one crop, 30 holds three
    fixed = crops.fixed(range(len(crops)))
    assert fixed[:, 0].tolist() == [100.0, 200.0, 208.0, 216.0]
    torch.manual_seed(0)
    drawn = crops.draw(torch.arange(4).repeat(200))
    assert torch.equal(drawn - drawn[:, :1], torch.arange(8.0).expand(800, 8))
    assert set(drawn[:, 0].tolist()) == {100.0, 101.0, *(200.0 + n for n in range(23))}
    assert crops.spread(2, 1) == [[0], [3]]
    with pytest.raises(InputError, match="no val utterance is as long as a crop"):
        Crops(ramps, 31, "val")


def test_utterances_are_drawn_only_where_they_do_not_fit():
    durations = [3.0] * 10
    assert choose_utterances(durations, 1000.0, 0, "train") == list(range(10))
    some = choose_utterances(durations, 10.0, 0, "train")
    assert len(some) == 4 and some == sorted(some)
    assert some == choose_utterances(durations, 10.0, 0, "train")
    assert any(choose_utterances(durations, 10.0, seed, "train") != some for seed in range(1, 5))


def test_silence_is_refused():
    settings = mel_vae_settings()
    silence = [np.zeros(16000, np.float32)] * 2
    with pytest.raises(InputError, match="no variance"):
        build_task(settings, silence, silence, CPU)
