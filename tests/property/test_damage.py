"""One flipped bit in any file that a step reads: refused, or the value read is the same.

The whole value is compared: arrays, names, header, settings. 200 flips run always, 2,000 with the
slow tests (`pytest -s -m slow tests/property/test_damage.py` prints the counts).
"""

from pathlib import Path

import pytest

from tests.damage import kinds, outcomes

ALWAYS, SLOW = 200, 2000


def assert_never_another_value(folder: Path, total: int, seed: int) -> None:
    files = kinds(folder)
    share = -(-total // len(files))
    found = {name: outcomes(kind, share, seed) for name, kind in files.items()}
    for name, count in found.items():
        print(f"{name}: " + ", ".join(f"{count[k]} {k}" for k in ("refused", "same", "OTHER")))
    assert [name for name, count in found.items() if count["OTHER"]] == []
    assert sum(count["refused"] for count in found.values()) > total / 2


def test_a_flipped_bit_never_becomes_another_value(tmp_path: Path):
    assert_never_another_value(tmp_path, ALWAYS, seed=1)


@pytest.mark.slow
def test_two_thousand_flipped_bits_never_become_another_value(tmp_path: Path):
    assert_never_another_value(tmp_path, SLOW, seed=2)
