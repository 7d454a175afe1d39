"""The published table of the step's directions, given the state."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from engram_audio.corpus.split_parts import EVAL
from engram_audio.keys.columns import KEY_DIRECTIONS
from engram_audio.keys.directions import REVERSION
from engram_audio.keys.law_tables import described
from engram_audio.latents.config import SURROGATE_MARK
from engram_audio.stats.estimate import paired_difference
from engram_audio.stats.ratio import ratio_of_sums


class DirectionRun(NamedTuple):
    """Sums of one representation at one lag.

    Attributes:
        representation: Name.
        split_seed: Seed of the split.
        lag_frames: k.
        sums: By key, comparison, part and speaker.
    """

    representation: str
    split_seed: int
    lag_frames: int
    sums: pd.DataFrame


def directions_table(runs: Sequence[DirectionRun], confidence: float) -> pd.DataFrame:
    """Return one row per representation, lag, key and comparison, surrogates left out."""
    rows = [
        row
        for run in runs
        if SURROGATE_MARK not in run.representation
        for row in _rows(run, confidence)
    ]
    return KEY_DIRECTIONS.arrange(pd.DataFrame(rows, columns=KEY_DIRECTIONS.names()))


def _rows(run: DirectionRun, confidence: float) -> Iterator[dict[str, Any]]:
    sums = run.sums.loc[run.sums["part"] == EVAL]
    for (key, num_codes, num_directions), own in sums.groupby(
        ["key", "num_codes", "num_directions"], sort=False
    ):
        nats, angle = (
            {
                str(case): ratio_of_sums(
                    rows.sort_values("speaker_id")[column].to_numpy(float),
                    rows.sort_values("speaker_id")["num_frames"].to_numpy(float),
                )
                for case, rows in own.groupby("case", sort=False)
            }
            for column in ("nats", "angle")
        )
        frames = own.groupby("case", sort=False)["num_frames"].sum()
        for case, estimate in nats.items():
            over = paired_difference(estimate, nats[REVERSION])
            yield {
                "representation": run.representation, "split_seed": run.split_seed,
                "lag_frames": run.lag_frames, "key": key, "num_codes": num_codes, "case": case,
                "num_directions": num_directions,
                **described("angle_deg", angle[case], confidence),
                **described("nats", estimate, confidence),
                **described("over_reversion_nats", over, confidence),
                "num_frames": int(frames[case]), "num_speakers": int(estimate.num_units),
            }  # fmt: skip
