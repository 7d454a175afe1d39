"""Scores of keys: against a plain loop, streamed against held, and what must never happen."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio import windows
from engram_audio.errors import InputError
from engram_audio.latents.block import LatentBlock
from engram_audio.section import validated
from engram_audio.structure.cells import Labeling, make_labeling
from engram_audio.structure.config import ScoredFamily, StructureSection
from engram_audio.structure.joint import speaker_folds
from engram_audio.structure.key_scores import KeyTables
from engram_audio.structure.key_tables import EXCLUDED_CELL
from engram_audio.structure.linear import linear_context, score_linear
from engram_audio.structure.linear_model import fit_linear_model
from engram_audio.structure.material import Material, part_of_utterances, prepare
from engram_audio.structure.oracle import NUM_FOLDS, score_oracle
from engram_audio.structure.scoring import ScoringPlan, score_labelings
from engram_audio.structure.speaker_sums import ALONE, WITH_LINEAR, SpeakerSums
from engram_audio.structure.targets import EVAL, TRAIN, index_frames, select_targets
from tests.unit.key_material import scored

PCA = '{"kind":"pca","inputs":%s,"num_components":3,"quantizers":[%s]}'
KMEANS = '{"kind":"kmeans","codebook_sizes":[6,4096]}'
BINS = '{"kind":"quantile_bins","num_bins":2}'


def section(**changes) -> StructureSection:
    settings = {
        "window_frames": 3, "lags_frames": (1, 2), "slices": ("all", "speech"),
        "medial_range": (0.2, 0.8), "speech_range_db": 35.0, "minimum_cell_frames": 10,
        "std_floor": 1e-6, "principal_subspaces": (2,), "variance_shrinkage_frames": 5.0,
        "linear_ridges": (1e-6, 1e-2), "block_frames": 1024,
        "fit_memory_gib": 0.1,
        "confidence_quantiles": (0.5, 1.0), "ngram_orders": (1, 2), "ngram_minimum_counts": (1,),
        "seed": 0,
    }  # fmt: skip
    return StructureSection(**{**settings, **changes})


def frames_of_speech(num_blocks: int = 2) -> tuple[list[LatentBlock], dict[str, str]]:
    """Eight speakers of four utterances, D = 5, a cycle of prototypes in noise."""
    rng = np.random.default_rng(0)
    prototypes = rng.normal(size=(6, 5))
    part_of, blocks = {}, []
    for speakers in np.array_split(np.arange(8), num_blocks):
        frames, names, speaker_ids = [], [], []
        for speaker in speakers:
            for number in range(4):
                length = int(rng.integers(20, 60))
                phase = (rng.integers(6) + np.arange(length)) % 6
                frames.append(prototypes[phase] + 0.5 * rng.normal(size=(length, 5)) + speaker)
                names.append(f"s{speaker}-u{number}")
                speaker_ids.append(f"s{speaker}")
                part_of[names[-1]] = "eval" if speaker >= 5 else ("val" if number == 3 else "train")
        rows = np.concatenate(frames).astype(np.float32)
        blocks.append(
            LatentBlock(
                frames=rows,
                energy=rng.random(len(rows)).astype(np.float32),
                offsets=np.cumsum([0, *map(len, frames)]),
                utterance_ids=np.array(names, dtype=object),
                speaker_ids=np.array(speaker_ids, dtype=object),
            )
        )
    return blocks, part_of


def material(**changes) -> Material:
    blocks, part_of = frames_of_speech()
    return prepare(lambda: iter(blocks), part_of, section(**changes))


def family_of(text: str) -> ScoredFamily:
    return validated(ScoredFamily, json.loads(text), "f")


def pca_tables(inputs: str = '["raw"]', quantizers: str = KMEANS, **changes) -> KeyTables:
    return scored("pca", family_of(PCA % (inputs, quantizers)), material(**changes))


def target_steps(world: Material) -> tuple[np.ndarray, np.ndarray]:
    """Normalised steps and raw contexts of all targets of slice `all`, in float64."""
    blocks = list(world.source())
    window, lag = world.section.window_frames, max(world.section.lags_frames)
    rows = [windows.target_rows(block.offsets, window, lag) for block in blocks]
    steps = np.concatenate(
        [windows.delta(b.frames.astype(float), r) for b, r in zip(blocks, rows, strict=True)]
    )
    contexts = np.concatenate(
        [
            windows.gather_contexts(b.frames.astype(float), r, lag, window)
            for b, r in zip(blocks, rows, strict=True)
        ]
    )
    train = world.places["all", lag].targets.part == TRAIN
    z = (steps - steps[train].mean(axis=0)) / steps[train].std(axis=0)
    return z, contexts.reshape(len(z), -1)


def scored_random_key(num_cells: int, minimum: int, linear: bool, **changes):
    """A key of random cells on the planted frames, with and without a linear model beside."""
    world = material(lags_frames=(2,), slices=("all",), principal_subspaces=(), **changes)
    targets, normalization = world.places["all", 2]
    cells = np.random.default_rng(0).integers(num_cells, size=len(targets.part)).astype(np.int32)
    labeling = make_labeling(cells, targets.part, num_cells, minimum)
    model = None
    if linear:
        model = fit_linear_model(linear_context(world, "all", 2), world.section.linear_ridges)
    plan = ScoringPlan(world.source, targets, normalization, 8, world.section, model)
    (scored,) = score_labelings(plan, [labeling], [False], 1)
    return world, targets, labeling, scored


def test_scores_equal_a_plain_loop():
    """Single-precision products, D = 5, about 200 frames: relative error below 1e-5."""
    world, targets, labeling, scored = scored_random_key(40, 12, linear=False)
    z, _ = target_steps(world)
    expected = dict.fromkeys(("sse_key", "sse_zero", "num_excluded"), 0.0)
    for row in np.flatnonzero(targets.part == EVAL):
        own = z[(targets.part == TRAIN) & (labeling.codes == labeling.codes[row])]
        expected["sse_zero"] += np.sum(z[row] ** 2)
        is_excluded = labeling.codes[row] == labeling.num_effective
        expected["num_excluded"] += is_excluded
        error = np.sum((z[row] - (0 if is_excluded else own.mean(axis=0))) ** 2)
        expected["sse_key"] += error
    sums = scored.speakers
    found = {name: float(own[EVAL, :, 0].sum()) for name, own in sums.sums.items()}
    found["num_excluded"] = float(sums.num_excluded[EVAL].sum())
    assert 0 < expected["num_excluded"] < np.count_nonzero(targets.part == EVAL)
    cost = found.pop("cost_key")
    assert found == pytest.approx(expected, rel=1e-5)
    assert 0 < cost < found["sse_key"] / 6  # no cell holds fewer than 12 frames
    assert scored.eval_scores is not None
    assert scored.eval_scores[:, 0].sum() == pytest.approx(found["sse_key"], rel=1e-9)


@pytest.mark.parametrize("minimum", [1, 20])
def test_the_joint_model_equals_a_dense_least_squares(minimum: int):
    """OLS on [context, one-hot cell]; frames without a cell are answered by the linear model.

    Train frames without a cell are one group of the fit, so that both models see the same frames.
    """
    world, targets, labeling, scored = scored_random_key(30, minimum, True, linear_ridges=(1e-9,))
    z, x = target_steps(world)
    train, new = targets.part == TRAIN, targets.part == EVAL
    joint = np.concatenate([x, np.eye(labeling.num_effective + 1)[labeling.codes]], axis=1)
    alone = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    left = [
        z - own @ np.linalg.lstsq(own[train], z[train], rcond=None)[0] for own in (alone, joint)
    ]
    is_excluded = labeling.codes == labeling.num_effective
    assert is_excluded[new].any() == (minimum > 1)
    left[1][is_excluded] = left[0][is_excluded]
    for name, error in zip(("sse_linear", "sse_joint"), left, strict=True):
        found = scored.speakers.sums[name][EVAL, :, 0]
        for speaker in np.unique(targets.speaker[new]):
            own = error[new & (targets.speaker == speaker)]
            assert found[speaker] == pytest.approx(np.sum(own**2), rel=1e-5)
    # less the cost of fitting, about the same share of the errors in every dimension
    cost, joint = (scored.speakers.sums[name][EVAL].sum() for name in ("cost_joint", "sse_joint"))
    errors = [np.sum(own[new] ** 2, axis=0) for own in left]
    nats = 0.5 * np.sum(np.log(errors[0] / errors[1]) - np.log(1 - cost / joint))
    assert scored.speakers.nats[EVAL] == pytest.approx(nats, abs=0.02)
    assert not scored.is_lower_bound


def test_above_the_limit_the_predictions_of_ridge_stand_for_the_context(monkeypatch):
    """The joint fit then has D slopes less; with one cell it still is the linear model."""
    monkeypatch.setattr("engram_audio.structure.scoring.EXACT_FLOATS", 1)
    *_, scored = scored_random_key(1, 1, True, linear_ridges=(1e-9,))
    sums = scored.speakers.sums
    assert scored.is_lower_bound
    np.testing.assert_allclose(sums["sse_joint"], sums["sse_linear"], rtol=1e-4)


def oracle_of(world: Material, labeling: Labeling) -> SpeakerSums:
    targets, normalization = world.places["all", 2]
    model = fit_linear_model(linear_context(world, "all", 2), (1e-9,))
    return score_oracle(
        ScoringPlan(world.source, targets, normalization, 8, world.section, model), labeling
    )


def test_the_means_of_the_oracle_come_from_other_speakers_of_the_scored_part():
    """Against a loop: a frame's cell mean is that of the part's other folds of speakers."""
    world, targets, labeling, _ = scored_random_key(12, 20, linear=False)
    sums = oracle_of(world, labeling)
    z, x = target_steps(world)
    train, new = targets.part == TRAIN, targets.part == EVAL
    design = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    left = z - design @ np.linalg.lstsq(design[train], z[train], rcond=None)[0]
    frames = np.bincount(targets.speaker[new], minlength=8)
    folds = speaker_folds(frames, min(int((frames > 0).sum()), NUM_FOLDS))
    error = cost = 0.0
    for row in np.flatnonzero(new):
        cell = labeling.codes[row]
        others = (
            new & (labeling.codes == cell) & (folds[targets.speaker] != folds[targets.speaker[row]])
        )
        known = cell < labeling.num_effective and others.any()
        squared = np.sum((left[row] - (left[others].mean(axis=0) if known else 0)) ** 2)
        error += squared
        cost += squared / (others.sum() + 1) if known else 0
    assert sums.sums["sse_joint"][EVAL, :, 0].sum() == pytest.approx(error, rel=1e-4)
    assert sums.sums["cost_joint"][EVAL, :, 0].sum() == pytest.approx(cost, rel=1e-4)
    assert sums.sums["sse_linear"][EVAL, :, 0].sum() == pytest.approx(
        np.sum(left[new] ** 2), rel=1e-4
    )
    assert sums.sums["sse_zero"][EVAL, :, 0].sum() == pytest.approx(np.sum(z[new] ** 2), rel=1e-4)


def test_an_oracle_of_random_cells_attains_nothing():
    """Cells drawn at random: 0 once the cost is taken off. Own means would attain K / N."""
    world, _, labeling, _ = scored_random_key(8, 5, linear=False)
    sums = oracle_of(world, labeling).sums
    gain = sums["sse_linear"] - sums["sse_joint"] + sums["cost_joint"]
    attained = float(gain[EVAL, :, 0].sum() / sums["sse_zero"][EVAL, :, 0].sum())
    assert abs(attained) < 0.012
    assert sums["cost_joint"][EVAL].sum() > 0.01 * sums["sse_zero"][EVAL].sum()


def test_the_strength_is_chosen_on_select_and_on_val_without_it():
    """Only the frames of that part decide: others are made useless and change nothing."""
    blocks, part_of = frames_of_speech()
    for chosen_on in ("select", "val"):
        parts = {name: "train" if part == "val" else part for name, part in part_of.items()}
        parts |= {name: chosen_on for name in parts if name.startswith("s4")}
        if chosen_on == "select":
            parts |= {name: "val" for name in parts if name.startswith("s3-u3")}
        ridges = []
        for spoilt in ("eval", chosen_on):
            changed = [spoil(block, parts, spoilt) for block in blocks]
            world = prepare(lambda changed=changed: iter(changed), parts, section())
            model = fit_linear_model(linear_context(world, "all", 2), (1e-6, 1e6))
            ridges.append(model.moments.penalty)
        assert ridges[0] < 1 < ridges[1]


def spoil(block: LatentBlock, parts: Mapping[str, str], part: str) -> LatentBlock:
    """Replace the frames of a part by wild ones, on which only a useless model errs little."""
    rows = np.repeat([parts[name] == part for name in block.utterance_ids], np.diff(block.offsets))
    noise = 100 * np.random.default_rng(0).normal(size=block.frames.shape)
    return block._replace(frames=np.where(rows[:, None], noise, block.frames).astype(np.float32))


def frames_equal(first: Mapping[str, pd.DataFrame], second: Mapping[str, pd.DataFrame]) -> None:
    for name, frame in first.items():
        pd.testing.assert_frame_equal(frame, second[name], rtol=2e-4, atol=1e-3)


def test_streaming_gives_what_holding_in_memory_gives():
    """The same tables whether latents and features fit into memory or not.

    k-means fits on thinned features when they do not fit, so only its cells may differ: bins of
    all features are compared, and centroids are by holding the features and streaming the latents.
    """
    num_bytes = 1300 * 5 * 4
    between = 1.5 * num_bytes / 2**30  # features of 3 dimensions fit, latents do not (half of it)
    held = pca_tables(quantizers=f"{KMEANS},{BINS}", fit_memory_gib=1.0)
    streamed = pca_tables(quantizers=f"{KMEANS},{BINS}", fit_memory_gib=between)
    frames_equal(held._asdict(), streamed._asdict())
    tiny = pca_tables(quantizers=BINS, fit_memory_gib=between / 1.6)
    assert set(tiny.scores["key"]) == {"pca.raw.quantile_bins_2"}


def test_same_seed_same_tables_and_another_seed_other_controls():
    first, second = pca_tables(), pca_tables()
    for name, frame in first._asdict().items():
        pd.testing.assert_frame_equal(frame, getattr(second, name))
    other = pca_tables(seed=1)
    torn = [tables.scores.query("control == 'permuted'") for tables in (first, other)]
    assert not np.array_equal(torn[0]["sse_key"], torn[1]["sse_key"])


def test_subspaces_add_up_to_all():
    scores: Any = pca_tables().scores
    columns = [*ALONE, *WITH_LINEAR]
    place = ["key", "lag_frames", "slice", "control", "part", "speaker_id"]
    whole = scores[scores["subspace"] == "all"].set_index(place)[columns]
    parts = scores[scores["subspace"] != "all"].groupby(place, sort=False)[columns].sum()
    assert sorted(scores["subspace"].unique()) == ["all", "pc_1_2", "pc_3_5"]
    np.testing.assert_allclose(parts.loc[whole.index], whole, rtol=1e-9, atol=1e-9)


def test_all_lags_score_the_same_frames():
    scores = pca_tables().scores
    one = scores[(scores["control"] == "none") & (scores["subspace"] == "all")]
    by_lag = one.pivot_table(
        index=["slice", "part", "speaker_id"], columns="lag_frames", values="num_frames"
    )
    assert np.array_equal(by_lag[1], by_lag[2])


def test_keys_without_enough_data_stay_in_the_table_with_the_reason():
    tables = pca_tables()
    missing: Any = tables.keys[tables.keys["key"] == "pca.raw.kmeans_4096"]
    assert len(missing) == 2 * 2 * 3  # lags, slices, controls
    assert missing["status"].str.match(r"not_attempted: 4096 cells need 8192 train frames").all()
    assert "pca.raw.kmeans_4096" not in set(tables.scores["key"])


def test_cells_count_every_train_and_eval_frame():
    tables = pca_tables(quantizers=BINS, minimum_cell_frames=60)
    world = material(minimum_cell_frames=60)
    for (name, lag), (targets, _) in world.places.items():
        rows: Any = tables.cells.query(f"slice == '{name}' and lag_frames == {lag}")
        assert rows["num_train_frames"].sum() == targets.count(TRAIN)
        assert rows["num_eval_frames"].sum() == targets.count(EVAL)
        assert (rows["cell"] == EXCLUDED_CELL).sum() == 1


def test_the_whole_curve_is_the_score():
    tables = pca_tables()
    place = ["key", "lag_frames", "slice", "speaker_id"]
    whole = tables.curves[
        (tables.curves["kept_fraction"] == 1) & (tables.curves["matching"] == "plain")
    ].set_index(place)  # fmt: skip
    scores = tables.scores.query(
        "part == 'eval' and control == 'none' and subspace == 'all'"
    ).set_index(place)  # fmt: skip
    for name, of_all in (("sse_residual", "sse_key"), ("sse_total", "sse_zero")):
        np.testing.assert_allclose(whole[name], scores.loc[whole.index, of_all], rtol=1e-9)


def test_eval_frames_change_no_fit():
    """Other eval frames: all val rows stay bit for bit."""
    blocks, part_of = frames_of_speech()
    family = family_of(PCA % ('["raw","speaker_centred","increments"]', KMEANS))
    before = scored("pca", family, prepare(lambda: iter(blocks), part_of, section())).scores
    changed = []
    for block in blocks:
        is_eval = np.array([part_of[name] == "eval" for name in block.utterance_ids])
        rows = np.repeat(is_eval, np.diff(block.offsets))
        changed.append(
            block._replace(frames=np.where(rows[:, None], -3 * block.frames, block.frames))
        )
    after = scored("pca", family, prepare(lambda: iter(changed), part_of, section())).scores
    pd.testing.assert_frame_equal(before.query("part == 'val'"), after.query("part == 'val'"))
    own = before["part"] == "eval"
    assert not np.allclose(before.loc[own, "sse_zero"], after.loc[own, "sse_zero"])


def test_slices_cut_by_position():
    blocks, part_of = frames_of_speech()
    settings = section(slices=("all", "initial", "medial", "final"))
    index = index_frames(lambda: iter(blocks), part_of)
    sizes = [select_targets(index, name, 1, settings).start[-1] for name in settings.slices]
    assert sum(sizes[1:]) == sizes[0]


def energies(block: LatentBlock) -> np.ndarray:
    """Every third frame lies 60 dB below the others; speaker s1 is 80 dB quieter throughout."""
    dips = np.where(np.arange(len(block.frames)) % 3 == 0, 1e-3, 1.0)
    level = [1e-4 if name.startswith("s1") else 1.0 for name in block.utterance_ids]
    return (dips * np.repeat(level, np.diff(block.offsets))).astype(np.float32)


@pytest.mark.parametrize("lag", [1, 2])
def test_speech_is_told_by_the_newest_context_frame_and_the_speakers_own_level(lag: int):
    """A quiet speaker has as much speech as a loud one, and the target's energy has no say."""
    blocks, part_of = frames_of_speech()
    quiet = [block._replace(energy=energies(block)) for block in blocks]
    index = index_frames(lambda: iter(quiet), part_of)
    everything = select_targets(index, "all", lag, section())
    speech = select_targets(index, "speech", lag, section())
    for number, block in enumerate(quiet):
        newest = everything.rows[number] - lag
        expected = everything.rows[number][newest % 3 != 0]
        assert np.array_equal(speech.rows[number], expected), block.utterance_ids[0]


def test_a_speech_slice_without_energies_says_so():
    blocks, part_of = frames_of_speech()
    world = prepare(lambda: iter(blocks), part_of, section(), has_energy=False)
    tables = scored("pca", family_of(PCA % ('["raw"]', KMEANS)), world)
    speech: Any = tables.keys[tables.keys["slice"] == "speech"]
    assert speech["status"].str.contains("no energies").all() and len(speech)
    assert set(tables.scores["slice"]) == {"all"}


def test_an_utterance_without_a_split_is_named():
    splits = pd.DataFrame({"utterance_id": ["a"], "split": ["train"]})
    with pytest.raises(InputError, match=r"splits\.parquet: lacks utterance b"):
        part_of_utterances(["a", "b"], splits, "splits.parquet")


def test_slices_without_targets_are_reported_and_not_scored():
    """Utterances that are shorter than a window leave nothing to fit."""
    tables = pca_tables(window_frames=64)
    assert tables.keys["status"].str.startswith("not_attempted").all()
    assert len(tables.scores) == 0
    assert score_linear(material(window_frames=64)).columns[0] == "model"


def test_a_constant_dimension_adds_nothing():
    """Its SD lies below the floor: z is 0, it adds no nats, nothing divides by zero."""
    blocks, part_of = frames_of_speech()
    padded = [
        block._replace(frames=np.concatenate([block.frames, np.ones_like(block.frames[:, :1])], 1))
        for block in blocks
    ]
    family = family_of(PCA % ('["raw"]', BINS))
    settings = section(linear_ridges=(1e-9,))
    plain = scored("o", family, prepare(lambda: iter(blocks), part_of, settings)).scores
    wider = scored("o", family, prepare(lambda: iter(padded), part_of, settings)).scores
    for name in (*ALONE, *WITH_LINEAR, "nats_influence"):
        both = (frame.loc[frame["subspace"] == "all", name] for frame in (plain, wider))
        np.testing.assert_allclose(*both, rtol=1e-2, atol=1e-2)


def test_a_part_of_one_utterance_has_no_swapped_control_and_says_so():
    blocks, part_of = frames_of_speech()
    only = {
        name: "val" if name == "s0-u3" else ("train" if part == "val" else part)
        for name, part in part_of.items()
    }
    family = family_of(PCA % ('["raw"]', BINS))
    tables = scored("o", family, prepare(lambda: iter(blocks), only, section(slices=("all",))))
    status = tables.keys.groupby("control")["status"].first().to_dict()
    assert status == {
        "none": "ok",
        "permuted": "ok",
        "swapped": "not_attempted: a part has one utterance only",
    }
    assert set(tables.scores["control"]) == {"none", "permuted"}


def test_batches_of_labelings_change_nothing():
    """Accumulators of one labeling at a time, or of all at once: the same up to float32 rounding.

    Predictions are float32 products, whose kernel depends on their shape. On some processors each
    kernel sums the inputs in an order of its own, which costs at most a rounding of each.
    """
    world = material(lags_frames=(2,), slices=("all",))
    targets, normalization = world.places["all", 2]
    rng = np.random.default_rng(0)
    labelings = [
        make_labeling(rng.integers(size, size=len(targets.part)), targets.part, size, 5)
        for size in (3, 8, 20)
    ]
    model = fit_linear_model(linear_context(world, "all", 2), (1e-6,))
    plan = ScoringPlan(world.source, targets, normalization, 8, world.section, model)
    single, together = (
        list(score_labelings(plan, labelings, [False] * 3, max_bytes)) for max_bytes in (1, 2**30)
    )
    rounding = len(model.slope) * float(np.finfo(np.float32).eps)
    for one, other in zip(single, together, strict=True):
        for name in one.speakers.sums:
            own, others = one.speakers.sums[name], other.speakers.sums[name]
            np.testing.assert_allclose(own, others, rtol=rounding, err_msg=name)
        assert np.array_equal(one.sums.square, other.sums.square)
