"""Synthetic score tables of the structure stage: known ratios for each speaker."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

NUM_FRAMES = 400
SIZE = 64
CONTROL_SD = 0.005
KEY = f"pca.raw.kmeans_{SIZE}"
ORACLE = f"target_oracle.kmeans_{SIZE}"


class Planted(NamedTuple):
    """What a key explains and adds on each part, and what else the tables should say.

    Shares are of the error about the grand mean. Ridge explains `linear`, the oracle adds
    `attainable` to it, and fitting the cells of both costs `cost`.
    """

    val: float = 0.1
    select: float = 0.1
    eval: float = 0.1
    explained: float = 0.3
    linear: float = 0.2
    attainable: float = 0.4
    cost: float = 0.01
    nats: float = 0.5
    speaker_sd: float = 0.02
    control_permuted: float = 0.0
    control_swapped: float = 0.0
    excluded_val: float = 0.0
    excluded_eval: float = 0.0
    status: str = "ok"
    num_speakers: int = 20
    parts: tuple[str, ...] = ("val", "select", "eval")


def tables(
    planted: Planted, seed: int = 0, lags: tuple[int, ...] = (1, 2),
    slices: tuple[str, ...] = ("all",), noise_seed: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Return scores and keys; frames are the same for key, oracle and controls of a speaker.

    A surrogate of the same representation takes the same `seed` and another `noise_seed`.
    """
    rng = np.random.default_rng(seed)
    noise = np.random.default_rng(seed if noise_seed is None else noise_seed)
    sizes = {
        part: rng.integers(NUM_FRAMES // 2, NUM_FRAMES * 2, size=planted.num_speakers)
        for part in planted.parts
    }
    scores, keys = [], []
    for lag in lags:
        for slice_name in slices:
            place = {"codebook_size": SIZE, "lag_frames": lag, "slice": slice_name}
            for name in (KEY, ORACLE):
                controls = ("none", "permuted", "swapped") if name == KEY else ("none",)
                for control in controls:
                    status = planted.status if name == KEY else "ok"
                    keys.append(_key(name, place, control, status, planted))
                    if status == "ok":
                        scores += _scores(name, place, control, planted, sizes, noise)
    return pd.DataFrame(scores), pd.DataFrame(keys)


def _added(planted: Planted, name: str, control: str, part: str) -> float:
    if name == ORACLE:
        return planted.attainable
    if control != "none":
        return getattr(planted, f"control_{control}") * planted.attainable
    return float(getattr(planted, part))


def _scores(
    name: str, place: dict[str, Any], control: str, planted: Planted,
    sizes: dict[str, np.ndarray], noise: np.random.Generator,
) -> list[dict[str, Any]]:  # fmt: skip
    rows = []
    for part, own in sizes.items():
        spread = planted.speaker_sd if control == "none" else CONTROL_SD
        added = _added(planted, name, control, part)
        each = added + spread * noise.normal(size=len(own))
        excluded = getattr(planted, f"excluded_{part}", 0.0) if name == KEY else 0.0
        alone = {"sse_key": 1 - planted.explained + planted.cost, "cost_key": planted.cost}
        for speaker, (size, share) in enumerate(zip(own, each, strict=True)):
            joint = 1 - planted.linear - share + planted.cost
            sums = {
                "sse_zero": 1.0,
                **(alone if name == KEY else dict.fromkeys(alone, np.nan)),
                "sse_linear": 1 - planted.linear, "sse_joint": joint, "cost_joint": planted.cost,
                "nats_influence": (share - each.mean()) / len(own) if name == KEY else np.nan,
                "information_nats": 0.25,
            }  # fmt: skip
            rows.append(
                {
                    "key": name, **place, "subspace": "all", "control": control, "part": part,
                    "speaker_id": f"{part}-{speaker:03d}", "num_frames": int(size),
                    "num_excluded": round(excluded * size), "num_informed": int(size),
                    **{
                        key: value * (1 if key == "nats_influence" else float(size))
                        for key, value in sums.items()
                    },
                }
            )  # fmt: skip
    return rows


def _key(
    name: str, place: dict[str, Any], control: str, status: str, planted: Planted
) -> dict[str, Any]:
    known = status == "ok"
    nats = planted.nats if known and name == KEY and control == "none" else np.nan
    return {
        "key": name, **place, "control": control, "status": status, "num_cells": SIZE,
        "num_effective_cells": SIZE if known else 0, "num_train_frames": 10_000,
        "key_entropy_nats": np.log(SIZE) / 2 if known else np.nan, "is_lower_bound": False,
        **{f"added_nats_{part}": nats for part in ("val", "select", "eval")},
    }  # fmt: skip


def linear_table(num_speakers: int = 20) -> pd.DataFrame:
    """Return linear baselines: ridge .4, AR(1) .3, white noise .5 at lag 1; 0 at lag 2."""
    rows = []
    for lag in (1, 2):
        for model, r2 in (("ridge", 0.4), ("ar1", 0.3), ("white_noise", 0.5)):
            for part in ("val", "eval"):
                for speaker in range(num_speakers):
                    score = (r2 if lag == 1 else 0.0) + 0.01 * ((speaker % 3) - 1)
                    rows.append(
                        {
                            "model": model, "lag_frames": lag, "slice": "all", "part": part,
                            "speaker_id": f"{part}-{speaker:03d}", "num_frames": 100,
                            "sse_residual": 100.0 * (1 - score), "sse_total": 100.0,
                            "cosine_sum": 60.0,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)
