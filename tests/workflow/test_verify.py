"""What decides a study, recomputed without the package: agreement, and what must be noticed.

Law: on an untouched study every number agrees. Another split, an altered threshold, a replaced
shard, two swapped rows of scores and narrower intervals each make some number differ.
"""

import ast
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.artifacts.latents import LatentStore, write_latent_shard
from engram_audio.artifacts.table import read_table, read_table_manifest, write_table
from engram_audio.steps import verify_study
from tests.frozen_argv import run_step
from tests.workflow.conftest import ROOT
from verify.__main__ import agrees, all_numbers
from verify.study import Study, interval

SCRIPTS = sorted((ROOT / "verify").glob("*.py"))


@pytest.fixture
def results(finished_study: Path, tmp_path: Path) -> Path:
    """A copy of a finished study's results."""
    folder = tmp_path / "results"
    shutil.copytree(finished_study / "results", folder)
    return folder


def differing(folder: Path) -> list[str]:
    """What does not agree."""
    numbers = list(all_numbers(Study(folder)))
    assert len(numbers) > 40
    return [number[0] for number in numbers if not agrees(number)]


def another_split(results: Path) -> None:
    """One train speaker and one eval speaker change places."""
    path = next(results.glob("splits/brought/seed-*/splits.parquet"))
    table = read_table(path, ["split", "speaker_id"])
    first, second = (
        table.loc[table["split"] == part, "speaker_id"].iloc[0] for part in ("train", "eval")
    )
    parts = table.groupby("speaker_id")["split"].first()
    swapped = {first: "eval", second: "train"}
    table["split"] = [
        swapped.get(name, old) if parts[name] in ("train", "eval") else old
        for name, old in zip(table["speaker_id"], table["split"], strict=True)
    ]
    write_table(path, table, read_table_manifest(path))


def altered_threshold(results: Path) -> None:
    """The gate that is printed asks for less than the one that was registered."""
    path = results / "decision.json"
    document = read_json(path)
    for rows in [one["gates"]["operative"] for one in document["representations"].values()]:
        for row in rows:
            if row["name"] == "added_fraction":
                row["threshold"] *= 0.8
    write_json(path, document)


def replaced_shard(results: Path) -> None:
    """A shard holds the frames of each utterance in the opposite order."""
    path = next(results.glob("latents/brought/shard-*.zarr.zip"))
    store = LatentStore([path])
    block, manifest = store.load(), store.manifests[0]
    order = np.concatenate(
        [
            np.arange(b - 1, a - 1, -1)
            for a, b in zip(block.offsets, block.offsets[1:], strict=False)
        ]
    )
    block = block._replace(frames=block.frames[order], is_scored=None)
    path.unlink()
    write_latent_shard(
        path, block, np.zeros(len(block.frames)), store.metadata, manifest, store.energy_unit
    )


def swapped_scores(results: Path) -> None:
    """Two frames of a head stand in each other's place."""
    path = next(results.glob("prediction/*/lag-1/gaussian_mixture/seed-0/frames.parquet"))
    table = read_table(path, ["nll"])
    rows = np.flatnonzero((table["part"] == "eval") & (table["event"] == "delta"))
    rows = rows[table["model"].to_numpy()[rows] == "gaussian_mixture"]
    order = np.arange(len(table))
    order[rows[[3, 9]]] = rows[[9, 3]]
    write_table(path, table.iloc[order].reset_index(drop=True), read_table_manifest(path))


def swapped_sums(results: Path) -> None:
    """Two speakers have each other's sums."""
    path = next(results.glob("prediction/*/lag-1/gaussian_mixture/seed-0/scores.parquet"))
    table = read_table(path, ["nll"])
    chosen = (table["part"] == "eval") & (table["event"] == "delta") & (table["slice"] == "all")
    rows = np.flatnonzero(chosen & (table["model"] == "gaussian_mixture"))[:2]
    names = table["speaker_id"].to_numpy().copy()
    names[rows] = names[rows[::-1]]
    write_table(path, table.assign(speaker_id=names), read_table_manifest(path))


def narrow_intervals(results: Path, file: str, name: str) -> None:
    """Published intervals lose a third of their width."""
    path = results / "tables" / file
    table = pd.read_csv(path)
    for end in ("low", "high"):
        own = table[f"{name}_{end}"]
        table[f"{name}_{end}"] = table[name] + (own - table[name]) * 2 / 3
    table.to_csv(path, index=False)


PLANTS: dict[str, Callable[[Path], None]] = {
    "another split": another_split,
    "an altered threshold": altered_threshold,
    "a replaced shard": replaced_shard,
    "swapped frames": swapped_scores,
    "swapped speakers": swapped_sums,
    "narrow structure": lambda at: narrow_intervals(at, "structure.csv", "added_fraction"),
    "narrow memory": lambda at: narrow_intervals(at, "memory.csv", "gain_nats"),
}


def test_a_folder_is_read_by_its_name_from_here(results: Path, monkeypatch: pytest.MonkeyPatch):
    """The command line gives a relative folder, as `make verify` and the rule do."""
    monkeypatch.chdir(results.parent)
    assert differing(Path(results.name)) == []


def test_every_number_of_an_untouched_study_agrees(results: Path):
    assert differing(results) == []


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_planted_is_noticed(plant: str, results: Path):
    PLANTS[plant](results)
    assert differing(results)


def test_an_altered_configuration_is_refused(results: Path):
    """The digest in the name of what was asked is that of the text."""
    path = next(results.glob("config/decide/*.json"))
    path.write_text(
        path.read_text().replace('"minimum_added_nats":0.02', '"minimum_added_nats":0.01')
    )
    with pytest.raises(ValueError, match="digest"):
        Study(results)


def test_the_step_says_how_many_agree(results: Path):
    """What differs is named and does not stop the run."""
    altered_threshold(results)
    run_step(
        verify_study,
        ["--scripts", *SCRIPTS, "--decision", results / "decision.json", "--tables",
         results / "tables/structure.csv", "--verified", results / "verified.json"],
    )  # fmt: skip
    document = read_json(results / "verified.json")
    assert document["outcome"] == "not met"
    assert document["num_agreeing"] == document["num_numbers"] - len(document["differing"])
    assert all("threshold of added_fraction" in what for what in document["differing"])


def test_nothing_of_the_package_is_imported():
    """An independent check shares no code with what it checks."""
    allowed = {"verify", "numpy", "pandas", "pyarrow", "zarr", "safetensors"}
    plain = {"argparse", "collections", "hashlib", "json", "math", "pathlib", "sys", "typing"}
    for path in SCRIPTS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            name.split(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            )
        }  # fmt: skip
        assert names <= allowed | plain, path


def test_it_is_short_enough_to_be_read():
    """At most 300 lines of code, without docstrings and blank lines."""

    def lines(node: ast.AST) -> set[int]:
        kinds = ast.Module, ast.ClassDef, ast.FunctionDef
        own = node.body[1:] if isinstance(node, kinds) else list(ast.iter_child_nodes(node))
        found = {node.lineno, node.end_lineno} if isinstance(node, ast.stmt | ast.expr) else set()
        return found.union(*map(lines, own))

    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SCRIPTS]
    assert 200 < sum(len(lines(tree)) for tree in trees) <= 300


@pytest.mark.parametrize("num_speakers", [3, 12, 60])
def test_intervals_are_those_of_student(num_speakers: int):
    """Equal speakers: mean -+ t(df) SD / sqrt(S - 1), df by the fourth moments."""
    values = np.random.default_rng(num_speakers).normal(size=num_speakers)
    share = np.full(num_speakers, 1 / num_speakers)
    value, low, high = interval(lambda w: w @ values / w.sum(), share, 0.95)
    squares = (values - values.mean()) ** 2
    df = np.clip(3 * squares.sum() ** 2 / (squares**2).sum() - 2, 1, num_speakers - 1)
    half = stats.t.ppf(0.975, df) * values.std(ddof=1) / np.sqrt(num_speakers - 1)
    assert value == pytest.approx(values.mean(), abs=1e-12)
    assert (high - low) / 2 == pytest.approx(half, rel=1e-6)


def test_no_number_agrees_with_no_number():
    """A number that is not one is no agreement."""
    assert not agrees(("", np.nan, 1.0))
    assert not agrees(("", 1.0, np.nan))
    assert agrees(("", 1.0, 1.0 + 1e-9))
