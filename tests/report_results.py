"""The synthetic tables of `report_tables` as files, and the step's arguments."""

from pathlib import Path
from typing import Any

from engram_audio.artifacts.columns import choose
from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import write_csv, write_table
from engram_audio.provenance import canonical_json
from engram_audio.report.data import ReportData
from engram_audio.report.published_tables import TABLES
from tests.report_tables import BASES, TEMPLATE_SUFFIXES, report_data

TEMPLATES = Path(__file__).parents[1] / "report_templates"
MANIFEST = {"step": "score_structure_keys", "code_digest": "0123456789abcdef", "seed": 0}


def write_results(folder: Path, utterance_id: str = "v01-0003") -> ReportData:
    """Write every input of render_report below a folder and return what they hold."""
    data = report_data(utterance_id)
    for name, table in data.tables.items():
        place = folder if name == "verdicts" else folder / "tables"
        write_csv(place / f"{name}.csv", table, TABLES[name])
    decision = {key: value for key, value in data.decision.items() if key != "schema_version"}
    write_json(folder / "decision.json", decision)
    for representation in BASES:
        rows = choose(data.cells, representation=representation)
        rows = rows.drop(columns=["representation", "split_seed"])
        path = folder / "structure" / representation / "split-0" / "pca" / "cells.parquet"
        identity = {"representation": representation, "split_seed": "0"}
        write_table(path, rows, {**MANIFEST, "identity": identity})
        summary = data.summaries[representation]
        manifest = {**summary.get("manifest", {}), "identity": {"representation": representation}}
        path = folder / "latents" / representation / "summary.json"
        write_json(path, {**summary, "manifest": manifest})
    for label, examples in data.players.items():
        path = folder / "report_assets" / label / "players.json"
        manifest = {"identity": players_identity(label)}
        write_json(path, {"examples": examples, "manifest": manifest})
    sections = {**data.sections, "report": data.settings.model_dump()}
    for name, section in sections.items():
        path = folder / "config" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(canonical_json(section), encoding="utf-8")
    benchmark = folder.parent / "benchmarks" / "latents" / BASES[0] / "000.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\tmax_rss\n12.5\t0:00:12\t640.0\n", encoding="utf-8")
    return data


def players_identity(label: str) -> dict[str, str]:
    """Return what players are of, from the name of their group on the page."""
    representation, *how = label.split(".", maxsplit=1)
    if not how:
        return {"representation": representation}
    method = how[0].removeprefix("rollout.")
    return {
        "representation": representation,
        "factorizer" if method == how[0] else "method": method,
    }


def step_facts(folder: Path) -> dict[str, Any]:
    """Return what the plan states for render_report."""
    benchmarks = folder.parent / "benchmarks"
    latents = rf"{benchmarks}/latents/(?P<representation>.+)/(?P<shard>\d+)\.tsv"
    patterns = {"extract_latents": latents, "decide": rf"{benchmarks}/decide\.tsv"}
    return {"benchmarks": str(benchmarks), "rule_benchmarks": patterns}


def step_arguments(folder: Path) -> list[str]:
    """Return the command line of render_report for a folder that `write_results` wrote."""
    found = {
        "section": [folder / "config" / "report.json"],
        "config-sections": sorted((folder / "config").glob("*.json")),
        "tables": [*sorted((folder / "tables").glob("*.csv")), folder / "verdicts.csv"],
        "documents": [folder / "decision.json"],
        "cells": sorted(folder.glob("structure/*/*/*/cells.parquet")),
        "latents": [
            *sorted(folder.glob("latents/*/*.json")),
            *sorted(folder.glob("report_assets/*/*.json")),
        ],
        "templates": [
            path for path in sorted(TEMPLATES.rglob("*")) if path.suffix in TEMPLATE_SUFFIXES
        ],
        "report": [folder / "report.html"],
    }  # fmt: skip
    return [str(word) for name, values in found.items() for word in (f"--{name}", *values)]
