"""Expand sweeps into named methods."""

import itertools
from collections.abc import Collection, Iterator

from engram_audio.choices import chosen, require, with_points
from engram_audio.rollout.config import RolloutSettings, RolloutSweepSection
from engram_audio.rollout.method_config import KStepMethod
from engram_audio.section import with_changes


def expand_sweep(
    name: str, sweep: RolloutSweepSection, method: KStepMethod
) -> dict[str, KStepMethod]:
    """Return the points of a sweep by name, `<sweep>_k<K>_t<weight>_s<weight>[_<base>]`.

    Raises:
        ValueError: A value is none that the method may have, or two points would have one name.
    """
    return with_points(f"rollout.grids.{name}", {}, _points(name, sweep, method))


def _points(
    name: str, sweep: RolloutSweepSection, method: KStepMethod
) -> Iterator[tuple[str, KStepMethod]]:
    axes = (
        sweep.horizons_frames, sweep.teacher_weights, sweep.state_weights,
        sweep.bases or (method.base,),
    )  # fmt: skip
    for horizon, teacher, state, base in itertools.product(*axes):
        label = f"{name}_k{horizon}_t{teacher:g}_s{state:g}"
        label += f"_{base}" if sweep.bases else ""
        label = label.replace(".", "_").replace("-", "_").replace(":", "_")
        changes = {
            "horizon_frames": horizon, "teacher_weight": teacher, "state_weight": state,
            "base": base,
        }  # fmt: skip
        yield label, with_changes(method, f"rollout.grids.{name}", changes)


def used_methods(stage: RolloutSettings) -> RolloutSettings:
    """Return the stage with what runs only: the listed methods, then the points of listed grids.

    Raises:
        ValueError: A listed name is not defined, or a grid stands on no k_step method.
    """
    if not stage.representations:
        return stage.model_copy(update={"library": {}, "grids": {}})
    runs = chosen("rollout.methods", stage.methods, stage.library, "rollout.library")
    grids = chosen("rollout.sweeps", stage.sweeps, stage.grids, "rollout.grids")
    tuned = {name: row for name, row in stage.library.items() if row.kind == "k_step"}
    for name, sweep in grids.items():
        require(f"rollout.grids.{name}.method", sweep.method, tuned)
        points = expand_sweep(name, sweep, tuned[sweep.method])
        runs = with_points(f"rollout.grids.{name}", runs, points.items())
    return stage.model_copy(update={"library": runs, "grids": grids})


def sweep_of(run: str, methods: Collection[str], grids: Collection[str]) -> str:
    """Return the sweep that a run is a point of, or "" for a named method."""
    names = [name for name in grids if run.startswith(f"{name}_k")]
    return "" if run in methods or not names else max(names, key=len)
