"""Surrogates keep what they promise and destroy the rest; shards are independent."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engram_audio.latents.block import LatentBlock
from engram_audio.latents.surrogates import randomize_phases, shuffle_frames, surrogate_hash

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def block(sizes: list[int], dims: int = 3, seed: int = 0) -> LatentBlock:
    generator = np.random.default_rng([seed, *sizes])
    total = sum(sizes)
    walk = np.cumsum(generator.normal(size=(total, dims)), axis=0)
    return LatentBlock(
        frames=(walk @ generator.normal(size=(dims, dims))).astype(np.float32),
        energy=generator.random(total).astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        utterance_ids=np.array([f"u{i}" for i in range(len(sizes))], dtype=object),
        speaker_ids=np.array(["s"] * len(sizes), dtype=object),
    )


def part(data: LatentBlock, number: int) -> LatentBlock:
    """One utterance as a shard of its own."""
    start, stop = data.offsets[number : number + 2]
    return LatentBlock(
        frames=data.frames[start:stop],
        energy=data.energy[start:stop],
        offsets=np.array([0, stop - start]),
        utterance_ids=data.utterance_ids[number : number + 1],
        speaker_ids=data.speaker_ids[number : number + 1],
    )


@given(SIZES)
def test_shuffling_permutes_frames_with_their_energy_inside_utterances(sizes: list[int]):
    data = block(sizes)
    mixed = shuffle_frames(data, 0)
    for start, stop in zip(data.offsets[:-1], data.offsets[1:], strict=True):
        rows = np.column_stack([data.frames, data.energy])[start:stop]
        found = np.column_stack([mixed.frames, mixed.energy])[start:stop]
        np.testing.assert_array_equal(rows[np.lexsort(rows.T)], found[np.lexsort(found.T)])


@given(SIZES)
def test_energies_are_made_with_the_frames(sizes: list[int]):
    """Log energy = 2 + first dimension, and so it stays: the same phases turn both."""
    data = block(sizes)
    loud = np.exp(2 + 0.1 * data.frames[:, 0].astype(np.float64) / (1 + np.abs(data.frames).max()))
    twin = randomize_phases(data._replace(energy=loud.astype(np.float32)), 0)
    expected = np.exp(2 + 0.1 * twin.frames[:, 0] / (1 + np.abs(data.frames).max()))
    np.testing.assert_allclose(twin.energy, expected, rtol=1e-4)


def test_digital_silence_stays_quiet_and_finite():
    data = block([30])
    energy = np.where(np.arange(30) % 2 == 0, 0.0, data.energy)
    for quiet in (energy, np.zeros(30)):
        twin = randomize_phases(data._replace(energy=quiet.astype(np.float32)), 0)
        assert np.isfinite(twin.energy).all() and (twin.energy >= 0).all()


@given(SIZES)
def test_random_phases_keep_spectra_and_cross_spectra(sizes: list[int]):
    """For every utterance length, odd and even: X_i(f) conj X_j(f) is unchanged.

    Tolerance: results are stored as float32, so each value is off by at most eps/2 of its size; a
    DFT bin sums T of them, hence |error| <= T * eps * max|x|, and a product of two bins twice that
    times the larger bin.
    """
    data = block(sizes)
    twin = randomize_phases(data, 0)
    for start, stop in zip(data.offsets[:-1], data.offsets[1:], strict=True):
        before = np.fft.rfft(data.frames[start:stop].astype(np.float64), axis=0)
        after = np.fft.rfft(twin.frames[start:stop].astype(np.float64), axis=0)
        largest = np.abs(before).max()
        peak = np.abs(twin.frames[start:stop]).max()
        tolerance = 4 * (stop - start) * np.finfo(np.float32).eps * peak * largest
        cross = [np.einsum("fi,fj->fij", x, x.conj()) for x in (before, after)]
        np.testing.assert_allclose(cross[1], cross[0], rtol=0, atol=max(tolerance, 1e-12))


@given(SIZES, st.integers(0, 3))
def test_an_utterance_does_not_depend_on_its_shard(sizes: list[int], seed: int):
    data = block(sizes)
    for make in (shuffle_frames, randomize_phases):
        whole = make(data, seed)
        for number in range(len(sizes)):
            start, stop = data.offsets[number : number + 2]
            alone = make(part(data, number), seed)
            np.testing.assert_array_equal(alone.frames, whole.frames[start:stop])


def test_seeds_and_utterances_differ():
    data = block([30, 30])
    for make in (shuffle_frames, randomize_phases):
        assert not np.array_equal(make(data, 0).frames, make(data, 1).frames)
        same = data._replace(frames=np.vstack([data.frames[:30], data.frames[:30]]))
        made = make(same, 0).frames
        assert not np.array_equal(made[:30], made[30:])


def test_random_phases_destroy_what_is_not_gaussian():
    """A rare loud burst becomes diffuse: the kurtosis falls towards that of a Gaussian (3)."""
    data = block([400], dims=1)
    burst = np.zeros((400, 1), np.float32)
    burst[200] = 1.0
    twin = randomize_phases(data._replace(frames=burst), 0).frames
    centred = twin - twin.mean()
    assert np.mean(centred**4) / np.mean(centred**2) ** 2 < 4.5
    assert np.mean((burst - burst.mean()) ** 4) / np.var(burst) ** 2 > 300


def test_a_surrogates_hash_names_its_base_kind_and_recipe():
    hashes = {surrogate_hash(*row) for row in [("a", "var", 1), ("a", "var", 2), ("b", "var", 1)]}
    assert len(hashes) == 3
