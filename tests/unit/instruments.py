"""Every instrument on one small world, as numbers without units."""

from functools import partial

import numpy as np
import pandas as pd
import torch

from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.fit import fit_marginals
from engram_audio.latents.var import fit_var
from engram_audio.memory.fit import fit_lookup, mean_nll
from engram_audio.memory.folds import linear_candidates
from engram_audio.rollout.forecasts import marginals_of, moment_matched
from engram_audio.rollout.late import measure_health
from engram_audio.rollout.laws import step_law
from engram_audio.rollout.measures import STATISTICS
from engram_audio.rollout.setup import make_scoring_setup
from engram_audio.rollout.simulate import Settings, free_run
from engram_audio.section import validated
from engram_audio.structure.config import ScoredFamily
from engram_audio.structure.linear import score_linear
from engram_audio.structure.material import prepare
from tests.unit.key_material import scored
from tests.unit.memory_material import key_of, lookup
from tests.unit.prediction_material import World, head_settings, recipe
from tests.unit.rollout_material import (
    eval_others,
    eval_starts,
    limits_of,
    rollout_section,
    small_head,
)
from tests.unit.test_structure_scores import section

CPU = torch.device("cpu")
QUANTIZERS = [{"kind": "kmeans", "codebook_sizes": [6]}]
INPUTS = ["raw", "increments", "speaker_centred"]
FAMILIES = {
    "pca": {"inputs": INPUTS, "num_components": 3, "quantizers": QUANTIZERS},
    "predictive": {"inputs": ["raw"], "num_components": 2, "quantizers": QUANTIZERS},
    "target_oracle": {"codebook_sizes": [6]},
}


def numbers_of(table: pd.DataFrame) -> np.ndarray:
    return table.select_dtypes("number").to_numpy(float).ravel()


def structure_of(world: World) -> dict[str, np.ndarray]:
    """Sums of every key, control and linear model, in normalised delta."""
    return {name: numbers_of(table) for name, table in structure_tables(world).items()}


def structure_tables(world: World) -> dict[str, pd.DataFrame]:
    """Scores of the linear models and of every family of keys."""
    largest = np.abs(world.train.frames).max()  # the energies of a world have the frames' unit
    blocks = [
        block._replace(energy=np.abs(block.frames[:, 0]) / largest)
        for block in (world.train, world.eval)
    ]
    material = prepare(lambda: iter(blocks), world.part_of, section())
    found = {"linear": score_linear(material)}
    for name, settings in FAMILIES.items():
        family = validated(ScoredFamily, {"kind": name, **settings}, name)
        found[name] = scored(name, family, material).scores
    return found


def eval_nll(model: torch.nn.Module, world: World) -> float:
    return mean_nll(model, world.eval_data(1), CPU)  # type: ignore[arg-type]


def prediction_of(world: World) -> dict[str, np.ndarray]:
    """Gains over one null in nats: the unit's log cancels."""
    base, *others = [
        eval_nll(build_gaussian(null.fit.arrays), world)
        for null in world.material.linear_nulls
        if null.lag_frames in (1, -1, 0) and null.event == "delta"
    ]
    fits = fit_marginals(head_settings(), recipe(num_steps=2), world.material, 0)
    head = eval_nll(small_head(world), world)
    nulls = [null.fit.choice_nll for null in world.material.linear_nulls]
    return {
        "nulls": np.array(others) - base,
        "val_nulls": np.array(nulls) - nulls[0],
        "marginal": np.array([eval_nll(fit.model, world) - base for fit, _ in fits.values()]),
        "head": np.array([head - base]),
    }


def memory_of(world: World) -> dict[str, np.ndarray]:
    candidates = linear_candidates(world.material, 1, "position", 2)
    fitted = fit_lookup(lookup(), key_of(world.material), world.material, 1, candidates, 0, CPU)
    gain = eval_nll(candidates[0].model, world) - eval_nll(fitted.model, world)
    return {"memory": np.array([gain, fitted.is_off])}


def rollout_of(world: World) -> dict[str, np.ndarray]:
    reference = world.material.reference
    head, starts = small_head(world), eval_starts(world)
    scales = (reference.frame_mean, reference.frame_sd, reference.delta_sd)
    marginals = marginals_of(*scales, CPU)
    how = Settings(8, True, None, 512, partial(step_law, head))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    run = free_run(head, starts, how, limits_of(world.material), 4, generator)  # type: ignore[arg-type]
    setup = make_scoring_setup(
        rollout_section(), reference, lambda: iter([world.material.block]), CPU
    )
    health = measure_health(run, starts, eval_others(world, starts), setup, generator)
    numbers = [each[name][0] for each in health[:2] for name in STATISTICS]
    numbers += health.details.values()
    forecast = moment_matched(run, 4, marginals).log_prob(starts)
    known = marginals.log_prob(starts)
    gains = [(forecast[name] - known[name][:, :4]).mean(0).numpy() for name in forecast]
    return {"health": np.array(numbers), "forecast": np.concatenate(gains)}


def surrogate_of(world: World) -> dict[str, np.ndarray]:
    model = fit_var(lambda: [world.train], 2)
    return {"var": np.append(model.coefficients.ravel(), model.radius)}


def measure(world: World) -> dict[str, np.ndarray]:
    """Return every number by instrument."""
    found: dict[str, np.ndarray] = {}
    for part in (structure_of, prediction_of, memory_of, rollout_of, surrogate_of):
        found |= part(world)
    return found
