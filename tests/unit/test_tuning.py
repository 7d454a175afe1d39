"""Equal tuning: the same points for every arm, chosen on select, with those that are as good."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.densities.tuning import (
    Setting,
    choose_point,
    first_settings,
    last_settings,
    tune,
    tuning_rows,
    with_setting,
)
from engram_audio.prediction.tables import Near, prediction_table
from engram_audio.training.config import TuningGrid
from tests import report_prediction_tables
from tests.report_prediction_tables import BASE
from tests.unit.prediction_material import head_settings, recipe

GRID = TuningGrid.model_validate(
    {
        "points": [
            {"dropout": 0.0, "weight_decay": 0.1}, {"dropout": 0.4, "weight_decay": 0.1},
            {"dropout": 0.0, "weight_decay": 0.01},
        ],
        "last_learning_rate_factors": [0.5],
    }, strict=False,
)  # fmt: skip
PARTS = ("val", "select", "eval")


def sums(levels: dict[str, float], spread: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Sums of 12 speakers of each part: mean NLL `levels[part]`, speakers apart by 5 nats."""
    own = np.random.default_rng([seed, 1])
    rows = []
    for part, level in levels.items():
        for speaker in range(12):
            nll = level + 5 * speaker + spread * own.normal()
            rows.append(
                {"part": part, "slice": "all", "speaker_id": f"{part}-{speaker}",
                 "num_frames": 50.0, "nll": 50.0 * nll}
            )  # fmt: skip
    return pd.DataFrame(rows)


def points(*tables: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([own.assign(point=n) for n, own in enumerate(tables)], ignore_index=True)


def level(**parts: float) -> dict[str, float]:
    return {part: parts.get(part, 10.0) for part in PARTS}


def test_a_point_is_chosen_on_select_whatever_val_and_eval_say():
    tables = [sums(level(select=9.0)), sums(level(val=1.0)), sums(level(eval=1.0))]
    assert choose_point(points(*tables))[0] == 0


def test_without_select_a_point_is_chosen_on_val():
    tables = [sums({"val": 10.0, "eval": 9.0}), sums({"val": 9.5, "eval": 20.0})]
    assert choose_point(points(*tables))[0] == 1


def test_as_good_is_a_paired_difference_not_an_absolute_error():
    """Speakers differ by 5 nats, and each of 12 loses exactly .1: that is told from nothing."""
    assert choose_point(points(sums(level()), sums(level(select=10.1)))) == (0, [0])


def test_points_within_one_paired_error_are_as_good():
    """Differences of SD 1 over 12 speakers have an error of .3: .05 is within, 2 is not."""
    tables = [
        sums(level(select=10 + shift), spread=0.7, seed=seed)
        for seed, shift in enumerate((0.0, 0.05, 2.0))
    ]
    chosen, near = choose_point(points(*tables))
    assert chosen in (0, 1) and near == [0, 1]


def test_a_point_without_a_finite_score_is_not_chosen():
    assert choose_point(points(sums(level(select=np.nan)), sums(level()))) == (1, [1])
    with pytest.raises(ValueError, match="no point has a finite score on select"):
        choose_point(points(sums(level(select=np.nan))))


def test_every_point_is_tried_once_and_the_best_again_with_half_the_rate():
    tried: list[Setting] = []

    def scored(number: int, setting: Setting) -> pd.DataFrame:
        assert number == len(tried)
        tried.append(setting)
        return sums(level(select=10 - setting.dropout - setting.learning_rate))

    found = tune(GRID, recipe(), scored)
    rate = recipe().learning_rate
    assert tried == [*first_settings(GRID, recipe()), Setting(0.4, 0.1, rate / 2)]
    assert found.settings == tried and found.chosen == 1
    assert last_settings(GRID, tried[1]) == tried[3:]


def test_a_setting_is_what_is_trained_with():
    head, how = with_setting(head_settings(), recipe(), Setting(0.3, 0.05, 1e-4))
    assert head.trunk.dropout == 0.3
    assert (how.weight_decay, how.learning_rate) == (0.05, 1e-4)
    same = {"weight_decay": recipe().weight_decay, "learning_rate": recipe().learning_rate}
    assert how.model_copy(update=same) == recipe()


def test_both_scores_of_a_choice_are_published_with_their_difference():
    scores = points(sums(level(select=9.0, val=8.0)), sums(level(select=9.5, val=7.0)))
    settings: list[dict[str, Any]] = [
        setting._asdict() for setting in first_settings(GRID, recipe())[:2]
    ]
    rows = tuning_rows({"head": "h"}, {"points": settings, "chosen": 0, "near": [0]}, scores)
    assert [row["select_less_val"] for row in rows] == pytest.approx([1.0, 2.5])
    assert [row["lost_nats"] for row in rows] == pytest.approx([0.0, 0.5])
    assert [row["is_chosen"] for row in rows] == [True, False]


def test_near_points_of_a_head_are_held_against_the_same_null():
    """A point as good on select scores .5 worse on eval: the range of the gain says so."""
    inputs = report_prediction_tables.inputs_of(BASE, report_prediction_tables.LEVELS)
    head = inputs.heads[0]
    cells = "model == @head and lag_frames == 1"
    sums = inputs.scores.query(f"{cells} and event == 'delta'")
    near = {head: Near(1, "delta", [sums.assign(nll=sums["nll"] + 0.5 * sums["num_frames"])])}
    table = prediction_table([inputs._replace(near=near)], report_prediction_tables.SETTINGS)
    own = table.query(f"{cells} and part == 'eval' and slice == 'all'")
    assert own["near_gain_nats_lowest"].notna().tolist() == [True, True]  # one event at lag 1
    (delta,) = own.query("target == 'delta'").to_dict("records")
    assert delta["near_gain_nats_highest"] == delta["gain_nats"]
    assert delta["gain_nats"] - delta["near_gain_nats_lowest"] == pytest.approx(0.5)
    later = table.query("lag_frames == 2")["near_gain_nats_lowest"].to_numpy(float)
    assert len(later) and bool(np.isnan(later).all())
