"""The verdict table: what every stage answers."""

from engram_audio.artifacts.columns import Column, Table

VERDICTS = Table(
    "verdicts",
    "answer of a stage",
    (
        Column("stage", "Which stage judged.", title="Stage", is_text=True),
        Column("question", "What was asked. `met` says yes.", title="Question", is_text=True),
        Column("subject", "Representation that it was asked of. Empty: the whole study.",
               title="Of", is_text=True),
        Column("case", "Which of several answers about the subject, such as a lag, a method, or a "
               "key and a slice.", title="Case", is_text=True),
        Column("outcome", "`met`: the whole interval lies inside what is asked. `not met`: no part "
               "of it does. `undecided`: a part does, or there is no number. `invalid`: the "
               "structure stage's gate cannot trust the number. `shown`: nothing is asked. `not "
               "run`: the study does not ask this.", title="Outcome", is_text=True),
        Column("value", "The measured number. Empty where several numbers were judged together, or "
               "none exists.", title="Value"),
        Column("low", "Lower end of its interval. A number that was counted is its own interval.",
               title="Low"),
        Column("high", "Upper end of its interval.", title="High"),
        Column("unit", "Unit of the number, its interval and what is asked.", title="Unit",
               is_text=True),
        Column("asked", "What is asked of the number, in words. For rows that are only shown: the "
               "number that stands for no effect.", title="Asked", is_text=True),
        Column("asked_low", "Lower end of the range asked for. Empty: none.", title="From"),
        Column("asked_high", "Upper end of the range asked for. Empty: none.", title="To"),
        Column("reason", "Why it came out so, and what the number is compared with.",
               title="Reason", is_text=True),
        Column("is_deciding", "Whether this row made the verdict of its subject, where a gate has "
               "many rows, or answers a question of the first screen. In a gate these rows come "
               "first, the most telling one before the others.",
               title="Decides", is_text=True),
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
        Column("change", "What is chosen otherwise: a key (as the only candidate), its K, the lag, "
               "a slice (as the only one), the split seed, or a threshold, 20 % lower and higher. "
               "`nothing`: the study as it is.", title="Changed", is_text=True),
        Column("value", "What it would be.", title="To", is_text=True),
        Column("verdict", "Word of the structure stage's gate on the deciding representation.",
               title="Verdict", is_text=True),
        Column("is_other", "Whether it is another word than the study's.", title="Other word"),
        Column("key", "The key that would be chosen.", title="Key", is_text=True),
        Column("smallest_shown", "Smallest added fraction that these speakers would have shown "
               "with 80 % power.", "share", "Shown from"),
    ),
    notes=("`what_would_change.csv` lies under `<results>/`.",),
)  # fmt: skip
