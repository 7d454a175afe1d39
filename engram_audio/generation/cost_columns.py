"""The published tables of what a gain costs and what it is made of."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import NUM_SEEDS, NUM_SPEAKERS, REPRESENTATION
from engram_audio.generation.columns import ARM, GENERATOR, NATS

WORK = Column("f_gen_flops", "Operations of one generated frame, key and rows included.",
              title="Work per frame")  # fmt: skip
NUMBERS = Column("num_resident", "Trained numbers, with codebooks and all rows.", title="Numbers")

GENERATION_LADDER = Table(
    "generation_ladder",
    "representation, generator and size",
    (
        REPRESENTATION, GENERATOR,
        Column("size", "S, F, P, SM, or the work of a larger model over SM's.", title="Size",
               is_text=True),
        WORK, NUMBERS,
        Column("width", "Width of the backbone.", "units", "Width"),
        Column("nll_nats", "NLL on eval, mean over seeds.", NATS, "NLL", has_interval=True),
        Column("energy_score", "Fair energy score of one frame, mean over seeds.", "SD",
               "Energy score", has_interval=True),
        NUM_SEEDS, NUM_SPEAKERS,
    ),
)  # fmt: skip
GENERATION_COST = Table(
    "generation_cost",
    "representation, generator, quality and budget",
    (
        REPRESENTATION, GENERATOR,
        Column("quality", "Score that is held: `nll` or `energy`.", title="Quality", is_text=True),
        Column("budget", "`work` of a generated frame, or `numbers` held.", title="Budget",
               is_text=True),
        Column("multiplier", "Budget at which the ladder without memory scores as SM, over SM's "
               "own. Below the interval SM is surely better, above it surely worse.",
               title="Multiplier", has_interval=True),
        Column("reach", "`inside`: the ladder meets SM's score. `below`: its smallest model "
               "already does. `beyond`: no model does.", title="Reach", is_text=True),
        Column("multiplier_within_margin", "First budget at which the ladder comes within the "
               "margin of SM, over SM's own.", title="Within the margin"),
        Column("first_ratio", "Least and largest budget of the ladder over SM's.",
               title="Ladder from"),
        Column("last_ratio", "Least and largest budget of the ladder over SM's.", title="to"),
        NUM_SEEDS, NUM_SPEAKERS,
    ),
)  # fmt: skip
GENERATION_SHARE = Table(
    "generation_share",
    "representation, generator, budget that is held and share",
    (
        REPRESENTATION, GENERATOR,
        Column("held", "SM's budget that every row has: `num_resident` or `flops_generated`.",
               title="Held", is_text=True),
        Column("share", "Rows' share of all numbers, as asked and in whole rows. 0: no memory.",
               title="Share"),
        Column("share_trained", "Rows' share of all numbers, as asked and in whole rows. 0: no "
               "memory.", title="Share trained"),
        Column("width", "Width of the backbone.", "units", "Width"),
        WORK, NUMBERS,
        Column("nll_nats", "NLL on eval, mean over seeds.", NATS, "NLL", has_interval=True),
        Column("nll_chosen_nats", "NLL on `chosen_on`.", NATS),
        Column("depth_nats", "NLL at a share of 0 less that of this row, on eval.", NATS,
               "Below a share of 0", has_interval=True),
        Column("is_best", "Whether it is best on `chosen_on`.", title="Best", is_text=True),
        Column("word", "Of the whole sweep: U-SHAPED, THE MORE THE BETTER, NO MEMORY IS BEST, or "
               "NOT RESOLVED.", title="Word", is_text=True),
        NUM_SEEDS, NUM_SPEAKERS,
    ),
)  # fmt: skip
GENERATION_WIDER = Table(
    "generation_wider",
    "representation, generator, width and arm that SM is compared with",
    (
        REPRESENTATION, GENERATOR,
        Column("width", "Width of S, with and without its memory.", "units", "Width"),
        Column("against", "S, or F: as much work as SM.", title="Against", is_text=True),
        Column("gain_nats", "NLL of `against` less that of SM on eval, mean over seeds.", NATS,
               "Gain", has_interval=True),
        Column("delta_nats", "The margin, as in generation_gains.csv.", NATS, "Margin"),
        NUM_SEEDS, NUM_SPEAKERS,
    ),
)  # fmt: skip
GENERATION_PROBES = Table(
    "generation_probes",
    "representation, generator, arm, probe, condition and measure",
    (
        REPRESENTATION, GENERATOR, ARM,
        Column("probe", "What was done to the trained arm: docs/generation.md.", title="Probe",
               is_text=True),
        Column("condition", "The constant, donor, bucket, place or block. `own`: nothing "
               "changed. `filler`: codes of neither frame. `net`: own less filler. `chance`: two "
               "true frames at random.", title="Condition", is_text=True),
        Column("measure", "`cost_nats`: NLL less that of the arm as it is. `cost_share`: that "
               "over the gain over S, where `gain_nats` is surely above 0. `auroc_*`: how well "
               "the gate tells frames that SM scores better than S, or than with a closed gate. "
               "`share_of_law`: over the key's own law, of another family, so 1 is not the "
               "whole. `*_rms_ratio`: size over that at the start. `directions`: effective "
               "number of directions of read rows, `directions_of_most`: fewest with .8 of their "
               "square. `code_*`, `frame_nats`: what a linear read-out knows. `key_agreement`: "
               "keys that stay.", title="Measure", is_text=True),
        Column("value", "Ratio of sums over speakers, mean over seeds.", title="Value",
               has_interval=True),
        NUM_SEEDS, NUM_SPEAKERS,
    ),
    notes=(
        "Probes decide nothing.",
    ),
)  # fmt: skip
TABLES = (
    GENERATION_LADDER, GENERATION_COST, GENERATION_SHARE, GENERATION_WIDER, GENERATION_PROBES,
)  # fmt: skip
