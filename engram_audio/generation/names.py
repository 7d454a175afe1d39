"""Words that tables of the generation stage hold, light enough for every step."""

LINEAR_MIXTURE, MARGINAL = "linear_mixture", "marginal"  # arms that no seed trains
NULLS = (LINEAR_MIXTURE, MARGINAL)
NO_SEED = NO_STEPS = -1
