"""What produced the numbers, and what it cost."""

import json
from typing import Any

import pandas as pd

from engram_audio.report.data import ReportData
from engram_audio.report.figure import content_id
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import Column, TableView, make_table
from engram_audio.verdicts import number

TIMING_COLUMNS = (
    Column("rule", "Rule", is_text=True),
    Column("num_jobs", "Jobs timed", "", "Jobs whose benchmark file exists.", form=number.count),
    Column("total_s", "Total", "", "Wall time of all its jobs.", form=number.duration),
    Column("longest_s", "Longest job", form=number.duration),
    Column("peak_mib", "Peak memory", "MiB", "Largest resident set of one job.", form=number.count),
)
MANIFEST_COLUMNS = (
    Column("artifact", "Artifact", is_text=True),
    Column("step", "Step", is_text=True),
    Column("code_digest", "Code", is_text=True, help="Digest of the code that the step can reach."),
    Column("sections", "Configuration", is_text=True, help="Digest of each section it read."),
    Column("seed", "Seed", form=number.count),
)


def build(data: ReportData) -> dict[str, Any]:
    """Gather versions, digests, sections and timings."""
    return {
        "packages": sorted(packages_of(data).items()),
        "manifests": manifest_table(data),
        "sections": [
            {"name": name, "id": content_id("config", name), "text": document_text(value)}
            for name, value in sorted(data.sections.items())
        ],
        "timings": make_table(
            "timings-table", "Time and memory of each rule", data.timings, TIMING_COLUMNS,
            maximum_rows=data.settings.maximum_table_rows,
        ),
        "total": number.duration(data.timings["total_s"].sum() if len(data.timings) else None),
    }  # fmt: skip


def document_text(value: Any) -> str:
    """Return a configuration section as indented JSON."""
    return json.dumps(value, indent=1, ensure_ascii=False)


def packages_of(data: ReportData) -> dict[str, str]:
    """Return package -> version; several versions where artifacts disagree."""
    versions: dict[str, set[str]] = {name: {text} for name, text in data.packages.items()}
    for manifest in data.manifests:
        for name, text in (manifest.get("packages") or {}).items():
            versions.setdefault(str(name), set()).add(str(text))
    return {name: ", ".join(sorted(found)) for name, found in versions.items()}


def manifest_table(data: ReportData) -> TableView:
    """Return one row per artifact that carries a manifest."""
    rows = [
        {
            "artifact": manifest.get("artifact"),
            "step": manifest.get("step"),
            "code_digest": manifest.get("code_digest"),
            "seed": manifest.get("seed"),
            "sections": ", ".join(
                f"{name} {digest}"
                for name, digest in sorted((manifest.get("section_digests") or {}).items())
            ),
        }
        for manifest in data.manifests
    ]
    frame = pd.DataFrame(rows, columns=[column.name for column in MANIFEST_COLUMNS])
    return make_table(
        "manifest-table", "Artifacts and what made them", frame, MANIFEST_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4,
    )  # fmt: skip


SECTION = SectionSpec(
    name="provenance",
    place=130,
    title="Provenance, time and memory",
    lead=(
        "This is what made the numbers: versions, digests of code and configuration, and what it "
        "cost. Equal digests mean equal inputs. A digest that differs names what changed."
    ),
    needs=(),
    build=build,
)
