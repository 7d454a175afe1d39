"""Keys: what is fitted on what, streams against contexts, and what a code may see."""

import numpy as np
import pytest

from engram_audio import windows
from engram_audio.errors import InputError
from engram_audio.keys.fit import window_moments
from engram_audio.keys.fitted import FittedFamily, stream_cells
from engram_audio.keys.so_far import SpeakerSoFar
from engram_audio.keys.storage import pack_family, unpack_family
from engram_audio.keys.stream import FeatureStream, shown_source, train_mean, train_rows
from engram_audio.latents.block import LatentBlock
from tests.unit.key_material import (
    INPUTS,
    blocks_of,
    cycle,
    family,
    fitted,
    walk,
)

BINS = {"kind": "quantile_bins", "num_bins": 3}
PRODUCT = {"kind": "product", "num_groups": 2, "num_codes": 4}
LSH = {"kind": "lsh", "num_bits": 4}
KMEANS = {"kind": "kmeans", "codebook_sizes": [6]}
EVERY = [KMEANS, BINS, PRODUCT, LSH]
KINDS = ("mean_pool", "pca", "last_frame", "predictive")


def targets_of(blocks: list[LatentBlock], lag: int) -> list[np.ndarray]:
    return [windows.target_rows(block.offsets, 4, lag) for block in blocks]


def centres_of(block: LatentBlock, mean: np.ndarray, before: list[LatentBlock]) -> np.ndarray:
    so_far = SpeakerSoFar(mean, 20.0)
    for earlier in before:
        so_far.centres(earlier)
    return so_far.centres(block)


@pytest.mark.parametrize("kind", KINDS)
def test_a_context_has_the_code_that_its_row_has_in_the_stream(kind: str):
    """Every input and quantiser: structure streams rows, a memory reads contexts, one code."""
    blocks, part_of = blocks_of(cycle)
    keys = fitted(family(kind, EVERY), blocks, part_of)
    for key_input in INPUTS:
        own = keys.of_input(key_input, 2)
        assert [key.name.split(".")[2] for key in own] == [
            "kmeans_6", "quantile_bins_3", "product_2x4", "lsh_4",
        ]  # fmt: skip
        cells = stream_cells(own, lambda: iter(blocks), targets_of(blocks, 2), 2)
        rows = targets_of(blocks, 2)[1] - 2
        contexts = blocks[1].frames[rows[:, None] + np.arange(-3, 1)]
        for key, streamed in zip(own, cells, strict=True):
            centres = centres_of(blocks[1], key.train_mean, blocks[:1])[rows]
            found = key.codes(contexts, centres if key.is_centred else None)
            # single precision: a feature on the edge of two cells may fall on either side
            assert np.mean(found == streamed.cells[-len(rows) :]) > 0.995
            assert found.dtype == np.int32 and 0 <= found.min() <= found.max() < key.num_codes
            assert len(np.unique(found)) > 3


def test_only_train_frames_decide_a_fit():
    """Val, select and eval frames may be anything: no array of any key moves."""
    blocks, part_of = blocks_of(cycle)
    part_of["s1-u0"] = "select"
    changed = [_torn(block, part_of, ("val", "select", "eval")) for block in blocks]
    for kind in KINDS:
        shown = [KMEANS, BINS, PRODUCT, LSH]
        inputs = {"inputs": ["raw", "increments"]}
        before, after = (
            pack_family(fitted(family(kind, shown, **inputs), one, part_of))[0]
            for one in (blocks, changed)
        )
        assert list(before) == list(after)
        assert all(np.array_equal(before[name], after[name]) for name in before)


def _torn(block: LatentBlock, part_of: dict[str, str], parts: tuple[str, ...]) -> LatentBlock:
    is_torn = [part_of[str(name)] in parts for name in block.utterance_ids]
    rows = np.repeat(is_torn, np.diff(block.offsets))
    noise = np.random.default_rng(3).normal(size=block.frames.shape).astype(np.float32)
    return block._replace(frames=np.where(rows[:, None], 9 * noise, block.frames))


def test_other_speakers_move_no_centred_fit():
    blocks, part_of = blocks_of(cycle)
    changed = [_torn(block, part_of, ("eval",)) for block in blocks]
    before, after = (
        pack_family(fitted(family("pca"), one, part_of))[0] for one in (blocks, changed)
    )
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("key_input", INPUTS)
def test_a_code_knows_no_later_frame(key_input: str):
    """Frames after a context, of this and of later utterances, change no code of the past."""
    blocks, part_of = blocks_of(cycle)
    keys = fitted(family("pca"), blocks, part_of).of_input(key_input, 1)
    cut = 150  # inside the third utterance
    later = blocks[0].frames.copy()
    later[cut:] = -5
    changed = [blocks[0]._replace(frames=later), blocks[1]]
    targets = targets_of(blocks, 1)
    before, after = (
        stream_cells(keys, lambda own=own: iter(own), targets, 1)[0].cells
        for own in (blocks, changed)
    )
    past = np.concatenate([targets[0] - 1 < cut, np.zeros(len(targets[1]), bool)])
    assert past.any() and np.array_equal(before[past], after[past])
    assert not np.array_equal(before, after)


def test_the_centre_is_the_shrunk_mean_of_the_speakers_frames_so_far():
    blocks, part_of = blocks_of(cycle)
    mean = train_mean(lambda: iter(blocks), part_of).astype(np.float32)
    (first, second) = shown_source("speaker_centred", lambda: iter(blocks), mean, 20.0)()
    row = int(first.block.offsets[2]) + 7  # the third utterance of speaker 0
    own = first.block.frames[: row + 1].astype(float) - mean
    assert first.centres is not None and second.centres is not None
    np.testing.assert_allclose(first.centres[row], own.sum(0) / (len(own) + 20), atol=1e-5)
    # the first frame of another speaker is shrunk to the train mean
    start = second.block.frames[0].astype(float) - mean
    np.testing.assert_allclose(second.centres[0], start / 21, atol=1e-6)


def test_frames_that_decide_nothing_are_in_no_centre():
    """The centre at an idle frame is that of the frames before it, 0 where none was counted."""
    block = blocks_of(cycle, num_blocks=1)[0][0]
    is_scored = np.ones(len(block.frames), bool)
    is_scored[[0, 1, 6]] = False
    found = SpeakerSoFar(np.zeros(5, np.float32), 0.0).centres(block._replace(is_scored=is_scored))
    assert not found[:2].any()
    np.testing.assert_array_equal(found[6], found[5])
    counted = block.frames[[2, 3, 4, 5, 7]].mean(0)
    np.testing.assert_allclose(found[7], counted, atol=1e-6)


def test_a_speaker_whose_utterances_lie_in_two_blocks_is_one_speaker():
    blocks, _ = blocks_of(cycle, num_blocks=1)
    whole = blocks[0]
    parts = [
        LatentBlock(whole.frames[a:b], whole.energy[a:b], whole.offsets[u : v + 1] - a,
                    whole.utterance_ids[u:v], whole.speaker_ids[u:v])
        for u, v in ((0, 2), (2, len(whole.utterance_ids)))
        for a, b in [(int(whole.offsets[u]), int(whole.offsets[v]))]
    ]  # fmt: skip
    so_far = [SpeakerSoFar(np.zeros(5, np.float32), 5.0) for _ in range(2)]
    joined = np.concatenate([so_far[0].centres(part) for part in parts])
    np.testing.assert_allclose(joined, so_far[1].centres(whole), atol=1e-6)


@pytest.mark.parametrize("with_targets", [False, True])
def test_moments_of_centred_contexts_equal_built_windows(with_targets: bool):
    """Float32 frames of order 2, 400 windows: covariances agree to 1e-4."""
    blocks, part_of = blocks_of(cycle)
    mean = train_mean(lambda: iter(blocks), part_of).astype(np.float32)
    source = shown_source("speaker_centred", lambda: iter(blocks), mean, 20.0)
    rows = [train_rows(block, part_of, 4, 2) for block in blocks]
    found = window_moments(lambda: zip(source(), rows, strict=True), 4, 2, with_targets)
    built, steps = [], []
    for shown, own in zip(source(), rows, strict=True):
        contexts = shown.frames[(own - 2)[:, None] + np.arange(-3, 1)].astype(float)
        assert shown.centres is not None
        built.append((contexts - shown.centres[own - 2][:, None]).reshape(len(own), -1))
        steps.append(windows.delta(shown.block.frames, own).astype(float))
    y, z = np.concatenate(built), np.concatenate(steps)
    z = (z - z.mean(0)) / z.std(0)
    np.testing.assert_allclose(found.mean, y.mean(0), atol=1e-4)
    np.testing.assert_allclose(found.covariance, np.cov(y.T, bias=True), atol=1e-4)
    expected = (y - y.mean(0)).T @ z / len(y) if with_targets else np.empty((20, 0))
    np.testing.assert_allclose(found.cross, expected, atol=1e-4)


def explained(keys: FittedFamily, key_input: str, blocks, part_of, lag: int) -> float:
    """1 - SSE about train cell means / SSE about the train mean, of eval steps."""
    targets = targets_of(blocks, lag)
    (own,) = keys.of_input(key_input, lag)
    cells = stream_cells([own], lambda: iter(blocks), targets, lag)[0].cells
    steps = np.concatenate(
        [windows.delta(b.frames, r) for b, r in zip(blocks, targets, strict=True)]
    )
    part = np.concatenate(
        [[part_of[str(n)] for n in b.utterance_ids[windows.utterance_of_rows(b.offsets, r)]]
         for b, r in zip(blocks, targets, strict=True)]
    )  # fmt: skip
    train, held = part == "train", part == "eval"
    means = np.array([steps[train & (cells == c)].mean(0) for c in range(own.num_codes)])
    zero = ((steps[held] - steps[train].mean(0)) ** 2).sum()
    return float(1 - ((steps[held] - means[cells[held]]) ** 2).sum() / zero)


@pytest.mark.parametrize("kind", ["pca", "last_frame"])
def test_a_centred_key_explains_nothing_of_a_random_walk(kind: str):
    """A mean over the whole recording explains 3-4 % of it. 0 but for the cost of K means.

    K = 6 means on 4,300 train frames cost 6 / 4300 = .0014; the SE on 2,150 eval frames of D = 5
    is about sqrt(2 x .0014 / (2150 x 5)) = .0005 in units of the variance.
    """
    blocks, part_of = blocks_of(walk, num_speakers=30, length=76, seed=1)
    keys = fitted(family(kind), blocks, part_of)
    for lag in (1, 2):
        assert abs(explained(keys, "speaker_centred", blocks, part_of, lag) + 0.0014) < 0.003


def test_only_the_predictive_feature_is_fitted_at_each_lag():
    blocks, part_of = blocks_of(cycle)
    lags = {kind: {k.lag_frames for k in fitted(family(kind), blocks, part_of).keys}
            for kind in KINDS}  # fmt: skip
    assert lags == {"mean_pool": {0}, "pca": {0}, "last_frame": {0}, "predictive": {1, 2}}


def test_a_file_gives_back_the_same_codes():
    blocks, part_of = blocks_of(cycle)
    keys = fitted(family("predictive", EVERY), blocks, part_of, minimum_cell_frames=30)
    arrays, header = pack_family(keys)
    again = unpack_family(arrays, header)
    targets = targets_of(blocks, 2)
    for first, second in zip(keys.keys, again.keys, strict=True):
        assert first.name == second.name
        ours, theirs = (
            stream_cells([key], lambda: iter(blocks), targets, 2)[0].cells
            for key in (first, second)
        )
        assert np.array_equal(ours, theirs)


def test_one_seed_for_a_key_whatever_stands_beside_it():
    """A key's codebook does not depend on which other keys or inputs a family has."""
    blocks, part_of = blocks_of(cycle)
    alone = fitted(family("pca", inputs=["increments"]), blocks, part_of)
    evidence = fitted(family("pca", EVERY), blocks, part_of)
    (own,) = alone.of_input("increments", 1)
    other = evidence.key("f.increments.kmeans_6", 1, "file")
    assert np.array_equal(own.cells["centroids"], other.cells["centroids"])
    another = fitted(family("pca", inputs=["increments"]), blocks, part_of, seed=1)
    assert not np.array_equal(own.cells["centroids"], another.keys[0].cells["centroids"])


def test_a_key_that_lacks_frames_says_so():
    blocks, part_of = blocks_of(cycle)
    sizes = {"kind": "kmeans", "codebook_sizes": [6, 4096]}
    keys = fitted(family("pca", [sizes]), blocks, part_of)
    assert keys.missing["f.raw.kmeans_4096"][0] == 4096
    with pytest.raises(InputError, match=r"k: key f\.raw\.kmeans_4096: 4096 cells need 8192 train"):
        keys.key("f.raw.kmeans_4096", 1, "k")
    with pytest.raises(InputError, match=r"k: has no key f\.raw\.kmeans_7 at lag 1; it has f\.raw"):
        keys.key("f.raw.kmeans_7", 1, "k")


def test_too_many_codes_are_refused():
    """At once where the section says how many components, else once the dimensions are known."""
    many = {"kind": "quantile_bins", "num_bins": 9}
    with pytest.raises(ValueError, match=r"9 \*\* 40 must stay below"):
        family("pca", [many], num_components=40)
    blocks, part_of = blocks_of(cycle)
    most = {"kind": "quantile_bins", "num_bins": 2**31 - 1}
    with pytest.raises(InputError, match=r"keys\.library\.f: .*fewer components or fewer bins"):
        fitted(family("last_frame", [most]), blocks, part_of)


def test_increments_of_one_frame_are_refused():
    blocks, part_of = blocks_of(cycle)
    with pytest.raises(InputError, match=r"views\.window_frames: increments need"):
        fitted(family("pca"), blocks, part_of, window_frames=1)


def test_streamed_features_give_what_held_features_give():
    """The same thinned sample, whether all features are held or none is."""
    values = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    parts = np.split(values, [13, 13, 60])
    chosen = np.flatnonzero(values[:, 0] > 0)
    for bound in (None, chosen):
        held, streamed = (
            FeatureStream(lambda: iter(parts), 100, 4, size).sample(bound)
            for size in (100 * 16, 100 * 16 - 1)
        )
        whole = values if bound is None else values[bound]
        assert np.array_equal(held, whole)
        kept = whole[(np.arange(99) * len(whole)) // 99] if bound is None else whole
        assert np.array_equal(streamed, kept)
