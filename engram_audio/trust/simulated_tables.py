"""Sums of simulated studies -> rows of the published table; the stage's own estimates make them.

Shapes: N studies, S speakers of a study, D dimensions.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from engram_audio.stats.estimate import uncertain
from engram_audio.structure.comparisons import put_judged
from engram_audio.structure.estimates import (
    CELL,
    KEY_CELL,
    SUMS,
    PartEstimates,
    ScoreCube,
    estimate_part,
    rows_of,
    transfer_loss,
)
from engram_audio.structure.joint import added_nats
from engram_audio.trust import simulated_fit as small
from engram_audio.trust.simulated_fit import Sums

KEY, ORACLE = "pca.raw.kmeans", "target_oracle.kmeans"
FREEDOM = 20.0  # of rows that lie far away
FAR_AWAY = (
    "excluded_mass", "oracle_excluded_mass", "cost_of_fitting", "oracle_cost_of_fitting",
    *(f"control_{name}{end}" for name in ("permuted", "swapped") for end in ("", "_se")),
)  # fmt: skip
Rows = list[dict[str, Any]]


def study_rows(sums: Sequence[Sums], num_studies: int, confidence: float) -> list[Rows]:
    """Return each study's row of the published table, without transfer loss, for each of the sums.

    Args:
        sums: Of the same speakers: other keys, other slices. Speakers of a study are adjacent.
        num_studies: N.
        confidence: Level of two-sided intervals.
    """
    estimates = _estimates(sums, num_studies)
    place = np.arange(num_studies * len(sums))
    table = pd.DataFrame({"status": ["ok"] * len(place)})
    put_judged(table, "added_fraction", rows_of(estimates.added_fraction, place), confidence)
    put_judged(table, "added_nats_per_frame", rows_of(estimates.added_nats, place), confidence)
    table["attainable"] = estimates.attainable.value[place]
    table["num_effective_speakers"] = estimates.linear_r2.num_effective[place]
    table["num_speakers"] = table["num_frames"] = sums[0].zero.size // num_studies
    table["codebook_size"] = small.NUM_CELLS
    table[list(FAR_AWAY)] = 0.0
    table[["control_permuted_df", "control_swapped_df"]] = FREEDOM
    rows = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
    return [rows[start : start + num_studies] for start in range(0, len(rows), num_studies)]


def transfer_columns(new: Sums, known: Sums, num_studies: int, confidence: float) -> Rows:
    """Return what each study's key loses between known speakers and new ones."""
    on_eval, on_val = (_estimates([one], num_studies).added for one in (new, known))
    place = np.arange(num_studies)
    loss = transfer_loss(
        uncertain(rows_of(on_eval, place)), uncertain(rows_of(on_val, place)), confidence
    )
    names = [f"transfer_loss{end}" for end in ("", "_low", "_high")]
    return [dict(zip(names, map(float, cells), strict=True)) for cells in zip(*loss, strict=True)]


def _estimates(sums: Sequence[Sums], num_studies: int) -> PartEstimates:
    """Estimate all studies at once: the number of cells tells the studies apart."""
    count = num_studies * len(sums)
    cells = pd.DataFrame(
        {
            "key": [KEY] * count + [ORACLE] * count,
            "codebook_size": np.tile(np.arange(count), 2), "lag_frames": small.LAG_FRAMES,
            "slice": "all", "subspace": "all", "control": "none",
        },
        columns=CELL,
    )  # fmt: skip
    key = _joined(
        sums, num_studies, lambda one: (one.joint.sum(1) + one.cost_joint, one.cost_joint)
    )
    oracle = _joined(sums, num_studies, lambda one: (one.oracle, one.cost_oracle))
    tables = {name: np.zeros((2 * count, key["sse_zero"].shape[1])) for name in SUMS}
    for name, values in key.items():
        tables[name] = np.concatenate([values, oracle[name]])
    nats = [added_nats(*pair) for one in sums for pair in _by_study(one, num_studies)]
    tables["nats_influence"][:count] = [one.influence for one in nats]
    keys = cells.loc[:, KEY_CELL].copy()
    keys["added_nats_eval"] = [one.value for one in nats] + [np.nan] * count
    speakers = np.arange(tables["sse_zero"].shape[1]).astype(str)
    return estimate_part(ScoreCube(cells, speakers, tables), keys, "eval")


def _joined(sums: Sequence[Sums], num_studies: int, joint_of: Any) -> dict[str, np.ndarray]:
    """Return the sums that estimates want, one row for each study of each of the sums."""
    parts: dict[str, list[np.ndarray]] = {}
    for one in sums:
        joint, cost = joint_of(one)
        found = {
            "num_frames": one.num_frames, "sse_zero": one.zero, "sse_key": one.key,
            "cost_key": one.cost_key, "sse_linear": one.linear.sum(1), "sse_joint": joint,
            "cost_joint": cost, "num_informed": one.num_frames,
        }  # fmt: skip
        for name, values in found.items():
            parts.setdefault(name, []).append(values.reshape(num_studies, -1))
    return {name: np.concatenate(values) for name, values in parts.items()}


def _by_study(sums: Sums, num_studies: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    shape = (num_studies, -1, sums.linear.shape[1])
    yield from zip(sums.linear.reshape(shape), sums.joint.reshape(shape), strict=True)
