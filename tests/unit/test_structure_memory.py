"""What the structure stage holds for each frame, and what it holds of a linear model.

Laws: the bytes that one more frame adds are those of its scalars, counted by hand. A model of the
whole context is held for one place at a time, however many slices, lags and inputs there are.
"""

import gc
import weakref

import numpy as np
import pytest

from engram_audio.keys.fitted import KeyCells
from engram_audio.numerics.covariance import Covariance
from engram_audio.structure import key_scores
from engram_audio.structure.cells import make_labeling
from engram_audio.structure.config import TargetOracleKeys
from engram_audio.structure.target_keys import small_cells
from engram_audio.structure.targets import EVAL, SliceTargets
from tests.unit.structure_material import material_of


def bytes_of(targets: SliceTargets) -> int:
    return sum(own.nbytes for own in (*targets.rows, *targets[2:]))


def test_a_slice_takes_ten_bytes_for_each_target():
    """Row 4, part 1, speaker 1 (up to 256 of them), utterance 4; 4 more where it is of eval."""
    targets = material_of().places["all", 1].targets
    assert bytes_of(targets) == 10 * len(targets.part) + 4 * targets.count(EVAL)


@pytest.mark.parametrize(("num_codes", "own"), [(256, 1), (257, 2), (65536, 2), (65537, 4)])
def test_a_code_takes_as_few_bytes_as_it_needs(num_codes: int, own: int):
    """The largest code is kept, and confidence is kept of eval targets alone."""
    found = KeyCells(np.array([0, num_codes - 1, 1], np.int32), np.arange(3, dtype=np.float32))
    small = small_cells(found, num_codes, np.array([False, True, True]))
    assert small.cells.itemsize == own
    assert small.cells.tolist() == found.cells.tolist()
    assert small.sure is not None
    assert small.sure.tolist() == [1, 2]


@pytest.mark.parametrize(("num_effective", "own"), [(255, 1), (256, 2)])
def test_a_labeling_has_room_for_the_code_of_what_is_excluded(num_effective: int, own: int):
    cells = np.arange(num_effective + 1, dtype=np.uint16)
    part = np.zeros(len(cells), dtype=np.int8)
    part[-1] = EVAL  # its cell has no train frame
    labeling = make_labeling(cells, part, len(cells), 1)
    assert labeling.codes.itemsize == own
    assert labeling.codes.tolist() == list(range(num_effective + 1))


def test_one_linear_model_is_held_at_a_time(monkeypatch: pytest.MonkeyPatch):
    """At 8 frames of 512 dimensions each takes 128 MiB, and the base study has 15 places."""
    alive: list[weakref.ref[Covariance]] = []
    most = 0

    fit = key_scores.fit_linear_model

    def noted(*arguments):
        nonlocal most
        gc.collect()
        model = fit(*arguments)
        alive.append(weakref.ref(model.moments.covariance))
        most = max(most, sum(one() is not None for one in alive))
        return model

    monkeypatch.setattr(key_scores, "fit_linear_model", noted)
    material = material_of()
    key_scores.score_keys(
        "oracle", TargetOracleKeys(kind="target_oracle", codebook_sizes=(4,)), material
    )
    assert len(alive) == len(material.places) > 1
    assert most == 1
