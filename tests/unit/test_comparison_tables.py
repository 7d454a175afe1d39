"""Codecs side by side: arithmetic of the tables on made-up scores, and who may stand in them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from engram_audio.artifacts.columns import Table
from engram_audio.comparison.columns import CODECS, FRONTIER
from engram_audio.comparison.config import ComparedSection, OverlapControls
from engram_audio.comparison.information import information_share, measure
from engram_audio.comparison.tables import (
    codec_table,
    frontier_table,
    pareto_front,
    speaker_mean,
)
from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.plan import Plan
from engram_audio.report.sections.codecs import COLUMNS, FRONTIER_COLUMNS
from engram_audio.report.table_view import Column
from engram_audio.stats.estimate import Estimate, paired_quotient
from engram_audio.stats.ratio import ratio_of_sums
from tests import studies
from tests.report_codec_tables import (
    CONTROLS,
    HEAD,
    REGISTERED,
    compared_rows,
    prediction_sums,
    published,
    structure_rows,
)
from tests.workflow.tiny_study import ROOT, add_row, wide_config


def table() -> pd.DataFrame:
    rows = compared_rows()
    compared = ComparedSection(
        representations=("mimi", "mimi_slow", "mel"),
        ladders={"rate": ("mimi_slow", "mimi", "mel")},
        controls=CONTROLS,
    )
    found = codec_table(rows, compared, structure_rows(rows), REGISTERED, 8, 0.95)
    return found.set_index("representation")


def test_information_is_per_second_over_the_best_marginal():
    """mimi: 5 nats/frame below its marginal at 12.5 Hz; the slow one the same at half the rate."""
    found = table()
    assert found.loc["mimi", "information_nats_per_s"] == pytest.approx(5 * 12.5)
    assert found.loc["mimi", "information_bits_per_s"] == pytest.approx(5 * 12.5 / np.log(2))
    assert found.loc["mimi_slow", "information_nats_per_s"] == pytest.approx(5 * 6.25)
    assert found["predictor"].tolist() == ["student_t_mixture"] * 3
    assert found.loc["mimi", "gain_nats_per_s"] == pytest.approx(1 * 12.5)
    assert found["best_null"].tolist() == ["ridge"] * 3


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_information_says_whether_the_law_without_context_was_grown_to_its_end(share: float):
    """Eight noisy rings: a mixture at its limit reads 18.6 nats where 16.1 is the most there is."""
    sums = prediction_sums(5.0, 1.0)
    found = measure(sums.assign(has_stopped=share * sums["num_frames"]), [HEAD])
    assert found is not None
    assert found.marginal_has_stopped == bool(share)


@pytest.mark.parametrize(
    ("published_in", "shown"), [(CODECS, COLUMNS), (FRONTIER, FRONTIER_COLUMNS)]
)
def test_information_is_called_no_lower_bound(published_in: Table, shown: tuple[Column, ...]):
    """It errs either way: dictionary and page say what ended the growth beside each number."""
    names = [column.name for column in shown]
    assert "information_bits_per_s" in names and "marginal_has_stopped" in names
    words = " ".join(published_in[name].meaning for name in ("information_nats_per_s",
                     "information_bits_per_s", "marginal_has_stopped"))  # fmt: skip
    assert "overstated" in words
    assert "lower bound" not in words and "at least" not in words


def test_intervals_count_speakers():
    """Two t quantiles wide of the SD over speakers: independent of the number of frames."""
    found = table()
    ends = found[["information_nats_per_s_low", "information_nats_per_s_high"]]
    width = dict(zip(found.index, np.diff(ends.to_numpy(float), axis=1)[:, 0], strict=True))
    assert width["mimi"] == pytest.approx(2 * width["mimi_slow"])
    more = measure(prediction_sums(5.0, 1.0, frames=5000), ["student_t_mixture"])
    few = measure(prediction_sums(5.0, 1.0, frames=50), ["student_t_mixture"])
    assert more is not None and few is not None and more.gain is not None and few.gain is not None
    np.testing.assert_allclose(more.gain.influence, few.gain.influence, atol=1e-9)


def test_the_overlap_share_is_the_twins_information_over_the_own():
    """2 of 5 nats are left on permuted blocks, 4 of 5 with a short memory, 1 without order."""
    row = table().loc["mimi"]
    assert row["overlap_share"] == pytest.approx(2 / 5)
    assert row["truncation_loss"] == pytest.approx(1 - 4 / 5)
    assert row["static_share"] == pytest.approx(1 / 5)
    for name in ("overlap_share", "truncation_loss", "static_share"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    assert np.isnan(table().loc["mel", "overlap_share"])


def test_twins_without_the_same_speakers_are_still_compared():
    """A speaker whose only clip was excluded in one of two runs has no influence there."""
    heads = ["student_t_mixture"]
    whole = measure(prediction_sums(5.0, 1.0), heads)
    scores = prediction_sums(2.0, 1.0)
    other = measure(scores.loc[scores["speaker_id"] != "eval-3"], heads)
    share = information_share(other, whole, 0.95)
    assert np.isfinite([share.value, share.low, share.high]).all()


def test_a_paired_quotient_is_exact_where_both_are_the_same():
    generator = np.random.default_rng(0)
    influence = generator.normal(size=12)
    influence -= influence.mean()
    one = Estimate(np.array(3.0), influence / 20, np.full(12, 1 / 12))
    double = one._replace(value=2 * one.value, influence=2 * one.influence)
    interval = paired_quotient(double, one, 0.95)
    assert float(interval.low) == pytest.approx(2) and float(interval.high) == pytest.approx(2)


def test_a_paired_quotient_covers_as_often_as_it_says():
    """Correlated speakers, 2000 studies: 95 % of intervals hold the true quotient."""
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(2000):
        shared = generator.normal(size=(2, 15))
        parts = np.array([[1.0], [2.0]]) + 0.3 * (shared + shared[:1])
        estimates = [ratio_of_sums(p, np.ones(len(p))) for p in parts]
        interval = paired_quotient(estimates[0], estimates[1], 0.95)
        covered += bool(interval.low <= 0.5 <= interval.high)
    assert 0.935 < covered / 2000 < 0.965  # three binomial SD


def test_scores_of_utterances_are_averaged_and_their_error_counts_speakers():
    scores = pd.DataFrame({"speaker_id": ["a", "a", "b"], "pesq": [1.0, 2.0, 4.5]})
    found = speaker_mean(scores, "pesq")
    assert found is not None and float(found.value) == 2.5 and int(found.num_units) == 2
    scores["pesq"] = np.nan  # the library is not installed
    assert speaker_mean(scores, "pesq") is None


def test_reconstruction_and_bits_stand_beside():
    found = table()
    assert found.loc["mimi", "log_mel_l1"] == pytest.approx(0.5)
    assert found["bits_per_s"].tolist()[:2] == [1100, 550]
    assert found["rate_kind"].tolist() == ["quantised", "quantised", ""]
    assert np.isnan(found["stoi"].tolist()).tolist() == [False, False, True]
    assert found["absent_metrics"].tolist() == ["", "", "stoi pesq"]
    assert found.loc["mimi", "num_self_tests_passed"] == 2
    assert found.loc["mimi", "self_tests"] == "weights ok; causality 1e-07 ok"


def test_lags_are_stated_in_seconds():
    found = table()
    assert found.loc["mimi", "added_lag_s"] == pytest.approx(2 / 12.5)
    assert found.loc["mimi_slow", "added_lag_s"] == pytest.approx(2 / 6.25)
    assert found.loc["mimi", "added_fraction"] == pytest.approx(0.03)
    assert found.loc["mimi", "added_fraction_low"] == pytest.approx(0.02)


def test_a_representation_without_a_row_in_structure_has_no_added_fraction():
    rows = {"mimi": compared_rows()["mimi"]}
    compared = ComparedSection(representations=("mimi",), ladders={}, controls={})
    empty = structure_rows(rows).head(0)
    found = codec_table(rows, compared, empty, REGISTERED, 8, 0.95)
    assert np.isnan(found["added_fraction"]).all()


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("eval", {"excluded_mass": 0.6}, "fall into cells of the key that train"),
        ("val", {"excluded_mass": 0.6}, "no key can be judged"),  # chosen on val: no candidate left
        ("eval", {"control_permuted": 0.9}, "the instrument is off"),
        ("eval", {"status": "too many cells"}, "too many cells"),
    ],
)
def test_what_the_gate_would_not_judge_is_no_number_here(part, changes, words):
    """Mimi's row alone is spoilt; the reason stands beside, other rows keep their numbers."""
    rows = compared_rows()
    compared = ComparedSection(representations=("mimi", "mel"), ladders={}, controls={})
    structure = structure_rows(rows)
    spoilt = (structure["representation"] == "mimi") & (structure["part"] == part)
    for name, value in changes.items():
        structure.loc[spoilt, name] = value
    found = codec_table(rows, compared, structure, REGISTERED, 8, 0.95).set_index("representation")
    assert words in found.loc["mimi", "added_invalid_reason"]
    columns = ["added_fraction", "added_fraction_low", "added_fraction_high"]
    assert found.loc["mimi", columns].isna().all()
    assert found.loc["mel", columns].notna().all()
    assert found.loc["mel", "added_invalid_reason"] == ""


def test_blocks_of_more_than_a_frame_measure_no_overlap():
    """They leave dynamics inside a block: no share, and the block's length says why."""
    rows = compared_rows()
    compared = ComparedSection(representations=("mimi",), ladders={}, controls=CONTROLS)
    for block, is_known in ((0.08, True), (0.16, False), (None, False)):
        rows["mimi_permuted"] = rows["mimi_permuted"]._replace(permuted_block_s=block)
        found = codec_table(rows, compared, structure_rows(rows), REGISTERED, 8, 0.95).iloc[0]
        assert np.isfinite(found["overlap_share"]) == is_known
        expected = np.nan if block is None else block * 12.5
        assert found["permuted_block_frames"] == pytest.approx(expected, nan_ok=True)


def test_the_static_share_compares_the_same_heads():
    """The whole is what the surrogate's heads find, not what every head finds."""
    rows = compared_rows()
    compared = ComparedSection(representations=("mimi",), ladders={}, controls=CONTROLS)
    scores = prediction_sums(2.0, 0.5)
    fewer = measure(scores.loc[scores["model"] != "student_t_mixture"], [])
    rows["mimi"] = rows["mimi"]._replace(static=fewer)
    found = codec_table(rows, compared, structure_rows(rows), REGISTERED, 8, 0.95).iloc[0]
    assert found["static_share"] == pytest.approx(1.0 / 1.5, abs=0.01)
    assert found["overlap_share"] == pytest.approx(0.4, abs=0.01)


def test_what_reads_other_utterances_is_no_predictor_of_the_past():
    """The speaker null is the best of all here, and is neither what the past tells nor a bar."""
    scores = prediction_sums(5.0, 1.0)
    speaker = scores.loc[scores["model"] == "ridge"].assign(model="speaker_ar1")
    speaker["nll"] -= 3000.0
    found = measure(pd.concat([scores, speaker]), ["student_t_mixture"])
    assert found is not None
    assert (found.predictor, found.null) == ("student_t_mixture", "ridge")


def test_fronts_of_unequal_rates_are_not_drawn():
    """Information per second depends on the frame: a ladder over two rates has no front."""
    _, frontier = published()
    assert len(set(frontier["frame_rate_hz"])) == 2
    assert set(frontier["is_pareto"]) == {None}


def test_the_front_is_what_nothing_beats_in_both():
    distortion = np.array([0.9, 0.5, 0.6, 0.4, np.nan])
    information = np.array([9.0, 8.0, 7.0, 3.0, 99.0])
    assert pareto_front(distortion, information) == [True, True, False, True, None]


def test_the_frontier_keeps_order_and_relates_information_to_bits():
    codecs = table().reset_index()
    found = frontier_table(codecs, {"rate": ["mel", "mimi_slow", "mimi"], "one": ["mimi"]})
    assert found["representation"].tolist() == ["mel", "mimi_slow", "mimi", "mimi"]
    assert found["step"].tolist() == [0, 1, 2, 0]
    last = found.iloc[-1]
    assert last["information_share_of_bits"] == pytest.approx(5 * 12.5 / np.log(2) / 1100)
    assert frontier_table(codecs, {}).empty
    codecs["rate_kind"] = "posterior_kl"  # of latents with noise: no bound on their means
    found = frontier_table(codecs, {"one": ["mimi"]})
    assert np.isnan(found["information_share_of_bits"].tolist()).all()
    assert not np.isnan(found["bits_per_s"].tolist()).any()


def changed(**rows: Any) -> dict[str, Any]:
    config = wide_config()
    for name, row in rows.items():
        add_row(config, name, row)
    return config


GROUPS = {"kind": "resampled", "frames_per_group": 2, "mode": "stack", "surrogates": []}
NOISE = {"kind": "noisy", "noise_to_signal": 1.0, "seed": 0, "surrogates": []}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**GROUPS, "source": "mel_pca_matched"}, "multiply frames_per_group (4)"),
        ({**GROUPS, "source": "brought--shuffled"}, "is a surrogate; name its base"),
        ({**GROUPS, "source": "mel_pc"}, "did you mean 'mel_pca'?"),
        ({**NOISE, "source": "mel_pca_noisy"}, "add noise once, to mel_pca"),
        ({**NOISE, "source": "mel_pca_matched"}, "add noise once, to mel_pca"),
        ({**NOISE, "source": "extra"}, "add noise once"),
    ],
)
def test_sources_that_make_no_sense_are_refused_in_one_line(row: dict[str, Any], message: str):
    with pytest.raises(InputError) as error:
        parse_config(changed(extra=row))
    assert str(error.value).startswith("representations.library.extra.source")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_sources_in_a_circle_are_refused():
    config = changed(noise={**NOISE, "source": "state"}, groups={**GROUPS, "source": "noise"})
    state = config["representations"]["library"]["mel_pca_state"]
    add_row(config, "state", {**state, "source": "groups"})
    for stage in ("prediction", "factorizer"):
        config[stage]["representations"].append("groups")
    with pytest.raises(InputError, match="leads in a circle"):
        parse_config(config)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("representations", ["mimi"], "'mimi' is not one of mel_pca"),
        ("ladders", {"noise": ["mel_pca_permuted", "mel_pca"]}, "noise: 'mel_pca_permuted'"),
        ("ladders", {"noise": ["mel_pcb"]}, "ladders.noise: 'mel_pcb'"),
        ("controls", {"mel_pcb": {"permuted": None, "truncated": None}}, "controls: 'mel_pcb'"),
        (
            "controls", {"mel_pca": {"permuted": "mel_pca_truncated", "truncated": None}},
            "mel_pca_truncated must be mel_pca with another permute_blocks_s and nothing else",
        ),
        (
            "controls", {"mel_pca": {"permuted": "mel_pca_matched_permuted", "truncated": None}},
            "nothing else changed",
        ),
    ],
)  # fmt: skip
def test_comparisons_of_unequal_things_are_refused(place: str, value: Any, message: str):
    config = wide_config()
    config["comparison"][place] = value
    with pytest.raises(InputError) as error:
        parse_config(config)
    assert message in str(error.value) and "comparison." in str(error.value)


def test_the_example_of_the_docs_is_a_study():
    """What docs/codecs.md adds to the shipped configuration is accepted, rows and all."""
    config = studies.study()
    text = (ROOT / "docs" / "codecs.md").read_text(encoding="utf-8")
    example = yaml.safe_load(text.split("## Side by side")[1].split("```")[1].removeprefix("yaml"))
    plan = Plan(parse_config(studies.merged(config, example)))
    assert plan.comparison.compared() == example["comparison"]["representations"]
    assert plan.comparison.reconstructed() == plan.comparison.compared()


def test_the_study_follows_what_a_representation_is_made_of():
    plan = Plan(parse_config(wide_config()))
    assert plan.latents.chain_of("mel_pca_matched") == ["mel_pca", "mel_pca_matched"]
    assert plan.latents.corpus_of("mel_pca_matched") == plan.latents.corpus_of("mel_pca")
    assert plan.latents.num_shards("mel_pca_matched") == plan.latents.num_shards("mel_pca")
    assert plan.latents.split_seeds("mel_pca_noisy") == plan.latents.split_seeds("mel_pca")[:1]
    assert plan.comparison.reconstructed() == ["mel_pca", "mel_pca_matched", "mel_pca_noisy"]
    assert plan.latents.noisy_link("mel_pca_noisy") == "mel_pca_noisy"
    assert plan.latents.noisy_link("mel_pca_matched") is None


def test_a_study_may_compare_nothing():
    config = wide_config()
    config["comparison"] |= {"representations": [], "ladders": {}, "controls": {}}
    assert Plan(parse_config(yaml.safe_load(yaml.safe_dump(config)))).comparison.inputs() == []
    assert OverlapControls(permuted=None, truncated=None).permuted is None


def test_ladders_and_controls_of_what_is_not_compared_are_definitions_only():
    """An overlay that compares others inherits them from the base, and runs without them."""
    config = wide_config()
    config["comparison"]["controls"]["mimi"] = {"permuted": "nobody", "truncated": None}
    config["comparison"]["ladders"]["others"] = ["mimi", "brought"]
    compared = parse_config(config).comparison
    assert set(compared.ladders) == {"noise"}
    assert set(compared.controls) == {"mel_pca", "mel_pca_matched"}
