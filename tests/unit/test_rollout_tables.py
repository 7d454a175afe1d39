"""Published rows: the ceiling is chosen on val, shares are paired ratios, fronts are fronts."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from engram_audio.errors import InputError
from engram_audio.rollout.ceiling import Run, choose_ceiling
from engram_audio.rollout.config import RolloutSweepSection
from engram_audio.rollout.evaluation import evaluate_method
from engram_audio.rollout.fit import build_model
from engram_audio.rollout.frame import frame_of
from engram_audio.rollout.method_config import KStepMethod, MethodSection
from engram_audio.rollout.setup import drawn_frames, make_scoring_setup
from engram_audio.rollout.speaker_sums import by_speaker, extremes
from engram_audio.rollout.sweep import expand_sweep, sweep_of
from engram_audio.rollout.tables import partner_of, rollout_table, sweep_table
from engram_audio.rollout.verdicts import verdict_rows
from engram_audio.section import validated
from tests.report_rollout_tables import BASE, CLIMATE, RUNS, SETTINGS, runs
from tests.report_verdicts import BARS_SECTION
from tests.unit.rollout_material import (
    CPU,
    eval_others,
    eval_starts,
    flat_starts,
    method,
    rollout_section,
    small_head,
    small_world,
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return rollout_table(runs(), SETTINGS, 0.95)


def row(table: pd.DataFrame, **wanted) -> dict[str, Any]:
    for name, value in wanted.items():
        table = table.loc[table[name] == value]
    assert len(table) == 1
    return table.iloc[0].to_dict()


def test_kept_is_the_share_of_the_best_forecasters_gain(table):
    """DNLL -.98 of -1.0: .98 with an interval around it; the forecaster itself keeps 1."""
    own = row(table, method="one_step", mode="sampled", inject_frames=0, span="up_to")
    assert own["kept_position"] == pytest.approx(0.98, abs=0.01)
    assert own["kept_position_low"] <= own["kept_position"] <= own["kept_position_high"]
    assert own["attainable_position_of"] == "belief"
    belief = row(table, method="belief", span="up_to")
    assert belief["kept_delta"] == pytest.approx(1.0)
    skill = row(table, method="wild", mode="sampled", inject_frames=0, span="up_to")
    assert skill["energy_skill"] == pytest.approx(1 - 9.0 / CLIMATE, abs=0.05)
    assert skill["kept_skill"] == pytest.approx((1 - 9.0 / CLIMATE) / 0.5, abs=0.05)


def test_the_ceiling_is_chosen_on_val():
    """A forecaster that is best on eval only is not the ceiling; horizons choose for themselves."""
    members = [run for run in runs() if run.method in ("belief", "direct")]
    changed = []
    for run in members:
        scores = run.scores.copy()
        if run.method == "direct":
            scores.loc[scores["part"] == "eval", "dnll_position"] *= 10
            at = (scores["part"] == "val") & (scores["horizon_frames"] == 3)
            scores.loc[at, "dnll_position"] *= 10
        changed.append(run._replace(scores=scores))
    speakers = {
        part: sorted(set(members[0].scores.query(f"part == '{part}'")["speaker_id"]))
        for part in ("val", "eval")
    }
    ceiling = choose_ceiling(changed, speakers)
    assert ceiling.names["position", 2] == "belief"
    assert ceiling.names["position", 3] == "direct"
    assert ceiling.names["position", 7] == "belief"


def test_every_method_mode_and_horizon_has_a_row(table):
    scored = SETTINGS.scored_horizons_frames
    own = table.loc[(table["method"] == "one_step") & (table["mode"] == "sampled")]
    assert sorted(own.loc[own["span"] == "at", "horizon_frames"].unique()) == list(scored)
    assert set(own["inject_frames"]) == {0, 2}
    assert set(table["method"]) == set(RUNS)
    earlier = row(table, method="one_step", mode="mean", span="at", horizon_frames=1)
    assert earlier["first_experiment_dnll"] == pytest.approx(15.0, abs=0.1)
    assert np.isnan(earlier["kept_position"])


def test_shares_stand_at_their_horizon(table):
    wild = {"method": "wild", "mode": "sampled", "inject_frames": 0, "span": "at"}
    assert row(table, **wild, horizon_frames=4)["diverged_share"] == 0
    assert row(table, **wild, horizon_frames=8)["diverged_share"] == 0.5
    assert row(table, **wild, horizon_frames=8)["num_diverged"] == 120


def test_the_front_has_no_point_that_another_beats(table):
    found = sweep_table(runs(), table, SETTINGS, BARS_SECTION)
    assert set(found["method"]) == {name for name in RUNS if name not in ("belief", "direct")}
    assert set(found["num_points"]) == {len(found)}
    assert True in set(found["is_pareto"])
    gain, distance = found["one_step_gain"].to_numpy(), found["excess_distance"].to_numpy()
    alive = found["diverged_share"].to_numpy() == 0
    assert found.loc[~alive, "method"].tolist() == ["wild"]
    for number, is_front in enumerate(found["is_pareto"]):
        beaten = ((gain >= gain[number]) & (distance <= distance[number]) & alive
                  & ((gain > gain[number]) | (distance < distance[number]))).any()  # fmt: skip
        assert is_front == (alive[number] and not beaten)
    swept = found.loc[found["method"] == "grid_k4_t0_s0"].iloc[0]
    assert (swept["sweep"], swept["horizon_frames"]) == ("grid", 4)


def test_a_sampled_method_may_be_what_is_attainable():
    """Alone it keeps all of what it reaches itself."""
    only = [run for run in runs() if run.method == "one_step"]
    table = rollout_table(only, SETTINGS, 0.95)
    own = row(table, method="one_step", mode="sampled", inject_frames=0, span="up_to")
    assert (own["attainable_position_of"], own["kept_position"]) == ("one_step", pytest.approx(1))


def scaled(run: Run, **factors: float) -> Run:
    """A run with sums times factors."""
    scores = run.scores.copy()
    for name, factor in factors.items():
        scores[name] *= factor
    return run._replace(scores=scores)


def test_nothing_is_kept_where_nobody_beats_the_marginal():
    """Attainable is the marginal, 0: a bad forecast over a worse one is no share of anything."""
    worse = [scaled(run, dnll_position=-1.0) for run in runs() if run.method != "wild"]
    table = rollout_table(worse, SETTINGS, 0.95)
    own = row(table, method="one_step", mode="sampled", inject_frames=0, span="up_to")
    assert own["dnll_position"] == pytest.approx(0.98, abs=0.01)
    assert (own["attainable_position"], own["attainable_position_of"]) == (0, "marginal")
    assert np.isnan([own[f"kept_position{end}"] for end in ("", "_low", "_high")]).all()
    assert own["kept_delta"] == pytest.approx(0.98, abs=0.01)


def test_nothing_is_kept_where_the_best_on_val_knows_nothing_of_eval():
    """Both worse than the marginal on eval, however surely: no share, and no verdict from one."""
    turned = []
    for run in runs():
        scores = run.scores.copy()
        scores.loc[scores["part"] == "eval", "dnll_position"] *= -1
        scores.loc[scores["part"] == "eval", "energy_score"] *= 3.0
        turned.append(run._replace(scores=scores))
    table = rollout_table(turned, SETTINGS, 0.95)
    own = row(table, method="one_step", mode="sampled", inject_frames=0, span="up_to")
    assert own["attainable_position"] > 0.9 and own["energy_skill"] < 0
    assert np.isnan([own["kept_position"], own["kept_skill"]]).all()
    assert own["kept_delta"] == pytest.approx(0.98, abs=0.01)


def test_a_horizon_without_skill_adds_climatology_to_the_sum():
    """On val nobody beats it at horizon 4: there the best is climatology, elsewhere a forecast."""
    changed = []
    for run in runs():
        scores = run.scores.copy()
        at = (scores["part"] == "val") & (scores["horizon_frames"] == 4)
        scores.loc[at, "energy_score"] = 1.1 * scores.loc[at, "energy_climate"]
        changed.append(run._replace(scores=scores))
    table = rollout_table(changed, SETTINGS, 0.95)
    own = row(table, method="belief", mode="forecast", span="up_to")
    assert own["horizon_frames"] == 4
    assert own["kept_skill"] == pytest.approx(0.5 / (0.5 * 3 / 4), rel=0.01)
    at = row(table, method="belief", mode="forecast", span="at", horizon_frames=4)
    assert np.isnan(at["kept_skill"])


def test_an_excess_is_the_difference_and_its_error_that_of_speakers(table):
    """Ten speakers, each of whom moves the excess by .001 / sqrt 10: t(9) times .001 either way."""
    late = row(table, method="wild", mode="sampled", inject_frames=0, span="at", horizon_frames=8)
    assert late["diverged_late_excess"] == pytest.approx(0.499)
    half = 0.5 * (late["diverged_late_excess_high"] - late["diverged_late_excess_low"])
    assert half == pytest.approx(2.262157 * 0.001, rel=1e-4)
    assert late["spread_ratio_excess"] == 0


def test_a_share_of_what_is_not_told_from_nothing_has_no_number():
    """The best on val scores +-1 on the speakers of eval: its interval holds 0."""
    members = [run for run in runs() if run.method in ("one_step", "belief")]
    scores = members[1].scores.copy()
    odd = scores["speaker_id"].isin([f"eval-{number}" for number in range(0, 10, 2)])
    scores.loc[odd, "dnll_position"] *= -0.9
    table = rollout_table([members[0], members[1]._replace(scores=scores)], SETTINGS, 0.95)
    own = row(table, method="one_step", mode="sampled", inject_frames=0, span="up_to")
    assert own["attainable_position_of"] == "belief"
    assert own["attainable_position_low"] < 0 < own["attainable_position_high"]
    assert np.isnan(own["kept_position"])


def test_a_method_stands_beside_the_one_that_differs_by_its_base():
    """A memory beside its base, a tuned head beside the head; the gain is paired by speaker."""
    base = next(run for run in runs() if run.method == "one_step")
    on = method("one_step", base="memory:head:robust")
    memory = scaled(base._replace(method="memory", settings=on), dnll_position=1.1)
    shuffled = base._replace(
        method="shuffled", settings=method("one_step", base="memory:head:robust:shuffled_keys")
    )
    tuned = next(run for run in runs() if run.method == "earlier_pure")
    members = [base, memory, shuffled, tuned]
    assert [partner_of(run, members) for run in members] == ["", *["one_step"] * 3]
    assert partner_of(memory, [memory, tuned]) == ""
    table = rollout_table(members, SETTINGS, 0.95)
    own = row(table, method="memory", mode="sampled", inject_frames=0, span="up_to")
    assert own["partner_method"] == "one_step"
    assert own["gain_position"] == pytest.approx(0.098, abs=0.001)
    width = own["gain_position_high"] - own["gain_position_low"]
    assert 0 < width < 0.005  # speakers differ by .5 % of a score, in both alike
    assert own["gain_delta"] == pytest.approx(0) and own["gain_skill"] == pytest.approx(0)


def with_memory(gain: float, seed: int) -> list[Run]:
    """A method and its memory, which is better by a share of the score, with one training seed."""
    base = next(run for run in runs() if run.method == "one_step")._replace(seed=seed)
    on = method("one_step", base="memory:head:robust")
    return [base, scaled(base._replace(method="memory", settings=on), dnll_position=1 + gain)]


def test_a_gain_counts_seeds_and_speakers():
    """Gains of .01, .1 and .19 nats with three seeds: speakers alone would be sure of each.

    The seeds' SD is .09 and speakers differ by .5 % only, so the interval is near that of three
    numbers, t(2) = 4.303 times .09 / sqrt 3 = .224 either way.
    """
    seeds = [run for n, gain in enumerate((0.01, 0.1, 0.19)) for run in with_memory(gain, n)]
    table = rollout_table(seeds, SETTINGS, 0.95)
    where = {"method": "memory", "mode": "sampled", "inject_frames": 0, "span": "up_to"}
    own = [row(table, **where, seed=seed) for seed in range(3)]
    assert {one["gain_seeds_position"] for one in own} == {own[0]["gain_seeds_position"]}
    assert own[0]["gain_seeds_position"] == pytest.approx(0.098, abs=0.001)
    assert own[0]["gain_position_low"] > 0.009  # of the first seed
    half = own[0]["gain_seeds_position_high"] - own[0]["gain_seeds_position"]
    assert half == pytest.approx(0.98 * 4.303 * 0.09 / 3**0.5, rel=0.01)
    assert (own[0]["num_seeds"], own[0]["interval_over"]) == (3, "seeds and speakers")
    words = next(one for one in verdict_rows(table, BARS_SECTION, BASE) if one.case == "memory")
    assert "0.10 [-0.12, 0.32] nats/frame about x" in words.reason.replace("\N{MINUS SIGN}", "-")
    assert "training seeds: 3, interval over seeds and speakers" in words.reason
    base = row(table, **{**where, "method": "one_step"}, seed=0)
    assert (base["num_seeds"], np.isnan(base["gain_seeds_position"])) == (0, True)


def test_two_seeds_have_an_interval_over_speakers_only():
    seeds = [run for n, gain in enumerate((0.01, 0.19)) for run in with_memory(gain, n)]
    table = rollout_table(seeds, SETTINGS, 0.95)
    own = row(table, method="memory", mode="sampled", inject_frames=0, span="up_to", seed=1)
    assert (own["num_seeds"], own["interval_over"]) == (2, "speakers")
    assert own["gain_seeds_position"] == pytest.approx(0.098, abs=0.001)


def test_a_sweep_is_expanded_to_names_and_settings():
    sweep = RolloutSweepSection(
        method="k_step", horizons_frames=(4, 8), teacher_weights=(0.0, 0.1), state_weights=(0.05,),
        bases=("head", "other_head"),
    )  # fmt: skip
    methods = {"k_step": method("k_step"), "one_step": method("one_step")}
    tuned = methods["k_step"]
    assert isinstance(tuned, KStepMethod)
    points = expand_sweep("grid", sweep, tuned)
    assert len(points) == 8
    point = points["grid_k8_t0_1_s0_05_other_head"]
    assert isinstance(point, KStepMethod)
    assert point.horizon_frames == 8
    assert (point.teacher_weight, point.state_weight, point.base) == (0.1, 0.05, "other_head")
    assert sweep_of("grid_k8_t0_1_s0_05_other_head", methods, {"grid": sweep}) == "grid"
    assert sweep_of("k_step", methods, {"grid": sweep}) == ""


@pytest.fixture(scope="module")
def measured() -> tuple[Run, Run]:
    """A real head and a real belief on a small world, through the evaluation."""
    world = small_world()
    settings = rollout_section()
    train = world.material.block
    setup = make_scoring_setup(settings, world.material.reference, lambda: iter([train]), CPU)
    starts, others = eval_starts(world), eval_others(world, eval_starts(world))
    head = small_head(world)
    found = evaluate_method(head, None, starts, others, setup)
    scores = pd.concat([found.scores.assign(part=part) for part in ("val", "eval")])
    first = Run("w", "one_step", "", 0, method("one_step"), scores, *found[1:])
    belief = build_model(method("belief"), frame_of(world.material), None, 0)
    other = evaluate_method(belief, None, starts, others, setup)
    scores = pd.concat([other.scores.assign(part=part) for part in ("val", "eval")])
    return first, Run("w", "belief", "", 0, method("belief"), scores, *other[1:])


def test_evaluation_feeds_the_table(measured):
    """Sums of the evaluation become rows: all modes, injections, horizons, finite where meant."""
    table = rollout_table(list(measured), rollout_section(), 0.95)
    sampled = table.query("method == 'one_step' and mode == 'sampled' and inject_frames == 0")
    # a share is given where the attainable is told from nothing: six speakers do not at step 4
    is_told = sampled["attainable_position_high"].to_numpy() < 0
    assert is_told.any() and not is_told.all()
    np.testing.assert_array_equal(np.isfinite(sampled["kept_position"]), is_told)
    assert np.isfinite(sampled["energy_skill"]).all()
    at_last = sampled.query("span == 'at' and horizon_frames == 8").iloc[0]
    assert at_last["num_paths"] == 40 * 4
    assert at_last["std_ratio"] > 0.5
    assert set(table["mode"]) == {"sampled", "mean", "forecast"}
    mean = table.query("mode == 'mean' and span == 'at' and horizon_frames == 1").iloc[0]
    first = sampled.query("span == 'at' and horizon_frames == 1").iloc[0]
    # the first step's context is true: the earlier score is then an honest one-step score
    assert mean["first_experiment_dnll"] < 0
    assert first["num_starts"] == 40


@pytest.mark.parametrize("broken", [float("inf"), float("nan")])
def test_what_is_not_finite_counts_against_the_method(broken: float):
    """One start without a score counts as the worst of its horizon, and as no better than nothing.

    Left out, it would lift the method: it is in the count of starts, and named from there on.
    """
    starts = flat_starts(6, 3)._replace(lengths=torch.tensor([3, 3, 3, 3, 3, 1]))
    dnll = torch.arange(18.0).view(6, 3)
    dnll[0, 0] = broken
    found = extremes(dnll, starts, (1, 2, 3)).set_index("horizon_frames").to_dict("index")
    assert [row["num_not_finite"] for row in found.values()] == [1, 1, 1]
    assert found[1]["dnll_median"] == np.median([3, 6, 9, 12, 15])
    assert found[3]["dnll_highest"] == 14.0
    worse = {"dnll_position": dnll, "dnll_delta": dnll - 20, "below_range": 0 * dnll}
    sums = by_speaker(worse, starts, (1, 2, 3), "sampled", 0)
    first = sums.query("horizon_frames == 1").sum(numeric_only=True).to_dict()
    assert first["num_starts"] == 6
    assert first["dnll_position"] == 15 + 3 + 6 + 9 + 12 + 15
    assert first["dnll_delta"] == 0 + (3 + 6 + 9 + 12 + 15) - 5 * 20
    assert first["below_range"] == 0.5


def test_a_horizon_without_any_finite_score_has_no_number():
    starts = flat_starts(4, 2)
    sums = by_speaker({"dnll_position": torch.full((4, 2), torch.nan)}, starts, (1, 2), "mean", 0)
    assert np.isnan(sums["dnll_position"].to_numpy(float)).all()
    assert sums["num_starts"].to_numpy(float).sum() == 8


def test_climate_frames_are_a_draw_of_the_stream():
    """Each train frame is as likely as any other, however the stream is cut into blocks."""
    world = small_world()
    block = world.material.block
    found = drawn_frames(lambda: iter([block, block]), 200, 0)
    assert found.shape == (200, 3)
    again = drawn_frames(lambda: iter([block, block]), 300, 0)
    assert np.array_equal(found, again[:200])
    rows = {tuple(frame) for frame in block.frames.tolist()}
    assert all(tuple(frame) in rows for frame in found.tolist())


def test_a_section_that_is_no_method_is_refused_in_words():
    with pytest.raises(InputError, match=r"rollout_runs\.x: .*'nothing'") as caught:
        validated(MethodSection, {"kind": "nothing"}, "rollout_runs.x")
    assert "\n" not in str(caught.value)
