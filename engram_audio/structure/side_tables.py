"""The other published tables of the structure stage: linear nulls, curves, n-grams, speakers."""

import numpy as np
import pandas as pd

from engram_audio.stats.ratio import complement, ratio_of_sums
from engram_audio.structure.comparisons import PARTS, Analysed, put_estimate
from engram_audio.structure.estimates import ScoreCube, sum_cube

LINEAR_CELL = ["model", "lag_frames", "slice", "part"]
CURVE_CELL = ["key", "lag_frames", "slice", "part", "matching", "kept_fraction"]


def linear_rows(linear: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return R^2 of delta and direction cosine of each linear model with speaker intervals."""
    tables = []
    for part in PARTS:
        rows = linear.loc[linear["part"] == part]
        names = ["num_frames", "sse_residual", "sse_total", "cosine_sum"]
        cube = sum_cube(rows, LINEAR_CELL, names)
        table = _counted(cube)
        r2 = complement(ratio_of_sums(cube.sums["sse_residual"], cube.sums["sse_total"]))
        put_estimate(table, "r2", r2, confidence)
        cosine = ratio_of_sums(cube.sums["cosine_sum"], cube.sums["num_frames"])
        put_estimate(table, "cosine", cosine, confidence)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def curve_rows(curves: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return the ratio on the most confident frames, sums of squares recomputed on them."""
    cube = sum_cube(curves, CURVE_CELL, ["num_frames", "sse_residual", "sse_total"])
    table = _counted(cube)
    ratio = ratio_of_sums(cube.sums["sse_residual"], cube.sums["sse_total"])
    put_estimate(table, "ratio", ratio, confidence)
    return table


def ngram_rows(ngrams: pd.DataFrame) -> pd.DataFrame:
    """Return the share of key n-grams that train has seen at least `minimum_count` times."""
    share = ngrams["num_covered"] / ngrams["num_ngrams"].where(ngrams["num_ngrams"] > 0)
    return ngrams.assign(coverage=share)


def speaker_rows(analysed: Analysed) -> pd.DataFrame:
    """Return each speaker's own ratio for every key and lag, slice `all`, all dimensions."""
    tables = []
    for part in PARTS:
        cube = analysed.parts[part].cube
        cells = cube.cells
        chosen = np.flatnonzero(
            (cells["control"] == "none") & (cells["slice"] == "all") & (cells["subspace"] == "all")
        )
        num_speakers = len(cube.speaker_ids)
        table = cells.iloc[np.repeat(chosen, num_speakers)].drop(columns="control")
        table = table.reset_index(drop=True).assign(part=part)
        table["speaker_id"] = np.tile(cube.speaker_ids, len(chosen))
        flat = {name: values[chosen].ravel() for name, values in cube.sums.items()}
        table["num_frames"] = flat["num_frames"].astype(np.int64)
        table["num_excluded"] = flat["num_excluded"].astype(np.int64)
        total = pd.Series(flat["sse_zero"])
        table["ratio"] = flat["sse_key"] / total.where(total > 0)
        tables.append(table[table["num_frames"] > 0])
    return pd.concat(tables, ignore_index=True)


def _counted(cube: ScoreCube) -> pd.DataFrame:
    frames = cube.sums["num_frames"]
    return cube.cells.assign(
        num_frames=frames.sum(axis=1).astype(np.int64), num_speakers=(frames > 0).sum(axis=1)
    )
