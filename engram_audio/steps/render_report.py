"""Render the decision report, of a study or of one question: one HTML file from its tables."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from engram_audio.artifacts.identity import Analysis, Players, read_identity
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
from engram_audio.artifacts.registered import history_words, read_history
from engram_audio.maps import map_at
from engram_audio.provenance import package_versions
from engram_audio.report.config import ReportSection
from engram_audio.report.data import ReportData, drawn_keys
from engram_audio.report.page import render_page
from engram_audio.report.published_tables import table_of_file
from engram_audio.report.timings import JobTiming, gather_timings
from engram_audio.steps._cli import Fact, Frozen, Output, StepFiles, run

MAXIMUM_MB = 6  # larger pages open slowly

logger = logging.getLogger(__name__)


def read_all_cells(paths: list[Path], keys: list[str], lag_frames: int) -> pd.DataFrame:
    """Read the cells that the page draws, with their representation and split."""
    frames = []
    for path in paths:
        representation, split_seed = read_identity(path, Analysis)
        frame = read_cells(path, keys, lag_frames, "all")
        frames.append(frame.assign(representation=representation, split_seed=split_seed))
    return pd.concat(frames, ignore_index=True)


def read_timings(folder: Path, patterns: dict[str, str]) -> pd.DataFrame:
    """Read the benchmarks below a folder and gather them by rule (`patterns`, as regexes)."""
    jobs = [
        JobTiming(path.as_posix(), *found)
        for path in list_benchmarks(folder)
        if (found := read_benchmark(path)) is not None
    ]
    return gather_timings(patterns, jobs)


class Files(StepFiles):
    section: Frozen[ReportSection]
    config_sections: Frozen[dict[str, Any]]
    benchmarks: Fact[str]  # a folder
    rule_benchmarks: Fact[dict[str, str]]  # of each rule, a regular expression of its files
    tables: list[Path]
    documents: list[Path]
    cells: list[Path]
    latents: list[Path]
    templates: list[Path]
    report: Output


def main(argv: list[str] | None = None) -> None:
    """Read every published file, render the page, write it."""
    files = Files.parse(argv)
    sections = files.config_sections
    documents = {path.stem: read_json(path) for path in files.documents}
    decision = sections["decision"]
    keys = drawn_keys(documents["decision"], decision)
    cells = read_all_cells(files.cells, keys, decision["lag_frames"])
    latents = [(read_identity(path, Players).label, read_json(path)) for path in files.latents]
    players = {label: found["examples"] for label, found in latents if "examples" in found}
    summaries = {label: found for label, found in latents if "examples" not in found}
    manifests = [read_manifest(path) for path in files.cells]
    manifests += [
        {"artifact": name, **document["manifest"]}
        for name, document in {**documents, **summaries}.items()
        if map_at(document, "manifest")
    ]
    data = ReportData(
        settings=files.section,
        sections=sections,
        tables={path.stem: read_csv(path, table_of_file(path.name)) for path in files.tables},
        documents=documents,
        cells=cells,
        summaries=summaries,
        players=players,
        timings=read_timings(Path(files.benchmarks), files.rule_benchmarks),
        manifests=manifests,
        packages=package_versions(),
        question=files.frozen.wildcards.get("question", ""),
        registered_words=history_words(read_history(files.report.parent)),
    )
    html = render_page(data, read_templates(files.templates))
    write_page(files.report, html)
    size_mb = len(html.encode()) / 1e6
    logger.info("%s: %.2f MB", files.report, size_mb)
    if size_mb > MAXIMUM_MB:
        logger.warning("more than %d MB: lower report.maximum_table_rows", MAXIMUM_MB)


if __name__ == "__main__":
    run(main)
