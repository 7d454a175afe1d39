"""Gains are paired over seeds, speakers and frames; verdicts follow from the published tables."""

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.columns import choose
from engram_audio.generation.columns import (
    GENERATION,
    GENERATION_GAINS,
    GENERATION_HEALTH,
)
from engram_audio.generation.gains import MOST_SEEDS, gain_of
from engram_audio.generation.model_config import ARMS
from engram_audio.generation.tables import (
    Evaluated,
    gains_table,
    generation_table,
    health_table,
    pairs_of,
    replay_table,
)
from engram_audio.generation.verdicts import TOLD, replay_sentence, verdict_rows
from engram_audio.verdicts.row import VerdictRow
from tests.unit.generation_tables import FLOPS, NULLS, evaluated, generation_bars

ALL = {"S": 29.0, "SM": 28.0, "F": 28.6, "P": 28.5, "SMx": 28.9, "SM1": 28.9, "SMm": 28.8,
       "SMf": 28.7}  # fmt: skip


def answers(one: Evaluated, bar: float = 0.05) -> dict[str, VerdictRow]:
    """Return the verdict rows by question and case; the word under "word"."""
    tables = (
        generation_table([one], 0.95), gains_table([one], 0.95), health_table([one]),
        replay_table([one], 0.95),
    )  # fmt: skip
    bars = generation_bars(bar)
    rows = verdict_rows(*tables, bars, one.representation)
    return {"word": rows[0], **{row.case: row for row in rows[1:]}}


def test_gains_are_the_planted_differences():
    table = gains_table([evaluated(ALL)], 0.95)
    on_eval = choose(table, part="eval", arm="SM").set_index("against")
    for name in ("S", "F", "P", "SMx", "SM1", "SMm", "SMf"):
        row = on_eval.loc[name]
        assert row["gain_nats_low"] < ALL[name] - ALL["SM"] < row["gain_nats_high"]
        assert row["gain_nats"] == pytest.approx(ALL[name] - ALL["SM"], abs=0.02)
    for null, level in NULLS.items():
        assert on_eval.loc[null, "gain_nats"] == pytest.approx(level - ALL["SM"], abs=0.02)
    assert on_eval.loc["P", "work_share"] == FLOPS["SM"] / FLOPS["P"]


def test_the_margin_is_of_what_f_knows_on_eval():
    table = gains_table([evaluated(ALL)], 0.95)
    assert table["information_nats"].to_numpy() == pytest.approx(
        NULLS["marginal"] - ALL["F"], abs=0.02
    )
    assert table["delta_nats"].to_numpy() == pytest.approx(0.01 * table["information_nats"])


def test_what_speakers_differ_by_in_all_arms_is_no_error():
    """Planted speakers differ by 1 nat, pairs of an arm and a speaker by .003."""
    row = choose(gains_table([evaluated(ALL)], 0.95), arm="SM", against="F", part="eval").iloc[0]
    assert row["sd_speaker"] < 0.02 and row["gain_nats_high"] - row["gain_nats_low"] < 0.05


def test_components_are_those_that_were_planted():
    """SD .3 between seeds and .1 left over, 40 seeds: within four of their own errors.

    The SD of a sample SD over n is about SD / sqrt(2 n).
    """
    generator = np.random.default_rng(0)
    seeds, rest = 0.3 * generator.normal(size=(40, 1)), 0.1 * generator.normal(size=(40, 30))
    ones = np.ones((40, 30))
    gain = gain_of(np.zeros((40, 30)), seeds + rest, ones, 0.02, 0.95)
    assert gain.components.seed == pytest.approx(0.3, abs=4 * 0.3 / np.sqrt(80))
    assert gain.components.rest == pytest.approx(0.1, abs=4 * 0.1 / np.sqrt(2 * 39 * 29))
    assert gain.components.speaker < 0.03


def test_the_seeds_that_would_decide_do_decide():
    """A seed SD of .1, a gain .1 above the margin: the half-width then just falls below .1."""
    generator = np.random.default_rng(1)
    ones = np.ones((3, 20))
    centred = np.array([-0.1, 0.0, 0.1])[:, None]
    other = 0.12 + centred + 0.02 * generator.normal(size=(3, 20))
    gain = gain_of(0 * ones, other, ones, 0.02, 0.95)
    assert gain.low < 0.02 < gain.high
    count = int(gain.seeds_needed)
    assert 3 < count <= MOST_SEEDS
    t = {6: 2.571, 7: 2.447, 8: 2.365}[count]  # Student, 97.5 %, count - 1 degrees
    assert t * 0.1 / np.sqrt(count) == pytest.approx(0.1, rel=0.25)


def test_two_seeds_have_no_interval_and_no_word():
    one = evaluated(ALL, num_seeds=2)
    rows = choose(gains_table([one], 0.95), arm="SM", part="eval")
    assert np.isnan(rows[["gain_nats_low", "seeds_needed", "sd_seed"]].to_numpy(float)).all()
    word = answers(one)["word"]
    assert word.outcome == "undecided" and "too few seeds: 2 of 3" in word.reason


def test_every_control_beaten_is_helps():
    found = answers(evaluated(ALL, losses={"SM": 0.01, "F": 0.01}))
    assert (found["word"].case, found["word"].outcome) == ("HELPS", "met")
    assert "Content helps." in found["word"].sentence
    assert found["P"].outcome == "shown" and found["F"].outcome == "met"


def test_worse_free_runs_take_the_word_away():
    word = answers(evaluated(ALL, losses={"SM": 0.2, "F": 0.01}))["word"]
    assert word.case == "UNDECIDED" and "free runs are worse than F's" in word.reason


def test_one_row_that_does_as_well_is_no_benefit():
    word = answers(evaluated({**ALL, "SM1": ALL["SM"]}))["word"]
    assert (word.case, word.outcome) == ("NO BENEFIT", "not met")
    assert "An extra branch helps, not memory." in word.sentence


def test_an_arm_of_one_seed_more_is_paired_on_shared_seeds():
    one = evaluated(ALL)
    kept = one.scores.loc[~((one.scores["arm"] == "F") & (one.scores["seed"] == 2))]
    rows = choose(gains_table([one._replace(scores=kept)], 0.95), arm="SM", part="eval")
    counts = rows.set_index("against")["num_seeds"].to_dict()
    assert counts["F"] == 2 and counts["SMx"] == 3


def test_the_repeat_is_the_floor_and_no_training_of_its_own():
    one = evaluated(ALL)
    first = choose(one.scores, arm="SM", seed=0).assign(is_repeat=True)
    first["nll"] += 0.003 * first["num_frames"]
    again = choose(one.members, arm="SM", seed=0).assign(is_repeat=True)
    both = one._replace(
        scores=pd.concat([one.scores, first]), members=pd.concat([one.members, again])
    )
    table = generation_table([both], 0.95)
    assert len(table) == len(generation_table([one], 0.95))
    own = table.loc[table["repeat_difference_nats"].notna()]
    assert own[["arm", "seed"]].to_numpy().tolist() == [["SM", 0]]
    assert float(own["repeat_difference_nats"].iloc[0]) == pytest.approx(0.003)
    pd.testing.assert_frame_equal(gains_table([both], 0.95), gains_table([one], 0.95))


def test_a_loss_that_new_rows_take_away_was_replay():
    """SM loses .4 after 8 passes, and .02 where codes are dealt anew: more than half is gone."""
    found = answers(evaluated({**ALL, "SM1": ALL["SM"]}))
    assert "Replay explains the loss." in found["word"].sentence  # of a NO BENEFIT
    one = evaluated(ALL)
    kept = choose(one.replays, is_permuted=False)
    sentence = replay_sentence(replay_table([one._replace(replays=kept)], 0.95), 0.1)
    assert "No remedy was tried" in sentence
    again = one.replays.assign(
        nll=one.replays["nll"].where(~one.replays["is_permuted"], 29.3 * 400)
    )
    assert "does not explain" in replay_sentence(
        replay_table([one._replace(replays=again)], 0.95), 0.1
    )
    is_worse = (one.replays["arm"] == "SM") & (one.replays["part"] == "train")
    unlearned = one.replays.assign(nll=one.replays["nll"].where(~is_worse, 40 * 400))
    table = replay_table([one._replace(replays=unlearned)], 0.95)
    assert "no better on train: replay does not explain" in replay_sentence(table, 0.1)
    assert "no replay was trained" in replay_sentence(replay_table([], 0.95), 0.1)
    assert "no loss" in replay_sentence(replay_table([one], 0.95), 1.0)


def test_a_study_without_generators_publishes_empty_tables():
    assert list(generation_table([], 0.95).columns) == GENERATION.names()
    assert list(gains_table([], 0.95).columns) == GENERATION_GAINS.names()
    assert list(health_table([]).columns) == GENERATION_HEALTH.names()


def test_every_arm_with_a_memory_is_compared_with_sm():
    """Its docs say what a gain of SM over it means, so that gain has a row with an interval."""
    others = [name for name, arm in ARMS.items() if arm.source is not None and name != "SM"]
    pairs = pairs_of(list(ARMS))
    assert [name for name in others if ("SM", name) not in pairs] == []
    assert len(pairs) == len(set(pairs))


def test_a_word_says_that_free_runs_are_told_nothing():
    """Where eval frames are scored without the text too; else nothing is said of it."""
    one = evaluated({"SM": 0.0, "F": 0.4, "SMx": 0.4})
    plain, told = answers(one), answers(one._replace(scores=one.scores.assign(nll_untold=1.0)))
    said = {key: row.sentence for key, row in told.items() if row.is_deciding}
    assert said and all(sentence.endswith(TOLD) for sentence in said.values())
    assert not any(TOLD in row.sentence for row in plain.values())
