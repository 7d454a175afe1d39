"""Words that tables of the generation stage hold, light enough for every step."""

LINEAR_MIXTURE, MARGINAL = "linear_mixture", "marginal"  # arms that no seed trains
NULLS = (LINEAR_MIXTURE, MARGINAL)
# Wrong codes that SM is scored with, after training with right ones: by name, what is read instead.
SWAPS = {
    "SM:previous": "the code of the frame before",
    "SM:constant": "one code for all frames",
    "SM:permuted": "codes under another numbering",
}
# Codes that SM reads along free runs in place of its own: by name, what is read.
NEAREST, DEALT, PREVIOUS = "SM:nearest", "SM:dealt", "SM:previous"
RUN_SWAPS = {
    NEAREST: "the code of the nearest train frame",
    DEALT: "codes dealt at random among the frames of all runs",
    PREVIOUS: "the code of the frame before",
}
# Kinds of sizes: those of the study's arms, and what is trained beside them.
OF_ARM, LADDER, SHARE, WIDER = "arm", "ladder", "share", "wider"
OF_SIZE = ("kind", "held", "value", "arm", "seed")  # names a scored size
# Of probes: their names, and the conditions and measures that are told in words.
CLAMP, FLIP = "clamp", "flip"
MEAN_GATE, OWN, NET = "mean", "own", "net"
COST_SHARE, GAIN, LAW_SHARE = "cost_share", "gain_nats", "share_of_law"
HALF = "half_difference_nats"
LAW = "law"  # stands in the place of an arm: the key's own law
# Scores of the factorised path beside its NLL: plain bound, rates of both parts and of z_dyn.
OF_PATH = ("plain", "rate", "state_rate")
# Scores of the same frames where a generator with a condition is not told it.
OF_UNTOLD = ("nll_untold", "energy_untold")
OVER = "@"  # SM@name: arm SM over the z_dyn that representation `name` is
NO_SEED = NO_STEPS = -1
OF_STATE = "state"  # in place of a key's name: rows are found by bits of the hidden state


def over_state(arm: str, state: str) -> str:
    """Return how tables name an arm over z_dyn."""
    return f"{arm}{OVER}{state}"


def split_path(arm: str) -> tuple[str, str]:
    """Return the arm of a name in a table, and its z_dyn; "" for an arm over the frames."""
    own, _, state = arm.partition(OVER)
    return own, state
