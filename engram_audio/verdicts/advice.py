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

NOTES = {rule.when: rule.note for rule in RULES}


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
    Advice(PROCEED, NOTES["5 HELPS or COMPRESSES"], "A generator with a lookup is better than "
           "others of the same work, or as good with less work.",
           "The generator that the row names, with its memory."),
    Advice(PROCEED, "", "A lookup adds something that a model of the same cost does not have.",
           "The memory that the row names, with the key that the row names. Start with its "
           "smallest table."),
    Advice(PROCEED, NOTES["1 PROCEED"], "A key tells something beyond a linear model. A network "
           "may know the same.", "Nothing yet. Question 3 compares a lookup with networks: name "
           "the representation in `memory.representations` and run the target `memory`. Where "
           "question 3 is open, bring more speakers."),
    Advice(NO_HEADS, "", "A key adds something beyond a linear model. Nobody asked how much a "
           "network gains.", "Nothing yet. Run the targets `prediction` and "
           "`memory` with the options of this study."),
    Advice(STOP, "", "There is nothing beyond a linear model to store, or a network of equal size "
           "does the same.", "No memory. Spend the compute on the network."),
    Advice(STOP, NOTES["3 no"], "Structure is there, and a lookup is not the way to it.",
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
    Advice(UNDECIDED, NOTES["1 not run"], "No key was scored.",
           "Nothing yet. Run the target `structure` with the options of this study."),
    Advice(UNDECIDED, NOTES["1 STOP, 2 not run"], "Question 1 finds nothing to store. Nobody asked "
           "how much a network gains on all frames.",
           "Nothing yet. Run the target `prediction` with the options of this study."),
    Advice(UNDECIDED, NOTES["1 STOP, 2 yes"], "Question 1 finds nothing to store on one slice. On "
           "all frames networks gain.",
           "Nothing yet. Compare the slice that decided question 1 with all frames."),
    Advice(UNDECIDED, NOTES["1 STOP"], "No key adds enough, and networks may gain.",
           "Nothing yet. More speakers or seeds settle question 2."),
    Advice(NO_CONTROL, "", "Everything passes, but neighbouring frames share samples of audio.",
           "The overlap control: the same codec on audio in permuted blocks."),
    Advice(UNDECIDED, NOTES["3 yes, 4 no"], "The lookup helps one step ahead and is lost when the "
           "model runs on its own output.", "Training on own output, or a guard. See question 4."),
    Advice(INVALID, "", "A number cannot be trusted.",
           "Fewer cells, more data, or mend the control that is off."),
)  # fmt: skip


def advice_of(word: str, note: str) -> Advice:
    """Return the line of a headline.

    Raises:
        KeyError: No headline has this word with this note.
    """
    return {(one.word, one.note): one for one in ADVICE}[word, note]
