"""Batches equal single clips, bad codecs are refused, interrupted runs end in the same values."""

import threading

import numpy as np
import pytest

from engram_audio.codecs.base import Codec
from engram_audio.errors import InputError
from engram_audio.latents import extraction
from engram_audio.latents.batching import encode_batch, frame_energy, pad_batch, plan_batches
from engram_audio.latents.long_clip import latent_gap
from engram_audio.latents.own_clip import NUM_PIECES, compare_pieces, sounding_pieces
from engram_audio.latents.round_trip import sound_of
from engram_audio.latents.self_tests import (
    choose_probes,
    cut_probes,
    require_passed,
    run_self_tests,
)
from engram_audio.latents.waveform import WaveformSettings, permute_blocks, prepare_waveform
from engram_audio.numerics.seeds import named_generator

HOP = 8


class Smoother(Codec):
    """Two dimensions: a causal moving average over `taps` frames of mean and mean square.

    Its decoder remembers which sound had which latents, so that it is a good one.
    """

    sample_rate_hz = 800
    hop_samples = HOP
    num_dims = 2
    latent_space = "test"
    is_causal = True
    context_frames = 2

    def __init__(self, flaw: str = "", cold_start_frames: int = 0) -> None:
        self.flaw = flaw
        self.cold_start_frames = cold_start_frames
        self.calls = 0
        self.heard: dict[bytes, np.ndarray] = {}
        self.nominal_frame_rate_hz = 100.2 if flaw == "frame_rate" else None
        self.may_have_dead_dims = flaw != "dead_dims"
        if flaw == "long_clip":
            self.context_frames = 1
        if flaw == "cold_start":
            self.context_frames = self.cold_start_frames = 1

    def weight_hash(self) -> str:
        return "hash"

    def weight_fault(self) -> str | None:
        return "all zero" if self.flaw == "weights" else None

    def encode(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        self.calls += 1
        frames = waveforms.reshape(len(waveforms), -1, HOP).astype(np.float64)
        if self.flaw == "frame_count":
            frames = frames[:, 1:]
        values = np.stack([frames.mean(axis=2), (frames**2).mean(axis=2)], axis=2)
        before = np.pad(values, ((0, 0), (2, 0), (0, 0)))
        smooth = (before[:, 2:] + before[:, 1:-1] + before[:, :-2]) / 3
        if self.flaw == "causality":
            smooth = smooth + np.pad(values[:, 1:], ((0, 0), (0, 1), (0, 0)))
        if self.flaw == "batch_equals_single":
            smooth = smooth * len(waveforms)
        if self.flaw == "variance":
            smooth = np.zeros_like(smooth)
        if self.flaw == "dead_dims":
            smooth[:, :, 1] = 0.5
        smooth = smooth.astype(np.float32)
        for rows, waveform, count in zip(smooth, waveforms, num_samples // HOP, strict=True):
            self.heard[rows[:count].tobytes()] = waveform[: count * HOP]
        return smooth

    def encode_plainly(self, waveform: np.ndarray) -> np.ndarray | None:
        if self.flaw != "as_the_model":
            return None
        return 1.01 * self.encode(waveform[None], np.array([len(waveform)]))[0]

    def decode(self, latents: np.ndarray) -> np.ndarray:
        if self.flaw == "silent" or latents.tobytes() not in self.heard:
            raise NotImplementedError
        sound = self.heard[latents.tobytes()] + (np.nan if self.flaw == "round_trip" else 0.0)
        if self.flaw == "own_clip":
            sound = np.random.default_rng(len(latents)).normal(0, 1, len(sound))
        return np.pad(sound, (0, int(self.flaw == "decoded_length")))

    def stream(self, waveform: np.ndarray, chunk_frames: int) -> np.ndarray | None:
        is_live = self.flaw in ("cold_start", "streaming")
        latents = self.encode(waveform[None], np.array([len(waveform)]))[0] if is_live else None
        if latents is not None and self.flaw == "streaming":
            latents[1000:] += 0.01  # state that is lost after ten seconds
        return latents


class Memory:
    """Parts in a dict; `fail_at` raises after so many parts, like a killed job."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.parts: dict[int, dict[str, np.ndarray]] = {}
        self.fail_at = fail_at

    def get(self, number: int, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
        return self.parts.get(number)

    def put(self, number: int, tensors: dict[str, np.ndarray]) -> None:
        if self.fail_at == len(self.parts):
            raise KeyboardInterrupt
        self.parts[number] = tensors


def clips(count: int = 12) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [
        generator.normal(0, 1, int(n)).astype(np.float32)
        for n in generator.integers(3 * HOP, 40 * HOP, count)
    ]


def names(count: int) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([f"u{i:02d}" for i in range(count)], dtype=object),
        np.array([f"s{i // 4}" for i in range(count)], dtype=object),
    )


def run(codec: Codec, waves: list[np.ndarray], parts: Memory, budget: int = 60 * HOP):
    batches = plan_batches(np.array([len(w) for w in waves]), HOP, 2, budget)
    results = list(extraction.extract(codec, lambda i: waves[i], batches, 2, parts))
    return extraction.assemble(results, batches, *names(len(waves)))


def test_batches_hold_every_clip_once_within_the_budget():
    lengths = np.array([len(w) for w in clips(50)])
    batches = plan_batches(lengths, HOP, 2, 100 * HOP)
    assert sorted(np.concatenate(batches)) == list(range(50))
    for batch in batches:
        width = (-(-lengths[batch].max() // HOP) + 2) * HOP
        assert len(batch) == 1 or len(batch) * width <= 100 * HOP
    assert len(batches) < 50


def test_a_clip_longer_than_the_budget_has_a_batch_of_its_own():
    batches = plan_batches(np.array([10, 10_000, 12]), HOP, 0, 100)
    assert [batch.tolist() for batch in batches] == [[0, 2], [1]]


def test_padding_is_zero_and_a_multiple_of_the_hop():
    batch, lengths = pad_batch([np.ones(9, np.float32), np.ones(16, np.float32)], HOP, 3)
    assert batch.shape == (2, 5 * HOP)
    assert batch.sum() == 25
    assert lengths.tolist() == [9, 16]


def test_a_batch_gives_the_latents_of_single_clips_in_the_shards_order():
    waves = clips()
    together = run(Smoother(), waves, Memory())
    for number, wave in enumerate(waves):
        start, stop = together.block.offsets[number : number + 2]
        single = encode_batch(Smoother(), [wave], 0)[0]
        assert stop - start == len(wave) // HOP
        np.testing.assert_allclose(together.block.frames[start:stop], single, rtol=1e-6)
        np.testing.assert_array_equal(together.block.energy[start:stop], frame_energy(wave, HOP))


def test_energy_is_the_rms_of_exactly_the_frames_samples():
    wave = np.concatenate([np.full(HOP, 2.0), np.zeros(HOP), np.full(HOP - 1, 9.0)])
    np.testing.assert_array_equal(frame_energy(wave.astype(np.float32), HOP), [2.0, 0.0])


@pytest.mark.parametrize("fail_at", [0, 1, 3])
def test_an_interrupted_run_goes_on_and_ends_in_the_same_values(fail_at: int):
    waves, whole, parts = clips(), Smoother(), Memory(fail_at)
    expected = run(whole, waves, Memory())
    with pytest.raises(KeyboardInterrupt):
        run(Smoother(), waves, parts)
    parts.fail_at = None
    resumed = Smoother()
    found = run(resumed, waves, parts)
    assert resumed.calls == whole.calls - fail_at
    np.testing.assert_array_equal(found.block.frames, expected.block.frames)
    np.testing.assert_array_equal(found.block.energy, expected.block.energy)
    np.testing.assert_array_equal(found.block.offsets, expected.block.offsets)


def test_the_next_batch_is_read_and_staged_while_one_is_encoded():
    """Reading goes on in another thread, in order, and never more than one batch ahead."""
    waves, log = clips(), []

    class Logged(Smoother):
        def stage(self, waveforms: np.ndarray) -> np.ndarray:
            log.append("staged")
            staged.set()
            return waveforms

        def encode(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
            if log.count("staged") < len(batches):
                assert staged.wait(10)  # the next batch arrives while this one is encoded
            staged.clear()
            log.append("encoded")
            return super().encode(waveforms, num_samples)

    staged = threading.Event()
    batches = plan_batches(np.array([len(w) for w in waves]), HOP, 2, 60 * HOP)
    assert len(batches) > 3
    results = list(
        extraction.extract(Logged(), lambda i: waves[i], batches, 2, Memory(), num_readers=3)
    )
    leads = np.cumsum([1 if event == "staged" else -1 for event in log])
    assert leads.min() >= 0
    assert leads.max() <= 2
    found = extraction.assemble(results, batches, *names(len(waves)))
    expected = run(Smoother(), waves, Memory())
    np.testing.assert_array_equal(found.block.frames, expected.block.frames)


def test_unusable_utterances_are_listed_with_the_reason():
    generator = np.random.default_rng(0)
    waves = [generator.normal(0, 1, 12 * HOP + n).astype(np.float32) for n in range(6)]
    waves[1] = waves[1][: 4 * HOP]  # cold start eats it
    waves[2] = np.zeros(20 * HOP, np.float32)  # no variance
    waves[3][5] = np.float32(np.inf)

    def load(number: int) -> np.ndarray:
        if number == 4:
            raise InputError("gone")
        return waves[number]

    batches = plan_batches(np.array([len(w) for w in waves]), HOP, 0, 60 * HOP)
    with np.errstate(invalid="ignore"):
        results = list(
            extraction.extract(Smoother(cold_start_frames=4), load, batches, 0, Memory())
        )
    found = extraction.assemble(results, batches, *names(6))
    reasons = {row.utterance_id: row.reason for row in found.excluded}
    assert reasons == {
        "u01": "too_short_for_codec", "u02": "zero_variance", "u03": "not_finite",
        "u04": "unreadable",
    }  # fmt: skip
    assert found.block.utterance_ids.tolist() == ["u00", "u05"]
    assert all(row.detail for row in found.excluded)


def test_an_absurd_latent_costs_its_utterance_and_names_the_frame():
    """The others keep their frames, energies and order."""
    codec, waves = Smoother(), clips()
    batches = plan_batches(np.array([len(w) for w in waves]), HOP, 2, 60 * HOP)
    results = list(extraction.extract(codec, lambda i: waves[i], batches, 2, Memory()))
    whole = extraction.assemble(results, batches, *names(12))
    assert whole.excluded == []
    first = int(batches[0][0])  # its frames lead the first batch
    results[0]["frames"][0, 1] = 65504
    found = extraction.assemble(results, batches, *names(12))
    (row,) = found.excluded
    assert (row.utterance_id, row.reason) == (f"u{first:02d}", "absurd")
    assert row.detail.startswith("frame 0, dimension 1: 65504 is ")
    is_kept = whole.block.utterance_ids != row.utterance_id
    rows = np.repeat(is_kept, np.diff(whole.block.offsets))
    np.testing.assert_array_equal(found.block.frames, whole.block.frames[rows])
    np.testing.assert_array_equal(found.block.energy, whole.block.energy[rows])
    np.testing.assert_array_equal(found.block.utterance_ids, whole.block.utterance_ids[is_kept])
    assert np.diff(found.block.offsets).tolist() == np.diff(whole.block.offsets)[is_kept].tolist()


def test_frame_times_restart_with_each_utterance():
    times = extraction.frame_times(np.array([0, 3, 5]), 12.5)
    np.testing.assert_allclose(times, [0, 0.08, 0.16, 0, 0.08])


def test_a_good_codec_passes_all_self_tests():
    tests = run_self_tests(Smoother(), clips(3), 2, 1e-4, 0)
    assert [test.name for test in tests] == [
        "weights", "frame_rate", "frame_count", "variance", "dead_dims", "batch_equals_single",
        "as_the_model", "causality", "cold_start", "long_clip", "decoded_length", "round_trip",
        "own_clip",
    ]  # fmt: skip
    require_passed(tests, "good")


@pytest.mark.parametrize(
    "flaw",
    [
        "weights", "frame_rate", "frame_count", "variance", "dead_dims", "batch_equals_single",
        "as_the_model", "causality", "cold_start", "long_clip", "decoded_length", "round_trip",
        "own_clip",
    ],
)  # fmt: skip
def test_each_flaw_is_caught_by_its_own_self_test(flaw: str):
    tests = run_self_tests(Smoother(flaw), clips(3), 2, 1e-4, 0)
    assert [test.name for test in tests if not test.is_passed] == [flaw]
    with pytest.raises(InputError, match=f"rep: self-test {flaw} failed"):
        require_passed(tests, "rep")


def test_a_codec_without_a_decoder_says_so_and_passes():
    tests = run_self_tests(Smoother("silent"), clips(3), 2, 1e-4, 0)
    assert [test.name for test in tests][-1] == "round_trip"
    assert "does not decode" in tests[-1].detail
    require_passed(tests, "deaf")
    with pytest.raises(InputError, match="test: its codec does not decode"):
        sound_of(Smoother("silent"), np.zeros((3, 2), np.float32))


def test_decodings_are_asked_for_their_own_pieces():
    """A perfect decoder has ratio 0, shuffled decodings are above 1, silence asks none."""
    found = compare_pieces(Smoother(), clips(3))
    assert found is not None and found.ratio == 0
    assert (found.num_pieces, found.num_matched) == (6, 3)
    five = compare_pieces(Smoother(), clips(5))
    assert five is not None and five.chance == pytest.approx(1 / 120)
    one = clips(1)[0]
    alone = compare_pieces(Smoother(), [one])
    assert alone is not None and (alone.ratio, alone.num_matched) == (0, NUM_PIECES)
    codec = Smoother()
    sounds = [piece.sound for piece in sounding_pieces(codec, clips(3))]
    latents = [codec.encode(sound[None], np.array([len(sound)]))[0] for sound in sounds]
    following = dict(
        zip([rows.tobytes() for rows in latents], sounds[2:] + sounds[:2], strict=True)
    )
    codec.decode = lambda latents: following[latents.tobytes()]
    swapped = compare_pieces(codec, clips(3))
    assert swapped is not None and swapped.ratio > 1
    assert compare_pieces(Smoother(), [np.zeros(20 * HOP, np.float32)] * 2) is None
    assert compare_pieces(Smoother(), [one[: HOP - 1]]) is None
    # a clip that is heard twice is no other clip
    twice = compare_pieces(Smoother(), [*([one[: 2 * HOP]] * 2), one])
    assert twice is not None and np.isfinite(twice.ratio)


def test_a_stream_that_loses_its_state_is_refused():
    tests = run_self_tests(Smoother("streaming"), clips(3), 2, 1e-4, 0)
    (failed,) = [test for test in tests if not test.is_passed]
    assert failed.name == "long_clip"
    assert "of a 20 s clip, streamed" in failed.detail


def test_quantised_latents_may_differ_in_a_few_frames():
    """A code that flips on rounding moves a whole frame; 2 % of them are not a fault."""
    codec, expected = Smoother(), np.zeros((200, 2))
    few, many = expected.copy(), expected.copy()
    few[:3], many[:8] = 1.0, 1.0
    assert latent_gap(codec, few, expected, 0.5) == 2.0
    codec.is_quantized = True
    assert latent_gap(codec, few, expected, 0.5) == 0.0
    assert latent_gap(codec, many, expected, 0.5) == 2.0


def test_a_codec_without_a_bound_is_measured_and_not_cut():
    """Recurrent state: no piece can equal the whole, and a cold start only informs."""
    codec = Smoother()
    codec.context_frames = None
    tests = {test.name: test for test in run_self_tests(codec, clips(3), 2, 1e-4, 0)}
    assert tests["long_clip"].value is None
    assert tests["cold_start"].value == 2  # the two frames that the moving average lacks
    assert tests["cold_start"].limit is None


def test_a_codec_that_declares_itself_not_causal_is_measured_but_not_refused():
    codec = Smoother("causality")
    codec.is_causal = False
    tests = {test.name: test for test in run_self_tests(codec, clips(3), 2, 1e-4, 0)}
    assert tests["causality"].is_passed
    assert (tests["causality"].value or 0) > 1e-4


def test_probes_are_clips_of_different_length_cut_to_seconds():
    assert choose_probes(np.array([50, 10, 30])) == [0, 1, 2]
    assert choose_probes(np.array([7])) == [0]
    cut = cut_probes([np.zeros(10_000)] * 3, 1000)
    lengths = [len(wave) for wave in cut]
    assert len(set(lengths)) == 3
    assert max(lengths) == 6000


def test_the_overlap_control_permutes_whole_blocks_and_keeps_the_tail():
    wave = np.arange(103, dtype=np.float32)
    mixed = permute_blocks(wave, 10, named_generator(0, "x"))
    np.testing.assert_array_equal(mixed[100:], wave[100:])
    blocks = mixed[:100].reshape(10, 10)
    np.testing.assert_array_equal(np.sort(blocks[:, 0]), np.arange(0, 100, 10))
    np.testing.assert_array_equal(blocks - blocks[:, :1], np.tile(np.arange(10), (10, 1)))
    assert not np.array_equal(mixed, wave)


def test_each_utterance_has_its_own_permutation_and_rates_are_mended():
    wave = np.random.default_rng(0).normal(0, 0.1, 4801).astype(np.float32)
    control = WaveformSettings(16000, 0.01, 0)
    assert control.block_samples == 160
    first = prepare_waveform(wave, 16000, "a", control)
    np.testing.assert_array_equal(first, prepare_waveform(wave, 16000, "a", control))
    assert not np.array_equal(first, prepare_waveform(wave, 16000, "b", control))
    plain = WaveformSettings(24000, None, 0)
    assert abs(len(prepare_waveform(wave, 16000, "a", plain)) - 4801 * 1.5) <= 1
    assert prepare_waveform(wave, 24000, "a", plain) is wave
