"""The synthetic tables of `report_tables` as files, and the step's arguments."""

from pathlib import Path

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import write_csv, write_table
from engram_audio.provenance import canonical_json
from engram_audio.report.data import ReportData, choose
from engram_audio.report.published_tables import TABLES
from tests.report_tables import BASES, TEMPLATE_SUFFIXES, report_data

TEMPLATES = Path(__file__).parents[1] / "report_templates"
MANIFEST = {"step": "score_structure_keys", "code_digest": "0123456789abcdef", "seed": 0}


def write_results(folder: Path, utterance_id: str = "v01-0003") -> ReportData:
    """Write every input of render_report below a folder and return what they hold."""
    data = report_data(utterance_id)
    for name, table in data.tables.items():
        write_csv(folder / "tables" / f"{name}.csv", table, TABLES[name])
    decision = {key: value for key, value in data.decision.items() if key != "schema_version"}
    write_json(folder / "decision.json", decision)
    for representation in BASES:
        rows = choose(data.cells, representation=representation)
        rows = rows.drop(columns=["representation", "split_seed"])
        path = folder / "structure" / representation / "split-0" / "pca" / "cells.parquet"
        write_table(path, rows, MANIFEST)
        write_json(
            folder / "latents" / representation / "summary.json", data.summaries[representation]
        )
    for representation, examples in data.players.items():
        path = folder / "report_assets" / representation / "players.json"
        write_json(path, {"examples": examples})
    sections = {**data.sections, "report": data.settings.model_dump()}
    for name, section in sections.items():
        path = folder / "config" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(canonical_json(section), encoding="utf-8")
    benchmark = folder.parent / "benchmarks" / "latents" / BASES[0] / "000.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\tmax_rss\n12.5\t0:00:12\t640.0\n", encoding="utf-8")
    return data


def step_arguments(folder: Path) -> list[str]:
    """Return the command line of render_report for a folder that `write_results` wrote."""
    benchmarks = folder.parent / "benchmarks"
    found = {
        "section": [folder / "config" / "report.json"],
        "config-sections": sorted((folder / "config").glob("*.json")),
        "tables": sorted((folder / "tables").glob("*.csv")),
        "documents": [folder / "decision.json"],
        "cells": sorted(folder.glob("structure/*/*/*/cells.parquet")),
        "latents": [
            *sorted(folder.glob("latents/*/*.json")),
            *sorted(folder.glob("report_assets/*/*.json")),
        ],
        "templates": [
            path for path in sorted(TEMPLATES.rglob("*")) if path.suffix in TEMPLATE_SUFFIXES
        ],
        "benchmarks": [benchmarks],
        "rule-benchmarks": [
            rf"extract_latents={benchmarks}/latents/(?P<representation>.+)/(?P<shard>\d+)\.tsv",
            rf"decide={benchmarks}/decide\.tsv",
        ],
        "report": [folder / "report.html"],
    }  # fmt: skip
    return [str(word) for name, values in found.items() for word in (f"--{name}", *values)]
