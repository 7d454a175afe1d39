"""What is measured of a free run, by name: its health, and how its memory is read."""

from typing import NamedTuple

READS = ("gate", "hit_rate", "gate_true", "hit_rate_true")


class Health(NamedTuple):
    """How a run compares with data; ratios and errors are over dimensions.

    Attributes:
        std_ratio: Median over dimensions of SD over the data's SD; 1 is right.
        std_ratio_lowest: The smallest.
        std_ratio_highest: The largest.
        step_ratio: RMS increment over the data's.
        autocorrelation_error: Mean |error| over dimensions at lag 1.
        autocorrelation_error_all: Mean |error| over dimensions and all lags.
        autocorrelation_error_worst: The largest |error|.
        spectrum_error: RMS of the log power ratio, nats.
        energy_distance: Of late frames from true frames, in SD.
        energy_distance_floor: Of two halves of every speaker's true frames.
    """

    std_ratio: float
    std_ratio_lowest: float
    std_ratio_highest: float
    step_ratio: float
    autocorrelation_error: float
    autocorrelation_error_all: float
    autocorrelation_error_worst: float
    spectrum_error: float
    energy_distance: float
    energy_distance_floor: float
