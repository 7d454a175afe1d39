"""Expand sweeps into named variants."""

import itertools
from collections.abc import Collection, Iterator

from engram_audio.choices import chosen, require, with_points
from engram_audio.factorizer.config import (
    FactorizerSection,
    FactorizerSettings,
    FactorizerSweepSection,
)
from engram_audio.section import with_changes


def expand_sweep(
    name: str, sweep: FactorizerSweepSection, variant: FactorizerSection
) -> dict[str, FactorizerSection]:
    """Return the points of a sweep by name, `<sweep>_d<dims>_r<nats>...`.

    Raises:
        ValueError: A context is swept, but the encoder is a GRU, which has none, a value is none
            that the variant may have, or two points would have one name.
    """
    if sweep.context_frames and variant.encoder.kind != "transformer":
        raise ValueError(
            f"factorizer.grids.{name}.context_frames: the encoder of {sweep.variant} is a "
            f"{variant.encoder.kind}, which remembers without limit; use [] or a transformer"
        )
    return with_points(f"factorizer.grids.{name}", {}, _points(name, sweep, variant))


def _points(
    name: str, sweep: FactorizerSweepSection, variant: FactorizerSection
) -> Iterator[tuple[str, FactorizerSection]]:
    axes = (
        sweep.state_dims,
        sweep.target_nats,
        sweep.context_frames or (None,),
        sweep.rollout_horizons_frames or (None,),
    )
    for dims, nats, context, horizon in itertools.product(*axes):
        label = f"{name}_d{dims}_r{nats:g}".replace(".", "_")
        label += "" if context is None else f"_c{context}"
        label += "" if horizon is None else f"_h{horizon}"
        yield label, _point(f"factorizer.grids.{name}", variant, dims, nats, context, horizon)


def _point(
    key: str,
    variant: FactorizerSection,
    dims: int,
    nats: float,
    context: int | None,
    horizon: int | None,
) -> FactorizerSection:
    price = with_changes(variant.loss.kl, key, {"mode": "target", "target_nats": nats})
    reach = {} if horizon is None else {"rollout_horizon_frames": horizon}
    changes = {
        "state": with_changes(variant.state, key, {"num_dims": dims}),
        "loss": with_changes(variant.loss, key, {"kl": price, **reach}),
    }
    if context is not None:
        changes["encoder"] = with_changes(variant.encoder, key, {"context_frames": context})
    return with_changes(variant, key, changes)


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
        points = expand_sweep(name, sweep, stage.library[sweep.variant])
        runs = with_points(f"factorizer.grids.{name}", runs, points.items())
    return stage.model_copy(update={"library": runs, "grids": grids})


def sweep_of(run: str, variants: Collection[str], grids: Collection[str]) -> str:
    """Return the sweep that a factoriser is a point of, or "" for a variant."""
    names = [name for name in grids if run.startswith(f"{name}_d")]
    return "" if run in variants or not names else max(names, key=len)
