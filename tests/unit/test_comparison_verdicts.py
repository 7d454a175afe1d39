"""The sentence about null results is said from intervals only, and of other codecs only."""

import numpy as np
import pandas as pd
import pytest

from engram_audio.comparison.verdicts import (
    UNMEASURED,
    Quantity,
    answer,
    state_of,
    verdict_rows,
)
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED, above
from tests.report_codec_tables import REGISTERED, published

YES, NO, OPEN = MET, NOT_MET, UNDECIDED
ASK = Quantity("gain", above(0.1), "the gain", "bits/s")
ENDS = {YES: (0.2, 0.4), NO: (-0.1, 0.05), OPEN: (0.0, 0.3), UNMEASURED: (np.nan, np.nan)}


def table(**states: str) -> pd.DataFrame:
    """One row for each name; what stands before `_` is the family."""
    rows = [
        {
            "representation": name, "family": name.split("_")[0], "gain": sum(ENDS[state]) / 2,
            "is_causal": not name.endswith("_ahead"), "resampled": name.partition("_by_")[2],
            "noise_to_signal": 0.3 if name.endswith("_noisy") else np.nan,
            "gain_low": ENDS[state][0], "gain_high": ENDS[state][1],
        }
        for name, state in states.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("state", list(ENDS))
def test_a_state_follows_from_the_interval_and_the_threshold(state: str):
    assert state_of(table(mimi=state).to_dict("records")[0], ASK) == state


@pytest.mark.parametrize(
    ("states", "outcome", "reason", "words"),
    [
        ({"mimi": YES, "mel": NO}, MET, "no null result", "none to explain"),
        ({"mimi": NO, "mel": YES, "dac": NO}, NOT_MET, "the codec's", "mimi's own: mel gains"),
        ({"mimi": NO, "mel": NO, "dac": NO}, NOT_MET, "audio's", "nor does mel, dac gain"),
        ({"mimi": NO, "mel": NO, "dac": OPEN}, NOT_MET, "open elsewhere", "dac may"),
        ({"mimi": NO, "mel": UNMEASURED}, NOT_MET, "open elsewhere", "no other codec was measured"),
        ({"mimi": NO, "mimi_slow": YES}, NOT_MET, "open elsewhere", "no other codec was measured"),
        ({"mimi": NO, "mel": YES, "dac": NO}, NOT_MET, "the codec's", "(1 of 2 rows of other"),
        ({"mimi": NO, "dac_ahead": YES}, NOT_MET, "open elsewhere", "no other codec was measured"),
        (
            {"mimi": NO, "mel_noisy": NO, "mel_by_average": YES},
            NOT_MET,
            "open elsewhere",
            "no other",
        ),
        ({"mimi": NO, "mel_by_stack": YES}, NOT_MET, "the codec's", "mel_by_stack gains"),
        ({"mimi": OPEN, "mel": YES}, UNDECIDED, "open", "may gain or not"),
        ({"mimi": UNMEASURED, "mel": YES}, UNDECIDED, "no interval", "no row with an interval"),
        ({"mel": YES}, UNDECIDED, "no interval", "no row with an interval"),
    ],
)
def test_the_sentence_follows_from_the_rows(
    states: dict[str, str], outcome: str, reason: str, words: str
):
    row = answer(table(**states), "mimi", ASK)
    assert (row.outcome, row.reason) == (outcome, reason) and words in row.sentence


def test_the_threshold_of_keys_is_the_gates():
    """Mimi's key adds .03 [.02, .04], the gate asks for .05; mel's .1 [.09, .11]."""
    codecs, _ = published()
    keys, heads = verdict_rows(codecs, REGISTERED)
    assert keys.asked == above(REGISTERED.operative_gate.minimum_added_fraction)
    assert keys.outcome == NOT_MET and "mel gains" in keys.sentence
    assert "mimi_slow" not in keys.sentence
    assert heads.outcome == MET and heads.asked == above(0.0)
    assert heads.measured.low > 0
