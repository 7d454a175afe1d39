"""Publish measured against known: calibration.json and calibration.csv."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.calibration.config import WORLD_PREFIX, PowerSection, WorldsSection
from engram_audio.calibration.published import Published, published_rows
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.rows import CalibrationRow
from engram_audio.generation.config import GenerationBarsSection
from engram_audio.generation.verdicts import verdict_rows
from engram_audio.keys.law_tables import keys_table
from engram_audio.report.published_tables import table_of_file
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.steps._law_tables import read_run
from engram_audio.structure.columns import LINEAR, STRUCTURE
from engram_audio.structure.config import DecisionSection, StructureSection
from engram_audio.structure.decision import decide_all
from engram_audio.structure.evidence import LawGain
from engram_audio.structure.laws import law_gains
from engram_audio.trust import tables
from engram_audio.trust.columns import CALIBRATION
from engram_audio.trust.error_rates import RateRow
from engram_audio.trust.generated import (
    gated_rows,
    generated_rows,
    generated_verdicts,
    healed_rows,
)
from engram_audio.trust.known import evidence_of_worlds

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    worlds_section: Frozen[WorldsSection]
    power_section: Frozen[PowerSection]
    structure_section: Frozen[StructureSection]
    decision_section: Frozen[DecisionSection]
    statistics_section: Frozen[StatisticsSection]
    power: Path
    sabotage: Path
    structure: list[Path]
    linear: list[Path]
    truths: list[Path]
    rows: list[Path]
    law_scores: list[Path]
    law_facts: list[Path]
    generation_section: Frozen[GenerationBarsSection]
    generated: list[Path]  # tables of the generation stage, where it has worlds
    document: Output
    table: Output


def main(argv: list[str] | None = None) -> None:
    """Read truths, injected oracles, the worlds' tables, power and sabotage; write two files."""
    files = Files.parse(argv)
    worlds, decision = files.worlds_section, files.decision_section
    structure, linear = (
        pd.concat([read_csv(path, table) for path in paths], ignore_index=True)
        for paths, table in (
            (files.structure, STRUCTURE),
            (files.linear, LINEAR),
        )
    )
    truths = tables.truths_of(
        pd.concat([read_table(path, tables.TRUTH_COLUMNS) for path in files.truths])
    )
    injected = [read_table(path, CalibrationRow._fields) for path in files.rows]
    rows = [row for frame in injected for row in tables.rows_of(frame)]
    for name in worlds.names:
        own = WORLD_PREFIX + name
        published = Published(
            structure.loc[structure["representation"] == own],
            linear.loc[linear["representation"] == own],
            worlds.keys, decision.lag_frames, files.structure_section.window_frames,
        )  # fmt: skip
        rows += published_rows(name, make_world(name, worlds.seed), truths.get(name, []), published)
    confidence = files.statistics_section.confidence
    evidence = evidence_of_worlds(worlds.names, decision.slices)
    evidence = evidence._replace(laws=_laws(files, confidence, decision.lag_frames))
    decided = decide_all(structure, linear, decision, confidence, evidence)
    rates = [
        RateRow(*row) for row in read_table(files.power, RateRow._fields).itertuples(index=False)
    ]
    sabotage = read_table(files.sabotage, tables.SABOTAGE_COLUMNS)
    rows += tables.model_rows(sabotage)
    verdicts = tables.world_verdicts(decided, worlds.keys, worlds.with_laws())
    generated, words = _generated(files)
    table = tables.calibration_table(
        [*rows, *generated], verdicts, rates, files.power_section, words
    )
    matrix = tables.sabotage_matrix(sabotage)
    document = tables.calibration_document(table, matrix, rates)
    LOG.info("%d of %d rows fail", document["num_failing"], document["num_rows"])
    write_csv(files.table, table, CALIBRATION, files.manifest())
    write_json(files.document, {**document, "manifest": files.manifest(worlds.seed)})


def _laws(files: Files, confidence: float, lag_frames: int) -> dict[str, dict[str, LawGain]]:
    """Return what the laws of keys tell of the worlds where they were scored."""
    pairs = zip(files.law_scores, files.law_facts, strict=True)
    runs = [read_run(*paths) for paths in pairs]
    # no predictor is trained on worlds, so no share of one can be asked of a key
    return law_gains(keys_table(runs, 0.5, confidence), lag_frames) if runs else {}


def _generated(files: Files) -> tuple[list[CalibrationRow], list[dict[str, Any]]]:
    """Return bounds and words of the generators that were trained on worlds."""
    found = {path.stem: read_csv(path, table_of_file(path.name)) for path in files.generated}
    if not found:
        return [], []
    gains = found["generation_gains"]
    rows = verdict_rows(
        found["generation"], gains, found["generation_health"], found["generation_replay"],
        files.generation_section, "",
    )  # fmt: skip
    healed = healed_rows(found["generation"], found["generation_health"])
    bounds = [*generated_rows(gains), *gated_rows(found["generation_keys"]), *healed]
    return bounds, generated_verdicts(rows, gains)


if __name__ == "__main__":
    run(main)
