"""What a method gains over its partner, over all training seeds.

A gain compares two trained networks, so its interval counts seeds and speakers (`stats.two_way`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from engram_audio.densities.comparison import described, mean_over_seeds
from engram_audio.stats.estimate import Estimate

PLACE = ("representation", "method", "mode", "inject_frames", "span", "horizon_frames")
Row = dict[str, Any]
Gains = Mapping[str, Estimate | None]


def with_seed_means(rows: Sequence[tuple[Row, Gains]]) -> list[Row]:
    """Return rows with the mean of their gains over all rows that differ by the seed only.

    Args:
        rows: Columns of a row without its gains, and its gains on the same speakers for all seeds,
            by what they are a gain of.
    """
    seeds: dict[tuple[Any, ...], list[Gains]] = {}
    for row, gains in rows:
        seeds.setdefault(_place(row), []).append(gains)
    return [row | _described(gains, seeds[_place(row)]) for row, gains in rows]


def _place(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in PLACE)


def _described(own: Gains, seeds: Sequence[Gains]) -> Row:
    means = {name: mean_over_seeds([gains[name] for gains in seeds]) for name in own}
    row: Row = {}
    for name, gain in own.items():
        row |= described(f"gain_{name}", gain)
        row |= described(f"gain_seeds_{name}", means[name].value)
    most = max(means.values(), key=lambda mean: mean.num_seeds)
    return row | {"num_seeds": most.num_seeds, "interval_over": most.interval_over}
