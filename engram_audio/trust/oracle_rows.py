"""Exact predictors through the evaluations that heads and linear baselines go through.

Log densities go into the prediction stage's nats, means into its cosine and into the structure
stage's normalised errors; a number that is off here is the metric's fault, not a training's.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from engram_audio.calibration.oracle import Oracle
from engram_audio.calibration.rows import CalibrationRow, compare
from engram_audio.calibration.truth import Truth
from engram_audio.densities.config import PredictionEvaluationSection
from engram_audio.densities.predictor import OraclePredictor
from engram_audio.densities.reference import Reference, measure_reference
from engram_audio.prediction.evaluation import EventTask, evaluate_part
from engram_audio.stats.estimate import uncertain
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.structure.linear import errors_and_cosines
from engram_audio.structure.material import Material
from engram_audio.structure.targets import EVAL

STAGE = "injected oracle"
# What an injected oracle must resolve: about 3 standard errors at the full size (SCIENCE 10).
RESOLUTION = {"nll_nats": 0.05, "cosine": 0.002, "variance_ratio": 0.002}


def oracle_rows(
    name: str,
    oracle: Oracle,
    truths: Sequence[Truth],
    material: Material,
    part_of: Mapping[str, str],
    evaluation: PredictionEvaluationSection,
) -> list[CalibrationRow]:
    """Score an exact predictor on the eval speakers of a world, at the lags with a known answer.

    A symbol table has an exact law of delta at lag 1 only: at others there is nothing to inject.

    Args:
        name: Name of the world.
        oracle: Its exact predictor.
        truths: What is known about it.
        material: The prepared representation.
        part_of: Part of each utterance.
        evaluation: Settings of the prediction stage's evaluation.
    """
    lags = material.section.lags_frames
    window = material.section.window_frames
    reference = measure_reference(material.source, part_of, window, max(lags))
    known = {(truth.quantity, truth.lag_frames): truth for truth in truths}
    rows: list[CalibrationRow] = []
    for lag in lags:
        if not any((quantity, lag) in known for quantity in RESOLUTION):
            continue
        measured = _prediction_scores(oracle, lag, material, part_of, reference, evaluation)
        measured["variance_ratio"] = _variance_ratio(oracle, lag, material)
        for quantity, (value, error) in measured.items():
            truth = known.get((quantity, lag))
            if truth is not None:
                rows.append(
                    compare(name, STAGE, truth, value, error, resolution=RESOLUTION[quantity])
                )
    return rows


def _prediction_scores(
    oracle: Oracle, lag: int, material: Material, part_of: Mapping[str, str],
    reference: Reference, evaluation: PredictionEvaluationSection,
) -> dict[str, tuple[float, float]]:  # fmt: skip
    """Return quantity -> (value, standard error) from the prediction stage's evaluation."""
    section = material.section
    result = evaluate_part(
        OraclePredictor(oracle), material.source, part_of, "eval",
        EventTask("delta", lag, section.window_frames, max(section.lags_frames)),
        reference, evaluation.model_copy(update={"slices": ("all",)}),
        num_targets=reference.num_targets.get("eval", 0),
    )  # fmt: skip
    sums = result.sums
    return {
        "nll_nats": _ratio(*(sums[name].to_numpy(float) for name in ("nll", "num_frames"))),
        "cosine": _ratio(*(sums[name].to_numpy(float) for name in ("cosine_mean", "num_mean"))),
    }


def _variance_ratio(oracle: Oracle, lag: int, material: Material) -> tuple[float, float]:
    """Return mean over dimensions of residual over total variance, in the structure's units."""
    targets, normalization = material.places["all", lag]
    sums = np.zeros((2, len(material.frame_index.speaker_ids)))
    for block, rows, span in targets.walk(material.source):
        chosen = targets.part[span] == EVAL
        wanted, speaker = rows[chosen], targets.speaker[span][chosen]
        if not len(wanted):
            continue
        z = normalization.apply(block.frames, wanted)
        squared = np.einsum("md,md->m", z, z, dtype=np.float64)
        predicted = (oracle.mean(block, wanted, lag) - normalization.mean) / normalization.std
        errors = errors_and_cosines(predicted, z, squared)[:, 0]
        for number, values in enumerate((errors, squared)):
            sums[number] += np.bincount(speaker, weights=values, minlength=sums.shape[1])
    return _ratio(*sums)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> tuple[float, float]:
    ratio = uncertain(ratio_of_sums(top, bottom))
    return float(ratio.value), float(ratio.se)
