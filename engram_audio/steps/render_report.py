"""Render the decision report, of a study or of one question: one HTML file from its tables."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.published import (
    list_benchmarks,
    read_benchmark,
    read_cells,
    read_csv,
    read_manifest,
    read_templates,
    write_page,
)
from engram_audio.artifacts.structure_tables import analysis_of
from engram_audio.provenance import package_versions
from engram_audio.report.config import ReportSection
from engram_audio.report.data import ReportData
from engram_audio.report.page import render_page
from engram_audio.report.published_tables import table_of_file
from engram_audio.report.timings import JobTiming, gather_timings
from engram_audio.steps import _cli

MAXIMUM_MB = 10  # larger pages open slowly

logger = logging.getLogger(__name__)


def read_all_cells(paths: list[Path], registered: dict[str, Any]) -> pd.DataFrame:
    """Read the cells that the page draws, with the representation and split of their path."""
    frames = []
    for path in paths:
        representation, split_seed = analysis_of(path)
        frame = read_cells(path, registered["keys"], registered["lag_frames"], "all")
        frames.append(frame.assign(representation=representation, split_seed=split_seed))
    return pd.concat(frames, ignore_index=True)


def read_timings(folder: Path, rule_benchmarks: list[Path]) -> pd.DataFrame:
    """Read the benchmarks below a folder and gather them by rule (`<rule>=<path as a regex>`)."""
    patterns = dict(str(item).split("=", maxsplit=1) for item in rule_benchmarks)
    jobs = [
        JobTiming(path.as_posix(), *found)
        for path in list_benchmarks(folder)
        if (found := read_benchmark(path)) is not None
    ]
    return gather_timings(patterns, jobs)


def main(argv: list[str] | None = None) -> None:
    """Read every published file, render the page, write it."""
    arguments = _cli.parse_arguments(
        "render_report",
        __doc__,
        inputs=["benchmarks"],
        input_lists=["tables", "documents", "cells", "latents", "templates", "rule_benchmarks"],
        outputs=["report"],
        argv=argv,
    )
    sections = arguments.section_documents("config_sections")
    documents = {path.stem: read_json(path) for path in arguments.documents}
    cells = read_all_cells(arguments.cells, sections["decision"])
    latents = [(path.name, path.parent.name, read_json(path)) for path in arguments.latents]
    summaries = {of: document for name, of, document in latents if name == "summary.json"}
    players = {of: document["examples"] for name, of, document in latents if name == "players.json"}
    manifests = [read_manifest(path) for path in arguments.cells]
    manifests += [
        {"artifact": name, **document["manifest"]}
        for name, document in {**documents, **summaries}.items()
        if isinstance(document.get("manifest"), dict)
    ]
    data = ReportData(
        settings=arguments.load_section("section", ReportSection),
        sections=sections,
        tables={path.stem: read_csv(path, table_of_file(path.name)) for path in arguments.tables},
        documents=documents,
        cells=cells,
        summaries=summaries,
        players=players,
        timings=read_timings(arguments.benchmarks, arguments.rule_benchmarks),
        manifests=manifests,
        packages=package_versions(),
        question=arguments.frozen.wildcards.get("question", ""),
    )
    html = render_page(data, read_templates(arguments.templates))
    write_page(arguments.report, html)
    size_mb = len(html.encode()) / 1e6
    logger.info("%s: %.2f MB", arguments.report, size_mb)
    if size_mb > MAXIMUM_MB:
        logger.warning("more than %d MB: lower report.maximum_table_rows", MAXIMUM_MB)


if __name__ == "__main__":
    _cli.run(main)
