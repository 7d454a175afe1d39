"""Expand sweeps into named variants."""

import itertools
from collections.abc import Collection

from engram_audio.choices import chosen, require
from engram_audio.factorizer.config import (
    FactorizerSection,
    FactorizerSettings,
    FactorizerSweepSection,
)


def expand_sweep(
    name: str, sweep: FactorizerSweepSection, variant: FactorizerSection
) -> dict[str, FactorizerSection]:
    """Return the points of a sweep by name, `<sweep>_d<dims>_r<nats>...`.

    Raises:
        ValueError: A context is swept, but the encoder is a GRU, which has none.
    """
    if sweep.context_frames and variant.encoder.kind != "transformer":
        raise ValueError(
            f"factorizer.grids.{name}.context_frames: the encoder of {sweep.variant} is a "
            f"{variant.encoder.kind}, which remembers without limit; use [] or a transformer"
        )
    axes = (
        sweep.state_dims,
        sweep.target_nats,
        sweep.context_frames or (None,),
        sweep.rollout_horizons_frames or (None,),
    )
    points = {}
    for dims, nats, context, horizon in itertools.product(*axes):
        label = f"{name}_d{dims}_r{nats:g}".replace(".", "_")
        label += "" if context is None else f"_c{context}"
        label += "" if horizon is None else f"_h{horizon}"
        points[label] = _point(variant, dims, nats, context, horizon)
    return points


def _point(
    variant: FactorizerSection, dims: int, nats: float, context: int | None, horizon: int | None
) -> FactorizerSection:
    document = variant.model_dump(mode="json")
    document["state"]["num_dims"] = dims
    document["loss"]["kl"] |= {"mode": "target", "target_nats": nats}
    if context is not None:
        document["encoder"]["context_frames"] = context
    if horizon is not None:
        document["loss"]["rollout_horizon_frames"] = horizon
    return FactorizerSection.model_validate(document, strict=False)


def used_factorizers(stage: FactorizerSettings) -> FactorizerSettings:
    """Return the stage with what is trained only: listed variants, then points of listed grids.

    Raises:
        ValueError: A listed name is not defined, or a grid stands on no variant.
    """
    if not stage.representations:
        return stage.model_copy(update={"library": {}, "grids": {}})
    runs = chosen("factorizer.variants", stage.variants, stage.library, "factorizer.library")
    grids = chosen("factorizer.sweeps", stage.sweeps, stage.grids, "factorizer.grids")
    for name, sweep in grids.items():
        require(f"factorizer.grids.{name}.variant", sweep.variant, stage.library)
        runs |= expand_sweep(name, sweep, stage.library[sweep.variant])
    return stage.model_copy(update={"library": runs, "grids": grids})


def sweep_of(run: str, variants: Collection[str], grids: Collection[str]) -> str:
    """Return the sweep that a factoriser is a point of, or "" for a variant."""
    names = [name for name in grids if run.startswith(f"{name}_d")]
    return "" if run in variants or not names else max(names, key=len)
