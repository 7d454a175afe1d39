"""Expand sweeps into named methods."""

import itertools
from collections.abc import Mapping

from engram_audio.rollout.config import AnyMethod, KStepMethod, RolloutSweepSection


def expand_sweep(
    name: str, sweep: RolloutSweepSection, method: KStepMethod
) -> dict[str, KStepMethod]:
    """Return the points of a sweep by name, `<sweep>_k<K>_t<weight>_s<weight>[_<base>]`."""
    points = {}
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
        points[label] = method.model_copy(update=changes)
    return points


def expand_all(
    methods: Mapping[str, AnyMethod], sweeps: Mapping[str, RolloutSweepSection]
) -> dict[str, AnyMethod]:
    """Return every method and every point of every sweep that names a known k_step method."""
    runs = dict(methods)
    for name, sweep in sweeps.items():
        method = methods.get(sweep.method)
        if isinstance(method, KStepMethod):
            runs |= expand_sweep(name, sweep, method)
    return runs


def sweep_of(
    run: str, methods: Mapping[str, AnyMethod], sweeps: Mapping[str, RolloutSweepSection]
) -> str:
    """Return the sweep that a run is a point of, or "" for a named method."""
    names = [name for name in sweeps if run.startswith(f"{name}_k")]
    return "" if run in methods or not names else max(names, key=len)
