"""The adapters of all codec families on small random checkpoints, saved and loaded locally."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from engram_audio.codecs.config import CodecSection
from engram_audio.codecs.encodec import fold_weight_norm
from engram_audio.codecs.receptive_field import Layer, reach_frames
from engram_audio.codecs.torch_codec import TorchCodec
from engram_audio.codecs.weights import file_sha256
from engram_audio.errors import InputError
from engram_audio.latents.batching import encode_batch, encode_staged, pad_batch, stage_batch
from engram_audio.latents.long_clip import latent_gap
from engram_audio.latents.self_tests import require_passed, run_self_tests
from engram_audio.section import validated
from tests.unit import codec_material as material
from tests.unit.codec_material import noise

# Padded batches differ from single clips by float32 rounding, some 1e-5 SD; what leaks is larger.
TOLERANCE = 1e-4
RATES = {  # sample rate, hop, dimensions; looks ahead
    "mimi": (24000, 1920, 64, False),
    "pocket_tts": (24000, 1920, 32, False),
    "encodec": (24000, 320, 16, False),
    "dac_16khz": (16000, 320, 64, True),
    "dac_44khz": (44100, 512, 64, True),
    "vibevoice": (24000, 3200, 16, False),
}
# The two sizes of DAC share all code: the larger one is tried with the slow tests.
NAMES = [
    pytest.param(name, marks=pytest.mark.slow if name == "dac_44khz" else ())
    for name in sorted(RATES)
]
# What is asked of the self-tests or of threads and not of a family: two families stand for all.
TWO = [
    pytest.param(name, marks=() if name in ("encodec", "mimi") else pytest.mark.slow)
    for name in sorted(RATES)
]
STREAMING = {"mimi", "pocket_tts", "vibevoice"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A saved checkpoint of each family."""
    return {name: material.save(name, tmp_path_factory.mktemp(name)) for name in RATES}


def clips(codec: TorchCodec) -> list[np.ndarray]:
    """Three clips of different length, none a multiple of the hop."""
    second = codec.sample_rate_hz
    return [noise(int(s * second) + 11, n) for n, s in enumerate((2.4, 1.9, 2.1))]


@pytest.mark.parametrize("name", NAMES)
def test_rates_and_sizes_come_from_the_checkpoint(folders: dict[str, Path], name: str):
    codec = material.load(name, folders[name])
    found = (codec.sample_rate_hz, codec.hop_samples, codec.num_dims, not codec.is_causal)
    assert found == RATES[name]
    assert (codec.lookahead_frames > 0) == RATES[name][3]
    assert codec.weight_hash() == file_sha256([folders[name] / "model.safetensors"])
    wave = noise(codec.hop_samples * 9 + 1)
    assert encode_batch(codec, [wave], 0)[0].shape == (9, codec.num_dims)


@pytest.mark.parametrize("name", NAMES)
def test_random_weights_of_every_family_fail_one_self_test_alone(
    folders: dict[str, Path], name: str
):
    """Frame formula, batch = single, causality, cold start, 20 s in pieces = whole hold."""
    codec = material.load(name, folders[name])
    tests = {test.name: test for test in run_self_tests(codec, clips(codec), 2, TOLERANCE, 0)}
    material.assert_only_untrained(list(tests.values()))
    assert len(tests) == 13
    assert tests["as_the_model"].limit == TOLERANCE
    assert ("streamed" in tests["long_clip"].detail) == (name in STREAMING)
    assert (tests["long_clip"].value is None) == (name == "encodec")
    assert (tests["causality"].limit is None) == RATES[name][3]
    if RATES[name][3]:
        assert (tests["causality"].value or 0) > 100 * TOLERANCE


@pytest.mark.parametrize("name", TWO)
def test_weights_that_changed_on_the_fast_way_are_refused(folders: dict[str, Path], name: str):
    """Encoding goes another way than the model's own call: the self-tests hold it against that."""
    codec = material.load(name, folders[name])
    assert codec._pieces is not None
    finish = codec._pieces.late
    codec._pieces = codec._pieces._replace(late=lambda hidden: 1.01 * finish(hidden))
    tests = run_self_tests(codec, clips(codec), 2, TOLERANCE, 0)
    with pytest.raises(InputError, match="as_the_model failed"):
        require_passed(tests, name)


@pytest.mark.parametrize("name", NAMES)
def test_the_public_path_of_the_model_gives_the_same_latents(folders: dict[str, Path], name: str):
    """The adapter's latents, in pieces on a CPU, against the documented call on the whole clip.

    The clip is longer than two pieces and, for Pocket-TTS, than two windows of attention.
    """
    codec = material.load(name, folders[name])
    num_frames = codec.num_frames(4 * codec.sample_rate_hz)
    wave = noise(codec.hop_samples * num_frames)
    mine = encode_batch(codec, [wave], 0)[0]
    model = material.random_model(name).eval()
    audio = torch.from_numpy(wave)[None, None]
    with torch.inference_mode():
        if name == "mimi":
            latents = model.encoder(audio).latents
            halves = (
                model.quantizer.semantic_residual_vector_quantizer,
                (model.quantizer.acoustic_residual_vector_quantizer),
            )
            theirs = sum(half.output_proj(half.input_proj(latents)) for half in halves)[0].T  # type: ignore[index]
        elif name == "pocket_tts":
            theirs = model.encode(audio).latents[0]
        elif name == "vibevoice":
            theirs = model.encode(audio, sample=False).latents[0]
        else:
            silence = torch.zeros(1, 1, codec.lookahead_frames * codec.hop_samples)
            theirs = model.encoder(torch.cat([audio, silence], dim=-1))[0].T[:num_frames]
    np.testing.assert_allclose(mine, theirs.numpy(), atol=TOLERANCE * mine.std())


@pytest.mark.parametrize("name", NAMES)
def test_a_padded_batch_gives_the_frames_of_single_clips(folders: dict[str, Path], name: str):
    """The path of a GPU, where clips are encoded together: padding must not reach a clip's frames.

    A codec that looks ahead appends its own silence, so that every clip ends alike.
    """
    codec = material.load(name, folders[name])
    waves = clips(codec)
    batch, lengths = pad_batch(waves, codec.hop_samples, 0)
    together = codec._encode(torch.from_numpy(codec._with_lookahead(batch))[:, None])
    for rows, wave, length in zip(together, waves, lengths, strict=True):
        alone = encode_batch(codec, [wave], 3)[0]
        gap = np.abs(rows[: codec.num_frames(int(length))] - alone).max()
        assert gap < TOLERANCE * alone.std()


@pytest.mark.parametrize("name", ["pocket_tts", "dac_16khz", "dac_44khz", "vibevoice"])
def test_a_change_of_one_frame_reaches_exactly_the_stated_frames(
    folders: dict[str, Path], name: str
):
    """Context and look-ahead, from kernels and windows, against brute force in float64.

    What is reached at the far end is small (products of many weights) but not zero.
    """
    codec = material.load(name, folders[name])
    codec._model = codec._model.double()
    assert codec.context_frames is not None
    before, after, hop = codec.context_frames, codec.lookahead_frames, codec.hop_samples
    place = after + 3
    wave = noise((place + before + 4) * hop).astype(np.float64)
    changed = wave.copy()
    changed[place * hop : (place + 1) * hop] = noise(hop, 1)
    with torch.inference_mode():
        first, second = (
            codec._latents(torch.from_numpy(w)[None, None])[0] for w in (wave, changed)
        )
    reached = np.flatnonzero((first - second).abs().amax(dim=1).numpy() > 0)
    assert reached[0] == place - after
    assert place < reached[-1] <= place + before
    if name != "pocket_tts":  # softmax over 250 steps drowns the last steps in rounding
        assert reached[-1] == place + before


@pytest.mark.parametrize("name", NAMES)
def test_decoding_gives_back_every_sample(folders: dict[str, Path], name: str):
    """Also where transposed convolutions of odd stride leave the last sample out."""
    codec = material.load(name, folders[name])
    latents = encode_batch(codec, [noise(codec.hop_samples * 8)], 0)[0]
    audio = codec.decode(latents)
    assert audio.shape == (8 * codec.hop_samples,)
    assert audio.std() > 0


@pytest.mark.parametrize("name", NAMES)
def test_an_encoder_of_zeros_is_refused(folders: dict[str, Path], tmp_path: Path, name: str):
    """The trap of checkpoints that are published without their encoder."""
    model = material.random_model(name)
    encoder = model.encoder.encoder_seanet if name in ("mimi", "pocket_tts") else model.encoder
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.zero_()
    model.save_pretrained(tmp_path)
    tests = run_self_tests(material.load(name, tmp_path), [noise(48000)], 0, TOLERANCE, 0)
    with pytest.raises(InputError, match=r"self-test weights failed: all weights of .* are zero"):
        require_passed(tests, name)
    assert material.load(name, folders[name]).weight_fault() is None


def test_weights_that_are_not_finite_are_refused(tmp_path: Path):
    model = material.random_model("dac_16khz")
    with torch.no_grad():
        model.encoder.conv2.bias[0] = float("nan")
    model.save_pretrained(tmp_path)
    fault = material.load("dac_16khz", tmp_path).weight_fault()
    assert fault == "a weight of encoder is NaN or infinite"


def test_a_pocket_latent_that_never_moves_is_refused(tmp_path: Path):
    model = material.random_model("pocket_tts")
    with torch.no_grad():
        model.encoder.downsample.conv.weight[5] = 0
    model.save_pretrained(tmp_path)
    tests = run_self_tests(material.load("pocket_tts", tmp_path), [noise(48000)], 0, TOLERANCE, 0)
    with pytest.raises(InputError, match=r"self-test dead_dims failed \(1, limit 0\.0\)"):
        require_passed(tests, "pocket")


def test_half_a_pocket_tokenizer_is_refused(tmp_path: Path):
    model = material.random_model("pocket_tts")
    half = type(model)(type(model.config)(**material.POCKET, encoder_config=None))
    half.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="pocket_tts"):
        material.load("pocket_tts", tmp_path)


def test_the_48_khz_encodec_is_refused(tmp_path: Path):
    material.save(
        "encodec", tmp_path, sampling_rate=48000, audio_channels=2, normalize=True,
        chunk_length_s=1.0, overlap=0.01, norm_type="time_group_norm", use_causal_conv=False,
    )  # fmt: skip
    with pytest.raises(InputError, match=r"2 channel\(s\) at 48000 Hz .* mono 24 kHz model"):
        material.load("encodec", tmp_path)


def test_folding_weight_norm_changes_no_latent():
    model = material.random_model("encodec").eval()
    audio = torch.from_numpy(noise(320 * 20))[None, None]
    with torch.inference_mode():
        before = model.encoder(audio)
        after = fold_weight_norm(model).encoder(audio)
    assert (before - after).abs().max() < 1e-5 * before.std()


def test_the_ladder_of_mimi_codebooks_ends_at_the_checkpoints_number(tmp_path: Path):
    """N = 1, 4, 32 in one encoder: each step adds codebooks to the same sum; more are refused."""
    material.save("mimi", tmp_path)
    wave = noise(1920 * 12)
    ladder = []
    for count in (1, 4, 32):
        codec = material.load("mimi", tmp_path, latent_space="codebooks", num_codebooks=count)
        material.assert_only_untrained(run_self_tests(codec, clips(codec), 2, TOLERANCE, 0))
        with torch.inference_mode():
            audio = torch.from_numpy(wave)[None, None]
            codes = codec._model.encode(audio, num_quantizers=count).audio_codes
            theirs = codec._model.quantizer.decode(codes)[0].T.numpy()
        mine = encode_batch(codec, [wave], 0)[0]
        assert latent_gap(codec, mine, theirs, float(mine.std())) < TOLERANCE  # two kernels
        assert codes.shape[1] == count
        ladder.append(mine)
    steps = [np.abs(b - a).max() for a, b in itertools.pairwise(ladder)]
    assert min(steps) > 0
    few = tmp_path / "few"
    material.save("mimi", few, num_quantizers=8)
    with pytest.raises(InputError, match=r"num_codebooks is 16, but the checkpoint .* has 8"):
        material.load("mimi", few, latent_space="codebooks", num_codebooks=16)


def test_weights_of_another_model_are_refused_by_name(folders: dict[str, Path]):
    with pytest.raises(InputError, match=r"model\.safetensors: .*EncodecModel.*codec's kind"):
        material.load("encodec", folders["dac_16khz"])
    with pytest.raises(InputError, match="is pinned in weights_sha256"):
        material.load("dac_16khz", folders["dac_16khz"], weights_sha256="0" * 64)


@pytest.mark.parametrize("name", TWO)
def test_threads_change_no_bit_and_company_only_the_last(folders: dict[str, Path], name: str):
    """Seven clips in groups that share weights, by one thread and by two; each alone is near.

    A process that lets torch have more threads gets the same bits from a codec of one.
    """
    torch.set_num_threads(2)
    one = material.load(name, folders[name], 1)
    waves = [*clips(one), *clips(one), clips(one)[0][: one.sample_rate_hz]]
    single = encode_batch(one, waves, 1)
    two = material.load(name, folders[name], 2)
    for rows, same, wave in zip(single, encode_batch(two, waves, 1), waves, strict=True):
        np.testing.assert_array_equal(rows, same)
        alone = encode_batch(one, [wave], 0)[0]
        np.testing.assert_allclose(rows, alone, atol=TOLERANCE * alone.std())


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_gives_the_latents_of_a_cpu(folders: dict[str, Path], name: str):
    """Batches that are staged from pinned memory by another thread, against clips on a CPU."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    cpu, gpu = (material.load(name, folders[name], device=device) for device in ("cpu", "cuda"))
    waves = clips(cpu)
    with ThreadPoolExecutor(1) as reader:
        staged = reader.submit(stage_batch, gpu, waves, 1).result()
    for rows, wave in zip(encode_staged(gpu, staged), waves, strict=True):
        alone = encode_batch(cpu, [wave], 0)[0]
        assert np.abs(rows - alone).max() < 10 * TOLERANCE * alone.std()
        audio = gpu.decode(alone)
        assert np.abs(audio - cpu.decode(alone)).max() < 1e-2 * audio.std()


def test_reach_adds_up_over_strides():
    """By hand: kernel 3 at the waveform, kernel 4 stride 2, then kernel 2 at half the rate."""
    layers = [Layer(3), Layer(4, stride=2), Layer(2)]
    assert reach_frames(layers, 1) == (2 + 2 + 2, 0)
    assert reach_frames(layers, 4) == (2, 0)
    assert reach_frames([Layer(3, padding_left=1), Layer(5, padding_left=2)], 1) == (3, 3)


def test_each_kind_names_its_settings():
    for kind in ("mimi", "pocket_tts", "encodec", "dac", "vibevoice", "lyra", "mel_pca"):
        with pytest.raises(InputError, match=rf"codecs\.x: {kind}: \w+: Field required"):
            validated(CodecSection, {"kind": kind}, "codecs.x")
    with pytest.raises(InputError, match=r"codecs\.x: .*'other'"):
        validated(CodecSection, {"kind": "other"}, "codecs.x")
