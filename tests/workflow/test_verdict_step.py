"""The step reads published tables and writes what every stage answers, as CSV and as JSON."""

from pathlib import Path

import pandas as pd
import pytest

from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import write_csv
from engram_audio.errors import InputError
from engram_audio.memory.columns import MEMORY_VERDICT
from engram_audio.memory.tables import verdict_table
from engram_audio.provenance import canonical_json
from engram_audio.steps import tabulate_verdicts
from engram_audio.verdicts.chain import CHAIN
from engram_audio.verdicts.columns import VERDICTS
from engram_audio.verdicts.row import row_of
from tests.frozen_argv import run_step
from tests.report_memory_tables import VERDICT, published
from tests.report_results import write_results
from tests.report_verdicts import BARS, GENERATION_BARS


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    write_results(folder)
    bars = folder / "config" / "rollout_bars.json"
    bars.write_text(canonical_json(BARS), encoding="utf-8")
    statistics = {"confidence": 0.95}
    generation = folder / "config" / "generation_bars.json"
    generation.write_text(canonical_json(GENERATION_BARS.model_dump()), encoding="utf-8")
    place = folder / "config" / "statistics.json"
    place.write_text(canonical_json(statistics), encoding="utf-8")
    return folder


def run(results: Path, *names: str) -> pd.DataFrame:
    """Run the step on tables by name and return the published verdicts."""
    run_step(tabulate_verdicts, [
        "--decision-section", results / "config" / "decision.json",
        "--bars-section", results / "config" / "rollout_bars.json",
        "--statistics-section", results / "config" / "statistics.json",
        "--generation-section", results / "config" / "generation_bars.json",
        "--tables", *(results / "tables" / f"{name}.csv" for name in ("linear", *names)),
        "--documents", results / "decision.json",
        "--table", results / "out" / "verdicts.csv",
        "--document", results / "out" / "verdicts.json",
        "--changes", results / "out" / "what_would_change.csv",
    ], states=[])  # fmt: skip
    return read_csv(results / "out" / "verdicts.csv", VERDICTS)


def test_both_files_hold_the_same_rows(results):
    """To the nine digits of a CSV."""
    table = run(results, "structure")
    document = read_json(results / "out" / "verdicts.json")
    assert document["manifest"]["step"] == "tabulate_verdicts"
    from_csv = [row_of(record) for record in table.to_dict("records")]
    from_json = [row_of(record) for record in document["rows"]]
    assert len(from_csv) == len(from_json) > 100
    for one, other in zip(from_csv, from_json, strict=True):
        assert one._replace(measured=other.measured, asked=other.asked).record() == other.record()
        assert one.measured == pytest.approx(other.measured, rel=1e-8, nan_ok=True)
        assert one.asked.words == other.asked.words


def test_what_was_not_run_has_a_row(results):
    table = run(results, "structure")
    outcomes = table.groupby("stage")["outcome"].agg(set).to_dict()
    assert set(outcomes) == {"chain", *(question.stage for question in CHAIN)}
    outcomes.pop("chain")
    assert [stage for stage in outcomes if outcomes[stage] != {"not run"}] == ["structure"]


def test_a_table_that_is_given_is_judged(results):
    table = pd.concat([published().assign(seed=seed) for seed in range(3)], ignore_index=True)
    verdicts = verdict_table(table, VERDICT)
    write_csv(results / "tables" / "memory_verdict.csv", verdicts, MEMORY_VERDICT)
    table = run(results, "structure", "memory_verdict")
    row = table.loc[table["stage"] == "memory"].iloc[0]
    assert (row["outcome"], row["subject"]) == ("met", "mel_pca")


def test_a_missing_table_is_one_clear_line_and_writes_nothing(results):
    with pytest.raises(InputError, match=r"memory_verdict\.csv: .*run"):
        run(results, "structure", "memory_verdict")
    assert not list((results / "out").glob("verdicts*"))
