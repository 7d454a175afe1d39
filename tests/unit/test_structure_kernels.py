"""k-means, quantisers, controls, curves and n-grams, against loops and by hand."""

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from sklearn.cluster import KMeans

from engram_audio.errors import InputError
from engram_audio.keys.config import MeanPoolKeys
from engram_audio.keys.fitted import coded
from engram_audio.keys.quantizers import Fitting, QuantileBins
from engram_audio.numerics import kmeans
from engram_audio.numerics.seeds import checksum_generator
from engram_audio.section import validated
from engram_audio.structure.cells import make_labeling, null_ratio_excess
from engram_audio.structure.config import ScoredFamily
from engram_audio.structure.controls import permuted_index, swapped_index
from engram_audio.structure.curves import confidence_ranks, curve_sums
from engram_audio.structure.ngrams import ngram_coverage
from engram_audio.structure.target_keys import ScoredKey, not_attempted
from engram_audio.structure.targets import SliceTargets


def anisotropic(num_rows: int = 4000, width: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(num_rows, width)) * np.linspace(3, 0.5, width)
    return points.astype(np.float32)


def test_kmeans_reaches_the_inertia_of_sklearn():
    """Within 1 % of the best of ten runs of sklearn; runs on such data spread by about 0.5 %."""
    points = anisotropic()
    found = kmeans.assign(points, kmeans.fit_kmeans(points, 64, 10, 100, checksum_generator(0)))[1]
    reference: Any = KMeans(64, n_init=10, random_state=0).fit(points)  # type: ignore[arg-type]
    assert found.sum(dtype=np.float64) <= 1.01 * reference.inertia_


def test_assignment_is_the_nearest_centroid():
    points = anisotropic(300)
    centroids = points[:17].copy()
    labels, distance = kmeans.assign(points, centroids)
    exact = ((points[:, None].astype(float) - centroids[None]) ** 2).sum(axis=2)
    assert np.array_equal(labels, exact.argmin(axis=1))
    # float32 products of numbers of order 100: absolute error below 100 * 6 * 2**-22
    np.testing.assert_allclose(distance, exact.min(axis=1), atol=1e-3)


def test_same_generator_same_bits():
    points = anisotropic()
    first = kmeans.fit_kmeans(points, 30, 3, 10, checksum_generator(1, "a"))
    assert np.array_equal(first, kmeans.fit_kmeans(points, 30, 3, 10, checksum_generator(1, "a")))
    assert not np.array_equal(
        first, kmeans.fit_kmeans(points, 30, 3, 10, checksum_generator(1, "b"))
    )


def test_no_cell_stays_empty_where_points_differ():
    """Two far groups of which the starts know one: the empty cell moves to the other."""
    points = np.concatenate([np.zeros((50, 2)), [[100.0, 0.0]] * 3]).astype(np.float32)
    start = np.array([[0.0, 0.0], [-50.0, -50.0]])
    centroids = kmeans._lloyd(points, start, 10)[0]
    assert sorted(centroids[:, 0].tolist()) == [0.0, 100.0]


def test_more_cells_than_distinct_points_is_harmless_and_than_points_refused():
    points = np.ones((10, 2), dtype=np.float32)
    assert np.isfinite(kmeans.fit_kmeans(points, 4, 2, 5, checksum_generator(0))).all()
    with pytest.raises(ValueError, match="cannot have 11 cells"):
        kmeans.fit_kmeans(points, 11, 1, 5, checksum_generator(0))


def test_quantile_bins_are_even_on_train_and_mixed_radix():
    features = np.random.default_rng(0).normal(size=(4000, 2)).astype(np.float32)
    quantizer = QuantileBins(kind="quantile_bins", num_bins=4)
    (size,) = quantizer.sizes(2)
    arrays = quantizer.fit(size, features, Fitting(1, 1, np.random.default_rng(0)))
    labels, confidence = coded(quantizer, arrays, features)
    assert confidence is None and size.num_codes == 16
    for digit in (labels // 4, labels % 4):
        assert np.bincount(digit).tolist() == [1000] * 4


def test_too_little_data_is_said_and_bins_are_always_tried():
    key = ScoredKey("kmeans_65536", 65536, 65536)
    assert not_attempted(key, 41210, 100) == (
        "not_attempted: 65536 cells need 6553600 train frames, have 41210"
    )
    assert not_attempted(key, 6553600, 100) is None
    assert not_attempted(ScoredKey("quantile_bins_4", 65536, 1), 41210, 100) is None


def test_a_wrong_family_is_one_line_with_the_file():
    with pytest.raises(InputError, match=r"structure_keys\.x: .*'fourier'") as caught:
        validated(ScoredFamily, {"kind": "fourier"}, "structure_keys.x")
    assert "\n" not in str(caught.value)
    text = (
        '{"kind":"mean_pool","inputs":["raw"],"quantizers":[{"kind":"quantile_bins","num_bins":2}]}'
    )
    assert isinstance(TypeAdapter(ScoredFamily).validate_json(text), MeanPoolKeys)


def targets(part: list[int], utterance: list[int]) -> SliceTargets:
    size = len(part)
    return SliceTargets(
        rows=[np.arange(size)],
        start=np.array([0, size]),
        part=np.array(part, dtype=np.int8),
        speaker=np.zeros(size, dtype=np.int32),
        utterance=np.array(utterance, dtype=np.int32),
        eval_energy=np.ones(size, dtype=np.float32),
    )


def test_permuted_labels_stay_in_their_part_and_keep_their_counts():
    slice_targets = targets([0] * 50 + [1] * 20 + [2] * 30, [0] * 50 + [1] * 20 + [2] * 30)
    index = permuted_index(slice_targets, checksum_generator(0))
    assert np.array_equal(np.sort(index), np.arange(100))
    assert np.array_equal(slice_targets.part[index], slice_targets.part)


def test_swapped_labels_come_in_order_from_another_utterance_of_the_part():
    utterance = np.repeat([0, 1, 2, 3, 4], [7, 5, 9, 4, 6])
    part = np.array([0, 0, 2, 0, 2])[utterance]
    slice_targets = targets(part.tolist(), utterance.tolist())
    index = swapped_index(slice_targets, checksum_generator(3))
    assert index is not None
    assert np.array_equal(part[index], part)
    for own in range(5):
        donor_rows = index[utterance == own]
        (donor,) = np.unique(utterance[donor_rows])
        assert donor != own
        length = np.count_nonzero(utterance == donor)
        first = np.flatnonzero(utterance == donor)[0]
        steps = np.diff((donor_rows - first) % length) % length
        assert np.all(steps == 1 % length), "a circular shift keeps the order"


def test_one_utterance_has_nobody_to_swap_with():
    assert swapped_index(targets([0, 0, 1, 1, 1], [0, 0, 1, 2, 2]), checksum_generator(0)) is None


def test_null_excess_by_hand():
    """Cells of 4 and 1 train frames with 1 and 3 eval frames: (1/4 + 3/1) / 4."""
    part = np.array([0] * 5 + [3] * 4)
    cells = np.array([0, 0, 0, 0, 1, 0, 1, 1, 1])
    labeling = make_labeling(cells, part, 2, 1)
    assert null_ratio_excess(labeling, 3) == pytest.approx((1 / 4 + 3) / 4)
    assert labeling.entropy == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))


def test_thin_cells_are_excluded_by_train_counts_alone():
    part = np.array([0, 0, 0, 0, 3, 3, 3, 3])
    cells = np.array([5, 5, 5, 7, 7, 7, 7, 5])
    labeling = make_labeling(cells, part, 9, 2)
    assert labeling.cell_ids.tolist() == [5]
    assert labeling.codes.tolist() == [0, 0, 0, 1, 1, 1, 1, 0]
    assert labeling.counts[:, 0].tolist() == [3, 0, 0, 1]


def test_energy_matched_ranks_keep_the_energies_of_all():
    """Confidence that is energy in disguise: the plain half is loud, the matched half is not."""
    energy = np.random.default_rng(0).random(1000)
    ranks = confidence_ranks(energy.copy(), energy)
    plain = energy[ranks["plain"] <= 0.5].mean()
    matched = energy[ranks["energy_matched"] <= 0.5].mean()
    assert plain == pytest.approx(0.75, abs=0.03)
    # within a tenth of the range the upper half lies a quarter of that tenth above the middle
    assert matched == pytest.approx(0.5 + 0.025, abs=0.03)
    assert np.count_nonzero(ranks["energy_matched"] <= 0.5) == 500


def test_the_curve_ends_in_all_frames():
    scores = np.arange(12.0).reshape(6, 2)
    counts, sums = curve_sums(
        np.array([1, 2, 3, 4, 5, 6]) / 6, (0.5, 1.0), scores, np.array([0, 0, 1, 1, 1, 0]), 2
    )
    assert counts.tolist() == [[2, 1], [3, 3]]
    np.testing.assert_allclose(sums[1].sum(axis=0), scores.sum(axis=0))
    np.testing.assert_allclose(sums[0, 0], scores[:2].sum(axis=0))


def test_ngram_coverage_equals_a_loop():
    rng = np.random.default_rng(0)
    cells = rng.integers(4, size=400)
    utterance = np.sort(rng.integers(40, size=400))
    part = np.array([0, 1, 3])[np.arange(40) % 3][utterance]
    found = {row[:3]: row[3:] for row in ngram_coverage(cells, utterance, part, (1, 3), (1, 2))}
    seen: dict[tuple[int, ...], int] = {}
    held = {"val": [], "eval": []}
    for order in (1, 3):
        for end in range(order, 401):
            rows = slice(end - order, end)
            if len(set(utterance[rows])) == 1:
                gram = tuple(cells[rows].tolist())
                if part[end - 1] == 0:
                    seen[gram] = seen.get(gram, 0) + 1
                else:
                    held["val" if part[end - 1] == 1 else "eval"].append(gram)
    for (order, minimum, name), counts in found.items():
        grams = [gram for gram in held[name] if len(gram) == order]
        covered = sum(seen.get(gram, 0) >= minimum for gram in grams)
        assert counts == (len(grams), covered)
    assert len(found) == 8
