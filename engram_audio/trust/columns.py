"""The published table of the calibration: measured beside known."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import LAG_FRAMES

CALIBRATION = Table(
    "calibration",
    "comparison of something measured with something known",
    (
        Column("kind", "`number`, `verdict`, `error rate` or `coverage`.", is_text=True),
        Column("world", "The planted world, or who is heard.", title="World", is_text=True),
        Column("stage", "Which code measured. Some stages are fed with the truth or with exact "
               "laws.", title="Stage", is_text=True),
        Column("quantity", "What was measured, and its value.", title="Quantity", is_text=True),
        LAG_FRAMES,
        Column("truth", "Known value: a closed form, or the exact predictor on fresh speakers, "
               "or a nominal level.", title="Known"),
        Column("truth_error", "Standard error of the known and of the measured value.",
               title="± of it"),
        Column("measured", "What was measured, and its value.", title="Measured"),
        Column("measured_error", "Standard error of the known and of the measured value.",
               title="± of it"),
        Column("tolerance_below", "How far from the truth it may lie.", title="May lie below by"),
        Column("tolerance_above", "How far from the truth it may lie.", title="May lie above by"),
        Column("passes", "Whether it lies inside.", is_text=True),
        Column("expected", "What a correct gate may say (else a note), and what the gate said.",
               title="Known verdict", is_text=True),
        Column("given", "What a correct gate may say (else a note), and what the gate said.",
               title="Given", is_text=True),
    ),
)  # fmt: skip
