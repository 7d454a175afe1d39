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
    """Mean ratio of a key on val and eval, and what else the tables should say."""

    val: float = 0.6
    eval: float = 0.6
    floor: float = 0.5
    speaker_sd: float = 0.02
    control_permuted: float = 1.0
    control_swapped: float = 1.0
    excluded_val: float = 0.0
    excluded_eval: float = 0.0
    status: str = "ok"
    num_speakers: int = 20


def tables(
    planted: Planted, seed: int = 0, lags: tuple[int, ...] = (1, 2),
    slices: tuple[str, ...] = ("all",), noise_seed: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Return scores and keys; frames are the same for key, floor and controls of a speaker.

    A surrogate of the same representation takes the same `seed` and another `noise_seed`.
    """
    rng = np.random.default_rng(seed)
    noise = np.random.default_rng(seed if noise_seed is None else noise_seed)
    scores, keys = [], []
    for lag in lags:
        for slice_name in slices:
            place = {"codebook_size": SIZE, "lag_frames": lag, "slice": slice_name}
            for name in (KEY, ORACLE):
                controls = ("none", "permuted", "swapped") if name == KEY else ("none",)
                for control in controls:
                    status = planted.status if name == KEY else "ok"
                    keys.append(_key(name, place, control, status))
                    if status == "ok":
                        means = _ratios(planted, name, control)
                        scores += _scores(name, place, control, means, planted, rng, noise)
    return pd.DataFrame(scores), pd.DataFrame(keys)


def _ratios(planted: Planted, name: str, control: str) -> dict[str, float]:
    if name == ORACLE:
        return {"val": planted.floor, "eval": planted.floor}
    if control != "none":
        ratio = getattr(planted, f"control_{control}") * 1.01  # 1 + the excess in the key table
        return {"val": ratio, "eval": ratio}
    return {"val": planted.val, "eval": planted.eval}


def _scores(
    name: str, place: dict[str, Any], control: str, means: dict[str, float], planted: Planted,
    rng: np.random.Generator, noise: np.random.Generator,
) -> list[dict[str, Any]]:  # fmt: skip
    rows = []
    for part, mean in means.items():
        excluded = getattr(planted, f"excluded_{part}") if name == KEY else 0.0
        sizes = rng.integers(NUM_FRAMES // 2, NUM_FRAMES * 2, size=planted.num_speakers)
        spread = planted.speaker_sd if control == "none" else CONTROL_SD
        ratios = mean + spread * noise.normal(size=planted.num_speakers)
        for speaker, (size, ratio) in enumerate(zip(sizes, ratios, strict=True)):
            left_out = round(excluded * size)
            rows.append(
                {
                    "key": name, **place, "subspace": "all", "control": control, "part": part,
                    "speaker_id": f"{part}-{speaker:03d}", "num_frames": int(size),
                    "num_excluded": left_out, "sse_residual": float(ratio * (size - left_out)),
                    "sse_total": float(size - left_out), "sse_excluded": float(left_out),
                    "nats_saved": 0.5 * (size - left_out),
                    "nats_mean_part": 0.25 * (size - left_out),
                }
            )  # fmt: skip
    return rows


def _key(name: str, place: dict[str, Any], control: str, status: str) -> dict[str, Any]:
    known = status == "ok"
    row: dict[str, Any] = {
        "key": name, **place, "control": control, "status": status, "num_cells": SIZE,
        "num_effective_cells": SIZE if known else 0, "num_train_frames": 10_000,
        "key_entropy_nats": np.log(SIZE) / 2 if known else np.nan,
    }  # fmt: skip
    # in-sample, 51 useless cells of 1001 independent frames lower the ratio by 50 / 1000
    row |= {
        "sse_own_train": 950.0, "sse_own_total_train": 1000.0,
        "num_own_frames_train": 1001, "num_own_cells_train": 51,
    }  # fmt: skip
    for part in ("val", "eval"):
        row |= {
            f"expected_null_ratio_excess_{part}": 0.01 if known else np.nan,
            f"sse_own_{part}": 700.0, f"sse_own_total_{part}": 1000.0,
            f"num_own_frames_{part}": 1001, f"num_own_cells_{part}": 51,
        }  # fmt: skip
    return row


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
