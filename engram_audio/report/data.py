"""What the page is made of: the published tables and documents, read by the step."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from engram_audio.report.config import ReportSection
from engram_audio.report.published_tables import TABLES
from engram_audio.structure.decision import SURROGATE_MARK
from engram_audio.verdicts.row import VerdictRow, row_of


class ReportData(NamedTuple):
    """Everything a section may show; a stage adds a table or a document, not a field.

    Attributes:
        settings: The report's own settings.
        sections: Configuration sections by name, as plain documents.
        tables: Published tables by name (`structure` for tables/structure.csv).
        documents: Published documents by name (`decision`).
        cells: Per-cell rows of the structure stage, with representation and split_seed.
        summaries: Latent summaries by representation.
        players: Audio examples by representation.
        timings: One row per rule: jobs, jobs_without_file, total_s, longest_s, peak_mib.
        manifests: One row per artifact: artifact, step, code_digest, section_digests, seed,
            packages.
        packages: Versions of the packages that rendered the page.
        question: The one question of this page; "" for the page of the whole study.
        registered_words: When the gate was fixed, in words.
    """

    settings: ReportSection
    sections: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    documents: Mapping[str, dict[str, Any]]
    cells: pd.DataFrame
    summaries: Mapping[str, dict[str, Any]]
    players: Mapping[str, list[dict[str, Any]]]
    timings: pd.DataFrame
    manifests: list[dict[str, Any]]
    packages: Mapping[str, str]
    question: str = ""
    registered_words: str = ""

    def table(self, name: str) -> pd.DataFrame:
        """Return a published table, without rows where the study has none.

        Raises:
            KeyError: No stage publishes such a table.
        """
        found = self.tables.get(name)
        return TABLES[name].empty() if found is None else found

    def verdicts(self, stage: str) -> list[VerdictRow]:
        """Return what a stage answers, in the order of the table."""
        records = self.table("verdicts").to_dict("records")
        return [row_of(record) for record in records if record["stage"] == stage]

    @property
    def decision(self) -> dict[str, Any]:
        """The decision document."""
        return self.documents["decision"]

    @property
    def registered(self) -> dict[str, Any]:
        """The decision section, with the keys that are drawn: the chosen one and the brief's."""
        section = self.sections["decision"]
        return {**section, "keys": drawn_keys(self.decision, section)}

    @property
    def is_of_brief(self) -> bool:
        """Whether the study repeats the brief: then its gate and first experiment are shown."""
        return bool(self.sections["decision"]["literal_gate"]["keys"])

    def base_representations(self) -> list[str]:
        """Representations that are no surrogates, the deciding one first, then by name."""
        names = {str(name) for name in self.tables["structure"]["representation"]}
        bases = sorted(name for name in names if SURROGATE_MARK not in name)
        chosen = self.registered["representation"]
        return sorted(bases, key=lambda name: (name != chosen, name))

    def first_split(self, representation: str) -> int:
        """The split seed that decides: the one of the decision's rows, else the smallest."""
        entry = self.decision.get("representations", {}).get(representation, {})
        seeds = [row.get("split_seed") for row in entry.get("gates", {}).get("operative", [])]
        seeds = [int(seed) for seed in seeds if seed is not None]
        table = self.tables["structure"]
        found = table.loc[table["representation"] == representation, "split_seed"]
        return seeds[0] if seeds else int(found.min())


def drawn_keys(decision: Mapping[str, Any], section: Mapping[str, Any]) -> list[str]:
    """Return the keys that figures draw: each representation's chosen one, then the brief's."""
    entries = decision.get("representations", {})
    own = entries.get(section["representation"], {})
    keys = [entry.get("key") for entry in (own, *entries.values())]
    return list(dict.fromkeys(key for key in [*keys, *section["literal_gate"]["keys"]] if key))
