"""Linear predictors of delta beside the keys: ridge on the context, diagonal AR(1), white noise.

They are nulls: at lag 1 delta contains -x_{t-1}, which the context knows, so that white noise
alone scores R^2 = 1/2 (SCIENCE 0.1). All are fitted on the train targets of a slice and scored in
normalised delta, like the keys.

Shapes: M targets, W window frames, D dimensions, P parts, S speakers.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.grouped import add_grouped
from engram_audio.structure.features import KeyContext
from engram_audio.structure.key_tables import TableBuilder
from engram_audio.structure.linear_model import fit_linear_model
from engram_audio.structure.material import Material
from engram_audio.structure.targets import PARTS, TRAIN
from engram_audio.views import SliceName

LINEAR_COLUMNS = (
    "model", "lag_frames", "slice", "part", "speaker_id", "num_frames", "sse_residual",
    "sse_total", "cosine_sum",
)  # fmt: skip
CHUNK_FLOATS = 2**18

# Predicted z of an input block's target rows, [M, D]
Predictor = Callable[[LatentBlock, np.ndarray], np.ndarray]


class _Sums(NamedTuple):
    """Per part and speaker: number of frames [P, S] and, per model, error and cosine sums."""

    num_frames: np.ndarray
    total: np.ndarray
    models: dict[str, np.ndarray]


def score_linear(material: Material) -> pd.DataFrame:
    """Fit and score the linear baselines on every slice at every lag."""
    builder = TableBuilder(LINEAR_COLUMNS)
    for (name, lag), data in material.places.items():
        if data.targets.count(TRAIN) == 0:
            continue
        context = linear_context(material, name, lag)
        sums = _score(context, material)
        _add_rows(builder, context, name, sums, material.frame_index.speaker_ids)
    return builder.frame()


def linear_context(material: Material, name: SliceName, lag: int) -> KeyContext:
    """Return what a linear model of a slice is fitted on: the frames themselves."""
    data = material.places[name, lag]
    return KeyContext(
        source=material.source,
        inputs=material.source,
        targets=data.targets,
        normalization=data.normalization,
        window_frames=material.section.window_frames,
        lag_frames=lag,
    )


def _score(context: KeyContext, material: Material) -> _Sums:
    ridge = fit_linear_model(context, material.section.linear_ridges)
    ar1 = fit_ar1(context)
    num_speakers = material.num_speakers
    shape = (len(PARTS), num_speakers)
    sums = _Sums(
        np.zeros(shape, dtype=np.int64),
        np.zeros((*shape, 1)),
        {name: np.zeros((*shape, 2)) for name in ("ridge", "ar1")},
    )
    step = max(CHUNK_FLOATS // len(context.normalization.mean), 256)
    for block, rows, span in context.targets.walk(context.source):
        for start in range(0, len(rows), step):
            chosen = slice(start, min(start + step, len(rows)))
            part = context.targets.part[span][chosen].astype(np.int64)
            group = part * num_speakers + context.targets.speaker[span][chosen]
            z = context.normalization.apply(block.frames, rows[chosen])
            squared = np.einsum("md,md->m", z, z, dtype=np.float64)
            sums.num_frames.ravel()[:] += np.bincount(group, minlength=sums.num_frames.size)
            add_grouped(sums.total.reshape(-1, 1), squared[:, None], group)
            predicted = {
                "ridge": ridge.context(block, rows[chosen]) @ ridge.slope,
                "ar1": ar1(block, rows[chosen]),
            }
            for name, own in predicted.items():
                columns = errors_and_cosines(own, z, squared)
                add_grouped(sums.models[name].reshape(-1, 2), columns, group)
    return sums


def errors_and_cosines(predicted: np.ndarray, z: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """Return squared error and direction cosine per frame, [M, 2], float64.

    The cosine of a zero vector is counted as 0.
    """
    dot = np.einsum("md,md->m", predicted, z, dtype=np.float64)
    norm = np.einsum("md,md->m", predicted, predicted, dtype=np.float64)
    product = np.sqrt(norm * squared)
    cosine = np.divide(dot, product, out=np.zeros_like(dot), where=product > 0)
    return np.stack([squared - 2 * dot + norm, cosine], axis=1)


def fit_ar1(context: KeyContext) -> Predictor:
    """Fit x_t - mu = a (x_{t-1} - mu) per dimension; predict delta from the newest known frame.

    With a context k frames old, E[x_t - x_{t-1} | x_{t-k}] = (a^k - a^{k-1}) (x_{t-k} - mu).
    """
    lag = context.lag_frames
    num_dims = len(context.normalization.mean)
    count = 0
    sums = np.zeros((5, num_dims))  # x_t, x_{t-1}, x_{t-1}^2, x_t x_{t-1}, x_{t-k}
    for block, rows in context.targets.walk_train(context.inputs):
        now = block.frames[rows].astype(np.float64)
        before = block.frames[rows - 1].astype(np.float64)
        newest = block.frames[rows - lag].sum(axis=0, dtype=np.float64)
        sums += [
            now.sum(0), before.sum(0), np.square(before).sum(0), (now * before).sum(0), newest
        ]  # fmt: skip
        count += len(rows)
    mean = sums / count
    variance = mean[2] - mean[1] ** 2
    covariance = mean[3] - mean[0] * mean[1]
    slope = np.divide(covariance, variance, out=np.zeros(num_dims), where=variance > 0)
    gain = ((slope**lag - slope ** (lag - 1)) / context.normalization.std).astype(np.float32)
    centre = mean[4].astype(np.float32)
    return lambda block, rows: (block.frames[rows - lag] - centre) * gain


def white_noise_cosine(effective_dims: float) -> float:
    """Return the expected cosine between -(x_{t-1} - mu) and delta_t of iid Gaussian frames.

    The two have correlation 1/sqrt(2) in every dimension, so the cosine is an uncentred sample
    correlation of n = `effective_dims` pairs, whose mean is rho Gamma((n+1)/2)^2 /
    (Gamma(n/2) Gamma(n/2 + 1)) F(1/2, 1/2; n/2 + 1; rho^2) (Hotelling 1953).
    """
    half = effective_dims / 2
    log_ratio = 2 * special.gammaln(half + 0.5) - special.gammaln(half) - special.gammaln(half + 1)
    series = special.hyp2f1(0.5, 0.5, half + 1, 0.5)
    return float(np.sqrt(0.5) * np.exp(log_ratio) * series)


def _add_rows(
    builder: TableBuilder, context: KeyContext, name: SliceName, sums: _Sums,
    speaker_ids: np.ndarray,
) -> None:  # fmt: skip
    part, speaker = np.nonzero(sums.num_frames)
    frames = sums.num_frames[part, speaker]
    total = sums.total[part, speaker, 0]
    knows_previous = context.lag_frames == 1
    cosine = white_noise_cosine(context.normalization.effective_dims) if knows_previous else 0.0
    rows = {
        model: (own[part, speaker, 0], own[part, speaker, 1]) for model, own in sums.models.items()
    }
    rows["white_noise"] = (total * (0.5 if knows_previous else 1.0), frames * cosine)
    for model, (residual, cosines) in rows.items():
        builder.add(
            len(part),
            {
                "model": model,
                "lag_frames": context.lag_frames,
                "slice": name,
                "part": np.array(PARTS, dtype=object)[part],
                "speaker_id": speaker_ids[speaker],
                "num_frames": frames,
                "sse_residual": residual,
                "sse_total": total,
                "cosine_sum": cosines,
            },
        )
