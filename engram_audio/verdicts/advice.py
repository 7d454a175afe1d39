"""What each headline says, and what to build next: for the page, the terminal and the docs."""

from typing import NamedTuple

from engram_audio.verdicts.headline import RULES
from engram_audio.verdicts.words import (
    INVALID,
    LAW_NOT_MEAN,
    NO_CONTROL,
    NO_HEADS,
    PROCEED,
    STOP,
    UNDECIDED,
    WRONG_KEY,
    WRONG_KEY_MEAN,
)

BY_NETWORK, IN_FREE_RUNNING, NEEDS_NO = (
    next(rule.note for rule in RULES if rule.question == question and rule.note)
    for question in (3, 4, 1)
)


class Advice(NamedTuple):
    """One headline.

    Attributes:
        word: Its word.
        note: What stands beside the word; "" nothing.
        says: What it says.
        build: What to build next.
    """

    word: str
    note: str
    says: str
    build: str

    @property
    def title(self) -> str:
        """The headline as it is printed."""
        return f"{self.word} ({self.note})" if self.note else self.word


ADVICE = (
    Advice(PROCEED, "", "A lookup adds something that a model of the same cost does not have.",
           "The memory that the row names, with the key that the row names. Start with its "
           "smallest table."),
    Advice(NO_HEADS, "", "A key adds something beyond a linear model. Nobody asked how much a "
           "network gains.", "Nothing yet. Run the targets `prediction` and "
           "`memory` with the options of this study."),
    Advice(STOP, "", "There is nothing beyond a linear model to store, or a network of equal size "
           "does the same.", "No memory. Spend the compute on the network."),
    Advice(STOP, BY_NETWORK, "Structure is there, and a lookup is not the way to it.",
           "A wider network, or more training."),
    Advice(WRONG_KEY, "", "Networks find structure, and no key adds what the gate asks.",
           "Learned keys, or keys of a longer context. Then ask again."),
    Advice(WRONG_KEY_MEAN, "", "Networks find structure, and no key's mean adds what the gate "
           "asks. Whether a key tells the spread was not asked.",
           "Nothing yet. Ask keys for the spread: add `ASK=keys` to `make arrays` or `make "
           "speech`. In other studies name the representation in "
           "`learned_keys.representations`. Run the same command again."),
    Advice(LAW_NOT_MEAN, "", "The key tells how far the next frame spreads, and not where it lies.",
           "A memory that stores spreads or whole distributions. A table of means cannot help."),
    Advice(UNDECIDED, "", "The intervals hold both answers.", "Nothing yet. The sentence of the "
           "open question names the cause: more speakers, more seeds, or a later question."),
    Advice(UNDECIDED, NEEDS_NO, "No key adds enough, and networks may gain.",
           "Nothing yet. More speakers or seeds settle question 2."),
    Advice(NO_CONTROL, "", "Everything passes, but neighbouring frames share samples of audio.",
           "The overlap control: the same codec on audio in permuted blocks."),
    Advice(UNDECIDED, IN_FREE_RUNNING, "The lookup helps one step ahead and is lost when the model "
           "runs on its own output.", "Training on own output, or a guard. See question 4."),
    Advice(INVALID, "", "A number cannot be trusted.",
           "Fewer cells, more data, or mend the control that is off."),
)  # fmt: skip


def advice_of(word: str, note: str) -> Advice:
    """Return the line of a headline; that of its word alone where its note has none."""
    found = {(one.word, one.note): one for one in ADVICE}
    return found.get((word, note)) or found[word, ""]
