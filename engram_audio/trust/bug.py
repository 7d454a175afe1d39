"""What a planted bug is, and in which stages bugs are planted."""

from collections.abc import Callable
from typing import NamedTuple

from engram_audio.calibration.rows import CalibrationRow
from engram_audio.trust.wrong import Function

NO_BUG = "none"
STAGES = ("factorizer", "memory", "rollout", "keys", "generation")  # each has a probe of its name
FACTORIZER, MEMORY, ROLLOUT, KEYS, GENERATION = STAGES


class Bug(NamedTuple):
    """One planted bug.

    Attributes:
        target: Dotted path of the function (or `module.Class.method`) that is replaced.
        replace: Makes the wrong function from the right one.
        words: What is wrong, in words.
        probes: Which probes look for it.
    """

    target: str
    replace: Callable[[Function], Function]
    words: str
    probes: tuple[str, ...]

    @property
    def stage(self) -> str:
        """Which stage it is planted in."""
        return self.probes[0] if self.probes[0] in STAGES else "structure and prediction"


class SabotageRow(NamedTuple):
    """One calibration row under one planted bug (or under none).

    Attributes:
        bug: Name of the bug, `none` for the honest instrument.
        row: The comparison.
    """

    bug: str
    row: CalibrationRow
