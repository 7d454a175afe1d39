"""Expand sweeps into named variants."""

import itertools
from collections.abc import Mapping

from engram_audio.factorizer.config import FactorizerSection, FactorizerSweepSection


def expand_sweep(
    name: str, sweep: FactorizerSweepSection, variant: FactorizerSection
) -> dict[str, FactorizerSection]:
    """Return the points of a sweep by name, `<sweep>_d<dims>_r<nats>...`.

    Raises:
        ValueError: A context is swept, but the encoder is a GRU, which has none.
    """
    if sweep.context_frames and variant.encoder.kind != "transformer":
        raise ValueError(
            f"factorizer_sweeps.{name}.context_frames: the encoder of {sweep.variant} is a "
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


def expand_all(
    variants: Mapping[str, FactorizerSection], sweeps: Mapping[str, FactorizerSweepSection]
) -> dict[str, FactorizerSection]:
    """Return every variant and every point of every sweep that names a known variant."""
    runs = dict(variants)
    for name, sweep in sweeps.items():
        if sweep.variant in variants:
            runs |= expand_sweep(name, sweep, variants[sweep.variant])
    return runs
