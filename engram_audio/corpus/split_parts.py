"""The parts of a split, and the one that choices are made on (SCIENCE 1); imports nothing heavy."""

from collections.abc import Iterable

TRAIN, VAL, SELECT, EVAL = "train", "val", "select", "eval"
PARTS = (TRAIN, VAL, SELECT, EVAL)


def choice_part(parts: Iterable[str]) -> str:
    """Return the part that every choice and every early stopping looks at.

    It is `select`, whole train speakers that nothing is fitted on. A study with too few train
    speakers has none: there it is `val`, other utterances of fitted speakers.

    Args:
        parts: Parts that exist, for example of every utterance.
    """
    return SELECT if SELECT in set(parts) else VAL
