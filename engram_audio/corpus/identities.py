"""One person has one id: spellings of ids that nobody would give to two people.

A speaker under two ids lands on both sides of a split, and then the eval speakers were heard in
training.
"""

import re
import unicodedata
from collections.abc import Iterable

from engram_audio.errors import InputError

_WHOLE_AS_DECIMAL = re.compile(r"(\d+)\.0*")
_LEADING_ZEROS = re.compile(r"(?<!\d)(?<!\d\.)0+(?=\d)")  # not of decimals: 1.01 is not 1.1


def identity_key(name: str) -> str:
    """Return what all spellings of one id share.

    Spellings differ in the Unicode form (NFKC), in case, in blanks around them, in zeros before a
    number (`84` and `0084`, `spk_1` and `spk_01`), and in the `.0` that a table program adds to a
    whole number (`1` and `1.0`). Nothing else is guessed: `spk_1` and `spk-1` stay two people.
    """
    # twice: folding case can leave what NFKC composes, as in the Turkish dotted I
    text = _folded(_folded(name))
    decimal = _WHOLE_AS_DECIMAL.fullmatch(text)
    return _LEADING_ZEROS.sub("", decimal[1] if decimal else text)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def require_distinct(source: str, kind: str, names: Iterable[str], remedy: str) -> None:
    """Refuse two spellings of one id.

    Args:
        source: File or folder that the ids come from, for the message.
        kind: What the ids are of, for the message: `speaker`, `utterance`.
        names: The ids; repeats are one id.
        remedy: What to do.

    Raises:
        InputError: Names the first two ids that are one, and how many more there are.
    """
    first: dict[str, str] = {}
    pairs = []
    for name in sorted(set(names)):
        other = first.setdefault(identity_key(name), name)
        if other != name:
            pairs.append((other, name))
    if pairs:
        more = f" (and {len(pairs) - 1} more)" if len(pairs) > 1 else ""
        one, two = pairs[0]
        raise InputError(f"{source}: the {kind} ids {one!r} and {two!r} are one id{more}; {remedy}")
