"""The published tables of the memory stage."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import CHOSEN_ON, PART, TUNED_POINT, TUNING_NOTE

NATS = "nats/frame"
REPRESENTATION = Column("representation", "What was predicted.", title="Representation",
                        is_text=True)  # fmt: skip
LAG_FRAMES = Column("lag_frames", "How stale the context is.", "frames", "Lag")
PREDICTOR = Column("predictor", "What the memory stands beside: `linear` (a linear null, "
                   "chosen on `chosen_on`) or a head.", title="on", is_text=True)  # fmt: skip
MEMORY_NAME = Column("memory", "Name under `memories`.", title="Memory", is_text=True)

MEMORY = Table(
    "memory",
    "memory, part, slice and control",
    (
        REPRESENTATION, LAG_FRAMES, PREDICTOR,
        Column("predictor_chosen", "The linear null that was chosen, or the head.", is_text=True),
        MEMORY_NAME, CHOSEN_ON,
        Column("kind", "Its kind: `lookup` or `engram`.", is_text=True),
        Column("seed", "Of the training.", title="Seed"),
        PART,
        Column("slice", "Frames that are scored.", title="Slice", is_text=True),
        Column("control", "What the row compares with, see below.", title="Against", is_text=True),
        Column("control_model", "The scored model behind the control.", is_text=True),
        Column("num_frames", "Frames behind the means.", "frames"),
        Column("num_speakers", "Speakers behind the means.", "speakers"),
        Column("is_off", "Whether `chosen_on` preferred no memory. Its gain over `knock_out` is "
               "then exactly 0.", title="Chosen", is_text=True),
        Column("gain_nats", "NLL of the control less the memory's on the same frames. Positive: "
               "the memory is better. For `knn` on the thinned frames that it is scored on.", NATS,
               "Gain", has_interval=True),
        Column("gain_bits_per_s", "The same gain times frame rate over ln 2.", "bits/s",
               has_interval=True),
        Column("gain_seeds_nats", "Mean of gain_nats over the training seeds of the memory, each "
               "held against the controls of its own seed. It decides.", NATS, "Gain, all seeds",
               has_interval=True),
        Column("gain_seeds_bits_per_s", "The same mean times frame rate over ln 2.", "bits/s",
               has_interval=True),
        Column("num_seeds", "Training seeds behind gain_seeds_nats.", title="Seeds"),
        Column("interval_over", "What the interval of gain_seeds_nats counts: `seeds and speakers` "
               "from three seeds on, else `speakers`.", is_text=True),
        Column("near_gain_nats_lowest", "Lowest gain_nats among the tuned points of memory and "
               "control that are as good on `chosen_on` (memory_tuning.csv). Empty where this seed "
               "and lag were not tuned.", NATS),
        Column("near_gain_nats_highest", "The highest of them.", NATS),
        Column("control_gain_nats", "The control's own gain over `knock_out`. k-NN is a reference: "
               "a lookup that keeps every stored frame, over its own base on its own frames.",
               NATS, "Control's own", has_interval=True),
        Column("memory_gain_nats", "The memory's gain over `knock_out`.", NATS, has_interval=True),
        Column("memory_nll_nats", "Mean NLL of the memory on all frames.", NATS,
               has_interval=True),
        Column("memory_nll_select_less_val", "That mean on select less that on val: what a score "
               "on known speakers hides. Empty without select.", NATS),
        Column("control_nll_nats", "Mean NLL of the control.", NATS, has_interval=True),
        Column("control_nll_select_less_val", "The same difference of the control.", NATS),
        Column("gate", "Mean weight of what is read: of entries against the base's density, or the "
               "Engram gate.", title="Gate", has_interval=True, quotient=("gate", "num_frames")),
        Column("hit_rate", "Share of frames whose key, of any order, train has seen.",
               title="Hits", has_interval=True, quotient=("hit", "num_frames")),
        Column("first_hit_rate", "Share of frames whose key of the highest order train has seen, "
               "for a lookup often enough to have an entry.", title="of the first order",
               has_interval=True, quotient=("first_hit", "num_frames")),
        Column("num_slots", "Entries of the table.", title="Slots"),
        Column("num_slots_used", "Entries that some frame of the part read as its nearest. Rows of "
               "the newest position for an Engram memory.", title="Slots used"),
        Column("slot_perplexity", "exp of the entropy of the use of entries.", "slots",
               "Perplexity"),
        Column("num_parameters", "Numbers fitted, of the memory with its base.",
               title="Parameters"),
        Column("flops", "Operations of one target's law, of the memory with its base."),
        Column("num_control_parameters", "Numbers fitted, of a matched model.", title="control's"),
        Column("control_flops", "Operations of one target's law, of a matched model."),
        Column("control_misfit", "Empty: a matched net holds at least the memory's budget and at "
               "most 5 % more. `smaller`: `memory.controls.maximum_width` ended it below. "
               "`larger`: no net fits, and this is the smallest above. `curve`: read off the "
               "curve of nats against size at the memory's budget.", title="Misfit",
               is_text=True),
    ),
    notes=(
        "Controls: `best_null`, the best null of the prediction stage. `knock_out`, the "
        "memory without its table. `matched_parameters` and `matched_flops`, nets with at least "
        "as many parameters or as much work, and at most 5 % more. `shuffled_keys`, the memory "
        "fitted and read with the keys of other frames. `random_values`, its own entries in "
        "random places. `constant_gate`, one weight for all entries. `base`, the head of an "
        "Engram memory trained without it. `knn`, a mixture of kernels on the nearest of "
        "`memory.controls.datastore_frames` train frames, on the memory's own base. For an Engram "
        "memory that base is the linear null on which `chosen_on` scores it best.",
    ),
)  # fmt: skip
MEMORY_VERDICT = Table(
    "memory_verdict",
    "representation and lag, for the memory that scores best on `chosen_on`",
    (
        REPRESENTATION, LAG_FRAMES,
        Column("verdict", "PROCEED: the gain over each of `best_null`, `knock_out`, "
               "`matched_parameters`, `matched_flops`, `shuffled_keys`, `random_values`, and for "
               "an Engram memory over `base`, lies above the minimum with its interval. STOP: one "
               "lies below it with its interval, or `chosen_on` preferred no memory for any seed. "
               "Else UNDECIDED, also where a control has no number, is no fair match, or where a "
               "tuned point that is as good says the opposite.", is_text=True),
        Column("deciding_control", "The control that decided.", is_text=True),
        Column("reason", "Why, in words.", is_text=True),
        PREDICTOR, MEMORY_NAME, CHOSEN_ON,
        Column("num_seeds", "Training seeds of the memory. With fewer than three no answer is "
               "given."),
        Column("num_memories_looked_at", "Memories that were chosen from."),
        Column("gain_nats", "Gain over the deciding control, mean over seeds.", NATS,
               has_interval=True),
        Column("minimum_gain_nats", "`memory.verdict.minimum_gain_nats`.", NATS),
    ),
)  # fmt: skip
MEMORY_TUNING = Table(
    "memory_tuning",
    "memory, arm and point of its tuning",
    (
        REPRESENTATION, LAG_FRAMES, PREDICTOR, MEMORY_NAME,
        Column("arm", "`memory`: an Engram memory with its head. Else the matched net, by its "
               "control, or a net of the curve (`net_<number>`).", title="Network", is_text=True),
        Column("seed", "Of the training.", title="Seed"),
        *TUNED_POINT,
    ),
    notes=(TUNING_NOTE,),
)  # fmt: skip
MEMORY_CURVE = Table(
    "memory_curve",
    "net of the curve of nats against size, and part",
    (
        REPRESENTATION, LAG_FRAMES, PREDICTOR, CHOSEN_ON, PART,
        Column("net", "Number of the net, the smallest of the family first.", title="Net",
               is_text=True),
        Column("width", "Units of a hidden layer.", title="Units"),
        Column("num_parameters", "Numbers fitted, with the linear base.", title="Parameters"),
        Column("flops", "Operations of one target's law.", title="Operations"),
        Column("num_seeds", "Training seeds.", title="Seeds"),
        Column("interval_over", "What the interval counts: `seeds and speakers` from three seeds "
               "on, else `speakers`.", is_text=True),
        Column("nll_nats", "Mean NLL over training seeds.", NATS, "NLL", has_interval=True),
    ),
    notes=(
        "Nets of one family from the smallest to wide ones, each tuned like every other arm. Where "
        "no net fits a memory's budget, its control is read off this curve: linear in the "
        "logarithm of the size between two nets, never beyond the ends.",
    ),
)  # fmt: skip
