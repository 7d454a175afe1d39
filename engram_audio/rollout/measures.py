"""What is measured of a free run, by name: its health, and how its memory is read."""

READS = ("gate", "hit_rate", "gate_true", "hit_rate_true")
# Each is a number of the run, `<name>_true` of true stretches, and their difference, `_excess`.
STATISTICS = (
    "diverged_late", "frozen_late", "off_support_share", "spread_ratio", "std_ratio", "step_ratio",
    "autocorrelation_error", "spectrum_error", "energy_distance",
)  # fmt: skip
SURVIVAL = STATISTICS[:3]
OF_MOTION = ("step_ratio", "autocorrelation_error", "spectrum_error")
# Of the run alone: how dimensions and lags differ.
DETAILS = (
    "std_ratio_lowest", "std_ratio_highest", "autocorrelation_error_all",
    "autocorrelation_error_worst",
)  # fmt: skip
DETAILS_OF_MOTION = DETAILS[2:]


def true_name(statistic: str) -> str:
    """Return the column of the same statistic of true stretches."""
    return f"{statistic}_true"


def excess_name(statistic: str) -> str:
    """Return the column of the run's less that of true stretches."""
    return f"{statistic}_excess"
