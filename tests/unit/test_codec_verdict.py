"""The sentence about null results is said from intervals only, and of other codecs only."""

import numpy as np
import pandas as pd
import pytest

from engram_audio.report.codec_verdict import NO, OPEN, UNMEASURED, YES, Question, answer, state_of

ASK = Question("gain", 0.1, "the gain", "bits/s")
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
    ("states", "outcome", "words"),
    [
        ({"mimi": YES, "mel": NO}, "no null", "none to explain"),
        ({"mimi": NO, "mel": YES, "dac": NO}, "the codec's", "mimi's own: mel gains"),
        ({"mimi": NO, "mel": NO, "dac": NO}, "audio's", "nor does mel, dac gain"),
        ({"mimi": NO, "mel": NO, "dac": OPEN}, "open", "dac may"),
        ({"mimi": NO, "mel": UNMEASURED}, "open", "no other codec was measured"),
        ({"mimi": NO, "mimi_slow": YES}, "open", "no other codec was measured"),
        ({"mimi": NO, "mel": YES, "dac": NO}, "the codec's", "(1 of 2 rows of other codecs)"),
        ({"mimi": NO, "dac_ahead": YES}, "open", "no other codec was measured"),
        ({"mimi": NO, "mel_noisy": NO, "mel_by_average": YES}, "open", "no other codec was"),
        ({"mimi": NO, "mel_by_stack": YES}, "the codec's", "mel_by_stack gains"),
        ({"mimi": OPEN, "mel": YES}, "open", "may gain or not"),
        ({"mimi": UNMEASURED, "mel": YES}, "open", "no row with an interval"),
        ({"mel": YES}, "open", "no row with an interval"),
    ],
)
def test_the_sentence_follows_from_the_rows(states: dict[str, str], outcome: str, words: str):
    view = answer(table(**states), "mimi", ASK)
    assert view.outcome == outcome and words in view.sentence
    assert (view.strip is None) == (states.get("mimi", UNMEASURED) == UNMEASURED)
