"""Random numbers by seed and name, the same on every machine and in every order of use.

Each scheme has its own numbers, and published results were drawn with all of them, so none can
stand in for another. New code takes `named_generator`. This module loads no torch.
"""

import hashlib
import zlib

import numpy as np

MASK = (1 << 64) - 1
ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))  # shifts and factors of splitmix64


def stable_hash(name: str) -> int:
    """Return 64 bits of the SHA-256 of a name (Python's own `hash` changes from run to run)."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def checksum(name: str) -> int:
    """Return the CRC-32 of a name."""
    return zlib.crc32(name.encode())


def named_generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator of its own for a seed and names, for example one for each speaker."""
    return np.random.default_rng([seed, *(stable_hash(name) for name in names)])


def checksum_generator(seed: int, *names: object) -> np.random.Generator:
    """Return a generator of its own for a seed and the CRC-32 of names."""
    text = "\x1f".join(str(name) for name in names)
    return np.random.default_rng([seed, checksum(text)])


def named_seed(seed: int, *names: object) -> int:
    """Return a 31-bit seed of a named model: the same names, the same seed."""
    text = "/".join(str(name) for name in names)
    return int(checksum_generator(seed, text).integers(2**31))


def step_seed(seed: int, step: int, stream: int = 0) -> int:
    """Mix a seed, a counter and a stream number into one 63-bit seed (splitmix64)."""
    offset = step * 0xBF58476D1CE4E5B9 + stream * 0x94D049BB133111EB
    state = (seed * 0x9E3779B97F4A7C15 + offset + 1) & MASK
    for shift, factor in ROUNDS:
        state = ((state ^ (state >> shift)) * factor) & MASK
    return (state ^ (state >> 31)) >> 1
