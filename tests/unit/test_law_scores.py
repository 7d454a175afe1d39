"""What stands beside every scored key: codes of the target, codes of other frames, the bank.

On `cycle`: four corners at 1, the noise at .1, so a code that names the corner tells ln 4 nats.
"""

import numpy as np
import pytest

from engram_audio.corpus.split_parts import EVAL
from engram_audio.keys.law_scores import LawScores, Scoring, codes_of, entropy, score_all
from engram_audio.keys.law_targets import Aim, fit_whitening
from tests.statistical.planted_laws import law_section
from tests.unit.law_material import corner_bank, cycle, learned, material, targets_of

ALONE = Aim("position", "none", 1)


def scored() -> LawScores:
    """The scores of one learned key of four codes, with a slice without targets before `all`."""
    own = material()
    whitening = fit_whitening(own.targets, cycle()[1], ALONE, (1e-6,), 2, 0.01)
    num = len(own.targets.rows)
    masks = {"none": np.zeros(num, bool), "all": np.ones(num, bool)}
    section = law_section(oracle_sizes=(2, 4, 100_000), window_frames=2)
    scoring = Scoring(own.targets, whitening, own.y, corner_bank(), section, masks)
    family = learned({"kind": "laws", "codebook_sizes": (4,)}).fitted
    return score_all(scoring, [family], [key.name for key in family.keys], None, {})


@pytest.fixture(scope="module")
def found() -> LawScores:
    return scored()


def sums(found: LawScores, key: str) -> np.ndarray:
    """Nats and frames of a key on eval, [2]."""
    rows = found.scores.query("key == @key and part == 'eval'")
    return rows[["nats", "num_frames"]].to_numpy(float).sum(0)


def nats(found: LawScores, key: str) -> float:
    """Mean of a key on eval."""
    total, frames = sums(found, key)
    return total / frames


def test_codes_of_the_target_tell_all_and_codes_of_other_frames_nothing(found: LawScores):
    """Four codes of the target tell ln 4, two of them ln 2; more codes than frames are left out."""
    assert nats(found, "target_oracle.4") == pytest.approx(np.log(4), abs=0.02)
    assert nats(found, "target_oracle.2") == pytest.approx(np.log(2), abs=0.02)
    assert abs(nats(found, "permuted.4")) < 0.02
    assert not found.scores["key"].str.contains("100000").any()


def test_the_state_tells_what_the_walk_does(found: LawScores):
    """Of ten steps one goes anywhere: ln 4 less its entropy, .925 + .025 x 3 of the corners."""
    share = np.array([0.925, 0.025, 0.025, 0.025])
    expected = np.log(4) + (share * np.log(share)).sum()
    assert nats(found, "learned.raw.laws_4") == pytest.approx(expected, abs=0.1)


def test_a_slice_without_targets_is_left_out_and_the_next_is_scored(found: LawScores):
    assert set(found.facts["slice"]) == set(found.scores["slice"]) == {"all"}
    assert set(found.facts["key"]) == set(found.scores["key"]) - {"bank"}


def test_facts_are_those_of_eval(found: LawScores):
    """The entropy is that of the codes of eval frames, to the last digit."""
    own = material()
    (key,) = learned({"kind": "laws", "codebook_sizes": (4,)}).fitted.keys
    on_eval = codes_of(own.targets, [key])[0][own.targets.of_part(EVAL)]
    (facts,) = found.facts.query("key == @key.name").to_dict("records")
    assert facts["entropy_nats"] == entropy(np.bincount(on_eval))
    assert facts["codes_used"] == facts["num_codes"] == 4
    assert sums(found, key.name)[1] == len(on_eval)


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_alone_the_floor_of_a_position_is_the_share_of_noise(share: float):
    """Positions alone are in units of their own SD."""
    block, part_of = cycle()
    whitening = fit_whitening(targets_of(block, part_of), part_of, ALONE, (1e-6,), 2, share)
    np.testing.assert_allclose(whitening.floor, share, rtol=1e-9)
