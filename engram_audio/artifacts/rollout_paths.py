"""Where the files of the rollout stage lie."""

from pathlib import Path
from typing import NamedTuple

from engram_audio.errors import InputError


class Trained(NamedTuple):
    """A file of a rollout method: representation, method, seed."""

    representation: str
    method: str
    seed: int


def locate_rollout(path: Path) -> Trained:
    """Read `.../rollout/<representation>/<method>/seed-<s>/x`.

    Raises:
        InputError: The path has another form.
    """
    parts = Path(path).parts
    try:
        return Trained(parts[-4], parts[-3], int(parts[-2].removeprefix("seed-")))
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: not a path of the rollout stage; check the rule") from error
