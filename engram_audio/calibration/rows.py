"""Measured against known: one row per world, stage and quantity."""

from typing import NamedTuple

import numpy as np

from engram_audio.calibration.truth import Truth

STANDARD_ERRORS = 3.0


class CalibrationRow(NamedTuple):
    """One comparison.

    Attributes:
        world: Name of the world.
        stage: Which stage measured.
        quantity: See `truth`.
        lag_frames: k.
        truth: Known value.
        truth_error: Its standard error, 0 for closed forms.
        measured: What the stage said; may be NaN, which fails.
        measured_error: Its standard error (unit of resampling: the speaker).
        tolerance_below: How far below the truth it may lie.
        tolerance_above: How far above.
        passes: Whether it lies inside.
    """

    world: str
    stage: str
    quantity: str
    lag_frames: int
    truth: float
    truth_error: float
    measured: float
    measured_error: float
    tolerance_below: float
    tolerance_above: float
    passes: bool


def compare(
    world: str,
    stage: str,
    truth: Truth,
    measured: float,
    measured_error: float,
    loss_below: float = 0.0,
    loss_above: float = 0.0,
    resolution: float = 0.0,
) -> CalibrationRow:
    """Compare a measured value with the truth.

    Args:
        world: Name of the world.
        stage: Which stage measured.
        truth: The known value.
        measured: The measured value.
        measured_error: Its standard error.
        loss_below: Stated finite-sample loss that may push it below the truth: a trained head finds
            less information than there is.
        loss_above: The same upwards: a fitted key leaves more variance than the exact one. A value
            on the *flattering* side has no allowance but sampling error, so give only one of them.
        resolution: Least difference that the metric is asked to resolve. Where a quantity is exact
            by construction its standard error vanishes, and what is left is the fitted baseline.

    Returns:
        The row; its tolerances are 3 combined standard errors, or the resolution where that is
        more, plus the loss on that side.
    """
    sampling = STANDARD_ERRORS * float(np.hypot(truth.standard_error, measured_error))
    allowance = max(sampling, resolution)
    below, above = allowance + loss_below, allowance + loss_above
    excess = measured - truth.value
    passes = bool(np.isfinite(measured) and np.isfinite(sampling) and -below <= excess <= above)
    return CalibrationRow(
        world=world,
        stage=stage,
        quantity=truth.quantity,
        lag_frames=truth.lag_frames,
        truth=truth.value,
        truth_error=truth.standard_error,
        measured=measured,
        measured_error=measured_error,
        tolerance_below=below,
        tolerance_above=above,
        passes=passes,
    )
