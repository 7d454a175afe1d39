"""Which nulls a gain may be held against: the same event, and what the past alone tells."""

import pandas as pd
import torch

from engram_audio.densities.base import Batch
from engram_audio.densities.comparison import SumTable, choose_baselines
from engram_audio.densities.density import event_offset
from engram_audio.densities.events import ANY_LAG, SPEAKER_NULL

# Score of each null, by the lag that it is of; the marginal of position scores best.
NULLS = {
    ("gaussian_marginal_delta", ANY_LAG): 3.0, ("gaussian_marginal_position", ANY_LAG): 1.0,
    ("ridge", 1): 2.5, ("ridge", 2): 2.5, (SPEAKER_NULL, 1): 0.5, (SPEAKER_NULL, 2): 0.5,
}  # fmt: skip


def table() -> SumTable:
    rows = [
        {"model": model, "lag_frames": lag, "event": "delta", "part": part, "slice": "all",
         "speaker_id": speaker, "num_frames": 10.0, "nll": 10 * score}
        for (model, lag), score in NULLS.items()
        for part in ("val", "select", "eval")
        for speaker in ("a", "b")
    ]  # fmt: skip
    return SumTable(pd.DataFrame(rows))


def test_a_marginal_of_position_is_a_null_of_delta_at_lag_one_only():
    """There x_{t-1} is known; at lag 2 a density of x_t is one of another event."""
    names = {lag: table().null_names([], lag, "delta") for lag in (1, 2)}
    assert "gaussian_marginal_position" in names[1]
    assert "gaussian_marginal_position" not in names[2]
    best = {lag: choose_baselines(table(), [], lag, "delta") for lag in (1, 2)}
    assert best[1] is not None and best[1].best == "gaussian_marginal_position"
    assert best[2] is not None and best[2].best == "ridge"
    assert (best[1].space, best[2].space) == ("position", "delta")
    assert best[1].space_marginal == "gaussian_marginal_position"


def test_a_null_that_hears_the_speakers_other_utterances_never_decides():
    for lag in (1, 2):
        assert SPEAKER_NULL in table().null_names([], lag, "delta")
        assert SPEAKER_NULL not in table().past_nulls([], lag, "delta")
        found = choose_baselines(table(), [], lag, "delta")
        assert found is not None and found.best != SPEAKER_NULL


def test_an_offset_turns_a_value_of_one_event_into_the_others():
    """x_t - x_{t-1} of x_t at lag 1, and x_t of the step; nothing where both are one."""
    context, previous, current = torch.randn(4, 3, 2), torch.randn(4, 2), torch.randn(4, 2)
    batch = Batch(context, previous, current, torch.zeros(4, 2))
    to_delta, to_position = (
        event_offset(batch, *events, 1) for events in (("position", "delta"), ("delta", "position"))
    )
    torch.testing.assert_close(current + to_delta, current - previous)
    torch.testing.assert_close((current - previous) + to_position, current)
    assert not event_offset(batch, "delta", "delta", 2).any()
