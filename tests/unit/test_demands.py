"""Utterances that cannot answer a study are told in one line before anything is encoded.

Law: of a study that can be answered nothing is said. Where one number is too small, one line names
the key that asks for it, what was found and what is needed.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.config import parse_config
from engram_audio.corpus.demands import Demands, FramesDemand, SpeakersDemand
from engram_audio.corpus.shortfalls import count_targets, num_frames, part_facts, shortfalls
from engram_audio.numerics.slices import slice_masks
from engram_audio.plan import Plan
from engram_audio.windows import target_rows
from tests import studies

ARRAYS, DEMO = studies.study("arrays"), studies.study("demo")
RATE_HZ = 12.5
NUM_DIMS = 16


def corpus(train: list[int], val: list[int], evaluated: list[int]) -> tuple[Any, Any]:
    """Utterances and splits of some lengths in frames, two of a speaker, in turn."""
    rows = []
    for part, lengths in (("train", train), ("val", val), ("eval", evaluated)):
        speakers = "eval" if part == "eval" else "own"
        rows += [
            (f"{part}-{n}", f"{speakers}{n // 2}", part, frames / RATE_HZ)
            for n, frames in enumerate(lengths)
        ]
    table = pd.DataFrame(rows, columns=["utterance_id", "speaker_id", "split", "duration_s"])
    return table[["utterance_id", "duration_s"]], table[["utterance_id", "speaker_id", "split"]]


LARGE = corpus([600] * 60, [300] * 20, [300] * 20)


def shortfalls_of(document: dict[str, Any], name: str, tables: tuple[Any, Any]) -> list[str]:
    """What is said of one corpus of a study."""
    plan = Plan(parse_config(document))
    demands = Demands.model_validate_json(plan.demands[name].model_dump_json()).demands
    seeds = {seed for demand in demands for seed in demand.split_seeds}
    parts = dict.fromkeys(seeds, part_facts(*tables))
    fatal = list(shortfalls(demands, parts, NUM_DIMS))
    return [*fatal, *shortfalls(demands, parts, NUM_DIMS, is_fatal=False)]


@pytest.mark.parametrize(("document", "name"), [(ARRAYS, "arrays"), (DEMO, "demo_speech")])
def test_nothing_is_said_of_a_study_that_can_be_answered(document: dict[str, Any], name: str):
    assert shortfalls_of(document, name, LARGE) == []


TRAINED = {**DEMO["representations"]["library"]["mel_pca"], "codec": "mel_vae"}
SHORT = [11] * 20
HEAD, BURN_IN = "prediction.lags_frames", "factorizer.library.charged.burn_in_frames"
# Of the study `arrays` or `demo`: changes, lengths of train, val and eval, what each line begins.
STUDIES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[Any, Any], list[str]]] = {
    "no utterance holds window and lag": (
        ARRAYS, {"views.judged_slices": ["all"], "structure.minimum_cell_frames": 1,
                 "structure.lags_frames": [1, 2, 300]}, LARGE,
        ["structure.lags_frames: no val utterance", "structure.lags_frames: no eval utterance",
         "views.judged_slices: no val", "views.judged_slices: no eval"]),
    "no val utterance holds window and lag": (
        ARRAYS, {}, corpus([600] * 60, SHORT, [300] * 20),
        ["structure.lags_frames: no val utterance", "views.judged_slices: no val"]),
    "no eval utterance holds window and lag": (
        ARRAYS, {}, corpus([600] * 60, [300] * 20, SHORT),
        ["structure.lags_frames: no eval utterance", "views.judged_slices: no eval"]),
    "no utterance holds the lag of prediction": (
        ARRAYS, {"prediction.lags_frames": [1, 293]}, LARGE,
        [f"{HEAD}: no val utterance", f"{HEAD}: no eval utterance"]),
    "fewer frames than the cells of a key need": (
        ARRAYS, {"structure.minimum_cell_frames": 3000}, LARGE,
        ["structure.minimum_cell_frames: arrays has at most 35340 train frames with",
         "structure.minimum_cell_frames: arrays has at most 35340 train frames with"]),
    "a judged slice has too few of them": (
        ARRAYS, {"views.judged_slices": ["all", "initial"],
                 "structure.minimum_cell_frames": 400}, LARGE,
        ["structure.minimum_cell_frames: arrays has at most 5460 train frames of slice initial"]),
    "a judged slice has no frame on eval": (
        ARRAYS, {"views.judged_slices": ["all", "initial"], "structure.minimum_cell_frames": 1},
        corpus([600] * 60, [300] * 20, [60] * 20),
        ["views.judged_slices: arrays has at most 0 eval frames of slice initial"]),
    "a VAR has more coefficients than frames": (
        ARRAYS, {"representations.surrogates.var_order": 590}, LARGE,
        ["representations.surrogates.var_order: arrays has at most 600 train frames"]),
    "fewer train speakers than folds": (
        DEMO, {"memory.num_folds": 5}, corpus([6000] * 6, [300] * 6, [300] * 20),
        ["memory.num_folds: mel_pca has 3 train speaker(s), and 5 are needed"]),
    "one speaker has all val utterances": (
        DEMO, {}, corpus([600] * 60, [300] * 2, [300] * 20),
        ["memory.num_folds: mel_pca has 1 val speaker(s), and 2 are needed"]),
    "fewer frames than codes of a memory": (
        DEMO, {"keys.library.last_frame.quantizers.0.codebook_sizes": [64, 128, 4096],
               "memory.library.robust.key": "last_frame.raw.kmeans_4096"}, LARGE,
        ["memory.library.robust.key: mel_pca has at most"]),
    "fewer frames than an entry of a memory needs": (
        DEMO, {"memory.library.robust.minimum_count": 40_000}, LARGE,
        ["memory.library.robust.minimum_count: mel_pca has at most"]),
    "no utterance is longer than the burn-in": (
        DEMO, {BURN_IN[:-15] + ".burn_in_frames": 600, BURN_IN[:-15] + ".chunk_frames": 700},
        LARGE, [f"{BURN_IN}: no train utterance", f"{BURN_IN}: no val utterance"]),
    "no eval utterance holds the forecast": (
        DEMO, {"rollout.horizon_frames": 400, "rollout.forecast_horizon_frames": 400}, LARGE,
        ["rollout.forecast_horizon_frames: no eval utterance of mel_pca has 408 frames"]),
    "no val utterance holds the horizon of a method": (
        DEMO, {"rollout.library.belief.horizon_frames": 400}, LARGE,
        ["rollout.library.belief: no val utterance of mel_pca has 408 frames"]),
    "fewer frames than codes of a guard": (
        DEMO, {"keys.library.last_frame.quantizers.0.codebook_sizes": [64, 128, 4096],
               "rollout.methods": [*DEMO["rollout"]["methods"], "one_step_codebook"],
               "rollout.library.one_step_codebook.guard.key": "last_frame.raw.kmeans_4096"}, LARGE,
        ["rollout.library.one_step_codebook.guard.key: mel_pca has at most"]),
    "fewer frames than codes of a generator's memory": (
        DEMO, {"keys.library.last_frame.quantizers.0.codebook_sizes": [64, 128, 4096],
               "generation.library.one_frame.insertion.key": "last_frame.raw.kmeans_4096"}, LARGE,
        ["generation.library.one_frame.insertion.key: mel_pca has at most"]),
    "fewer frames than components of a codec": (
        DEMO, {"structure.minimum_cell_frames": 1}, corpus([16] * 2, [300] * 20, [300] * 20),
        ["codecs.library.mel_pca.num_components: mel_pca has at most 32 train frames"]),
    "no utterance is as long as a crop": (
        DEMO, {"codecs.library.mel_vae.crop_s": 30.0,
               "codecs.library.mel_vae.corpus": "demo_speech",
               "representations.analysed": [*DEMO["representations"]["analysed"], "trained"],
               "representations.library.trained": TRAINED}, LARGE,
        ["codecs.library.mel_vae.crop_s: no val utterance of mel_vae has 375 frames"]),
}  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_what_cannot_be_answered_is_one_line_that_names_its_key(name: str):
    document, changes, tables, starts = STUDIES[name]
    for key, value in changes.items():
        document = studies.changed(document, key, value)
    lines = shortfalls_of(
        document, "arrays" if STUDIES[name][0] is ARRAYS else "demo_speech", tables
    )
    for start in starts:
        found = [line for line in lines if line.startswith(start)]
        assert len(found) == starts.count(start)
        line = found[0]
        assert line.isprintable() and "; " in line and "needed" in line
    if len(starts) == 1 and name != "fewer frames than components of a codec":
        assert len(lines) == 1, lines


def test_a_slice_that_lacks_frames_is_told_and_a_study_without_any_key_is_refused():
    """The gate may be decided on another slice; without one key nothing is judged."""
    parts = {0: part_facts(*LARGE)}
    for least, is_refused in ((1000, False), (3000, True)):
        document = studies.changed(ARRAYS, "views.judged_slices", ["all", "initial"])
        document = studies.changed(document, "structure.minimum_cell_frames", least)
        demands = Plan(parse_config(document)).demands["arrays"].demands
        assert bool(list(shortfalls(demands, parts, NUM_DIMS))) == is_refused
        assert len(list(shortfalls(demands, parts, NUM_DIMS, is_fatal=False))) == 1


def demand(**changes: Any) -> FramesDemand:
    own = {
        "key": "a.b", "subject": "x", "split_seeds": (0,), "part": "train", "minimum": 1,
        "purpose": "for it", "remedy": "lower it", "frame_rate_hz": RATE_HZ, "reach_frames": 11,
    }  # fmt: skip
    return FramesDemand.model_validate({**own, **changes})


@pytest.mark.parametrize("name", ["all", "initial", "medial", "final"])
def test_frames_are_counted_as_the_stages_count_them(name: Any):
    """By `windows.target_rows` and `slice_masks`, on utterances of every length up to 99."""
    asked = demand(slice=name, medial_range=(0.17, 0.83))
    lengths = np.arange(1, 100)
    assert num_frames(lengths / RATE_HZ, asked).tolist() == lengths.tolist()
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    targets = target_rows(offsets, 8, 4)
    everywhere = np.ones(len(targets), dtype=bool)
    masks = slice_masks(offsets, targets, [name], (0.17, 0.83), everywhere)
    assert count_targets(lengths, asked) == masks.sum()


def test_the_edge_is_exact():
    """One frame less than is needed is told, the frame more is not; groups are whole."""
    for asked, edge in ((demand(), 12), (demand(frames_per_group=3), 36), (demand(minimum=5), 16)):
        for frames, is_told in ((edge - 1, True), (edge, False)):
            facts = {0: part_facts(*corpus([frames], [99], [99]))}
            assert bool(list(shortfalls([asked], facts))) == is_told


def test_speakers_are_counted_once_and_a_split_without_a_part_has_none():
    asked = SpeakersDemand.model_validate({
        "key": "a.b", "subject": "x", "split_seeds": (0,), "part": "val", "minimum": 2,
        "purpose": "for it", "remedy": "bring more",
    })  # fmt: skip
    for val, is_told in (([], True), ([9, 9], True), ([9, 9, 9], False)):
        facts = {0: part_facts(*corpus([9], val, [9]))}
        assert bool(list(shortfalls([asked], facts))) == is_told


def test_frames_of_a_downloaded_codec_are_known_later():
    """Its rate is known when it is loaded: only speakers are counted before."""
    plan = Plan(parse_config(studies.study()))
    kinds = {(d.subject, d.kind) for d in plan.demands["librispeech"].demands}
    assert ("mimi", "speakers") in kinds and ("mimi", "frames") not in kinds
    assert ("mel_pca", "frames") in kinds


def test_worlds_are_asked_nothing():
    """Their sizes are settings, which are checked when they are read."""
    plan = Plan(parse_config(studies.study("demo")))
    assert set(plan.demands) == {"demo_speech"}


@pytest.mark.parametrize(("num_eval", "is_enough"), [(8, False), (10, True)])
def test_too_few_held_out_speakers_are_told_before_the_gate_calls_them_invalid(num_eval, is_enough):
    """Two utterances a speaker: four speakers are too few, five are not. Nothing is refused."""
    tables = corpus([600] * 60, [300] * 20, [300] * num_eval)
    lines = shortfalls_of(ARRAYS, "arrays", tables)
    expected = (
        "splits.eval_fraction: arrays has 4 eval speaker(s), and 5 are needed for a valid "
        "verdict on keys on split seed 0; raise it, or bring more speakers"
    )
    assert lines == ([] if is_enough else [expected])
