"""The published table of the calibration: measured beside known."""

from engram_audio.artifacts.columns import Column, Table

CALIBRATION = Table(
    "calibration",
    "comparison of something measured with something known",
    (
        Column("kind", "`number`, `verdict`, `error rate` or `coverage`.", is_text=True),
        Column("world", "The planted world. For rates and coverage: who is heard.",
               title="World", is_text=True),
        Column("stage", "Which code measured. `hidden key` and `injected oracle` are metrics fed "
               "with the truth, `structure`, `linear` and `surrogates` are fits. `factorizer`, "
               "`memory` and `rollout` are fed with exact laws.", title="Stage",
               is_text=True),
        Column("quantity", "What was measured.", title="Quantity", is_text=True),
        Column("lag_frames", "How stale the context is.", "frames", "Lag"),
        Column("truth", "Known value: a closed form, or the exact predictor on fresh speakers. "
               "Limit or nominal level for rates and coverage.", title="Known"),
        Column("truth_error", "Standard error of the known value, 0 for closed forms.",
               title="± of it"),
        Column("measured", "Measured value.", title="Measured"),
        Column("measured_error", "Standard error over speakers. Over fits for rates and "
               "coverage.", title="± of it"),
        Column("tolerance_below", "How far below the truth it may lie: 3 combined standard errors "
               "and stated finite-sample losses. Empty: no bound on this side.",
               title="May lie below by"),
        Column("tolerance_above", "The same above.", title="May lie above by"),
        Column("passes", "Whether it lies inside. Empty where nothing is claimed.", is_text=True),
        Column("expected", "Known verdict: what a correct gate may say. Else a note.",
               title="Known verdict", is_text=True),
        Column("given", "Verdict that the gate gave.", title="Given", is_text=True),
    ),
)  # fmt: skip
