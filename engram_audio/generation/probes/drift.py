"""How far rows and value projection have come from their start, and how many directions they use.

Shapes: R rows, m numbers of a row.
"""

import pandas as pd
import torch
from torch import Tensor, nn

from engram_audio.generation.insertion import GatedValue
from engram_audio.generation.model import Generator
from engram_audio.generation.probes.sums import of_model
from engram_audio.generation.sources import RowTable, tables_of
from engram_audio.memory.engram import EngramReader

PROBE = "drift"
ENERGY_SHARE = 0.8  # of the squared size of all rows


def drift_sums(model: Generator, start: Generator) -> pd.DataFrame:
    """Return sizes of the rows and of the value projection over those at the start, by place.

    Args:
        model: A trained arm with a table.
        start: The same arm as it was built.
    """
    found = []
    for number, (own, first) in enumerate(zip(tables_of(model), tables_of(start), strict=True)):
        found.append(of_model(PROBE, f"table_{number + 1}", _of_table(own, first)))
    for place, (own, first) in _values(model, start).items():
        ratio = _ratio("value_rms_ratio", own, first)
        if ratio:
            found.append(of_model(PROBE, place, ratio))
    return pd.concat(found, ignore_index=True)


def _of_table(own: RowTable, first: RowTable) -> dict[str, float]:
    now, then = own.table.weight.detach(), first.table.weight.detach()
    read = own.visits > 0
    rows = now[read]
    found = {
        "rows_read": float(read.sum()),
        **_ratio("row_rms_ratio", rows, then[read]),
        "directions": effective_directions(rows),
        "directions_of_most": float(directions_of_share(rows, ENERGY_SHARE)),
    }
    if bool((~read).any()):
        found |= _ratio("unread_row_rms_ratio", now[~read], then[~read])
    return found


def _ratio(measure: str, now: Tensor, then: Tensor) -> dict[str, float]:
    """Return a size over that at the start; nothing where all was zero then."""
    start = rms(then)
    return {measure: rms(now) / start} if start else {}


def _values(model: Generator, start: Generator) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the value projections now and at the start, by place."""
    assert model.memory is not None and start.memory is not None
    found = {}
    for place, reader in model.memory.readers.items():
        first = start.memory.readers[place]
        kinds = GatedValue | EngramReader
        if isinstance(reader, kinds) and isinstance(first, kinds):
            found[place] = (_weight(reader.value), _weight(first.value))
    return found


def _weight(projection: object) -> Tensor:
    assert isinstance(projection, nn.Linear)
    return projection.weight.detach()


def rms(values: Tensor) -> float:
    """Return the root mean square of all numbers; NaN of none."""
    return float(values.double().square().mean().sqrt())


def _energies(rows: Tensor) -> Tensor:
    """Return the squared singular values of rows [R, m], largest first."""
    return torch.linalg.svdvals(rows.double()).square()


def effective_directions(rows: Tensor) -> float:
    """Return (sum e)^2 / sum e^2 of the squared singular values: m for rows without a direction."""
    energy = _energies(rows)
    return float(energy.sum() ** 2 / energy.square().sum())


def directions_of_share(rows: Tensor, share: float) -> int:
    """Return the fewest directions that hold a share of the squared size of all rows."""
    energy = _energies(rows)
    held = energy.cumsum(0) / energy.sum()
    return int((held < share - 1e-12).sum()) + 1
