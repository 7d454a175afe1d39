"""What a study costs: sums, the longest chain, limits, and units that fit what was measured."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.unit_costs import Measured, error_of, fit_rule, read_times
from engram_audio.cost.__main__ import planned, reason
from engram_audio.cost.jobs import Job, from_dry_run
from engram_audio.cost.laws import FLOP, JOB, LAWS
from engram_audio.cost.page import page
from engram_audio.cost.sizes import LIBRISPEECH_H, Size, Sizes, codec_frames
from engram_audio.cost.study import Piece, Study
from engram_audio.cost.totals import beyond_limits, by_rule, costed, longest_chain
from engram_audio.cost.units import MIB, RuleUnits, Units, read_units
from engram_audio.errors import InputError
from engram_audio.provenance import ROOT
from engram_audio.rule_stages import stages_of_rules

GPU = {"name": "a GPU", "flops_per_s": 1e13, "cores": 20.0, "start_s": 5.0}
MEASURED = {"date": "today", "machine": "a machine", "studies": "one"}
# Rules that only fetch: what they cost is the network's.
FETCHING = {"download_librispeech", "download_codec"}
ACCEPTED = 1.5  # estimated over measured CPU seconds of a whole study


def units(**rules: RuleUnits) -> Units:
    return Units(1e-10, rules, GPU, MEASURED, {})


def shard(name: str, number: int) -> str:
    return f"results/latents/{name}/shard-{number:03d}.zarr.zip"


def extraction(number: int, subsets: tuple[str, ...] = ("train-clean-100",)) -> list[Job]:
    """The jobs that list a corpus and make one of two shards of Mimi's latents."""
    corpus = {"kind": "librispeech", "subsets": list(subsets)}
    index = Job(
        "index_corpus", {"corpus": "ls"}, (), ("results/corpus/ls/utterances.parquet",), {},
        {"section": [corpus]}, benchmark="b",
    )  # fmt: skip
    made = Job(
        "extract_latents", {"representation": "mimi", "shard": f"{number:03d}"},
        index.outputs, (shard("mimi", number),), {"gpu": 1, "runtime": 240, "mem_mb": 90000},
        {"codec_section": [{"kind": "mimi"}], "representation_section": [{"corpus": "ls"}]},
        benchmark="b",
    )  # fmt: skip
    return [index, made]


def reader(asked: Mapping[str, int] | None = None) -> Job:
    inputs = (shard("mimi", 0), shard("mimi", 1))
    outputs = ("results/summary.json",)
    wildcards = {"representation": "mimi"}
    return Job("summarize_latents", wildcards, inputs, outputs, asked or {}, benchmark="b")


@pytest.fixture
def plan() -> list[Job]:
    return [*extraction(0), *extraction(1)[1:], reader()]


FLOAT = units(
    index_corpus=RuleUnits(1.0, {"": {"second": 0.0}}, 100.0, 0.0, 1),
    extract_latents=RuleUnits(2.0, {"mimi": {"second": 0.001}}, 300.0, 0.0, 1),
    summarize_latents=RuleUnits(3.0, {"": {"float": 1e-9}}, 200.0, 500.0, 1),
)


def test_sizes_follow_from_hours_and_from_the_codec(plan):
    """100.6 hours at 12.5 frames a second, each 512 numbers; a job of a shard has its half."""
    frames = LIBRISPEECH_H["train-clean-100"] * 3600 * 12.5
    assert Sizes(plan).of("mimi") == Size(frames, 512, 2)
    assert Study(plan).piece(plan[1]).size == Size(frames / 2, 512, 2)


def test_what_is_made_says_its_own_size(plan, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    summary = tmp_path / "results/latents/mimi/summary.json"
    summary.parent.mkdir(parents=True)
    summary.write_text(json.dumps({"num_frames": 7, "lag_one": {"per_dim": [0.0] * 3}}))
    assert Sizes(plan).of("mimi") == Size(7, 3, 2)
    assert Sizes(plan[3:]).of("mimi") == Size(7, 3, 2), "also where its makers are done"


def test_codecs_that_are_fitted_say_their_rate():
    mel = {"kind": "mel_pca", "sample_rate_hz": 16000, "hop_s": 0.01, "stack_hops": 8}
    assert codec_frames({**mel, "num_components": 32}) == (12.5, 32)
    assert codec_frames({"sample_rate_hz": 16000, "strides": [4, 4, 4, 4, 5], "num_dims": 8}) == (
        12.5,
        8,
    )


def test_rows_sum_to_the_jobs(plan):
    jobs = costed(plan, FLOAT)
    rows = {row.rule: row for row in by_rule(jobs)}
    assert rows["extract_latents"].num_jobs == 2
    for name in ("cpu_h", "gpu_h", "disk_gb"):
        field = {"cpu_h": "cpu_s", "gpu_h": "gpu_s", "disk_gb": "disk_bytes"}[name]
        scale = 1e9 if name == "disk_gb" else 3600
        total = sum(getattr(one.cost, field) for one in jobs) / scale
        assert sum(getattr(row, name) for row in rows.values()) == pytest.approx(total)
    floats = 100.6 * 3600 * 12.5 * 512
    assert rows["summarize_latents"].cpu_h * 3600 == pytest.approx(3 + 1e-9 * floats)
    assert rows["extract_latents"].disk_gb == pytest.approx((4 * floats + 20 * floats / 512) / 1e9)


def test_a_gpu_speeds_up_products_and_work_on_arrays(plan):
    """Not the start of a process, and not what reads sound."""
    job = costed(plan, FLOAT)[1]
    flops = LAWS["extract_latents"].work[FLOP](Study(plan).piece(plan[1]))
    plain = 2 + 0.001 * 100.6 * 1800
    assert job.cost.cpu_s == pytest.approx(plain + 1e-10 * flops)
    assert job.cost.gpu_s == pytest.approx(5 + plain + flops / 1e13)
    floats = 100.6 * 3600 * 12.5 * 512
    on_arrays = costed([*plan[:3], reader({"gpu": 1})], FLOAT)[-1]
    assert on_arrays.cost.gpu_s == pytest.approx(5 + 3 + 1e-9 * floats / 20)


def test_a_job_of_many_starts_once_and_holds_one_at_a_time(plan):
    own = {"train_density": RuleUnits(2.0, {"": {"step": 0.01}}, 100.0, 7.0, 1)}
    recipes = {"recipe_section": [{"num_steps": 50, "batch_frames": 0}]}
    one = Job("train_density", {}, (), ("m",), {"gpu": 1}, recipes, benchmark="b")
    many = Job("all_of_them", {}, (), ("m",), {"gpu": 1}, benchmark="b", members=(one,) * 3)
    (alone,), (together,) = (costed([job], units(**own)) for job in (one, many))
    assert alone.cost.cpu_s == pytest.approx(2 + 0.5)
    assert together.cost.cpu_s == pytest.approx(2 + 3 * 0.5)
    assert together.cost.gpu_s == pytest.approx(5 + 2 + 3 * 0.5)
    assert (together.cost.peak_mib, together.cost.disk_bytes) == (100, 21)
    assert [row.rule for row in by_rule([together])] == ["train_density"]


def test_the_critical_path_is_the_longest_chain(plan):
    chain = longest_chain(costed(plan, FLOAT))
    assert [one.job.rule for one in chain] == [
        "index_corpus",
        "extract_latents",
        "summarize_latents",
    ]
    alone = [Job(name, {}, (), (name,), {}, benchmark="b") for name in ("decide", "fit_var")]
    assert len(longest_chain(costed(alone, FLOAT))) == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"runtime": 1, "mem_mb": 90000}, "about 1 min 32 s, and it asks for 1 min 00 s"),
        ({"runtime": 90, "mem_mb": 300}, "GB, and it asks for 0.3 GB"),
        ({"runtime": 90, "mem_mb": 90000}, None),
        ({}, None),
    ],
)
def test_a_job_beyond_its_own_limit_is_named(plan, asked: dict[str, int], said: str | None):
    dear = units(**{**FLOAT.rules, "summarize_latents": RuleUnits(
        90.0, {"": {"float": 1e-9}}, 400.0, 0.0, 1)})  # fmt: skip
    jobs = costed([*plan[:3], reader(asked)], dear)
    lines = beyond_limits(jobs)
    assert len(lines) == (said is not None)
    if said:
        assert lines[0].startswith("summarize_latents (representation=mimi): ") and said in lines[0]
        assert "1 estimates lie beyond" in page(jobs, dear)
    else:
        assert "No job is estimated beyond" in page(jobs, dear)


def test_a_rule_without_units_of_its_own_takes_a_like_one_and_says_so(plan):
    job = Job("add_noise", {}, (), (), {}, benchmark="b")
    like = units(make_surrogate=RuleUnits(4.0, {}, 1.0, 0.0, 1))
    (one,) = costed([job], like)
    assert (one.cost.cpu_s, one.cost.is_measured) == (4.0, False)
    assert "not measured, taken from a like rule: add_noise" in page([one], like)


def test_a_dry_run_says_all_that_a_job_is(tmp_path: Path):
    frozen = tmp_path / "config" / "decide" / "study.0123456789abcdef.json"
    frozen.parent.mkdir(parents=True)
    part = {"section": "decision", "value": {"lag_frames": 2}}
    frozen.write_text(json.dumps({"settings": {"section": [part]}, "facts": {"a": 1}}))
    text = (
        "[Mon Nov 30 09:00:15 2026]\nlocalrule decide:\n"
        f"    input: {frozen}, a.csv\n    output: b.json, c.csv\n    jobid: 3\n"
        "    benchmark: decision.tsv\n    wildcards: seed=1, lag=2\n"
        "    resources: tmpdir=/tmp, mem_mb=2000, disk_mb=<TBD>, gpu=1, runtime=10\n"
        "Shell command: python\n\nrule all:\n    input: b.json\n"
    )
    job, target = from_dry_run(text)
    assert (job.rule, job.wildcards, job.outputs) == (
        "decide", {"seed": "1", "lag": "2"}, ("b.json", "c.csv"),
    )  # fmt: skip
    assert job.resources == {"mem_mb": 2000, "gpu": 1, "runtime": 10}
    assert (job.section("section"), job.facts) == ({"lag_frames": 2}, {"a": 1})
    assert (job.benchmark, target.benchmark) == ("decision.tsv", "")


def test_members_stand_in_the_frozen_file_of_their_job(tmp_path: Path):
    """Which is known by its name among the frozen files of the members."""

    def frozen(rule: str, **document: Any) -> Path:
        path = tmp_path / "config" / rule / "study.0123456789abcdef.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"rule": rule, "wildcards": {}, **document}))
        return path

    part = {"section": "prediction", "value": {"lag_frames": 2}}
    own = frozen("train_density", wildcards={"lag": "1"}, settings={"section": [part]}, facts={})
    member = {"settings": str(own), "inputs": {"shards": ["a"]}, "outputs": {"model": "b"}}
    whole = frozen("train_density_of_mimi", facts={"members": [member]})
    text = (
        f"rule train_density_of_mimi:\n    input: {own}, a, {whole}\n"
        "    output: b (update), c (update)\n"
        "    benchmark: b.tsv\n    resources: gpu=1, runtime=1440\n"
    )
    (job,) = from_dry_run(text)
    assert (job.outputs, job.kind) == (("b", "c"), "train_density")
    (found,) = job.members
    assert (found.wildcards, found.inputs, found.outputs) == ({"lag": "1"}, (str(own), "a"), ("b",))
    assert found.section("section") == {"lag_frames": 2}
    assert found.resources["gpu"] == 1


def measured(rule: str, frames: float, cpu_s: float, dims: int = 8, **sections: Any) -> Measured:
    job = Job(rule, {}, (), (), {}, {name: [value] for name, value in sections.items()})
    return Measured(Piece(job, Size(frames, dims), 0.0, (4,)), cpu_s, 100.0, 0.0)


def test_units_come_back_from_jobs_that_cost_what_they_say():
    """Two units of one rule and a start: fitted exactly where jobs follow the law."""
    truth = {"float": 2e-7, "component": 5e-9}
    jobs = []
    for frames in (1e6, 1e7, 1e8):
        for sizes in ((4,), (4, 64)):
            bank = {"num_components": sizes, "maximum_frames": 1e9, "iterations": 2}
            sections: Mapping[str, Any] = {"section": {"maximum_frames": 1e9}, "bank_section": bank}
            one = measured("score_key_laws", frames, 0.0, **sections)
            work = {name: LAWS["score_key_laws"].work[name](one.piece) for name in truth}
            jobs.append(one._replace(cpu_s=0.5 + sum(truth[n] * work[n] for n in truth)))
    found = fit_rule(jobs, 0.5, 1e-12).seconds[""]
    assert {name: found[name] for name in truth} == pytest.approx(truth, rel=1e-2)
    fitted = units(score_key_laws=fit_rule(jobs, 0.5, 1e-12))
    assert error_of(jobs, fitted)["ratio"] == pytest.approx(1, abs=1e-2)
    wrong = units(
        score_key_laws=RuleUnits(0.5, {"": {**found, "float": 60 * truth["float"]}}, 0, 0, 1)
    )
    assert error_of(jobs, wrong)["ratio"] > ACCEPTED, "a unit in minutes for seconds is seen"


def test_no_unit_is_negative_and_a_start_is_never_dearer_than_a_job():
    jobs = [measured("summarize_latents", frames, cpu) for frames, cpu in ((1e6, 0.4), (2e6, 0.3))]
    found = fit_rule(jobs, 5.0, 0.0)
    assert found.start_s < 0.3
    assert found.seconds[""]["float"] >= 0


@pytest.mark.parametrize(
    ("row", "cpu_s"),
    [
        ("10.0\t0\t300\t0\t0\t0\t0\t0\t90.0\t4.5", 9.0),  # sampled last at half of the way
        ("10.0\t0\t300\t0\t0\t0\t0\t0\t30.0\t5.0", 5.0),
        ("0.8\t0\t10\t0\t0\t0\t0\t0\t0.0\t0.0", 0.8),  # over before it was seen at work
        ("200.0\t0\t300\t0\t0\t0\t0\t0\t11.0\t23.0", 23.0),  # on a busy machine
    ],
)
def test_seconds_that_snakemake_did_not_see_are_made_up_for(tmp_path: Path, row: str, cpu_s: float):
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"
    (tmp_path / "a.tsv").write_text(f"{head}\n{row}\n")
    found = read_times(tmp_path / "a.tsv")
    assert found is not None and found[0] == pytest.approx(cpu_s)


def test_every_rule_has_a_law_and_every_law_a_rule():
    rules = {name for name in stages_of_rules(ROOT / "rules")}
    targets = {"structure", "keys", "prediction", "factorizer", "memory", "codecs", "rollout",
               "generation"}  # fmt: skip
    assert set(LAWS) == rules - targets
    assert all(law.like in {"", *LAWS} for law in LAWS.values())


def test_the_committed_table_is_of_rules_that_there_are_and_fits_its_studies():
    table = read_units()
    assert set(table.rules) <= set(LAWS)
    for name, row in table.rules.items():
        values = [value for kind in row.seconds.values() for value in kind.values()]
        assert min([row.start_s, row.base_mib, row.base_bytes, *values]) >= 0, name
        named = {unit for kind in row.seconds.values() for unit in kind}
        assert named <= {JOB, *LAWS[name].work} - {FLOP}, name
    unmeasured = {name for name in LAWS if name not in table.rules and not LAWS[name].like}
    assert unmeasured <= FETCHING
    assert table.errors
    for name, error in table.errors.items():
        assert 1 / ACCEPTED < error["ratio"] < ACCEPTED, name


@pytest.mark.parametrize("rule", ["score_structure_keys", "summarize_latents", "fit_linear_nulls"])
def test_ten_times_the_frames_cost_ten_times_the_work(rule: str):
    """Beside solutions of a window's size, which know no frames and are small here."""
    section = {"lags_frames": [1], "window_frames": 1}
    one, ten = (measured(rule, frames, 1.0, section=section).piece for frames in (1e6, 1e7))
    for name, quantity in LAWS[rule].work.items():
        if quantity(one):
            assert quantity(ten) / quantity(one) == pytest.approx(10, rel=1e-3), name


def test_a_table_that_is_not_there_is_one_line(tmp_path: Path):
    (tmp_path / "bad.json").write_text("{}")
    for name in ("absent.json", "bad.json"):
        with pytest.raises(InputError, match="is no table of unit costs"):
            read_units(tmp_path / name)


@pytest.mark.parametrize("option", [["--configfile", "{}"], ["--configfile={}", "-q"]])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "absent.yaml",
            "absent.yaml: cannot be read (No such file or directory); name a file that",
        ),
        ("bad.yaml", "bad.yaml: line 1: is no YAML"),
        ("twice.yaml", "twice.yaml: line 2: "),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, option: list[str], name: str, said: str
):
    """Snakemake is not asked: its own text is many lines."""
    (tmp_path / "bad.yaml").write_text("views: [")
    (tmp_path / "twice.yaml").write_text("views: {}\nviews: {}\n")
    with pytest.raises(InputError) as error:
        planned([word.format(tmp_path / name) for word in option])
    (line,) = str(error.value).splitlines()
    assert said in line


def test_a_value_that_is_refused_is_one_line():
    """Snakemake says before it which files it read."""
    line = "decision.lag_frames: 2 is not one of 1"
    said = f"Config file workflow_config.yaml is extended by additional config.\nError: {line}\n"
    assert reason(said).splitlines() == [line]
    assert reason("no such option") == "no such option"


def test_memory_grows_with_what_a_job_holds(plan):
    peak = costed(plan, FLOAT)[1].cost.peak_mib
    floats = 100.6 * 1800 * 12.5 * 512
    assert peak == pytest.approx(300 + 4 * 4 * floats / MIB)
    assert np.isfinite(peak)
