"""Scores and their reduction: known values, one code path, paired gains."""

import copy
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from engram_audio.densities.comparison import Cell, SumTable, choose_baselines, gain
from engram_audio.densities.config import (
    PredictionEvaluationSection,
    PredictionSection,
    RidgeMixtureSection,
)
from engram_audio.densities.factory import build_conditional, build_gaussian
from engram_audio.densities.fit import fit_marginals
from engram_audio.densities.model_predictor import ModelPredictor
from engram_audio.densities.nulls import base_for
from engram_audio.densities.predictor import View
from engram_audio.densities.ridge_mixture import build_ridge_mixture, fit_ridge_mixtures
from engram_audio.densities.scope import Scope
from engram_audio.numerics.slices import EveryNth
from engram_audio.prediction import negatives, scores
from engram_audio.prediction.assess import Stage, assess, head_entries, null_entries, roll_out
from engram_audio.prediction.evaluation import EventTask, coverage_columns, evaluate_part
from engram_audio.prediction.tables import Inputs, Settings, prediction_table, worst_table
from tests.unit.prediction_material import (
    LAGS,
    WINDOW,
    World,
    head_settings,
    make_block,
    make_world,
    recipe,
    white_noise,
)

SLICES = ("all", "speech", "medial", "initial", "final")


def evaluation(**changes: object) -> PredictionEvaluationSection:
    values: dict[str, object] = {
        "slices": SLICES, "medial_range": (0.17, 0.83), "speech_range_db": 35.0,
        "maximum_train_frames": 1000,
        "batch_frames": 500, "num_samples": 8, "maximum_sampled_frames": 200,
        "maximum_stored_frames": 1000, "num_negatives": 7, "num_worst_frames": 3,
        "trimmed_fraction": 0.01, "quantiles": (0.05, 0.95), "principal_subspaces": (2,),
        "num_calibration_bins": 3, "rollout_horizon_frames": 4, "num_rollout_starts": 10,
        "divergence_factor": 10.0, "seed": 0,
    }  # fmt: skip
    return PredictionEvaluationSection.model_validate({**values, **changes})


def stage_of(world: World, **changes: object) -> Stage:
    section = PredictionSection.model_validate(
        {
            "window_frames": WINDOW,
            "lags_frames": LAGS,
            "targets": ("delta", "position"),
            "dequantization_fraction": 0.0,
            "resident_memory_gib": 1.0,
            "block_frames": 1024,
            "noise_seed": 0,
        }
    )
    sources = {
        "train": lambda: iter([world.train]),
        "val": lambda: iter([world.train]),
        "eval": lambda: iter([world.eval]),
    }
    targets = world.material.reference.num_targets
    return Stage(
        sources, targets, world.part_of, world.material.reference, section,
        evaluation(**changes), None, torch.device("cpu"),
        dict.fromkeys(itertools.product(LAGS, section.targets), 0.25),
    )  # fmt: skip


@pytest.fixture(scope="module")
def assessed():
    """A head (untrained: its base) and all nulls on white noise, through the evaluation."""
    world = make_world(white_noise(4), num_train_speakers=4, num_eval_speakers=4)
    stage, material = stage_of(world), world.material
    settings = head_settings()
    marginals = {
        s: fit.model for s, (fit, _) in fit_marginals(settings, recipe(), material, 0).items()
    }
    models = {}
    for lag in LAGS:
        base = base_for(material.linear_nulls, lag, "delta", True, True).fit.arrays
        models[lag] = build_conditional(
            settings, base, WINDOW, material.reference.input_scales, material.noise_sd, 0
        )
    null = RidgeMixtureSection(
        num_components=4, maximum_components=8, minimum_gain_nats=0.01, maximum_frames=5000
    )
    fits = fit_ridge_mixtures(null, material, LAGS, ("delta", "position"), 0)
    mixtures = {key: build_ridge_mixture(fit) for key, fit in fits.items()}
    entries = null_entries(material.linear_nulls, {"head": marginals}, mixtures, stage)
    head = head_entries("head", 1, {"delta": models[1]}, marginals, stage)
    return world, stage, assess([*entries, *head], stage), models


def test_energy_score_of_a_normal_is_scipys():
    """In one dimension half the energy score is the CRPS; here against its closed form.

    CRPS of N(0,1) at y is y (2 Phi(y) - 1) + 2 phi(y) - 1/sqrt(pi); 4,000 samples: SE 0.01.
    """
    y = np.array([[0.5]])
    samples = np.random.default_rng(0).standard_normal((4000, 1, 1))
    found = scores.energy_score(y, samples)[0]
    normal = scipy.stats.norm
    expected = 0.5 * (2 * normal.cdf(0.5) - 1) + 2 * normal.pdf(0.5) - 1 / np.sqrt(np.pi)
    assert found == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("count", [4, 5])
def test_energy_score_uses_every_pair_once(count: int):
    """The sample term is the mean over unordered pairs, for odd and even numbers of samples."""
    generator = np.random.default_rng(1)
    samples, y = generator.standard_normal((count, 3, 2)), generator.standard_normal((3, 2))
    pairs = [
        np.linalg.norm(samples[i] - samples[j], axis=1) for i in range(count) for j in range(i)
    ]
    expected = np.linalg.norm(samples - y, axis=2).mean(0) - 0.5 * np.mean(pairs, axis=0)
    np.testing.assert_allclose(scores.energy_score(y, samples), expected, atol=1e-12)


def test_pit_is_uniform_for_the_truth():
    """Ranks of a value among samples of its own law are uniform (chi-square at 1e-4)."""
    generator = np.random.default_rng(2)
    values = generator.standard_normal((4000, 1))
    samples = generator.standard_normal((9, 4000, 1))
    density = -0.5 * values[:, 0] ** 2
    per_dimension, by_density = scores.pit_ranks(
        values, samples, density, -0.5 * samples[..., 0].T ** 2
    )
    for ranks in (per_dimension[:, 0], by_density):
        counts = np.bincount(ranks, minlength=10)
        assert scipy.stats.chisquare(counts).pvalue > 1e-4
        inside = coverage_columns(ranks[:, None], 9, "x")["coverage_50_x"].mean()
        assert inside == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 4000))


@pytest.mark.parametrize("num_samples", [4, 8, 32, 100])
def test_an_exact_forecast_covers_its_levels_with_any_number_of_samples(num_samples: int):
    """Every rank is equally likely, so the mean over all ranks is the exact expectation."""
    found = coverage_columns(np.arange(num_samples + 1)[:, None], num_samples, "x")
    expected = {"coverage_50_x": 0.5, "coverage_90_x": 0.9, "below_range_x": 0.05,
                "above_range_x": 0.05}  # fmt: skip
    assert {name: values.mean() for name, values in found.items()} == pytest.approx(expected)


def test_each_end_is_seen_where_the_two_sided_share_is_right():
    """A law that is too wide below and too narrow above: 90 % inside, .0 below and .1 above.

    Truths 0 .. 1 in equal parts, quantiles of the forecast at .00 and .90 of the truth's.
    """
    truth = np.linspace(0, 1, 2000, endpoint=False) + 0.5 / 2000
    forecast = np.interp(np.linspace(0.0005, 0.9995, 1000), [0, 0.05, 0.95, 1], [-1, 0, 0.9, 1])
    ranks = (forecast[:, None] < truth).sum(0)
    found = coverage_columns(ranks[:, None], 1000, "x")
    shares = {name: float(values.mean()) for name, values in found.items()}
    assert shares["coverage_90_x"] == pytest.approx(0.9, abs=0.002)
    assert shares["below_range_x"] == pytest.approx(0.0, abs=0.002)
    assert shares["above_range_x"] == pytest.approx(0.1, abs=0.002)


def test_info_nce_is_bounded_and_zero_without_information():
    """Equal critics give 0 bits; a certain critic gives log2 N."""
    assert scores.info_nce_bits(np.zeros((2, 8))) == pytest.approx(0)
    certain = np.zeros((1, 8))
    certain[0, 0] = 100
    assert scores.info_nce_bits(certain) == pytest.approx(3)


def test_negatives_stay_in_their_group_and_off_the_target():
    """Same-utterance and same-speaker negatives are what they say and never the target."""
    block = make_block(white_noise(2), 2, 3, 0)
    targets = np.arange(5, int(block.offsets[-1]))
    chosen = targets[::17]
    generator = np.random.default_rng(0)
    own = np.searchsorted(block.offsets, chosen, side="right") - 1
    rows, possible = negatives.same_utterance(block, targets, chosen, 9, generator)
    assert possible.all()
    assert (rows != chosen[:, None]).all()
    assert (np.searchsorted(block.offsets, rows, side="right") - 1 == own[:, None]).all()
    rows, _ = negatives.same_speaker(block, targets, chosen, 9, generator)
    speaker = np.asarray(block.speaker_ids)[np.searchsorted(block.offsets, rows, side="right") - 1]
    assert (speaker == np.asarray(block.speaker_ids)[own][:, None]).all()
    assert (rows != chosen[:, None]).all()


def test_thinning_does_not_depend_on_blocks():
    """Every n-th item of a stream is chosen however the stream is cut."""
    whole, cut = EveryNth(100, 30), EveryNth(100, 30)
    parts, start = [], 0
    for size in (7, 1, 50, 42):
        parts += [start + position for position in cut.choose(size)]
        start += size
    assert parts == whole.choose(100).tolist()
    assert len(parts) <= 30


def test_white_noise_cosine_and_dnll(assessed):
    """White noise at lag 1: cosine near 1/sqrt 2, dNLL -(D/2) ln 2, no gain over the best null."""
    _, _, tables, _ = assessed
    table = SumTable(tables["scores"])
    baselines = choose_baselines(table, ["head"], 1, "delta")
    assert baselines is not None
    cell = Cell(1, "delta", "eval", "all")
    dnll = gain(table, "gaussian_marginal_delta", "head", cell)
    best = gain(table, "head", baselines.best, cell)
    cosine = table.ratio("head", cell, "cosine_mean", "num_mean")
    assert dnll is not None and best is not None and cosine is not None
    assert float(dnll.value) == pytest.approx(-2 * np.log(2), abs=0.1)
    assert abs(float(best.value)) < 0.05
    assert 0.6 < float(cosine.value) < 1 / np.sqrt(2)


def test_event_is_the_same_at_lag_one(assessed):
    """At lag 1 the NLL of x_t equals the NLL of delta_t, frame by frame."""
    _, _, tables, _ = assessed
    frames = tables["frames"]
    head = frames[(frames["model"] == "head") & (frames["part"] == "eval")]
    by_event = [
        head.loc[head["event"] == event, "nll"].to_numpy() for event in ("delta", "position")
    ]
    np.testing.assert_allclose(by_event[0], by_event[1], atol=1e-4)


def test_slices_partition_the_frames(assessed):
    """Initial, medial and final frames add up to all; sums add up over speakers."""
    _, _, tables, _ = assessed
    rows = tables["scores"].query("model == 'head' and event == 'delta' and part == 'eval'")
    counts = rows.groupby("slice")["num_frames"].sum()
    assert counts["initial"] + counts["medial"] + counts["final"] == counts["all"]
    assert 0 < counts["speech"] < counts["all"]


def test_a_choice_is_made_on_the_slices_that_are_evaluated():
    """`Scope` masks are those of the evaluation, the range of medial frames among them."""
    world = make_world(white_noise(2), num_train_speakers=2, num_eval_speakers=2)
    shares = []
    for medial in ((0.25, 0.75), (0.0, 1.0)):
        scope = Scope(
            world.part_of, 1, WINDOW, max(LAGS), world.material.reference,
            evaluation(slices=("medial",), medial_range=medial), 64, torch.device("cpu"),
        )  # fmt: skip
        targets = scope.targets(world.eval, "eval")
        shares.append(scope.masks(world.eval, targets).mean())
    assert shares[1] == 1 and 0.4 < shares[0] < 0.7


def test_worst_frames_are_the_worst(assessed):
    """The list holds the largest scores, worst first, with utterance, frame and norm."""
    world, _, tables, _ = assessed
    group = tables["worst"].query("model == 'head' and event == 'delta' and part == 'eval'")
    stored = tables["frames"].query("model == 'head' and event == 'delta' and part == 'eval'")
    assert len(group) == 3
    assert list(group["nll"]) == sorted(group["nll"], reverse=True)
    assert group["nll"].max() >= stored["nll"].max()
    row = group.iloc[0]
    number = list(world.eval.utterance_ids).index(row["utterance_id"])
    t = int(world.eval.offsets[number]) + int(row["frame"])
    step = np.linalg.norm(world.eval.frames[t] - world.eval.frames[t - 1])
    assert row["delta_norm"] == pytest.approx(step, rel=1e-5)


def inputs_of(tables: dict[str, pd.DataFrame]) -> Inputs:
    parts = (tables["scores"], tables["frames"], tables["worst"])
    return Inputs("noise", 0, 12.5, 4, ["head"], *parts)


def test_published_rows_are_complete(assessed):
    """One row per model, part and slice; dNLL is the exact sum of its three parts."""
    _, _, tables, _ = assessed
    group = Inputs(
        "noise", 0, 12.5, 4, ["head"], tables["scores"], tables["frames"], tables["worst"]
    )
    settings = Settings((1,), ("delta", "position"), SLICES, 0.95, 0.01, (0.05, 0.95))
    table = prediction_table([group], settings)
    head = table[table["kind"] == "head"]
    assert len(head) == 2 * 3 * len(SLICES)
    parts = head["dnll_mean_reversion"] + head["dnll_shape"] + head["dnll_context"]
    np.testing.assert_allclose(parts, head["dnll_first_experiment"], atol=1e-6)
    low, value, high = (np.array(head[f"gain_nats{end}"]) for end in ("_low", "", "_high"))
    assert np.all((low <= value) & (value <= high))
    best = table[(table["model"] == table["best_null"])]
    np.testing.assert_allclose(best["gain_nats"], 0, atol=1e-12)
    for column in ("nll_median", "nll_trimmed", "energy_score_null"):
        assert np.isfinite(np.array(head[column], dtype=float)).all()
    assert {"representation", "part", "target"} <= set(worst_table([group]).columns)


def test_three_seeds_give_an_interval_that_counts_seeds(assessed):
    """The gain over seeds is their mean; its interval widens with what seeds differ by."""
    _, _, tables, _ = assessed
    settings = Settings((1,), ("delta",), ("all",), 0.95, 0.01, (0.5,))

    def published(shifts: tuple[float, ...]) -> dict[str, Any]:
        groups = []
        for seed, shift in enumerate(shifts):
            scores = tables["scores"].copy()
            own = scores["model"] == "head"
            scores.loc[own, "nll"] -= shift * scores.loc[own, "num_frames"]
            groups.append(inputs_of({**tables, "scores": scores})._replace(seed=seed))
        table = prediction_table(groups, settings)
        rows = table.loc[(table["kind"] == "head") & (table["part"] == "eval")]
        assert len(set(rows["gain_seeds_nats"])) == 1
        assert table.loc[table["kind"] == "null", "gain_seeds_nats"].isna().all()
        return rows.to_dict("records")[0]

    one, two = published((0.0,)), published((0.0, 1.0))
    assert (one["num_seeds"], one["interval_over"]) == (1, "speakers")
    for end in ("", "_low", "_high"):
        assert one[f"gain_seeds_nats{end}"] == pytest.approx(one[f"gain_nats{end}"])
    assert (two["num_seeds"], two["interval_over"]) == (2, "speakers")
    assert two["gain_seeds_nats"] == pytest.approx(one["gain_nats"] + 0.5)
    three = published((0.0, 1.0, 2.0))
    assert (three["num_seeds"], three["interval_over"]) == (3, "seeds and speakers")
    assert three["gain_seeds_nats"] == pytest.approx(one["gain_nats"] + 1.0)
    # the SD of three seeds is 1: their mean is known to t(2) / sqrt 3 = 2.48 at 95 %
    half = (three["gain_seeds_nats_high"] - three["gain_seeds_nats_low"]) / 2
    assert half == pytest.approx(4.303 / np.sqrt(3), rel=0.1)


def test_rollout_is_never_blank(assessed):
    """The simple rollout has one row per step, and a diverging mean says when it left."""
    world, stage, _, models = assessed
    table = roll_out("head", 1, {"delta": models[1]}, world.material.linear_nulls, stage)
    assert len(table) == 2 * 4
    assert np.isfinite(table["dnll_mean"].astype(float)).all()
    wild = copy.deepcopy(models[1])
    wild.base.intercept += 50.0  # SD: beyond the factor of 10 at once
    left = roll_out("head", 1, {"delta": wild}, world.material.linear_nulls, stage)
    values = np.array(left["dnll_mean"], dtype=float)
    assert np.isnan(values).all()  # no path alive: null, and the horizon says why
    assert min(left["num_paths"]) > 0


def test_tables_need_no_order(assessed):
    """Shuffled input rows give the same published table."""
    _, _, tables, _ = assessed
    settings = Settings((1,), ("delta",), ("all",), 0.95, 0.01, (0.05,))
    shuffled = tables["scores"].sample(frac=1, random_state=0)
    made = [
        prediction_table(
            [Inputs("n", 0, 12.5, 4, ["head"], s, tables["frames"], tables["worst"])], settings
        )
        for s in (tables["scores"], shuffled)
    ]
    pd.testing.assert_frame_equal(made[0], made[1])


class Spied(ModelPredictor):
    """Notes how many targets and samples are asked for at a time."""

    def __init__(self, *args, **named) -> None:
        super().__init__(*args, **named)
        self.means: list[int] = []
        self.samples: list[int] = []

    def mean(self, view: View) -> np.ndarray:
        self.means.append(len(view.targets))
        return super().mean(view)

    def sample(self, view: View, num_samples: int, generator: np.random.Generator) -> np.ndarray:
        self.samples.append(len(view.targets) * num_samples)
        return super().sample(view, num_samples, generator)


@pytest.mark.parametrize("is_mean_sampled", [False, True])
def test_no_more_samples_are_held_than_configured_and_dear_means_are_thinned(is_mean_sampled: bool):
    """Eight samples of 150 thinned targets in pieces of at most 100 samples; all are counted."""
    world = make_world(white_noise(2), num_train_speakers=2, num_eval_speakers=2, num_utterances=4)
    settings = evaluation(batch_frames=100, num_samples=8, maximum_sampled_frames=150)
    null = next(
        null for null in world.material.linear_nulls if null.name == "gaussian_marginal_delta"
    )
    spied = Spied(
        build_gaussian(null.fit.arrays), WINDOW, world.material.reference.speakers, 100,
        torch.device("cpu"),
    )  # fmt: skip
    spied.is_mean_sampled = is_mean_sampled
    total = world.material.reference.num_targets["eval"]
    found = evaluate_part(
        spied, lambda: iter([world.eval]), world.part_of, "eval",
        EventTask("delta", 1, WINDOW, max(LAGS)), world.material.reference, settings,
        num_targets=total,
    ).sums.loc[lambda sums: sums["slice"] == "all"]  # fmt: skip
    thinned = int(found["num_sampled"].sum())
    assert 75 < thinned <= 150
    assert max(spied.samples) <= 100
    assert sum(spied.samples) == 8 * thinned
    assert found["num_frames"].sum() == total
    assert sum(spied.means) == found["num_mean"].sum() == (thinned if is_mean_sampled else total)


def test_only_the_mean_of_a_flow_takes_samples():
    world = make_world(white_noise(2), num_train_speakers=2, num_eval_speakers=2, num_utterances=4)
    arrays = base_for(world.material.linear_nulls, 1, "delta", True, True).fit.arrays
    zeros = np.zeros(2)
    for kind in ("gaussian_mixture", "student_t_mixture", "flow"):
        model = build_conditional(
            head_settings(kind), arrays, WINDOW, world.material.reference.input_scales, zeros, 0
        )
        predictor = ModelPredictor(
            model, WINDOW, world.material.reference.speakers, 64, torch.device("cpu")
        )
        assert predictor.is_mean_sampled == (kind == "flow")
