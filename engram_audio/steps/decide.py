"""Judge the structure tables by themselves, before any head is asked: decision.json.

Fails where the deciding representation has no row.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from engram_audio.artifacts.identity import read_representation
from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.registered import count_scoring
from engram_audio.errors import InputError
from engram_audio.section import Section
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Fact, Frozen, Output, StepFiles, run
from engram_audio.structure.columns import LINEAR, STRUCTURE
from engram_audio.structure.config import DecisionSection
from engram_audio.structure.decision import decide_all, decision_document
from engram_audio.structure.evidence import Evidence, Source

LOG = logging.getLogger(__name__)


class Overlap(Section):
    """What frames of a representation see of each other's samples.

    Attributes:
        frames: Frames that share samples with a frame, itself included; None: unknown.
        control: The overlap control that is analysed beside it, or "".
        is_declared: Whether the user alone says that frames are causal: no codec was there to test.
    """

    frames: int | None
    control: str
    is_declared: bool


UNKNOWN = Overlap(frames=None, control="", is_declared=True)


class Files(StepFiles):
    overlaps: Fact[dict[str, Overlap]]
    section: Frozen[DecisionSection]
    statistics: Frozen[StatisticsSection]
    structure: Path
    linear: Path
    summaries: list[Path]
    decision: Output


def sources_of(paths: Sequence[Path], overlaps: dict[str, Overlap]) -> dict[str, Source]:
    """Return what a frame of each representation sees, from its latent summary."""
    sources = {}
    for path in paths:
        name = read_representation(path)
        overlap = overlaps.get(name, UNKNOWN)
        summary = read_json(path)
        copied = summary["near_copies"]
        pair = next((f"{one['first']} and {one['second']}" for one in copied["pairs"]), "")
        sources[name] = Source(
            bool(summary["metadata"]["is_causal"]), overlap.frames, overlap.control,
            copied["utterance_share"], pair, overlap.is_declared,
        )  # fmt: skip
    return sources


def main(argv: list[str] | None = None) -> None:
    """Read two sections, two tables and the latent summaries; write the decision."""
    files = Files.parse(argv)
    section = files.section
    structure = read_csv(files.structure, STRUCTURE)
    if section.representation not in set(structure["representation"]):
        raise InputError(
            f"decision.representation: {section.representation} has no row in "
            f"{files.structure}; rerun tabulate_structure"
        )
    linear = read_csv(files.linear, LINEAR)
    evidence = Evidence({}, sources_of(files.summaries, files.overlaps))
    decided = decide_all(structure, linear, section, files.statistics.confidence, evidence)
    for name, one in decided.items():
        LOG.info("%s: %s", name, one.verdict)
    document = decision_document(decided, section, evidence)
    write_json(files.decision, {**document, "manifest": files.manifest()})
    count_scoring(files.decision.parent)


if __name__ == "__main__":
    run(main)
