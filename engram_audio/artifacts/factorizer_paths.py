"""Where the files of the factorizer stage lie."""

from pathlib import Path
from typing import NamedTuple

from engram_audio.errors import InputError


class Trained(NamedTuple):
    """A file of a trained factoriser: representation, factoriser, seed."""

    representation: str
    factorizer: str
    seed: int


def locate_factorizer(path: Path) -> Trained:
    """Read `.../factorizer/<representation>/<factorizer>/seed-<s>/x`.

    Raises:
        InputError: The path has another form.
    """
    parts = Path(path).parts
    try:
        return Trained(parts[-4], parts[-3], int(parts[-2].removeprefix("seed-")))
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: not a path of the factorizer stage; check the rule") from error
