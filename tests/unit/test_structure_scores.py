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
from engram_audio.structure import targets as targets_module
from engram_audio.structure.cells import make_labeling
from engram_audio.structure.config import ScoredFamily, StructureSection
from engram_audio.structure.key_scores import KeyTables
from engram_audio.structure.key_tables import EXCLUDED_CELL
from engram_audio.structure.linear import score_linear
from engram_audio.structure.material import Material, part_of_utterances, prepare
from engram_audio.structure.scoring import ScoringPlan, score_labelings
from engram_audio.structure.targets import index_frames, select_targets
from tests.unit.key_material import scored

PCA = '{"kind":"pca","inputs":%s,"num_components":3,"quantizers":[%s]}'
KMEANS = '{"kind":"kmeans","codebook_sizes":[6,4096]}'
BINS = '{"kind":"quantile_bins","num_bins":2}'


def section(**changes) -> StructureSection:
    settings = {
        "window_frames": 3, "lags_frames": (1, 2), "slices": ("all", "high_energy"),
        "medial_range": (0.2, 0.8), "minimum_cell_frames": 10, "std_floor": 1e-6,
        "principal_subspaces": (2,), "variance_shrinkage_frames": 5.0, "ridge": 1e-3,
        "block_frames": 1024, "fit_memory_gib": 0.1, "kmeans_restarts": 2, "kmeans_iterations": 10,
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


def naive(world: Material, cells: np.ndarray, minimum: int, shrinkage: float) -> dict[str, float]:
    """Sums over eval frames by loops in float64: slice `all`, no subspaces."""
    blocks = list(world.source())
    rows = [windows.target_rows(block.offsets, 3, 2) for block in blocks]
    steps = np.concatenate(
        [
            windows.delta(block.frames.astype(float), r)
            for block, r in zip(blocks, rows, strict=True)
        ]
    )
    part = world.slices["all"].part
    train = part == 0
    z = (steps - steps[train].mean(axis=0)) / steps[train].std(axis=0)
    found = {
        "sse_residual": 0.0, "sse_total": 0.0, "sse_excluded": 0.0, "nats_saved": 0.0,
        "num_excluded": 0.0,
    }  # fmt: skip
    used = [c for c in np.unique(cells) if np.sum(train & (cells == c)) >= minimum]
    scatter = np.zeros(z.shape[1])
    for cell in used:
        own = z[train & (cells == cell)]
        scatter += ((own - own.mean(axis=0)) ** 2).sum(axis=0)
    within = scatter / np.sum(train & np.isin(cells, used))
    for row in np.flatnonzero(part == 2):
        own = z[train & (cells == cells[row])]
        if len(own) < minimum:
            found["num_excluded"] += 1
            found["sse_excluded"] += np.sum(z[row] ** 2)
            continue
        error = (z[row] - own.mean(axis=0)) ** 2
        variance = (len(own) * own.var(axis=0) + shrinkage * within) / (len(own) + shrinkage)
        found["sse_residual"] += error.sum()
        found["sse_total"] += np.sum(z[row] ** 2)
        found["nats_saved"] += -0.5 * np.sum(np.log(variance) + error / variance - z[row] ** 2)
    return found


def test_scores_equal_a_plain_loop():
    """Single-precision products, D = 5, about 200 frames: relative error below 1e-5."""
    world = material(lags_frames=(2,), slices=("all",), principal_subspaces=())
    targets = world.slices["all"]
    cells = np.random.default_rng(0).integers(40, size=len(targets.part)).astype(np.int32)
    labeling = make_labeling(cells, targets.part, 40, 12)
    plan = ScoringPlan(
        world.source, targets, world.normalizations["all"], 8, world.section
    )  # fmt: skip
    (scored,) = score_labelings(plan, [labeling], [True], 1)
    expected = naive(world, cells, 12, world.section.variance_shrinkage_frames)
    sums = scored.speakers
    found = {
        "sse_residual": sums.kept("residual")[2, :, 0].sum(),
        "sse_total": sums.kept("total")[2, :, 0].sum(),
        "sse_excluded": sums.excluded()[2, :, 0].sum(),
        "nats_saved": sums.kept("nats")[2].sum(),
        "num_excluded": float(sums.num_excluded[2].sum()),
    }
    assert 0 < expected["num_excluded"] < np.count_nonzero(targets.part == 2)
    assert found == pytest.approx(expected, rel=1e-5)
    assert scored.eval_scores is not None
    kept = labeling.codes[targets.part == 2] < labeling.num_effective
    assert scored.eval_scores[kept, 0].sum() == pytest.approx(found["sse_residual"], rel=1e-9)


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
    assert not np.array_equal(torn[0]["sse_residual"], torn[1]["sse_residual"])


def test_subspaces_add_up_to_all():
    scores: Any = pca_tables().scores
    columns = ["sse_residual", "sse_total", "sse_excluded"]
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
    for name, targets in world.slices.items():
        for lag in (1, 2):
            rows: Any = tables.cells.query(f"slice == '{name}' and lag_frames == {lag}")
            assert rows["num_train_frames"].sum() == targets.count(0)
            assert rows["num_eval_frames"].sum() == targets.count(2)
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
    for name in ("sse_residual", "sse_total"):
        np.testing.assert_allclose(whole[name], scores.loc[whole.index, name], rtol=1e-9)


def test_eval_frames_change_no_fit():
    """Other eval frames: all train and val rows stay bit for bit."""
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
    for part in ("train", "val"):
        chosen = f"part == '{part}'"
        pd.testing.assert_frame_equal(before.query(chosen), after.query(chosen))
    own = before["part"] == "eval"
    assert not np.allclose(before.loc[own, "sse_total"], after.loc[own, "sse_total"])


def test_slices_cut_by_position_and_by_the_train_median_of_energy():
    blocks, part_of = frames_of_speech()
    settings = section(slices=("all", "initial", "medial", "final", "high_energy"))
    index = index_frames(lambda: iter(blocks), part_of)
    slices = {name: select_targets(index, name, settings) for name in settings.slices}
    cut = [slices[name].start[-1] for name in ("initial", "medial", "final")]
    assert sum(cut) == slices["all"].start[-1]
    train = slices["all"].part == targets_module.TRAIN
    median = np.median(slices["all"].energy[train])
    assert slices["high_energy"].energy.min() > median
    assert slices["high_energy"].start[-1] == np.sum(slices["all"].energy > median)


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
    """Its SD lies below the floor: z is 0, nats are 0, nothing divides by zero."""
    blocks, part_of = frames_of_speech()
    padded = [
        block._replace(frames=np.concatenate([block.frames, np.ones_like(block.frames[:, :1])], 1))
        for block in blocks
    ]
    family = family_of('{"kind":"target_oracle","codebook_sizes":[6]}')
    plain = scored("o", family, prepare(lambda: iter(blocks), part_of, section())).scores
    wider = scored("o", family, prepare(lambda: iter(padded), part_of, section())).scores
    for name in ("sse_total", "sse_residual", "nats_saved"):
        both = (frame.loc[frame["subspace"] == "all", name] for frame in (plain, wider))
        np.testing.assert_allclose(*both, rtol=1e-3, atol=1e-2)


def test_a_part_of_one_utterance_has_no_swapped_control_and_says_so():
    blocks, part_of = frames_of_speech()
    only = {
        name: "val" if name == "s0-u3" else ("train" if part == "val" else part)
        for name, part in part_of.items()
    }
    family = family_of('{"kind":"target_oracle","codebook_sizes":[4]}')
    tables = scored("o", family, prepare(lambda: iter(blocks), only, section(slices=("all",))))
    status = tables.keys.groupby("control")["status"].first().to_dict()
    assert status == {
        "none": "ok",
        "permuted": "ok",
        "swapped": "not_attempted: a part has one utterance only",
    }
    assert set(tables.scores["control"]) == {"none", "permuted"}


def test_batches_of_labelings_change_nothing():
    """Accumulators of one labeling at a time, or of all at once: the same bits."""
    world = material(lags_frames=(2,), slices=("all",))
    targets = world.slices["all"]
    rng = np.random.default_rng(0)
    labelings = [
        make_labeling(rng.integers(size, size=len(targets.part)), targets.part, size, 5)
        for size in (3, 8, 20)
    ]
    plan = ScoringPlan(world.source, targets, world.normalizations["all"], 8, world.section)
    single, together = (
        list(score_labelings(plan, labelings, [False] * 3, max_bytes)) for max_bytes in (1, 2**30)
    )
    for one, other in zip(single, together, strict=True):
        assert np.array_equal(one.speakers.kept("residual"), other.speakers.kept("residual"))
        assert np.array_equal(one.cells.square, other.cells.square)
