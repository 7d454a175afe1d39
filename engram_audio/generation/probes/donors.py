"""Donor rows: what the next frame costs when the memory reads another code's row.

At one frame the code is changed and only the next frame is scored: to the nearest other code, or to
a random one that train has as often. For all frames at once every row reads as the mean row. That
knock-out stays where training was, and stands beside the closed gate, which does not.

Phones would be donors too. No artifact of a study has them.

Shapes: M targets, N rows of a block.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pandas as pd

from engram_audio.generation.model import Generator
from engram_audio.generation.probes.codes import CodeBook
from engram_audio.generation.probes.flip import LEAST_VISITS, LawOfCode
from engram_audio.generation.probes.sums import speaker_sums
from engram_audio.generation.probes.switched import switched
from engram_audio.generation.sources import tables_of

PROBE = "donors"
NEAREST, RANDOM = "nearest", "random"  # at one frame
MEAN_ROW, CLOSED = "mean_row", "closed"  # at all frames
COST = "cost_nats"


@contextmanager
def averaged(model: Generator) -> Iterator[Generator]:
    """Let every row read as the mean of what train read."""
    with switched(tables_of(model), "is_averaged", True):
        yield model


def donors_of(book: CodeBook, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the donor of each code by name, [K]; -1 where there is none."""
    return {
        NEAREST: book.nearest(LEAST_VISITS),
        RANDOM: book.equally_frequent(LEAST_VISITS, generator),
    }


def donor_sums(
    law: LawOfCode, rows: np.ndarray, codes: np.ndarray, donors: Mapping[str, np.ndarray],
    speakers: np.ndarray,
) -> pd.DataFrame:  # fmt: skip
    """Return what donors cost at single frames.

    Args:
        law: Of the model by the code at a row.
        rows: Rows whose code is changed, all with a whole key, [M].
        codes: Their own codes, [M].
        donors: Of each code, by name.
        speakers: Of the rows, [M].
    """
    own = law(rows, codes)
    found = []
    for name, of_code in donors.items():
        read = of_code[codes]
        has = read >= 0
        cost = own[has] - law(rows[has], read[has])
        found.append(speaker_sums(PROBE, name, COST, speakers[has], cost))
    return pd.concat(found, ignore_index=True)


def knock_out_sums(
    own: np.ndarray, knocked: Mapping[str, np.ndarray], speakers: np.ndarray
) -> pd.DataFrame:
    """Return what knock-outs at all frames cost, from NLL under each, [M]."""
    return pd.concat(
        [speaker_sums(PROBE, name, COST, speakers, nll - own) for name, nll in knocked.items()],
        ignore_index=True,
    )
