"""Names of what is scored beside a memory, as they stand in its tables."""

MEMORY, KNN = "memory", "knn"
KNN_BASE, KNN_MEMORY = "knn_base", "knn_memory"  # on the queries that k-NN is scored on
KNOCKED_OUT, CONSTANT_GATE, RANDOM_VALUES = "knock_out", "constant_gate", "random_values"
PROCEED, STOP, UNDECIDED = "PROCEED", "STOP", "UNDECIDED"  # whether lookup helps
MEASURES = {"matched_parameters": "parameters", "matched_flops": "flops"}  # of a control's size
CURVE = "curve"  # in place of a matched net: read between two nets of the curve
# What a memory is held against, in words.
CONTROL_WORDS = {
    "best_null": "the best null",
    "knock_out": "itself without the table",
    "base": "its head without a memory",
    "matched_parameters": "a net with as many parameters",
    "matched_flops": "a net with as much work",
    "shuffled_keys": "the keys of other frames",
    "random_values": "entries in random places",
    "constant_gate": "one gate for all",
    "knn": "k-NN over a datastore",
}
