"""What a probe measures, as sums by speaker: a table makes ratios with intervals of them.

Shapes: M frames or pairs.
"""

import numpy as np
import pandas as pd

NO_SPEAKER = ""  # of numbers of the model itself
MEASURED = ("probe", "condition", "measure")
COLUMNS = (*MEASURED, "speaker_id", "numerator", "denominator")


def speaker_sums(
    probe: str, condition: str, measure: str, speakers: np.ndarray, numerator: np.ndarray,
    denominator: np.ndarray | float = 1.0,
) -> pd.DataFrame:  # fmt: skip
    """Return one row per speaker: the sums whose ratio over all speakers is the measure.

    Args:
        probe: Its name.
        condition: What was done to the model or to its keys.
        measure: What was measured.
        speakers: Of each frame, [M].
        numerator: [M].
        denominator: [M], or one number for all.
    """
    rows = pd.DataFrame(
        {
            "speaker_id": speakers,
            "numerator": np.asarray(numerator, np.float64),
            "denominator": np.broadcast_to(np.asarray(denominator, np.float64), len(speakers)),
        }
    )
    groups = rows.groupby("speaker_id", sort=True)
    found = groups.agg(numerator=("numerator", "sum"), denominator=("denominator", "sum"))
    return labelled(probe, condition, measure, pd.DataFrame(found).reset_index())


def of_model(probe: str, condition: str, measures: dict[str, float]) -> pd.DataFrame:
    """Return numbers that no speaker stands behind, one row each."""
    return pd.concat([
        labelled(probe, condition, measure, pd.DataFrame(
            {"speaker_id": [NO_SPEAKER], "numerator": [value], "denominator": [1.0]}
        ))
        for measure, value in measures.items()
    ], ignore_index=True)  # fmt: skip


def labelled(probe: str, condition: str, measure: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return sums with what they are of."""
    told = rows.assign(probe=probe, condition=condition, measure=measure)
    return pd.DataFrame(told, columns=list(COLUMNS))
