"""The verdict table: what every stage answers."""

from engram_audio.artifacts.columns import Column, Table

VERDICTS = Table(
    "verdicts",
    "answer of a stage",
    (
        Column("stage", "Stage that judged.", title="Stage", is_text=True),
        Column("question", "What was asked. `met` says yes.", title="Question", is_text=True),
        Column("subject", "Representation. Empty: the study.", title="Of", is_text=True),
        Column("case", "Which of several answers: a lag, a method, or a key and a slice.",
               title="Case", is_text=True),
        Column("outcome", "`met`: the whole interval lies inside what is asked. `not met`: no "
               "part does. `undecided`: a part does, or there is no number. `invalid`: the "
               "structure gate cannot trust it. `shown`: nothing is asked. `not run`: the study "
               "does not ask.", title="Outcome", is_text=True),
        Column("value", "The number. Empty: none, or several were judged together.", title="Value"),
        Column("low", "Ends of its interval. A count is its own interval.", title="Low"),
        Column("high", "Ends of its interval. A count is its own interval.", title="High"),
        Column("unit", "Unit of all these numbers.", title="Unit", is_text=True),
        Column("asked", "What is asked, in words. In rows only shown: the number that stands for "
               "no effect.", title="Asked", is_text=True),
        Column("asked_low", "Ends of the range asked for.", title="From"),
        Column("asked_high", "Ends of the range asked for.", title="To"),
        Column("reason", "Why, and what the number is compared with.", title="Reason",
               is_text=True),
        Column("is_deciding", "Whether the row made the verdict of its subject, or answers a "
               "question of the first screen.", title="Decides", is_text=True),
        Column("sentence", "The answer in words.", title="Answer", is_text=True),
    ),
    notes=(
        "`verdicts.csv` and `verdicts.json` lie under `<results>/` and hold the same rows. "
        "Questions stand in the order of the study.",
    ),
)  # fmt: skip
WHAT_WOULD_CHANGE = Table(
    "what_would_change",
    "choice that could have been another",
    (
        Column("change", "What is chosen otherwise: a key, its K, the lag, a slice, the split "
               "seed, or a threshold, 20 % lower and higher. `nothing`: the study as it is.",
               title="Changed", is_text=True),
        Column("value", "What it would be.", title="To", is_text=True),
        Column("verdict", "Word of the gate on the deciding representation.", title="Verdict",
               is_text=True),
        Column("is_other", "Whether it is another word.", title="Other word"),
        Column("key", "The key that would be chosen.", title="Key", is_text=True),
        Column("smallest_shown", "Smallest added fraction that these speakers would have shown "
               "with 80 % power.", "share", "Shown from"),
    ),
    notes=("`what_would_change.csv` lies under `<results>/`.",),
)  # fmt: skip
