"""The one exception that a person, not a programmer, is meant to read."""


class InputError(Exception):
    """Bad input: one line that names the file or the key, what is wrong and the remedy.

    Steps turn it into `error: ...` on standard error and exit code 1; anything else is a bug and
    keeps its traceback.
    """


class ChangedInputError(InputError):
    """A file is not what was indexed: a job stops here, where it might pass over a bad file."""


SHOWN_CHARACTERS = 200  # of what another library says


def one_line(error: object) -> str:
    """Return what an error says as one printable line, however long it is and whatever it quotes.

    Args:
        error: An exception, whose class is named where it says nothing, or a text.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    shown = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}.."
    return printable(shown)


def printable(text: str) -> str:
    """Return a text on one line, whatever it quotes: what cannot be printed is written as a code.

    Half a surrogate pair, a line break and a control character are such.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
