"""What the calibration answers: do known answers come out, and are planted bugs caught?"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import at_least, exact, judge
from engram_audio.verdicts.row import VerdictRow

STAGE = "calibration"


def verdict_rows(calibration: pd.DataFrame, document: Mapping[str, Any]) -> list[VerdictRow]:
    """Return the answers of the calibration.

    Args:
        calibration: `tables/calibration.csv`.
        document: `calibration.json`.
    """
    passes = calibration["passes"].map(str)
    judged = calibration.loc[passes.isin(["True", "False"])]
    is_right = judged["passes"].map(str) == "True"
    of_verdicts = is_right.loc[judged["kind"] == "verdict"]
    bugs = document["sabotage"]["bugs"]
    num_caught = sum(bool(bug["is_caught"]) for bug in bugs.values())
    return [
        _share_row(
            "Worlds with known answers", int(is_right.sum()), len(judged),
            f"{is_right.sum()} of {len(judged)} known answers come out within tolerance, "
            f"{of_verdicts.sum()} of {len(of_verdicts)} verdicts as known.",
        ),
        _share_row(
            "Planted bugs", num_caught, len(bugs),
            f"{num_caught} of {len(bugs)} planted bugs are caught: {_by_stage(bugs)}.",
        ),
    ]  # fmt: skip


def _by_stage(bugs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how many are caught in each stage, so that a stage without any is seen."""
    found: dict[str, list[bool]] = {}
    for bug in bugs.values():
        found.setdefault(str(bug["stage"]), []).append(bool(bug["is_caught"]))
    return "; ".join(f"{stage} {sum(own)} of {len(own)}" for stage, own in found.items())


def _share_row(case: str, num_right: int, num_all: int, sentence: str) -> VerdictRow:
    share = exact(num_right / num_all if num_all else float("nan"))
    asked = at_least(1)
    judged = judge(share, asked)
    return VerdictRow(STAGE, WORDS[STAGE], "", case, judged, sentence, share, asked, "share")
