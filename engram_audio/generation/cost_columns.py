"""The published tables of what a gain costs and what it is made of."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.generation.columns import ARM, GENERATOR, NATS, REPRESENTATION

WORK = Column("f_gen_flops", "Operations of one generated frame, key and rows included.",
              title="Work per frame")  # fmt: skip
NUMBERS = Column("num_resident", "Trained numbers, codebooks and all rows.", title="Numbers")
SEEDS = Column("num_seeds", "Seeds.", "seeds", "Seeds")
SPEAKERS = Column("num_speakers", "Speakers.", "speakers", "Speakers")

GENERATION_LADDER = Table(
    "generation_ladder",
    "representation, generator and size",
    (
        REPRESENTATION, GENERATOR,
        Column("size", "S, F, P, or the factor of SM's work that a larger model without memory "
               "has. SM stands beside the ladder.", title="Size", is_text=True),
        WORK, NUMBERS,
        Column("width", "Width of the backbone.", "units", "Width"),
        Column("nll_nats", "Mean NLL of the next frame on eval speakers, mean over seeds. The "
               "interval is over seeds and speakers.", NATS, "NLL", has_interval=True),
        Column("energy_score", "Fair energy score of one frame, likewise.", "SD", "Energy score",
               has_interval=True),
        SEEDS, SPEAKERS,
    ),
)  # fmt: skip
GENERATION_COST = Table(
    "generation_cost",
    "representation, generator, quality and budget",
    (
        REPRESENTATION, GENERATOR,
        Column("quality", "Score that is held: `nll` or `energy`.", title="Quality", is_text=True),
        Column("budget", "What is compared: `work` of a generated frame, or `numbers` held.",
               title="Budget", is_text=True),
        Column("multiplier", "Budget at which the ladder without memory scores as SM does, over "
               "SM's own. Between models the ladder is linear in the log of the budget. That of "
               "its smallest or largest model where `reach` is `below` or `beyond`. Below the "
               "interval SM is surely better, above it surely worse. An end is empty where no "
               "model is, or with fewer than three seeds.", title="Multiplier",
               has_interval=True),
        Column("reach", "`inside`: the ladder meets SM's score. `below`: its smallest model scores "
               "as well. `beyond`: no model does, and nothing is said but that.", title="Reach",
               is_text=True),
        Column("multiplier_within_margin", "First budget at which the ladder comes within the "
               "margin of SM, likewise. Empty: none, or a score without a margin.",
               title="Within the margin"),
        Column("first_ratio", "The least budget of the ladder over SM's.", title="Ladder from"),
        Column("last_ratio", "The largest.", title="to"),
        SEEDS, SPEAKERS,
    ),
)  # fmt: skip
GENERATION_SHARE = Table(
    "generation_share",
    "representation, generator, budget that is held and share",
    (
        REPRESENTATION, GENERATOR,
        Column("held", "Budget of SM that every row has: `num_resident` or `flops_generated`.",
               title="Held", is_text=True),
        Column("share", "Rows' share of all numbers that was asked for. 0: no memory.",
               title="Share"),
        Column("share_trained", "The share that rows of whole numbers have.",
               title="Share trained"),
        Column("width", "Width of the backbone.", "units", "Width"),
        WORK, NUMBERS,
        Column("nll_nats", "Mean NLL of the next frame on eval speakers, mean over seeds. The "
               "interval is over seeds and speakers.", NATS, "NLL", has_interval=True),
        Column("nll_chosen_nats", "The same on the choice part.", NATS),
        Column("depth_nats", "NLL at a share of 0 less that of this row, on eval.", NATS,
               "Below a share of 0", has_interval=True),
        Column("is_best", "Whether it is best on the choice part.", title="Best", is_text=True),
        Column("word", "Of the whole sweep. U-SHAPED: the best share lies inside, surely deeper "
               "than no memory and than the largest share. THE MORE THE BETTER: the largest is "
               "surely better than every other. NO MEMORY IS BEST: surely better than every "
               "share. NOT RESOLVED: all else.", title="Word", is_text=True),
        SEEDS, SPEAKERS,
    ),
    notes=(
        "A dense number is held once and works twice per frame. With the numbers held, rows in the "
        "place of width leave less work. With the work held, rows add numbers.",
    ),
)  # fmt: skip
GENERATION_WIDER = Table(
    "generation_wider",
    "representation, generator, width and arm that SM is compared with",
    (
        REPRESENTATION, GENERATOR,
        Column("width", "Width of S, with and without its memory.", "units", "Width"),
        Column("against", "S, or F: as much work as SM.", title="Against", is_text=True),
        Column("gain_nats", "NLL of `against` less that of SM on eval speakers, mean over seeds. "
               "The interval is over seeds and speakers.", NATS, "Gain", has_interval=True),
        Column("delta_nats", "The margin of the word.", NATS, "Margin"),
        SEEDS, SPEAKERS,
    ),
)  # fmt: skip
GENERATION_PROBES = Table(
    "generation_probes",
    "representation, generator, arm, probe, condition and measure",
    (
        REPRESENTATION, GENERATOR, ARM,
        Column("probe", "`clamp`: constants in place of the gate. `flip`: another code at one "
               "frame. `donors`: rows of other codes. `visits`: by how often train has what is "
               "read. `drift`: how far rows have moved. `readout`: linear read-outs of states. "
               "`reencoding`: keys of generated frames that are decoded and encoded again.",
               title="Probe", is_text=True),
        Column("condition", "The constant, the donor, the bucket of visits, the place, or the "
               "block. `own`: nothing was changed. `filler`: codes that belong to neither frame. "
               "`net`: own less filler. `untrained.block_<n>`: a backbone as it was built. "
               "`generated`, `true`: whose frames are encoded again. `chance`: two true frames "
               "drawn at random.",
               title="Condition", is_text=True),
        Column("measure", "`cost_nats`: NLL less that of the arm as it is. `cost_share`: the same "
               "over its gain over S, of use only where `gain_nats` is surely above 0. "
               "`auroc_over_s`, `auroc_over_closed`: how well the gate tells frames that SM scores "
               "better than S, or than itself with a closed gate, within speakers, where .5 is "
               "chance. `half_difference_nats`: half the double difference "
               "of a flip. `share_of_law`: over that of the key's own law, which is of another "
               "model family, so that 1 is not the whole. `gain_nats`: NLL of S "
               "less that of the arm. `gate`, `write_ratio`, `share_of_frames`: means in a bucket. "
               "`row_rms_ratio`, `unread_row_rms_ratio`, `value_rms_ratio`: size over that at the "
               "start. `rows_read`: rows that train reads. `directions`: effective number of "
               "directions of the rows that train reads. `directions_of_most`: fewest that hold .8 "
               "of their squared size. `code_nats`, `frame_nats`: what a linear read-out knows of "
               "the code and of the next frame, over a law without the state. `code_accuracy`: how "
               "often the first guess is right. `key_agreement`: share of keys that stay what they "
               "were.", title="Measure", is_text=True),
        Column("value", "Ratio of sums over speakers, mean over seeds. The interval is over seeds "
               "and speakers. Empty with fewer than three seeds, or without speakers.",
               title="Value", has_interval=True),
        SEEDS, SPEAKERS,
    ),
    notes=(
        "Probes describe trained arms. They decide nothing: the gains over F, SMx, SM1, SMm and "
        "SMf do.",
    ),
)  # fmt: skip
TABLES = (
    GENERATION_LADDER, GENERATION_COST, GENERATION_SHARE, GENERATION_WIDER, GENERATION_PROBES,
)  # fmt: skip
