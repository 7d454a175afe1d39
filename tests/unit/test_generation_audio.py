"""How generators sound: what is drawn, what is scored, and when nothing is read."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import write_csv
from engram_audio.audio_scores.hearing import Heard
from engram_audio.audio_scores.names import (
    BY_NAME,
    CONTINUATION,
    FREE,
    ORIGINAL,
    OTHER,
    ROUND_TRIP,
    WHOLE,
    every,
)
from engram_audio.audio_scores.quality import Quality
from engram_audio.generation.audio_columns import (
    GENERATION_AUDIO,
    GENERATION_AUDIO_GAINS,
    OF_DISTANCE,
)
from engram_audio.generation.audio_scoring import Listened, Place, distance_rows, score_rows
from engram_audio.generation.audio_tables import (
    Loss,
    Told,
    audio_gains_table,
    audio_table,
    normalised,
    word_of,
)
from engram_audio.generation.continuation import continued_frames
from engram_audio.generation.density import as_step_density
from engram_audio.report.audio_view import audio_note, audio_tables
from tests.unit.generation_audio_material import sounded
from tests.unit.generator_material import NGRAM, arm, frames, insertion, settings

TRUE = frames(1, 20)[0].numpy()


def drawn() -> np.ndarray:
    return continued_frames(as_step_density(arm("SM")), TRUE, 5, None, seed=3).frames


def test_a_continuation_keeps_its_prompt_and_is_drawn_anew_by_seed():
    found = drawn()
    np.testing.assert_array_equal(found[:5], TRUE[:5])
    assert np.isfinite(found).all() and not np.isclose(found[5:], TRUE[5:]).all(axis=1).any()
    np.testing.assert_array_equal(found, drawn())


@pytest.mark.parametrize("prompt", [1, 3])
def test_the_first_draws_do_not_look_at_later_frames(prompt: int):
    """A draw sees the frames before it, also where they are fewer than its key or context."""
    changed = TRUE.copy()
    changed[9:] += 1.0
    density = as_step_density(arm("SM", memory=insertion(NGRAM)))
    first, second = (continued_frames(density, x, prompt, 1, 0).frames for x in (TRUE, changed))
    np.testing.assert_array_equal(first[:10], second[:10])
    assert not np.isclose(first[10:], second[10:]).all()


def test_injections_go_on_from_true_frames():
    """With one after every draw the course of the draws does not matter; without it does."""
    density = as_step_density(arm("SM"))
    whole = continued_frames(density, TRUE, 4, 1, 0).frames
    once = continued_frames(density, TRUE, 4, len(TRUE), 0).frames
    np.testing.assert_array_equal(whole[4], once[4])
    assert not np.isclose(whole[5], once[5]).all()
    twice = continued_frames(density, TRUE, 4, 2, 0).frames
    np.testing.assert_array_equal(twice[5], once[5])  # the first pair is free
    assert not np.isclose(twice[6], once[6]).all()


def test_arms_draw_with_the_same_random_numbers():
    """A wider arm takes as many of them, so that arms of one law give one course."""
    plain, wider = (as_step_density(arm("F", own=settings(width=width), is_stirred=False))
                    for width in (16, 32))  # fmt: skip
    # without outputs arms are one law
    for density in (plain, wider):
        for name, parameter in density.generator.head.named_parameters():
            if name.startswith(("output", "release")):
                parameter.data.zero_()
    first, second = (
        continued_frames(density, TRUE, 4, None, 1).frames for density in (plain, wider)
    )
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_a_path_that_leaves_the_data_stays_where_it_was():
    """Its draws become no noise at full volume, and they are counted."""
    density = as_step_density(arm("F"))
    dimensions = density.generator.spec.dimensions
    far = TRUE + 1000 * dimensions.frame_sd  # the base follows a far prompt
    found = continued_frames(density, far.astype(np.float32), 5, None, 0)
    held = found.frames
    np.testing.assert_array_equal(held[5:], np.repeat(held[4:5], len(held) - 5, axis=0))
    assert found[1:] == (len(TRUE) - 5, len(TRUE) - 5)
    assert continued_frames(density, TRUE, 5, None, 0)[1:] == (0, len(TRUE) - 5)


def heard(text: str | None, level: float = 0.1, voice: float = 1.0) -> Heard:
    parts = np.tile([voice, math.sqrt(1 - voice**2)], (6, 1))
    return Heard(2.0, np.full(100, level), text, parts, Quality(3.0, 3.0, 3.0))


def listened(name: str, speaker: str, read: str, original: str, again: str) -> Listened:
    clips = {
        Place(condition, "", scope): heard(text)
        for condition, text in ((ORIGINAL, original), (ROUND_TRIP, again))
        for scope in (WHOLE, CONTINUATION)
    }
    clips[Place(FREE, "SM", CONTINUATION)] = heard("something else", voice=0.6)
    clips[Place(every(1), "SM", WHOLE)] = heard(again)
    rng = np.random.default_rng(len(name))
    mels = {place: rng.standard_normal((400, 3)) for place in clips}
    replaced = {Place(FREE, "SM", CONTINUATION): (len(name) - 1.0, 10.0)}
    return Listened(name, speaker, read, clips, mels, replaced)


UTTERANCES = [
    listened("u1", "a", "one two three", "one two three", "one two tree"),
    listened("u22", "a", "one two six", "one two six", "one two six"),
    listened("u333", "b", "seven eight nine", "what was that", "what is that"),
]


def scores(rows: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    kept = np.logical_and.reduce([rows[name] == value for name, value in wanted.items()])
    return rows.loc[kept]


def test_words_count_where_the_original_is_understood():
    """u333's original is not; other scores count it. A free run has no transcript."""
    rows = score_rows(UTTERANCES, 0.35, str.lower)
    words = scores(rows, score="wer", condition=ROUND_TRIP)
    assert words[["utterance_id", "numerator", "denominator"]].to_numpy().tolist() == [
        ["u1", 1.0, 3.0], ["u22", 0.0, 3.0],
    ]  # fmt: skip
    assert len(scores(rows, score="speaker_cosine", condition=ROUND_TRIP, scope=WHOLE)) == 3
    assert scores(rows, score="wer", condition=FREE).empty
    assert len(scores(score_rows(UTTERANCES, 9.0, str.lower), score="wer", condition=FREE)) == 0


def test_the_share_of_replaced_draws_is_published():
    """Of u1, u22 and u333 one, two and three draws of ten; other clips have no draws."""
    rows = score_rows(UTTERANCES, 0.35, str.lower)
    one = sounded(0.1, 0.2)._replace(scores=rows)
    table = scores(audio_table([one], 0.95), score="replaced_share")
    made = scores(table, condition=FREE)
    assert made["value"].tolist() == [pytest.approx(6 / 30)]
    assert set(table["arm"]) == {"SM"} and made["num_utterances"].tolist() == [3]


def test_the_floor_is_another_speaker():
    """u1's is u333, not u22 of the same speaker, who says nearly the same."""
    rows = score_rows(UTTERANCES, 9.0, str.lower)
    other = scores(rows, score="wer", condition=OTHER, utterance_id="u1")
    assert other["numerator"].tolist() == [3.0]
    own = scores(rows, score="consistency", condition=OTHER, utterance_id="u333", scope=WHOLE)
    assert own["numerator"].tolist() == [3.0]


def test_distances_stand_beside_true_speech_against_itself():
    rows = distance_rows(UTTERANCES)
    assert list(rows.columns) == list(OF_DISTANCE)
    true = scores(rows, condition=ORIGINAL, scope=WHOLE, score="mel_energy_distance")["value"]
    assert abs(true.iloc[0]) < 0.05  # noise against noise
    frechet = scores(rows, condition=ORIGINAL, score="mel_frechet_distance")["value"]
    assert float(np.min(frechet.to_numpy(float))) > 0  # and not against itself
    free = scores(rows, condition=FREE, score="speaker_energy_distance")["value"]
    assert float(free.iloc[0]) > 0.1


@pytest.mark.parametrize(
    ("gain", "loss", "word"),
    [(0.1, 0.05, "better"), (-0.1, 0.05, "worse"), (0.04, 0.05, "not told apart")],
)
def test_nothing_smaller_than_the_codecs_own_loss_is_read(gain: float, loss: float, word: str):
    row = audio_gains_table([sounded(gain, loss)], 0.95).iloc[0]
    assert row["num_seeds"] == 3
    assert row["gain"] == pytest.approx(gain)
    assert row["resolution"] == pytest.approx(loss)
    assert row["word"] == word


def test_scores_are_normalised_between_floor_and_round_trip():
    table = audio_table([sounded(0.1, 0.2)], 0.95)
    place = scores(table, arm="F", score="speaker_cosine")
    assert place["normalised"].iloc[0] == pytest.approx((0.5 - 0.2) / (0.8 - 0.2), abs=0.02)
    assert scores(table, condition=ROUND_TRIP)["normalised"].dropna().tolist() == [1.0]
    assert scores(table, condition=OTHER)["normalised"].dropna().tolist() == [0.0]


def test_fewer_errors_are_a_gain_of_words_that_few_utterances_do_not_tell():
    one = sounded(-0.1, -0.05)
    table = one.scores.assign(score="wer")
    row = audio_gains_table([one._replace(scores=table)], 0.95).iloc[0]
    assert row["gain"] == pytest.approx(0.1)
    assert (row["word"], row["reason"]) == ("not read", "8 of 200 utterances")


def test_less_is_better_for_error_rates():
    assert normalised(0.4, 1.0, 0.2, BY_NAME["wer"]) == pytest.approx(0.75)
    assert math.isnan(normalised(0.4, 0.2, 0.5, BY_NAME["wer"]))  # a floor that is no floor


@pytest.mark.parametrize(
    ("bounds", "loss", "word"),
    [
        ((0.2, 0.3), (0.32, 0.35), "not told apart"),
        ((0.2, 0.3), (0.25, 0.35), "undecided"),  # the loss may be smaller than the gain
        ((0.2, 0.3), (0.0, 0.35), "undecided"),  # nobody knows that there is a loss
        ((0.2, 0.5), (0.32, 0.35), "undecided"),
        ((0.36, 0.5), (0.0, 0.35), "better"),
        ((-0.5, -0.36), (0.0, 0.35), "worse"),
        ((0.2, 0.5), (math.nan, math.nan), "undecided"),
    ],
)
def test_a_difference_is_the_codecs_own_only_where_its_loss_is_known(
    bounds: tuple[float, float], loss: tuple[float, float], word: str
):
    """The farther end of the loss asks for more of a difference, the nearer one excuses less."""
    told = Told(bounds, Loss(*loss), 3, 20)
    assert word_of("speaker_cosine", every(1), told, 200)[0] == word


@pytest.mark.parametrize("loss_sd", [0.0, 0.2, 0.5, 2.0])
def test_the_less_is_known_of_the_loss_the_less_is_excused(loss_sd: float):
    """Eight speakers at .2 -+ s: their SD is s sqrt(8 / 7), the SE that / sqrt 7; t(7) is 2.365."""
    row = audio_gains_table([sounded(0.1, 0.2, loss_sd=loss_sd)], 0.95).iloc[0]
    half = 2.365 * loss_sd * 8**0.5 / 7
    assert row["resolution"] == pytest.approx(0.2 + half, abs=1e-3)
    assert row["certain_loss"] == pytest.approx(max(0.2 - half, 0.0), abs=1e-3)
    assert row["word"] == ("undecided" if loss_sd else "not told apart")


@pytest.mark.parametrize(("num_seeds", "reason"), [(1, "one seed"), (2, "2 seeds")])
def test_few_training_seeds_tell_nothing(num_seeds: int, reason: str):
    """Speakers alone give the interval of one trained network: there is none here."""
    row = audio_gains_table([sounded(0.4, 0.05, num_seeds=num_seeds)], 0.95).iloc[0]
    assert (row["word"], row["reason"], row["num_seeds"]) == ("undecided", reason, num_seeds)
    assert math.isnan(row["gain_low"]) and row["gain"] == pytest.approx(0.4)


def test_seeds_that_differ_widen_the_interval():
    """Gains of -.1, .1 and .3 in every utterance: SE .2 / sqrt 3, and t(2) is 4.30."""
    row = audio_gains_table([sounded(0.1, 0.05, seed_sd=0.2)], 0.95).iloc[0]
    assert row["gain"] == pytest.approx(0.1)
    assert row["gain_high"] - row["gain"] == pytest.approx(4.303 * 0.2 / 3**0.5, rel=1e-3)
    assert row["word"] == "undecided"


@pytest.mark.parametrize(
    ("score", "condition", "count", "reason"),
    [
        ("wer", every(1), 199, "199 of 200 utterances"),
        ("consistency", FREE, 500, "a free continuation has no words to be right about"),
        ("silence_share", FREE, 500, "neither direction is better"),
    ],
)
def test_what_is_never_read(score: str, condition: str, count: int, reason: str):
    told = Told((0.5, 0.6), Loss(0.1, 0.1), 3, count)
    assert word_of(score, condition, told, 200) == ("not read", reason)


def test_an_absent_evaluator_is_named_and_leaves_its_scores_empty():
    table = audio_table([sounded(0.1, 0.2, absent=("words", "quality"))], 0.95)
    words = scores(table, score="wer", condition=ROUND_TRIP).iloc[0]
    assert math.isnan(words["value"]) and "make audio" in words["note"]
    assert scores(table, score="speaker_cosine", condition=ROUND_TRIP)["note"].tolist() == [""]


def test_a_study_that_hears_nothing_publishes_empty_tables():
    assert audio_table([], 0.95).empty and audio_gains_table([], 0.95).empty


@pytest.mark.parametrize("absent", [(), ("words",)])
def test_the_page_reads_published_tables(absent: tuple[str, ...], tmp_path: Path):
    """Empty text cells come back as NaN: they are no absent evaluator and no arm."""
    found = [sounded(0.1, 0.2, absent=absent)]
    tables = {
        GENERATION_AUDIO: audio_table(found, 0.95),
        GENERATION_AUDIO_GAINS: audio_gains_table(found, 0.95),
    }
    read = {}
    for declared, table in tables.items():
        write_csv(tmp_path / declared.name, table, declared, {})
        read[declared.name] = read_csv(tmp_path / declared.name, declared)
    data: Any = SimpleNamespace(
        table=read.__getitem__, settings=SimpleNamespace(maximum_table_rows=400)
    )
    assert ("wer" in audio_note(data)) == bool(absent)
    assert "speaker_cosine" not in audio_note(data)
    gains, scores_view = audio_tables(data)
    assert len(gains.rows) == 1
    shown = {cells[2].text for is_first, cells in scores_view.rows if is_first}
    assert shown == {"SM", "F"}  # others stand below
