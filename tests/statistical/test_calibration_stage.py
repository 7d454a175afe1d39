"""Bugs are caught, error rates and coverage hold, held-out worlds come out right."""

import pandas as pd
import pytest

from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.world import simulate
from engram_audio.config import parse_config
from engram_audio.densities.config import PredictionEvaluationSection
from engram_audio.keys.config import KeysSection
from engram_audio.latents.block import LatentBlock
from engram_audio.structure.material import Material, prepare
from engram_audio.trust.bugs import BUGS
from engram_audio.trust.error_rates import LAYOUTS, RateRow, rate_rows
from engram_audio.trust.measurement import (
    Analysis,
    Planted,
    all_truths,
    closed_forms,
    measure,
    parts_of,
)
from engram_audio.trust.oracle_rows import oracle_rows
from engram_audio.trust.sabotage import sabotage_analysis, sabotage_rows
from engram_audio.trust.tables import sabotage_frame, sabotage_matrix
from tests import studies

CONFIG = parse_config(studies.study("demo"))
EVALUATION = studies.section_of(CONFIG, PredictionEvaluationSection)
ANALYSIS = Analysis(
    studies.worlds_structure(CONFIG), studies.section_of(CONFIG, KeysSection),
    studies.worlds_families(CONFIG), CONFIG.calibration.worlds.keys,
    CONFIG.decision.lag_frames, CONFIG.statistics,
)  # fmt: skip
SMALL = sabotage_analysis(ANALYSIS, 16)


@pytest.fixture(scope="module")
def matrix() -> dict:
    return sabotage_matrix(sabotage_frame(sabotage_rows(CONFIG.calibration.sabotage, ANALYSIS)))


@pytest.mark.slow  # the demo of CI runs the same matrix and asks whether it is trusted
def test_the_honest_instrument_passes_every_row(matrix: dict):
    assert matrix["failing_without_bug"] == []


@pytest.mark.slow
@pytest.mark.parametrize("bug", list(BUGS))
def test_every_planted_bug_is_caught(matrix: dict, bug: str):
    assert matrix["bugs"][bug]["caught_by"]


@pytest.fixture(scope="module")
def rates() -> list[RateRow]:
    section = CONFIG.calibration.power.model_copy(update={"num_studies": 100})
    return rate_rows(section, CONFIG.decision.operative_gate, 0.95)


def test_no_word_is_false_more_often_than_it_may_be(rates: list[RateRow]):
    """One-sided 2.5 % within three Monte-Carlo errors, in every layout, on every boundary.

    Five boundaries of one key in five layouts, six of several keys, slices and heads in two.
    """
    wrong = [row for row in rates if row.kind.startswith("false")]
    assert len(wrong) == 5 * 5 + 6 * 2
    assert not [row for row in wrong if row.rate > 0.025 + 3 * row.monte_carlo_error]


def test_one_speaker_with_half_of_all_frames_is_invalid_by_rule(rates: list[RateRow]):
    """n_eff is about 4, below 5 but in a study or two of a hundred: hardly a word but INVALID."""
    found = {row.layout: row.rate for row in rates if row.kind == "INVALID"}
    assert found["one with half"] > 0.95
    assert max(rate for layout, rate in found.items() if layout != "one with half") < 0.05


def test_intervals_cover_what_they_say(rates: list[RateRow]):
    """.93 to .97 and three Monte-Carlo errors; dominated speakers are not claimed."""
    covered = [row for row in rates if row.kind == "coverage" and row.layout != "one with half"]
    assert len(covered) == 8
    for row in covered:
        assert 0.93 - 3 * row.monte_carlo_error < row.rate < 0.97 + 3 * row.monte_carlo_error, row


@pytest.mark.slow
def test_error_rates_of_two_thousand_studies_a_cell():
    """As above at 2,000 studies, everything in every layout; about six CPU-minutes."""
    section = CONFIG.calibration.power.model_copy(update={"num_studies": 2000})
    rows = rate_rows(section, CONFIG.decision.operative_gate, 0.95, tuple(LAYOUTS))
    assert len(rows) == 5 * (8 + 6)
    for row in rows:
        if row.kind.startswith("false"):
            assert row.rate <= 0.025 + 3 * row.monte_carlo_error, row
        elif row.kind == "coverage" and row.layout != "one with half":
            assert 0.93 - row.monte_carlo_error < row.rate < 0.97 + row.monte_carlo_error, row


HELD_OUT = {
    "ar1_r05": {"correlation": 0.6, "num_dims": 10},
    "var1": {"num_dims": 4, "radii": (0.9, 0.5), "angles_rad": (0.7, 1.9)},
    "type2": {"num_phases": 10, "num_dims": 20, "key_ratio": 0.5, "jump_probability": 0.02},
    "partly_shared": {"num_phases": 8, "shared_fraction": 0.3},
}


@pytest.mark.parametrize("name", list(HELD_OUT))
def test_other_parameters_of_a_family_come_out_right(name: str):
    """No row knows the parameters of the named worlds: other values, another seed, all within."""
    world = make_world(name, 17, **HELD_OUT[name])
    draw = simulate(world, WorldSize(24, 10, 10))
    rows = measure(closed_forms(name, world, draw, SMALL.section.lags_frames), SMALL)
    assert len(rows) >= 4
    failing = [row for row in rows if not row.passes]
    assert not failing, pd.DataFrame(failing).to_string()


SMALLER = {"table": {"num_symbols": 32}}  # its filter costs symbols x frames


@pytest.mark.parametrize("name", ["ar1_r07", "type2", "drift", "table"])
def test_an_injected_oracle_reads_its_own_truth(name: str):
    """Log densities and means of the exact predictor through both stages' metrics."""
    planted, material, part_of = _prepared(name)
    oracle = planted.world.oracle()
    assert oracle is not None
    rows = oracle_rows(
        name,
        oracle,
        planted.truths,
        material,
        part_of,
        EVALUATION,
    )
    assert {row.quantity for row in rows} >= {"nll_nats", "cosine", "variance_ratio"}
    failing = [row for row in rows if not row.passes]
    assert not failing, pd.DataFrame(failing).to_string()


def test_an_oracle_that_sees_the_target_is_noticed():
    """Frames shifted by one: the oracle at lag 2 looks at t - 1; its numbers leave tolerance."""
    planted, material, part_of = _prepared("ar1_r07")
    oracle = planted.world.oracle()
    assert oracle is not None

    class Early:
        def __getattr__(self, method: str):
            right = getattr(oracle, method)

            def shifted(block: LatentBlock, targets, lag_frames: int, *others):
                return right(block, targets, max(lag_frames - 1, 1), *others)

            return shifted

    early: object = Early()
    rows = oracle_rows(
        "ar1_r07", early, planted.truths, material, part_of,  # type: ignore[arg-type]
        EVALUATION,
    )  # fmt: skip
    assert not all(row.passes for row in rows if row.lag_frames == 2)


def _prepared(name: str) -> tuple[Planted, Material, dict[str, str]]:
    world = make_world(name, 5, **SMALLER.get(name, {}))
    draw = simulate(world, WorldSize(8, 12, 6))
    planted = all_truths(name, world, draw, SMALL.section, 16, 6)
    part_of = parts_of(draw, 0)
    return planted, prepare(lambda: iter([draw.block]), part_of, SMALL.section), part_of


def test_worlds_without_a_hidden_key_say_so():
    """Linear worlds have no key of their own."""
    world = make_world("var1", 0)
    assert world.stated_key(simulate(world, WorldSize(2, 2, 2)).hidden) is None
