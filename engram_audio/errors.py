"""The one exception that a person, not a programmer, is meant to read."""


class InputError(Exception):
    """Bad input: one line that names the file or the key, what is wrong and the remedy.

    Steps turn it into `error: ...` on standard error and exit code 1; anything else is a bug and
    keeps its traceback.
    """


class ChangedInputError(InputError):
    """A file is not what was indexed: a job stops here, where it might pass over a bad file."""
