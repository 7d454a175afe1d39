"""Does memory replace noise? What is asked of S, F and SM without noise and of S with noise."""

import pandas as pd
import pytest

from engram_audio.generation.noise_verdict import noise_rows
from engram_audio.generation.tables import generation_table, health_table
from tests.unit.generation_tables import evaluated, generation_bars

BARS = generation_bars(0.02)
LEVELS = {"S": 29.0, "SM": 28.0, "F": 28.6, "SMx": 28.9}
NEAR, FAR = 0.01, 0.4


def answer(noisy: float | None = NEAR, **losses: float) -> tuple[str, str]:
    """The word and its reason, for excess distances without noise and of S with noise."""
    found = [evaluated(LEVELS, losses=losses)]
    if noisy is not None:
        found.append(
            evaluated(LEVELS, losses={"S": noisy}, noise="uniform", generator_name="noisy")
        )
    (row,) = noise_rows("mel_pca", generation_table(found, 0.95), health_table(found), BARS)
    return row.case, row.reason


def test_memory_replaces_noise_where_only_it_is_healthy():
    assert answer(S=FAR, F=FAR, SM=NEAR)[0] == "MEMORY REPLACES NOISE"


@pytest.mark.parametrize(
    ("losses", "failing"),
    [
        ({"S": FAR, "F": NEAR, "SM": NEAR}, "F without noise, inside"),
        ({"S": FAR, "F": FAR, "SM": FAR}, "SM without noise, outside"),
        ({"S": FAR, "F": FAR, "SM": NEAR, "noisy": FAR}, "S with the best noise, outside"),
    ],
)
def test_what_fails_is_named(losses: dict[str, float], failing: str):
    """A wider net that is healthy too needs no memory, and noise that does not heal is no rival."""
    word, reason = answer(**losses)
    assert word == "NOT REPLACED" and failing in reason


def test_where_s_is_healthy_nothing_is_to_rescue():
    assert answer(S=NEAR, F=FAR, SM=NEAR)[0] == "NOTHING TO RESCUE"


def test_seeds_that_disagree_leave_it_open():
    """One of three seeds lies inside the bars: neither word holds."""
    found = [evaluated(LEVELS, losses={"S": FAR, "F": FAR, "SM": NEAR}),
             evaluated(LEVELS, noise="uniform", generator_name="noisy")]  # fmt: skip
    health = health_table(found)
    is_one = (health["arm"] == "S") & (health["seed"] == 0) & (health["generator"] == "one_frame")
    health.loc[is_one, "energy_distance"] = 0.02
    (row,) = noise_rows("mel_pca", generation_table(found, 0.95), health, BARS)
    assert row.outcome == "undecided" and "S without noise, open" in row.reason


def test_frames_off_the_support_are_outside_whatever_their_distance():
    """A run beside the data may have the right spread."""
    found = [evaluated(LEVELS), evaluated(LEVELS, noise="uniform", generator_name="noisy")]
    health = health_table(found)
    health.loc[health["generator"] == "one_frame", "off_support_share"] += 0.1
    (row,) = noise_rows("mel_pca", generation_table(found, 0.95), health, BARS)
    assert row.case == "NOT REPLACED" and "SM without noise, outside" in row.reason


@pytest.mark.parametrize("distances", [(NEAR, FAR), (FAR, NEAR)])
def test_the_noise_that_heals_best_stands_beside_memory(distances: tuple[float, float]):
    """Whichever generator is listed first: a noise that heals nothing must not stand for it."""
    found = [evaluated(LEVELS, losses={"S": FAR, "F": FAR, "SM": NEAR})]
    found += [
        evaluated(LEVELS, losses={"S": distance}, noise=noise, generator_name=noise)
        for noise, distance in zip(("uniform", "fixed"), distances, strict=True)
    ]
    (row,) = noise_rows("mel_pca", generation_table(found, 0.95), health_table(found), BARS)
    assert row.case == "MEMORY REPLACES NOISE"


def test_without_noise_nothing_is_asked():
    table = generation_table([evaluated(LEVELS)], 0.95)
    assert noise_rows("mel_pca", table, pd.DataFrame(), BARS) == []
