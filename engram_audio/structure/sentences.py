"""The verdict in words that a reader can act on."""

import math
from collections.abc import Sequence

from engram_audio.structure.gate_row import GateRow
from engram_audio.structure.word import Judged
from engram_audio.structure.wording import number_words, percent_words
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

OPENINGS = {
    PROCEED: (
        "in {name} a small key of the recent past tells speakers never heard something that a "
        "linear model of the same past does not. A lookup memory is worth a test."
    ),
    NO_HEADS: (
        "in {name} a small key of the recent past tells speakers never heard something that a "
        "linear model of the same past does not. No density head was trained beside it."
    ),
    STOP: "on {where} of {name} there is nothing beyond a linear model to store.",
    LAW_NOT_MEAN: (
        "in {name} the law of a key tells the spread of the next step, and no key's mean adds "
        "enough: {shortfall}"
    ),
    WRONG_KEY: "heads find structure in {name}, and no key adds enough: {shortfall}",
    WRONG_KEY_MEAN: (
        "heads find structure in {name}, and no key's mean adds enough: {shortfall} Mean only: "
        "whether a key carries the spread was not asked."
    ),
    UNDECIDED: "these data do not decide on {name}: {cause}.",
    NO_CONTROL: "these data do not decide on {name}: its frames overlap.",
    INVALID: "no number of {name} can be trusted to decide: {cause}.",
}


def verdict_sentence(
    name: str,
    judged: Judged,
    smallest_shown: float,
    ridge: float,
    key: GateRow | None,
    shortfall: str,
    caveats: Sequence[str],
    overlap: str = "",
) -> str:
    """Return the word with its reason, what would settle it, and what stands beside it.

    Args:
        name: The representation.
        judged: The word and its rows.
        smallest_shown: Added fraction that would have been shown with 80 % power.
        ridge: R^2 of ridge at the registered lag.
        key: Row of the chosen key's added fraction on the first judged slice; None without one.
        shortfall: Which threshold the chosen key misses, as a sentence.
        caveats: Sentences of rows that could not be judged and hold nothing back.
        overlap: Says how far frames overlap where no control tells what that gives; else empty.
    """
    where = judged.deciding[0].slice if judged.deciding else ""
    cause = judged.cause
    if judged.word == INVALID:
        cause = judged.deciding[0].sentence.rstrip(".") if judged.deciding else judged.open
    opening = OPENINGS[judged.word].format(
        name=name, where=f"slice {where}", shortfall=shortfall, cause=cause
    )
    parts = [f"{judged.word}: {opening}"]
    if overlap and judged.word in (LAW_NOT_MEAN, WRONG_KEY, WRONG_KEY_MEAN):
        parts.append(f"Exclude the encoder's overlap first: {overlap}")
    if judged.word != INVALID:
        parts += [f"First row: {row.sentence}" for row in judged.deciding[:1]]
        parts += [f"What would settle it: {judged.open}."] if judged.open else []
    parts += [] if judged.word == STOP else [one[:1].upper() + one[1:] for one in caveats]
    parts.append(f"Ridge on the same past explains R^2 {number_words(ridge)}.")
    if key is not None and key not in judged.deciding[:1]:
        parts.append(f"The chosen key: {key.sentence}")
    if judged.word not in (PROCEED, NO_HEADS) and math.isfinite(smallest_shown):
        parts.append(
            "The smallest added fraction that these speakers would have shown in 80 of 100 studies "
            f"is {percent_words(smallest_shown)}."
        )
    return " ".join(parts)
