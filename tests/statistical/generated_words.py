"""Words of planted worlds: arms trained by `planted_generation`, told by the stage's own tables.

Gains, intervals over seeds and speakers, health and the word are those of the published functions.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.calibration.config import WORLD_PREFIX
from engram_audio.corpus.split_parts import EVAL
from engram_audio.densities.ridge_mixture import build_ridge_mixture
from engram_audio.generation.evaluation import null_nll, speaker_sums
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.names import NO_SEED, NO_STEPS
from engram_audio.generation.nulls import fit_nulls
from engram_audio.generation.tables import Evaluated, gains_table, health_table
from engram_audio.generation.verdicts import found_of
from engram_audio.generation.word import Found, Word, word_of
from tests.statistical.planted_generation import RECIPE, Arena, Scored, health, scope_of

CONFIDENCE, MAXIMUM_HEALTH_LOSS = 0.95, 0.02  # the default study's
FREE: tuple[ArmName, ...] = ("S", "SM", "F")
HORIZON = 32


class Told(NamedTuple):
    """What the stage's tables say of a world.

    Attributes:
        gains: `tables/generation_gains.csv`.
        health: `tables/generation_health.csv`.
        found: What the word is made of.
        word: The word with what the gain is made of.
    """

    gains: pd.DataFrame
    health: pd.DataFrame
    found: Found
    word: Word


def told(
    own: Arena, world: str, generator: str, arms: Mapping[ArmName, Sequence[Scored]],
    swaps: Mapping[str, Sequence[pd.DataFrame]] | None = None,
) -> Told:  # fmt: skip
    """Return what the tables say of trained arms, and print it.

    Args:
        own: The world with all that its arms share.
        world: Its name.
        generator: A name for the memory.
        arms: Trainings by arm, in the order of their seeds.
        swaps: Sums by speaker of SM that is read with wrong codes, by swap, likewise.
    """
    one = _evaluated(own, world, generator, arms, swaps or {})
    gains, healthy = gains_table([one], CONFIDENCE), health_table([one])
    found = found_of(gains, healthy, MAXIMUM_HEALTH_LOSS)
    whole = Told(gains, healthy, found, word_of(found))
    _show(world, generator, arms, whole)
    return whole


def _evaluated(
    own: Arena, world: str, generator: str, arms: Mapping[ArmName, Sequence[Scored]],
    swaps: Mapping[str, Sequence[pd.DataFrame]],
) -> Evaluated:  # fmt: skip
    sums: dict[str, Sequence[pd.DataFrame]] = {
        **{name: [one.sums for one in found] for name, found in arms.items()}, **swaps,
    }  # fmt: skip
    scores = [
        _labelled(table, name, seed) for name, found in sums.items()
        for seed, table in enumerate(found)
    ] + [_labelled(table, name, NO_SEED) for name, table in null_sums(own).items()]  # fmt: skip
    members = [
        {"arm": name, "seed": seed, "num_steps": RECIPE["num_steps"], "is_repeat": False,
         "f_gen_flops": float(one.budget.flops_generated)}
        for name, found in arms.items() for seed, one in enumerate(found)
    ]  # fmt: skip
    runs = [
        {"arm": name, "seed": seed, "horizon_frames": HORIZON, **health(own, one.model, HORIZON)}
        for name in FREE for seed, one in enumerate(arms.get(name, ()))
    ]  # fmt: skip
    nothing = pd.DataFrame()
    return Evaluated(
        WORLD_PREFIX + world, generator, own.planted.material.choice_part, pd.DataFrame(members),
        pd.concat(scores, ignore_index=True), pd.DataFrame(runs), nothing, nothing, nothing,
    )  # fmt: skip


def _labelled(sums: pd.DataFrame, arm: str, seed: int) -> pd.DataFrame:
    steps = NO_STEPS if seed == NO_SEED else RECIPE["num_steps"]
    return sums.assign(
        arm=arm, seed=seed, num_steps=steps, is_repeat=False, part=EVAL, energy=np.nan
    )


def null_sums(own: Arena) -> dict[str, pd.DataFrame]:
    """Return sums by speaker of the arms that nobody trains: the marginal and the linear null."""
    planted = own.planted
    fits = fit_nulls(planted.study.prediction.ridge_mixture, planted.material, 0)
    scope, means = scope_of(own), planted.material.reference.speakers

    def source():
        return iter([planted.noisy])

    return {
        name: speaker_sums(
            null_nll(build_ridge_mixture(fit), source, means, scope), source, scope.window_frames
        )
        for name, fit in fits.items()
    }


def _show(
    world: str, generator: str, arms: Mapping[ArmName, Sequence[Scored]], whole: Told
) -> None:
    """Print levels, gains with their intervals, health and the word."""
    print(f"\n{world}, {generator}: {whole.word}")
    for name, found in arms.items():
        levels = ", ".join(f"{one.nll:.3f}" for one in found)
        gates = ", ".join(f"{one.gate:.3f}" for one in found)
        budget = found[0].budget
        print(
            f"  {name}: {levels} nats, gate {gates}, {budget.flops_generated} FLOPs, "
            f"{budget.num_resident} numbers"
        )
    for row in whole.gains.to_dict("records"):
        print("  {arm} over {against}: {gain_nats:.3f} [{gain_nats_low:.3f}, {gain_nats_high:.3f}],"
              " delta {delta_nats:.3f}, {num_seeds} seeds".format(**_named(row)))  # fmt: skip
    for row in whole.health.to_dict("records"):
        print("  {arm} seed {seed}: SD ratio {std_ratio:.3f}, energy distance {energy_distance:.4f}"
              " (true {energy_distance_true:.4f})".format(**_named(row)))  # fmt: skip


def _named(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}


def gain(whole: Told, arm: str, against: str) -> dict[str, Any]:
    """Return the row of a pair of arms."""
    (row,) = choose(whole.gains, arm=arm, against=against).to_dict("records")
    return _named(row)
