"""The published tables of the memory stage."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import (
    CHOSEN_ON,
    INTERVAL_OVER,
    LAG_FRAMES,
    NUM_FRAMES,
    NUM_SEEDS,
    NUM_SPEAKERS,
    PART,
    REPRESENTATION,
    SEED,
    SLICE,
    TUNED_POINT,
    TUNING_NOTE,
)

NATS = "nats/frame"
PREDICTOR = Column("predictor", "What the memory stands beside: `linear` (the best linear null) "
                   "or a head.", title="on", is_text=True)  # fmt: skip
MEMORY_NAME = Column("memory", "Name under `memories`.", title="Memory", is_text=True)

MEMORY = Table(
    "memory",
    "memory, part, slice and control",
    (
        REPRESENTATION, LAG_FRAMES, PREDICTOR,
        Column("predictor_chosen", "That linear null, or the head.", is_text=True),
        MEMORY_NAME, CHOSEN_ON,
        Column("kind", "`lookup` or `engram`.", is_text=True),
        SEED,
        PART,
        SLICE,
        Column("control", "What the row compares with, see below.", title="Against", is_text=True),
        Column("control_model", "Scored model behind it.", is_text=True),
        NUM_FRAMES,
        NUM_SPEAKERS,
        Column("is_off", "Whether `chosen_on` preferred no memory.", title="Chosen", is_text=True),
        Column("gain_nats", "NLL of the control less the memory's. Positive: the memory is "
               "better.", NATS, "Gain", has_interval=True),
        Column("gain_bits_per_s", "gain_nats in bits.", "bits/s", has_interval=True),
        Column("gain_seeds_nats", "Mean of gain_nats over training seeds, each beside its own "
               "controls. It decides.", NATS, "Gain, all seeds", has_interval=True),
        Column("gain_seeds_bits_per_s", "gain_seeds_nats in bits.", "bits/s", has_interval=True),
        NUM_SEEDS,
        INTERVAL_OVER,
        Column("near_gain_nats_lowest", "gain_nats of tuned points that are as good on "
               "`chosen_on`.", NATS),
        Column("near_gain_nats_highest", "gain_nats of tuned points that are as good on "
               "`chosen_on`.", NATS),
        Column("control_gain_nats", "Gain of the control, and of the memory, over `knock_out`.",
               NATS, "Control's own", has_interval=True),
        Column("memory_gain_nats", "Gain of the control, and of the memory, over `knock_out`.",
               NATS, has_interval=True),
        Column("memory_nll_nats", "NLL of the memory and of the control.", NATS, has_interval=True),
        Column("memory_nll_select_less_val", "The same on select less that on val.", NATS),
        Column("control_nll_nats", "NLL of the memory and of the control.", NATS,
               has_interval=True),
        Column("control_nll_select_less_val", "The same on select less that on val.", NATS),
        Column("gate", "Mean weight of what is read: of entries against the base, or the Engram "
               "gate.", title="Gate", has_interval=True, quotient=("gate", "num_frames")),
        Column("hit_rate", "Frames whose key, of any order or of the highest, train has seen.",
               title="Hits", has_interval=True, quotient=("hit", "num_frames")),
        Column("first_hit_rate", "Frames whose key, of any order or of the highest, train has "
               "seen.", title="of the first order", has_interval=True,
               quotient=("first_hit", "num_frames")),
        Column("num_slots", "Entries, and those that some frame read as its nearest.",
               title="Slots"),
        Column("num_slots_used", "Entries, and those that some frame read as its nearest.",
               title="Slots used"),
        Column("slot_perplexity", "exp of the entropy of the use of entries.", "slots",
               "Perplexity"),
        Column("num_parameters", "Operations of one target's law, and fitted numbers, with the "
               "base.", title="Parameters"),
        Column("flops", "Operations of one target's law, and fitted numbers, with the base."),
        Column("num_control_parameters", "Fitted numbers, and operations of one target's law, of "
               "a matched model.", title="control's"),
        Column("control_flops", "Fitted numbers, and operations of one target's law, of a "
               "matched model."),
        Column("control_misfit", "Empty: a matched net holds the memory's budget and at most 5 % "
               "more. `smaller`, `larger`: it could not. `curve`: read off the curve.",
               title="Misfit", is_text=True),
    ),
    notes=(
        "Controls: `best_null`, the best null of the prediction stage. `knock_out`, the memory "
        "without its table. `matched_parameters` and `matched_flops`, nets with as much. "
        "`shuffled_keys`, the memory fitted and read with the keys of other frames. "
        "`random_values`, its entries in random places. `constant_gate`, one weight for all "
        "entries. `base`, the head of an Engram memory trained without it. `knn`, kernels on "
        "the nearest of `memory.controls.datastore_frames` train frames, thinned.",
    ),
)  # fmt: skip
MEMORY_VERDICT = Table(
    "memory_verdict",
    "representation and lag, for the memory that scores best on `chosen_on`",
    (
        REPRESENTATION, LAG_FRAMES,
        Column("verdict", "PROCEED: the gain over each of the first six controls, and of an "
               "Engram memory over `base`, lies above the minimum with its interval. STOP: one "
               "lies below it, or `chosen_on` preferred no memory for any seed. UNDECIDED: all "
               "else.", is_text=True),
        Column("deciding_control", "Control that decided, and why.", is_text=True),
        Column("reason", "Control that decided, and why.", is_text=True),
        PREDICTOR, MEMORY_NAME, CHOSEN_ON,
        NUM_SEEDS,
        Column("num_memories_looked_at", "Memories chosen from."),
        Column("gain_nats", "Gain over that control, mean over seeds.", NATS, has_interval=True),
        Column("minimum_gain_nats", "`memory.verdict.minimum_gain_nats`.", NATS),
    ),
)  # fmt: skip
MEMORY_TUNING = Table(
    "memory_tuning",
    "memory, arm and point of its tuning",
    (
        REPRESENTATION, LAG_FRAMES, PREDICTOR, MEMORY_NAME,
        Column("arm", "`memory`: an Engram memory with its head. Else a matched net by its "
               "control, or a net of the curve.", title="Network", is_text=True),
        SEED,
        *TUNED_POINT,
    ),
    notes=(TUNING_NOTE,),
)  # fmt: skip
MEMORY_CURVE = Table(
    "memory_curve",
    "net of the curve of nats against size, and part",
    (
        REPRESENTATION, LAG_FRAMES, PREDICTOR, CHOSEN_ON, PART,
        Column("net", "Number of the net, smallest first.", title="Net", is_text=True),
        Column("width", "Units of a hidden layer.", title="Units"),
        Column("num_parameters", "Operations of one target's law, and fitted numbers, with the "
               "base.", title="Parameters"),
        Column("flops", "Operations of one target's law, and fitted numbers, with the base.",
               title="Operations"),
        NUM_SEEDS,
        INTERVAL_OVER,
        Column("nll_nats", "NLL, mean over seeds.", NATS, "NLL", has_interval=True),
    ),
)  # fmt: skip
