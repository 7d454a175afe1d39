"""What the page adds to the table of keys: the share of what the best head gains."""

import numpy as np
import pytest

from engram_audio.artifacts.columns import choose
from engram_audio.report.sections.keys import OF_HEAD, shares_of_best_head
from tests.report_law_tables import LEARNED, NATS, law_run, published
from tests.report_prediction_tables import with_prediction
from tests.report_tables import report_data

INFORMATION = 97.0 - 83.0  # of the Student-t mixture over its own family without context
GAIN = 86.0 - 83.0  # over ridge, the best null


def test_a_keys_share_of_the_best_head():
    """Alone over what the head knows, beside the linear base over what it gains on the null."""
    data = with_prediction(report_data(), surrogate=False)
    runs = [law_run(base=base)._replace(lag_frames=1) for base in ("none", "linear")]
    table = published(*runs, law_run(base="linear"))
    table[OF_HEAD] = shares_of_best_head(data, table)
    rows = choose(table, key=LEARNED)
    places = zip(rows["lag_frames"], rows["base"], strict=True)
    own = dict(zip(places, rows[OF_HEAD].astype(float), strict=True))
    assert own[1, "none"] == pytest.approx(NATS[LEARNED] / INFORMATION, rel=0.1)
    assert own[1, "linear"] == pytest.approx(NATS[LEARNED] / GAIN, rel=0.1)
    assert np.isnan(own[2, "linear"]), "at this lag no head beats the best null"


def test_without_heads_no_share_is_known():
    """A study that scores no head shows none."""
    table = published(law_run())
    assert np.isnan(shares_of_best_head(report_data(), table)).all()
