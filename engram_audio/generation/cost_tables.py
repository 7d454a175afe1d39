"""The published rows of what a gain costs and what it is made of.

Shapes: R seeds, S speakers.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import Table, choose
from engram_audio.corpus.split_parts import EVAL
from engram_audio.generation.cost_columns import (
    GENERATION_COST,
    GENERATION_LADDER,
    GENERATION_PROBES,
    GENERATION_SHARE,
    GENERATION_WIDER,
)
from engram_audio.generation.gains import Gain, gain_of
from engram_audio.generation.ladder import Point, multiplier_of
from engram_audio.generation.names import LADDER, OF_ARM, SHARE, WIDER
from engram_audio.generation.probes.sums import MEASURED
from engram_audio.generation.share import Sweep, minimum_of
from engram_audio.generation.word import AS_MANY_NUMBERS, AS_MUCH_WORK, MEMORY, SMALL
from engram_audio.stats.estimate import Estimate, t_interval
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.stats.two_way import MINIMUM_SEEDS, two_way

LADDER_ARMS = (SMALL, AS_MUCH_WORK, AS_MANY_NUMBERS)
NLL, ENERGY = "nll", "energy"
BUDGETS = {"work": "flops_generated", "numbers": "num_resident"}


class Priced(NamedTuple):
    """All sizes of one generator on one representation.

    Attributes:
        representation: Name.
        generator: Name.
        sums: One row per size, seed, part and speaker: `quality.OF_SIZE`, part, speaker_id,
            num_frames, nll, energy, and the budget.
    """

    representation: str
    generator: str
    sums: pd.DataFrame


class Size(NamedTuple):
    """One size of an arm over its seeds.

    Attributes:
        value: Factor or share; 0 for the study's own arms.
        arm: What it is.
        sums: By quality, [R, S].
        num_frames: [R, S].
        facts: Its budget.
        choice_nll: Mean NLL on the choice part; NaN where it was not scored.
    """

    value: float
    arm: str
    sums: Mapping[str, np.ndarray]
    num_frames: np.ndarray
    facts: Mapping[str, float]
    choice_nll: float

    def mean(self, quality: str) -> Estimate:
        """Return the mean of each seed with its influences, [R]."""
        return ratio_of_sums(self.sums[quality], self.num_frames)


def sizes_of(priced: Priced, kind: str, held: str = "") -> list[Size]:
    """Return the sizes of a kind, in the order in which they were trained."""
    rows = choose(priced.sums, kind=kind, held=held)
    return [
        _size(float(own["value"].iloc[0]), str(own["arm"].iloc[0]), own)
        for _, own in rows.groupby(["value", "arm"], sort=False)
    ]


def _size(value: float, arm: str, rows: pd.DataFrame) -> Size:
    on_eval = rows.loc[rows["part"] == EVAL]
    others = rows.loc[rows["part"] != EVAL]

    def table(name: str) -> np.ndarray:
        wide = on_eval.pivot(index="seed", columns="speaker_id", values=name)
        return wide.sort_index().sort_index(axis=1).fillna(0.0).to_numpy(float)

    counts = others["num_frames"].to_numpy(float).sum()
    choice = others["nll"].to_numpy(float).sum() / counts if counts else math.nan
    facts = on_eval.iloc[0][[*BUDGETS.values(), "num_rows_numbers", "width"]].to_dict()
    energy = table(ENERGY) if bool(on_eval[ENERGY].notna().all()) else np.array([])
    sums = {NLL: table(NLL), **({ENERGY: energy} if energy.size else {})}
    return Size(value, arm, sums, table("num_frames"), facts, choice)


def _joined(name: str, estimate: Estimate, confidence: float) -> dict[str, float]:
    """Return a mean over seeds with its interval; none with fewer than three seeds."""
    low = high = math.nan
    if len(estimate.value) >= MINIMUM_SEEDS and int(estimate.num_units.min()) > 1:
        interval = t_interval(two_way(estimate), confidence)
        low, high = float(interval.low), float(interval.high)
    return {name: float(estimate.value.mean()), f"{name}_low": low, f"{name}_high": high}


def _counts(size: Size) -> dict[str, int]:
    speakers = int((size.num_frames > 0).sum(1).min())
    return {"num_seeds": len(size.num_frames), "num_speakers": speakers}


def _facts(size: Size) -> dict[str, float]:
    names = {"f_gen_flops": "flops_generated", "num_resident": "num_resident", "width": "width"}
    return {column: size.facts[name] for column, name in names.items()}


def _ladder(priced: Priced) -> tuple[Size | None, list[tuple[str, Size]]]:
    """Return SM, and the ladder by name in the order of their work; none where none was asked."""
    larger = sizes_of(priced, LADDER)
    if not larger:
        return None, []
    own = {size.arm: size for size in sizes_of(priced, OF_ARM)}
    points = [(name, own[name]) for name in LADDER_ARMS if name in own]
    points += [(f"{size.value:g} x SM", size) for size in larger]
    return own[MEMORY], sorted(points, key=lambda point: point[1].facts["flops_generated"])


def ladder_table(found: Sequence[Priced], confidence: float) -> pd.DataFrame:
    """Return one row per model of the ladder of every generator, SM beside them."""
    rows = []
    for one in found:
        memory, points = _ladder(one)
        for name, size in [*points, *([(MEMORY, memory)] if memory is not None else [])]:
            rows.append({
                "representation": one.representation, "generator": one.generator, "size": name,
                **_facts(size), **_joined("nll_nats", size.mean(NLL), confidence),
                **_joined("energy_score", size.mean(ENERGY), confidence), **_counts(size),
            })  # fmt: skip
    return _table(GENERATION_LADDER, rows)


def cost_table(
    found: Sequence[Priced], deltas: Mapping[tuple[str, str], float], confidence: float
) -> pd.DataFrame:
    """Return one row per generator, quality and budget.

    Args:
        found: All sizes.
        deltas: The margin of each representation and generator, nats per frame.
        confidence: Of the intervals.
    """
    rows = []
    for one in found:
        memory, points = _ladder(one)
        if memory is None:
            continue
        for quality in (NLL, ENERGY):
            delta = deltas[one.representation, one.generator] if quality == NLL else math.nan
            for budget, name in BUDGETS.items():
                told = multiplier_of(
                    memory.sums[quality], memory.facts[name],
                    [Point(size.facts[name], size.sums[quality]) for _, size in points],
                    memory.num_frames, delta, confidence,
                )  # fmt: skip
                rows.append({
                    "representation": one.representation, "generator": one.generator,
                    "quality": quality, "budget": budget, "multiplier": told.value,
                    "multiplier_low": told.low, "multiplier_high": told.high, "reach": told.reach,
                    "multiplier_within_margin": told.within_margin, "first_ratio": told.first,
                    "last_ratio": told.last, **_counts(memory),
                })  # fmt: skip
    return _table(GENERATION_COST, rows)


def share_table(found: Sequence[Priced], confidence: float) -> pd.DataFrame:
    """Return one row per share of every sweep, with the word of the sweep."""
    rows = []
    for one in found:
        for held in dict.fromkeys(choose(one.sums, kind=SHARE)["held"]):
            sizes = sorted(sizes_of(one, SHARE, str(held)), key=lambda size: size.value)
            rows += [
                {"representation": one.representation, "generator": one.generator, "held": held,
                 **row}
                for row in _sweep_rows(sizes, confidence)
            ]  # fmt: skip
    return _table(GENERATION_SHARE, rows)


def _sweep_rows(sizes: Sequence[Size], confidence: float) -> Iterable[dict[str, Any]]:
    none = sizes[0]
    sweep = Sweep(
        [size.value for size in sizes], np.array([size.choice_nll for size in sizes]),
        np.stack([size.sums[NLL] for size in sizes]), none.num_frames,
    )  # fmt: skip
    minimum = minimum_of(sweep, confidence)
    for number, size in enumerate(sizes):
        depth = gain_of(size.sums[NLL], none.sums[NLL], none.num_frames, 0.0, confidence)
        yield {
            "share": size.value,
            "share_trained": size.facts["num_rows_numbers"] / size.facts["num_resident"],
            **_facts(size), **_joined("nll_nats", size.mean(NLL), confidence),
            "nll_chosen_nats": size.choice_nll, **_gain("depth_nats", depth),
            "is_best": number == minimum.best, "word": minimum.word, **_counts(size),
        }  # fmt: skip


def _gain(name: str, gain: Gain) -> dict[str, float]:
    return {name: gain.gain, f"{name}_low": gain.low, f"{name}_high": gain.high}


def wider_table(
    found: Sequence[Priced], deltas: Mapping[tuple[str, str], float], confidence: float
) -> pd.DataFrame:
    """Return what SM gains over S and F in a wider backbone; see `cost_table`."""
    rows = []
    for one in found:
        sizes = {size.arm: size for size in sizes_of(one, WIDER)}
        for other in (SMALL, AS_MUCH_WORK) if sizes else ():
            own, theirs = sizes[MEMORY], sizes[other]
            delta = deltas[one.representation, one.generator]
            gain = gain_of(own.sums[NLL], theirs.sums[NLL], own.num_frames, delta, confidence)
            rows.append({
                "representation": one.representation, "generator": one.generator,
                "width": own.facts["width"], "against": other, **_gain("gain_nats", gain),
                "delta_nats": delta, **_counts(own),
            })  # fmt: skip
    return _table(GENERATION_WIDER, rows)


class Probed(NamedTuple):
    """What was asked of one generator on one representation.

    Attributes:
        representation: Name.
        generator: Name.
        sums: One row per arm, seed, `probes.sums.COLUMNS`.
    """

    representation: str
    generator: str
    sums: pd.DataFrame


def probes_table(found: Sequence[Probed], confidence: float) -> pd.DataFrame:
    """Return one row per measure of every probe, joined over seeds."""
    rows = [
        {
            "representation": one.representation,
            "generator": one.generator,
            **{name: own[name].iloc[0] for name in ("arm", *MEASURED)},
            **_measured(own, confidence),
        }
        for one in found
        for _, own in _known(one.sums).groupby(["arm", *MEASURED], sort=False)
    ]
    return _table(GENERATION_PROBES, rows)


def _known(sums: pd.DataFrame) -> pd.DataFrame:
    """Return the sums that are numbers; what was not measured is no 0."""
    return sums.dropna(subset=["numerator", "denominator"])


def _measured(rows: pd.DataFrame, confidence: float) -> dict[str, Any]:
    wide = {
        name: rows.pivot(index="seed", columns="speaker_id", values=name)
        .fillna(0.0)
        .to_numpy(float)
        for name in ("numerator", "denominator")
    }
    estimate = ratio_of_sums(wide["numerator"], wide["denominator"])
    return {
        **_joined("value", estimate, confidence),
        "num_seeds": len(estimate.value),
        "num_speakers": rows.loc[rows["speaker_id"] != "", "speaker_id"].nunique(),
    }


def _table(declared: Table, rows: list[dict[str, Any]]) -> pd.DataFrame:
    return declared.arrange(pd.DataFrame(rows)) if rows else declared.empty()
