"""Publish what every stage answers: one row per verdict, in verdicts.csv and verdicts.json."""

import functools
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import write_csv
from engram_audio.comparison import verdicts as comparison
from engram_audio.factorizer import verdicts as factorizer
from engram_audio.generation import verdicts as generation
from engram_audio.generation.config import GenerationBarsSection
from engram_audio.generation.cost_verdicts import Costs
from engram_audio.keys import verdicts as keys
from engram_audio.memory import verdicts as memory
from engram_audio.prediction import verdicts as prediction
from engram_audio.prediction.cells import predicted
from engram_audio.prediction.heads_gain import heads_gains
from engram_audio.report.published_tables import table_of_file
from engram_audio.rollout import verdicts as rollout
from engram_audio.rollout.config import RolloutBarsSection
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Fact, Frozen, Output, StepFiles, run
from engram_audio.structure import verdicts as structure
from engram_audio.structure.changes import changes_table
from engram_audio.structure.config import DecisionSection
from engram_audio.structure.decision import Decided, decide_all
from engram_audio.structure.evidence import Evidence, HeadsGain, Source
from engram_audio.structure.laws import law_gains
from engram_audio.trust import verdicts as trust
from engram_audio.verdicts.answers import chain_rows, with_deciding
from engram_audio.verdicts.chain import in_order, verdict_table
from engram_audio.verdicts.columns import VERDICTS, WHAT_WOULD_CHANGE
from engram_audio.verdicts.row import VerdictRow

LOG = logging.getLogger(__name__)


def verdict_rows(
    tables: Mapping[str, pd.DataFrame],
    documents: Mapping[str, dict[str, Any]],
    registered: DecisionSection,
    bars: RolloutBarsSection,
    confidence: float,
    generation_bars: GenerationBarsSection,
    question: str = "",
    states: Sequence[str] = (),
) -> list[VerdictRow]:
    """Let every stage judge whose tables are there, and return all rows in order.

    Args:
        tables: Published tables by name. A stage without its table was not run.
        documents: `decision`, and `calibration` where worlds are simulated.
        registered: What was fixed before looking.
        bars: What a rollout method must reach.
        confidence: Level of the gate's intervals.
        generation_bars: What the generation stage's word asks beside gains.
        question: The one question of a page; "" for the whole study.
        states: Representations that are a z_dyn.
    """
    name, gate = registered.representation, registered.operative_gate
    decided: dict[str, Decided] = {}
    if "structure" in tables:
        evidence = evidence_at(tables, documents, registered, registered.lag_frames)
        decided = decide_all(
            tables["structure"], tables["linear"], registered, confidence, evidence
        )
    judges = {
        trust.STAGE: ("calibration", lambda t: trust.verdict_rows(t, documents["calibration"])),
        structure.STAGE: (
            "structure", lambda t: structure.verdict_rows(decided, t, registered),
        ),
        keys.STAGE: (
            "keys",
            lambda t: keys.verdict_rows(
                t, name, gate.minimum_added_nats, gate.maximum_transfer_loss
            ),
        ),
        prediction.STAGE: ("prediction", lambda t: prediction.verdict_rows(t, name)),
        factorizer.STAGE: ("factorizer", lambda t: factorizer.verdict_rows(t, name)),
        comparison.STAGE: ("codecs", lambda t: comparison.verdict_rows(t, registered)),
        memory.STAGE: ("memory_verdict", lambda t: memory.verdict_rows(t, name)),
        rollout.STAGE: ("rollout", lambda t: rollout.verdict_rows(t, bars, name)),
        generation.STAGE: (
            "generation",
            lambda t: generation.verdict_rows(
                t, tables["generation_gains"], tables["generation_health"],
                tables["generation_replay"], generation_bars, name,
                Costs(*(tables[f"generation_{part}"] for part in Costs._fields)),
            ),
        ),
    }  # fmt: skip
    found = {
        stage: judge(tables[table]) for stage, (table, judge) in judges.items() if table in tables
    }
    rows = in_order(found, is_whole=not question)
    own = decided.get(name)
    delta = registered.operative_gate.minimum_added_nats if own is None else own.delta
    lag, is_of_brief = registered.lag_frames, bool(registered.literal_gate.keys)
    chain = chain_rows(rows, name, lag, delta, states, is_of_brief)
    return [*chain, *with_deciding(rows, name, lag, delta)]


def evidence_at(
    tables: Mapping[str, pd.DataFrame],
    documents: Mapping[str, dict[str, Any]],
    registered: DecisionSection,
    lag_frames: int,
) -> Evidence:
    """Return the heads' gains at a lag, which only the tables of two stages can tell.

    `decision.json` holds the words before any head was asked, and what frames see.
    """
    heads: dict[str, Mapping[str, HeadsGain]] = {}
    if "prediction" in tables:
        table = tables["prediction"]
        slices = sorted(set(tables["structure"]["slice"]))
        for name in predicted(table, registered.representation):
            gains = heads_gains(table, name, lag_frames, slices)
            if gains is not None:
                heads[name] = gains
    sources = {n: Source(**one) for n, one in documents["decision"]["sources"].items()}
    laws = law_gains(tables["keys"], lag_frames) if "keys" in tables else {}
    return Evidence(heads, sources, laws)


def changes_of(
    tables: Mapping[str, pd.DataFrame],
    documents: Mapping[str, dict[str, Any]],
    registered: DecisionSection,
    confidence: float,
) -> pd.DataFrame:
    """Return what would change the answer to the first question."""
    if "structure" not in tables:
        return WHAT_WOULD_CHANGE.empty()
    return changes_table(
        tables["structure"],
        registered,
        confidence,
        functools.cache(lambda lag: evidence_at(tables, documents, registered, lag)),
    )


class Files(StepFiles):
    decision_section: Frozen[DecisionSection]
    bars_section: Frozen[RolloutBarsSection]
    statistics_section: Frozen[StatisticsSection]
    generation_section: Frozen[GenerationBarsSection]
    states: Fact[list[str]]  # representations that are a z_dyn
    tables: list[Path]
    documents: list[Path]
    table: Output
    document: Output
    changes: Output


def main(argv: list[str] | None = None) -> None:
    """Read the published tables and documents; write both files."""
    files = Files.parse(argv)
    tables = {path.stem: read_csv(path, table_of_file(path.name)) for path in files.tables}
    documents = {path.stem: read_json(path) for path in files.documents}
    question = files.frozen.wildcards.get("question", "")
    rows = verdict_rows(
        tables, documents, files.decision_section, files.bars_section,
        files.statistics_section.confidence, files.generation_section, question, files.states,
    )  # fmt: skip
    for stage, outcomes in _outcomes(rows).items():
        LOG.info("%s: %s", stage, outcomes)
    write_csv(files.table, verdict_table(rows), VERDICTS, files.manifest())
    changes = changes_of(
        tables, documents, files.decision_section, files.statistics_section.confidence
    )
    write_csv(files.changes, changes, WHAT_WOULD_CHANGE, files.manifest())
    records = [row.record() for row in rows]
    write_json(files.document, {"rows": records, "manifest": files.manifest()})


def _outcomes(rows: list[VerdictRow]) -> dict[str, str]:
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row.stage, Counter())[row.outcome] += 1
    return {
        stage: ", ".join(f"{count} {outcome}" for outcome, count in found.items())
        for stage, found in counts.items()
    }


if __name__ == "__main__":
    run(main)
