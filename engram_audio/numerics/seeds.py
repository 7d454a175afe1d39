"""Random generators by seed and name, the same on every machine and in every order of use."""

import hashlib

import numpy as np


def stable_hash(name: str) -> int:
    """Return 64 bits of the SHA-256 of a name (Python's own `hash` changes from run to run)."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def named_generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator of its own for a seed and names, for example one for each speaker."""
    return np.random.default_rng([seed, *(stable_hash(name) for name in names)])
