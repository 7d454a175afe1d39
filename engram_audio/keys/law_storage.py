"""Bank, units and predictor of one aim as named arrays and a header, and back."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from engram_audio.keys.bank import Bank
from engram_audio.keys.law_targets import Whitening

BANK = ("weights", "means", "sds")
WHITENING = ("centre", "intercepts", "weights", "inverse_scale", "frame_sd")


class Ceiling(NamedTuple):
    """What learned keys of one aim stand on.

    Attributes:
        whitening: From targets to y.
        bank: Shared components.
        scale: Train SD of each feature, [Q].
        network: Arrays of q(g | context).
    """

    whitening: Whitening
    bank: Bank
    scale: np.ndarray
    network: dict[str, np.ndarray]


def pack_ceiling(ceiling: Ceiling) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and their header."""
    arrays = {f"bank/{name}": getattr(ceiling.bank, name) for name in BANK}
    arrays |= {f"whitening/{name}": getattr(ceiling.whitening, name) for name in WHITENING}
    arrays |= {f"network/{name}": values for name, values in ceiling.network.items()}
    arrays["scale"] = ceiling.scale
    whitening = ceiling.whitening
    header = {
        "target": whitening.target,
        "noise_fraction": whitening.noise_fraction,
        "ridge": whitening.ridge,
    }
    return arrays, header


def unpack_ceiling(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> Ceiling:
    """Return the ceiling of `pack_ceiling`."""

    def below(part: str) -> dict[str, np.ndarray]:
        start = f"{part}/"
        return {n.removeprefix(start): v for n, v in arrays.items() if n.startswith(start)}

    return Ceiling(
        Whitening(**below("whitening"), **header),
        Bank(**below("bank")),
        arrays["scale"],
        below("network"),
    )
