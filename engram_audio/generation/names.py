"""Words that tables of the generation stage hold, light enough for every step."""

LINEAR_MIXTURE, MARGINAL = "linear_mixture", "marginal"  # arms that no seed trains
NULLS = (LINEAR_MIXTURE, MARGINAL)
# Wrong codes that SM is scored with, after training with right ones: by name, what is read instead.
SWAPS = {
    "SM:previous": "the code of the frame before",
    "SM:constant": "one code for all frames",
    "SM:permuted": "codes under another numbering",
}
NO_SEED = NO_STEPS = -1
