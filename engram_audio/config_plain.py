"""Only what JSON can hold: a configuration is written out as that, and jobs read it so."""

import datetime
import re
from typing import Any

NO_CHARACTER = re.compile("[\0\ud800-\udfff]")  # halves of a surrogate pair, and what ends a path


def plain_problem(key: object, value: Any) -> str | None:
    """Say what of a key or a value would be lost or changed when the configuration is written.

    Args:
        key: Of a map, or the number of a list's item.
        value: What stands there.

    Returns:
        What was found, what is allowed and the remedy; None where all is plain.
    """
    if not isinstance(key, str | int) or isinstance(key, bool):
        hint = " (yes, no, on and off are booleans in YAML)" if isinstance(key, bool) else ""
        return f"a key must be text, found {key!r}{hint}; put it in quotes"
    texts = "".join(text for text in (key, value) if isinstance(text, str))
    if found := NO_CHARACTER.search(texts):
        number = ord(found[0])
        return f"holds U+{number:04X}, which no text may hold; write the character itself"
    match value:
        case None | str() | int() | float() | dict() | list() | tuple():
            return None
        case datetime.date():
            return f"found the date {value}; put it in quotes if it is text"
    name = type(value).__name__
    return f"found a {name}; use text, numbers, true, false, null, lists and maps"
